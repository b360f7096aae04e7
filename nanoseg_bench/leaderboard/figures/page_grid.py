"""Panels of equal width across the page, with texts above and below: the layout of figures that show micrographs."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from nanoseg_bench.drawing.charts import INK, SOFT
from nanoseg_bench.leaderboard.figures.style import SMALL_SIZE, TEXT_SIZE, WIDTH, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches.
_GAP, _MARGIN = 0.08, 0.06
_TITLE_LINE, _CAPTION_LINE, _SPACE = 0.14, 0.125, 0.07
_SMALL_LETTER = 0.063
_ASPECTS = (0.5, 1.6)  # of a panel, height to width; a micrograph beyond them is stretched into it
_MOST_ACROSS = 6


class PageGrid:
    """Collects rows of panels, then draws them onto one page.

    A row that is too long for the page goes on in a second line, and titles then stand over every line.

    Args:
        titles: Over the panels of each row.
        aspects: Height to width of the micrographs of each row.
        caption_lines: Lines of text below each panel.
        note: Below everything.
        key_height: Inches that are kept free at the foot, for a colour bar.
    """

    def __init__(
        self, titles: Sequence[str], aspects: Sequence[float], caption_lines: int, note: str, key_height: float = 0.0
    ) -> None:
        self._lines = math.ceil(len(titles) / _MOST_ACROSS)
        self._across = max(math.ceil(len(titles) / self._lines), 3)
        self._panel = (WIDTH - 2 * _MARGIN - (self._across - 1) * _GAP) / self._across
        self._titles = [wrapped(title, self._panel) for title in titles]
        self._title = _TITLE_LINE * (1 + max(title.count("\n") for title in self._titles)) + _SPACE
        self._caption = _CAPTION_LINE * caption_lines + _SPACE
        self._heights = [self._panel * min(max(aspect, _ASPECTS[0]), _ASPECTS[1]) for aspect in aspects]
        self._note = textwrap.fill(note, int((WIDTH - 2 * _MARGIN) / _SMALL_LETTER))
        foot = (_CAPTION_LINE * (1 + self._note.count("\n")) + _SPACE if note else 0.0) + key_height
        rows = sum(self._lines * (height + self._caption) for height in self._heights)
        titled = len(self._heights) * self._lines if self._lines > 1 else 1
        self._height = rows + titled * self._title + foot
        self.figure = Figure(figsize=(WIDTH, self._height), facecolor="white")
        self._top = 0.0
        self._below: list[tuple[float, float]] = []

    @property
    def letters(self) -> int:
        """How many letters of a caption fit below a panel."""
        return int(self._panel / _SMALL_LETTER)

    def add_row(self, number: int) -> list["Axes"]:
        """The axes of row ``number``; rows are added in their order, each followed by ``add_captions``."""
        height = self._heights[number]
        axes = []
        self._below = []
        for line in range(self._lines):
            titles = self._titles[line * self._across : (line + 1) * self._across]
            if number == 0 or self._lines > 1:
                for place, title in enumerate(titles):
                    self._write(self._left(place), self._top + self._title - 0.06, title, TEXT_SIZE, INK, "baseline")
                self._top += self._title
            for place in range(len(titles)):
                axes.append(self.place(self._left(place), self._top, self._panel, height))
                self._below.append((self._left(place), self._top + height + 0.03))
            self._top += height + self._caption
        return axes

    def add_captions(self, captions: Sequence[str]) -> None:
        """Write below the panels of the row that was added last."""
        for (left, top), caption in zip(self._below, captions, strict=True):
            self._write(left, top, caption, SMALL_SIZE, SOFT, "top")

    def add_note(self) -> float:
        """Write the note; returns where the space for a key begins, in inches from the top."""
        if self._note:
            self._write(_MARGIN, self._top, self._note, SMALL_SIZE, SOFT, "top")
            self._top += _CAPTION_LINE * (1 + self._note.count("\n")) + _SPACE
        return self._top

    def place(self, left: float, top: float, width: float, height: float) -> "Axes":
        """Axes by inches from the figure's upper left corner."""
        bottom = self._height - top - height
        return self.figure.add_axes((left / WIDTH, bottom / self._height, width / WIDTH, height / self._height))

    def _left(self, place: int) -> float:
        return _MARGIN + place * (self._panel + _GAP)

    def _write(self, left: float, top: float, text: str, size: float, colour: str, side: str) -> None:
        self.figure.text(
            left / WIDTH, 1 - top / self._height, text, fontsize=size, color=colour, va=side, linespacing=1.15
        )


def rows_that_fit(panels: int) -> int:
    """How many rows of so many panels a page holds."""
    return max(4 // math.ceil(panels / _MOST_ACROSS), 1)
