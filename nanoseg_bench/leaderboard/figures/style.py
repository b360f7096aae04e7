"""How all figures look: type that stays readable in a column of print, bare frames, panels lettered as in papers."""

import string
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from nanoseg_bench.drawing.charts import chart_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nanoseg_bench.leaderboard.figures.contenders import Contender

COLUMN_WIDTH, WIDTH = 90 / 25.4, 180 / 25.4
"""Inches: one and two columns of a journal."""

TEXT_SIZE, SMALL_SIZE = 8.0, 7.0
"""Points; nothing is smaller, so that all of it is read in print."""

TITLE_LINE = 0.16
"""Inches: height of a further line in a title."""

_LINE = 1.3  # points
_LETTER_WIDTH = 0.068  # inches, of an average letter
_KEY_WIDTH = 0.54  # inches, of a line in the legend with the space around it


def figure_style(texts: Iterable[str] = ()) -> AbstractContextManager[None]:
    """Draw and save figures alike, in the style of all charts at the sizes of print.

    Args:
        texts: As of ``chart_style``.
    """
    return chart_style(TEXT_SIZE, _LINE, texts)


def lettered(number: int, title: str) -> str:
    """``(a) Precision``; after z comes aa."""
    letters = string.ascii_lowercase
    prefix = letters[number // 26 - 1] if number >= 26 else ""
    return f"({prefix}{letters[number % 26]}) {title}"


def text_width(text: str) -> float:
    """About how wide a text is, in inches."""
    return len(text) * _LETTER_WIDTH


def wrapped(title: str, width: float) -> str:
    """A panel's title in as many lines as ``width`` inches ask for."""
    return textwrap.fill(title, max(int(width / _LETTER_WIDTH), 1))


def panels(count: int, columns: int, height: float, **sharing: Any) -> tuple[Figure, list["Axes"]]:
    """A figure of ``count`` panels, row by row; cells that are left over stay blank. One panel is a column wide.

    Args:
        count: Panels.
        columns: In a row, at most.
        height: Of a row, inches.
        sharing: ``sharex``, ``sharey`` for ``Figure.subplots``.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    width = COLUMN_WIDTH if count == 1 else WIDTH
    figure = Figure(figsize=(width, rows * height), layout="constrained", facecolor="white")
    grid = list(figure.subplots(rows, columns, squeeze=False, **sharing).flat)
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, grid[:count]


def model_legend(figure: Figure | SubFigure, contenders: Sequence["Contender"]) -> None:
    """The lines of the models above the panels, in as many columns as fit.

    Args:
        figure: With constrained layout, as wide as the page.
        contenders: In their order.
    """
    handles = []
    for each in contenders:
        look: dict[str, Any] = {"linestyle": each.look.linestyle, "marker": each.look.marker, "markersize": 3.5}
        handles.append(Line2D([], [], color=each.look.colour, linewidth=1.6, label=each.label, **look))
    width = figure.get_figure(root=True).get_figwidth()
    widths = [text_width(each.label) + _KEY_WIDTH for each in contenders]
    columns = len(handles) if sum(widths) <= width else max(int(width / max(widths)), 1)
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=min(columns, len(handles)),
        handlelength=2.6,
        columnspacing=1.4,
        borderpad=0.2,
    )
