"""Pieces of masks that are too small to be particles, told for all images at once."""

from collections.abc import Mapping

from nanoseg_bench.wording import counted

SPECK_AREA = 3
"""The largest piece, in pixels, that is called a speck: too small for a shape or a size."""

_SPECK_SHARE = 0.05


def warn_of_specks(images: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Sentences on what is too small in masks, each told once for all images; nothing where all is well.

    Args:
        images: ``Micrograph.pieces`` by name.
    """
    warnings = []
    specked = {
        name: counts
        for name, counts in images.items()
        if counts.get("specks") and counts["specks"] >= _SPECK_SHARE * counts["pieces"]
    }
    if specked:
        name, counts = next(iter(specked.items()))
        specks = counted(sum(each["specks"] for each in specked.values()), "speck")
        warnings.append(
            f"{specks} of at most {SPECK_AREA} px count as particles, {_SPECK_SHARE:.0%} or more of the pieces of the "
            f"mask in {counted(len(specked), 'image')} (the first is {name}: {counts['specks']} of "
            f"{counts['pieces']}); --min-area {SPECK_AREA + 1}, or larger, leaves them out"
        )
    left_out = {name: counts["left_out"] for name, counts in images.items() if counts.get("left_out")}
    if left_out:
        pieces = counted(sum(left_out.values()), "particle")
        warnings.append(f"{pieces} smaller than --min-area left out in {counted(len(left_out), 'image')}")
    return warnings
