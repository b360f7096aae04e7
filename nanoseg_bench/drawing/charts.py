"""What the charts of all pages have in common: a bare frame, soft axes, a logarithmic axis that reads like a ruler.

Importing this loads matplotlib, so pages import it only when they draw.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, GRID = "#1b2430", "#505d6b", "#e3e8ec"

TEXT_SIZE = 9.5  # points, at the figure's own width; the page scales the chart to its column


def blank_chart(width: float, height: float) -> tuple[Figure, "Axes"]:
    """A figure of one empty chart, without pyplot.

    Args:
        width: In inches.
        height: In inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=TEXT_SIZE, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(SOFT)
    axes.xaxis.label.set(size=TEXT_SIZE, color=SOFT)
    axes.yaxis.label.set(size=TEXT_SIZE, color=SOFT)
    return figure, axes


def log_axis(axes: "Axes", lowest: float, highest: float) -> None:
    """Make the x axis logarithmic from ``lowest`` to ``highest``, with ticks at 1, 2, 5 or at each digit."""
    axes.set_xscale("log")
    axes.set_xlim(lowest, highest)
    span = highest / lowest
    steps: Sequence[int] = range(1, 10) if span < 8 else (1, 2, 5) if span < 2000 else (1,)
    decades = range(int(np.floor(np.log10(lowest))), int(np.ceil(np.log10(highest))) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    axes.set_xticks([tick for tick in ticks if lowest <= tick <= highest])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
