"""Lines of models in axes, for charts on the page and panels of figures alike: what is shown is in ``series``.

Each function draws all rows into one pair of axes, the best on top, and labels them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nanoseg_bench.drawing.charts import log_axis
from nanoseg_bench.evaluation.corruptions.table import SEVERITIES
from nanoseg_bench.evaluation.result import Numbers
from nanoseg_bench.leaderboard.series import PRECISION_RECALL, Series, array, by_severity, curve, operating_point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OTHER_SEEDS = 0.4  # opacity


def draw_curve(axes: "Axes", rows: Sequence[Series], name: str) -> None:
    """Draw a curve of ``series.CURVES``, with a mark at the operating points; rows without it have no line."""
    for row in reversed(rows):
        y = array(curve(row.record, name))
        x = np.linspace(0.0, 1.0, len(y))
        if name == PRECISION_RECALL:
            # Precision is 0 from the recall on that is never reached: the line ends there.
            reached = np.flatnonzero(y).max(initial=0) + 1
            x, y = x[:reached], y[:reached]
        if y.size:
            axes.plot(x, y, **line_style(row))
            point = operating_point(row.record, name)
            if point is not None:
                axes.plot(
                    *([value] for value in point), marker=row.marker, markersize=5.5, markeredgecolor="white",
                    markeredgewidth=0.6, clip_on=False, zorder=3, **line_style(row, "point-"),
                )  # fmt: skip
    axes.set_ylim(0, 1.02)  # a line at 1 keeps its width
    axes.set_xlim(0, 1)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.grid(visible=True)
    axes.set_xlabel("recall (IoU 0.50)" if name == PRECISION_RECALL else "confidence (mark: operating point)")
    axes.set_ylabel("precision" if name == PRECISION_RECALL else f"{name.replace('f1', 'F1')} (IoU > 0.5)")


def draw_severities(axes: "Axes", rows: Sequence[Series], corruption: str) -> None:
    """Draw AP against the severity of a corruption; 0 is the image as it is.

    Args:
        axes: Where to.
        rows: Of the eval set ``robustness``.
        corruption: Its id.
    """
    for row in reversed(rows):
        values = by_severity(row.record).get(corruption)
        if values is not None:
            axes.plot(
                range(len(values)),
                array(values),
                marker=row.marker,
                markersize=3.2,
                markeredgewidth=0,
                **line_style(row),
            )
    axes.set_xticks(range(1 + len(SEVERITIES)), ["clean", *map(str, SEVERITIES)])
    axes.set_xlabel("severity")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True)


def draw_diameters(axes: "Axes", percentiles: Numbers, **style: Any) -> None:
    """Draw a cumulative distribution: the share of particles, in percent, below each diameter.

    Args:
        axes: Where to.
        percentiles: 0 to 100, evenly spaced; empty where nothing was found.
        style: Of the line.
    """
    if percentiles:
        axes.plot(array(percentiles), np.linspace(0, 100, len(percentiles)), **style)


def label_diameters(axes: "Axes", unit: str, limits: tuple[float, float] | None) -> None:
    """Make the axes of cumulative distributions: diameters on a logarithmic axis, percent from 0 to 100."""
    if limits is not None:
        log_axis(axes, *limits)
    axes.set_ylim(0, 100)
    axes.set_yticks((0, 25, 50, 75, 100))
    axes.grid(visible=True)
    axes.set_xlabel(f"equivalent diameter, {unit}")


def line_style(row: Series, prefix: str = "") -> dict[str, Any]:
    """Colour, dashes, opacity and id of a row's line, as matplotlib takes them.

    Args:
        row: Whose line.
        prefix: Before the id, where a row has several lines.
    """
    return {
        "color": row.look.colour,
        "linestyle": row.look.linestyle,
        "alpha": 1.0 if row.leads else _OTHER_SEEDS,
        "gid": f"{prefix}{row.identifier}" if row.identifier else None,
    }
