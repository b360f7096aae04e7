"""The page's curves, one line per row in its model's colour and dashes.

The charts name no model: the page has one key for all of them, drawn by the browser, which has a font for every name.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from nanoseg_bench.drawing.charts import INK, PAGE_TEXT_SIZE, SOFT, blank_chart
from nanoseg_bench.leaderboard.entries import LeaderboardRow
from nanoseg_bench.leaderboard.line_charts import (
    draw_curve,
    draw_diameters,
    draw_severities,
    label_diameters,
    line_style,
)
from nanoseg_bench.leaderboard.series import PRECISION_RECALL, Series, array, diameters

_WIDE, _THIRD, _SMALL = (5.0, 3.5), (4.0, 3.2), (3.2, 2.5)  # inches; the page scales a chart to its column
_BORDER_SHARE = 0.01  # of the sizes at either end is left out of the axis: a few specks would squeeze the rest


def precision_recall_chart(entries: Sequence[LeaderboardRow]) -> Figure:
    """Precision against recall at IoU 0.50, all particles as one class; the area below a line is its AP50."""
    figure, axes = blank_chart(*_THIRD)
    draw_curve(axes, _series(entries), PRECISION_RECALL)
    return figure


def f1_chart(entries: Sequence[LeaderboardRow]) -> Figure:
    """F1 against the confidence, with a dot at the operating point that was chosen on val."""
    figure, axes = blank_chart(*_THIRD)
    draw_curve(axes, _series(entries), "f1")
    return figure


def reliability_chart(entries: Sequence[LeaderboardRow]) -> Figure:
    """Share of right detections against their mean confidence, in bins; on the diagonal a confidence means itself."""
    figure, axes = blank_chart(*_THIRD)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, gid="diagonal")
    for row in reversed(_series(entries)):
        bins = row.record.details.reliability
        if bins is not None:
            filled = np.array(bins.count) > 0
            x, y = array(bins.confidence)[filled], array(bins.precision)[filled]
            axes.plot(x, y, marker=row.marker, markersize=3.5, **line_style(row))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("mean confidence of the detections in a bin")
    axes.set_ylabel("share of them that is right")
    axes.grid(visible=True)
    return figure


def size_chart(entries: Sequence[LeaderboardRow], unit: str) -> Figure:
    """Cumulative distributions of the diameters, truth in black."""
    figure, axes = blank_chart(*_WIDE)
    samples = [(row, sample) for row in _series(entries) if (sample := diameters(row.record, unit)) is not None]
    for row, sample in reversed(samples):
        draw_diameters(axes, sample.predicted, **line_style(row))
    truth = next((sample.truth for _, sample in samples if sample.truth), ())
    draw_diameters(axes, truth, color=INK, linewidth=2.6, gid="truth", zorder=1.9)
    if truth:
        at = len(truth) * 22 // 100
        axes.annotate(
            "truth", (array(truth)[at], 22), (7, -3), textcoords="offset points", color=INK, fontsize=PAGE_TEXT_SIZE,
            weight="bold",
        )  # fmt: skip
    drawn = [array(side) for _, sample in samples for side in (sample.truth, sample.predicted) if side]
    limits = None
    if drawn:
        ends = np.quantile(drawn, [_BORDER_SHARE, 1 - _BORDER_SHARE], axis=1)
        lowest = float(ends[0].min())
        limits = lowest, max(float(ends[1].max()), lowest * 1.5)
    label_diameters(axes, unit, limits)
    axes.set_ylabel("% of particles that are smaller")
    return figure


def severity_chart(entries: Sequence[LeaderboardRow], corruption: str, highest: float) -> Figure:
    """AP with all particles as one class against the severity; 0 is the image as it is.

    Args:
        entries: Of the eval set ``robustness``.
        corruption: Its id.
        highest: Upper end of the AP axis, the same for all corruptions.
    """
    figure, axes = blank_chart(*_SMALL)
    draw_severities(axes, _series(entries), corruption)
    axes.set_ylim(0, highest)
    axes.set_ylabel("AP any class")
    return figure


def _series(entries: Sequence[LeaderboardRow]) -> list[Series]:
    """As the page draws rows: with dots, and ids by whose end its script finds the lines of a model."""
    return [
        Series(entry.record, entry.look, entry.leads, "o", f"row{place}-model-{entry.number}")
        for place, entry in enumerate(entries)
    ]
