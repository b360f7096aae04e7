"""The part of a micrograph that shows the specimen: particles are cut by its edges."""

from collections.abc import Sequence
from dataclasses import dataclass

from nanoseg_bench.marks.mark import BANNER, Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A rectangle of pixels.

    Attributes:
        left: First column.
        top: First row.
        right: Column after the last.
        bottom: Row after the last.
    """

    left: int = 0
    top: int = 0
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    def inset(self, margin: int) -> "Field":
        """The same without ``margin`` pixels along each edge; itself where nothing would be left."""
        if 2 * margin >= min(self.width, self.height):
            return self
        left, top, right, bottom = self.left + margin, self.top + margin, self.right - margin, self.bottom - margin
        return Field(left=left, top=top, right=right, bottom=bottom)


def find_field(marks: Sequence[Mark], height: int, width: int) -> Field:
    """The micrograph without the information bars along its upper and lower edge.

    Args:
        marks: What was written onto it (``marks.detection.find_marks(pixels).found``).
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
    return Field(top=top, bottom=bottom, right=width) if bottom > top else Field(bottom=height, right=width)
