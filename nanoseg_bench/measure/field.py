"""The part of a micrograph that shows the specimen: particles are cut by its edges, and by what is written on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from nanoseg_bench.marks.mark import BANNER, Mark

Box = tuple[int, int, int, int]
"""Left, top, right, bottom: first column and row, and those after the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A rectangle of pixels, and what hides parts of it.

    Attributes:
        left: First column.
        top: First row.
        right: Column after the last.
        bottom: Row after the last.
        covered: Boxes inside of it that show no specimen, or not the whole of it: scale bars, labels, lettering.
    """

    left: int = 0
    top: int = 0
    right: int
    bottom: int
    covered: tuple[Box, ...] = ()

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    def inset(self, margin: int) -> "Field":
        """The same without ``margin`` pixels along each edge, those of what is covered, too.

        The field itself where nothing would be left.
        """
        if 2 * margin >= min(self.width, self.height):
            return self
        left, top, right, bottom = self.left + margin, self.top + margin, self.right - margin, self.bottom - margin
        covered = tuple((x0 - margin, y0 - margin, x1 + margin, y1 + margin) for x0, y0, x1, y1 in self.covered)
        return Field(left=left, top=top, right=right, bottom=bottom, covered=covered)


def find_field(marks: Sequence[Mark], height: int, width: int) -> Field:
    """The micrograph without the information bars along its upper and lower edge, and what is written on the rest.

    Args:
        marks: What was written onto it (``marks.detection.find_marks(pixels).found``, or ``find_banners(pixels)``: then
            nothing inside is covered).
        height: Rows of the micrograph.
        width: Its columns.
    """
    top, bottom = 0, height
    for mark in marks:
        if mark.kind != BANNER:
            continue
        if mark.bottom >= height:
            bottom = min(bottom, mark.top)
        elif mark.top <= 0:
            top = max(top, mark.bottom)
    if bottom <= top:
        top, bottom = 0, height
    inside = (mark for mark in marks if mark.kind != BANNER and mark.bottom > top and mark.top < bottom)
    covered = tuple(dict.fromkeys((mark.left, mark.top, mark.right, mark.bottom) for mark in inside))
    return Field(top=top, bottom=bottom, right=width, covered=covered)
