"""What all charts have in common: one style for pages and figures, and a logarithmic axis that reads like a ruler.

Importing this loads matplotlib, so pages import it only when they draw.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from nanoseg_bench.drawing.fonts import families_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, GRID = "#1b2430", "#505d6b", "#e3e8ec"

PAGE_TEXT_SIZE = 9.5
"""Points, at a chart's own width; the page scales the chart to its column."""

_PAGE_LINE = 1.7  # points
_SHORT = 3.0  # of a logarithmic axis: its ends' quotient, below which 1, 2, 5 leave it without labels

_STYLE: dict[str, Any] = {
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
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    # Class names are not mathematics, whatever dollars they hold.
    "text.parse_math": False,
    "svg.hashsalt": "nanoseg-bench",
    # Texts that an editor or a journal can still change.
    "pdf.fonttype": 42,
}

# It tells, for each font in a PDF, hundreds of lines of what it does.
logging.getLogger("fontTools").setLevel(logging.WARNING)


@contextmanager
def chart_style(
    text_size: float = PAGE_TEXT_SIZE, line_width: float = _PAGE_LINE, texts: Iterable[str] = ()
) -> Iterator[None]:
    """Draw and save charts alike, whatever ``matplotlibrc`` says: bare frames, soft axes.

    Args:
        text_size: Points; by default, that of pages.
        line_width: Points.
        texts: Titles, class and image names: all that may need letters which matplotlib's own font lacks.
    """
    sizes = {"font.size": text_size, "axes.titlesize": text_size + 0.5, "lines.linewidth": line_width}
    with mpl.style.context(["default", {**_STYLE, **sizes, "font.family": families_for("".join(texts))}]):
        yield


def blank_chart(width: float, height: float) -> tuple[Figure, "Axes"]:
    """A figure of one empty chart, without pyplot.

    Args:
        width: In inches.
        height: In inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def log_axis(axes: "Axes", lowest: float, highest: float) -> None:
    """Make the x axis logarithmic from ``lowest`` to ``highest``, with labels that fit: at 1, 2, 5, or closer."""
    axes.set_xscale("log")
    axes.set_xlim(lowest, highest)
    axes.set_xticks(_log_ticks(lowest, highest))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def _log_ticks(lowest: float, highest: float) -> list[float]:
    """At 1, 2, 5 of each decade; on a short axis, which has few of them or none, at round numbers in between."""
    span = highest / lowest
    if span < _SHORT:
        ticks = [float(each) for each in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(lowest, highest)]
    else:
        steps: Sequence[int] = (1, 2, 3, 5, 7) if span < 8 else (1, 2, 5) if span < 2000 else (1,)
        decades = range(int(np.floor(np.log10(lowest))), int(np.ceil(np.log10(highest))) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in ticks if lowest <= tick <= highest]
