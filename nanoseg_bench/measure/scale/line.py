"""A line of text on a micrograph, and where it stands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text on a micrograph.

    Attributes:
        text: What it says; empty where nobody has read it.
        score: How sure the reader is, from 0 to 1.
        left: First column, px.
        top: First row, px.
        right: Column after the last.
        bottom: Row after the last.
    """

    text: str
    score: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Columns."""
        return self.right - self.left
