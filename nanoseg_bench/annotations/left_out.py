"""What several readers leave out, told in the same words."""

from collections.abc import Mapping

WAY_OUT = "draw what outlines a particle as a polygon"


def note_without_area(counts: Mapping[str, int]) -> tuple[str, ...]:
    """One sentence on the shapes without area of an image, or of several; nothing where there is none.

    Args:
        counts: ``Micrograph.without_area``.
    """
    return (f"left out shapes without area: {list_kinds(counts)}; {WAY_OUT}",) if counts else ()


def list_kinds(counts: Mapping[str, int]) -> str:
    """``2 line, 1 polyline``, by kind."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
