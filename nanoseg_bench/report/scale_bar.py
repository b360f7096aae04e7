"""The scale bar that our own pictures carry."""

from dataclasses import dataclass

from nanoseg_bench.synthesis.scalebar import choose_bar

_SHARE = 0.2  # of the width of the picture
_UNITS = ((1e6, "mm"), (1e3, "µm"), (1.0, "nm"), (1e-3, "pm"))


@dataclass(frozen=True, slots=True)
class DrawnBar:
    """A bar of a round length.

    Attributes:
        length_px: Pixels of the micrograph, not rounded.
        text: What stands beside it.
    """

    length_px: float
    text: str


def fitting_bar(nm_per_px: float, width: int) -> DrawnBar:
    """The bar of 1, 2 or 5 times a power of ten that is nearest to a fifth of the picture's width."""
    bar = choose_bar(nm_per_px, width, _SHARE)
    size, unit = next((each for each in _UNITS if bar.length_nm >= each[0]), _UNITS[-1])
    return DrawnBar(bar.length_px, f"{bar.length_nm / size:g} {unit}")
