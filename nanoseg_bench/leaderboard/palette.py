"""How a model looks in every chart, on the page and in the figures: its colour, dashes and marker.

A model keeps its look from figure to figure and from set to set, so a reader learns it once. Colours of models with the
same dashes are told apart with any colour vision, which a test computes; markers help in print without colour.
"""

from collections.abc import Iterable
from dataclasses import dataclass

Dashes = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """The look of one model.

    Attributes:
        colour: ``#rrggbb``, at least 3:1 against white.
        dashes: Lengths on, off, on, off, ... in line widths; empty for a solid line.
        marker: matplotlib's letter.
    """

    colour: str
    dashes: Dashes = ()
    marker: str = "o"

    @property
    def linestyle(self) -> tuple[float, Dashes | None]:
        """The dashes as matplotlib takes a line style."""
        return 0.0, self.dashes or None


_KNOWN = {
    "nsyolo": Look("#d55e00", marker="o"),
    "yolo11n": Look("#0072b2", marker="s"),
    "yolo11n-c3ds": Look("#332288", (4.0, 1.5), "v"),
    "yolo11n-c3bads": Look("#117733", (4.0, 1.5), "^"),
    "yolo11n-c2psa-bra": Look("#661100", (4.0, 1.5), "D"),
    "mask-rcnn": Look("#009e73", marker="P"),
    "unet": Look("#cc79a7", marker="X"),
    "deeplabv3plus": Look("#882255", (6.0, 1.5, 1.5, 1.5), "d"),
    "otsu": Look("#000000", (1.2, 1.2), "*"),
}

_OTHERS = (
    Look("#3d8fd1", (2.0, 1.0), "<"),
    Look("#a06a00", (2.0, 1.0), "h"),
    Look("#aa4499", (2.0, 1.0), "p"),
    Look("#44863f", (2.0, 1.0), "8"),
    Look("#7f7f7f", marker=">"),
)


def model_looks(models: Iterable[str]) -> dict[str, Look]:
    """The look of each model: the paper's models have theirs, others take the next of a few in their order."""
    looks: dict[str, Look] = {}
    others = 0
    for model in dict.fromkeys(models):
        if model in _KNOWN:
            looks[model] = _KNOWN[model]
        else:
            looks[model] = _OTHERS[others % len(_OTHERS)]
            others += 1
    return looks
