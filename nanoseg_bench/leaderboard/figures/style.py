"""How all figures look: type that stays readable in a column of print, bare frames, panels lettered as in papers."""

import string
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.style
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from nanoseg_bench.drawing.charts import GRID, INK, SOFT
from nanoseg_bench.fonts import families_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nanoseg_bench.leaderboard.figures.contenders import Contender

COLUMN_WIDTH, WIDTH = 90 / 25.4, 180 / 25.4
"""Inches: one and two columns of a journal."""

TEXT_SIZE, SMALL_SIZE = 8.0, 7.0
"""Points; nothing is smaller, so that all of it is read in print."""

TITLE_LINE = 0.16
"""Inches: height of a further line in a title."""

_LETTER_WIDTH = 0.068  # inches, of an average letter
_KEY_WIDTH = 0.54  # inches, of a line in the legend with the space around it

_STYLE: dict[str, Any] = {
    "font.size": TEXT_SIZE,
    "axes.titlesize": TEXT_SIZE + 0.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    # Class names are not mathematics, whatever dollars they hold.
    "text.parse_math": False,
    "svg.hashsalt": "nanoseg-bench",
    # Texts that an editor or a journal can still change.
    "pdf.fonttype": 42,
}


@contextmanager
def figure_style(texts: Iterable[str] = ()) -> Iterator[None]:
    """Draw and save figures alike, whatever ``matplotlibrc`` says.

    Args:
        texts: Titles, class and image names: all that may need letters which matplotlib's own font lacks.
    """
    with mpl.style.context(["default", {**_STYLE, "font.family": families_for("".join(texts))}]):
        yield


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


def minus(number: str) -> str:
    """A formatted number with the minus sign that the axes have, which is no hyphen."""
    return number.replace("-", "\N{MINUS SIGN}")


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
