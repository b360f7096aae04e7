"""The page's curves, one line per row in its model's colour and dashes.

The charts name no model: the page has one key for all of them, drawn by the browser, which has a font for every name.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nanoseg_bench.drawing.charts import GRID, INK, SOFT, TEXT_SIZE, blank_chart, log_axis
from nanoseg_bench.evaluation.corruptions.table import SEVERITIES
from nanoseg_bench.evaluation.result import Diameters, Numbers
from nanoseg_bench.leaderboard.entries import Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDE, _THIRD, _SMALL = (5.0, 3.5), (4.0, 3.2), (3.2, 2.5)  # inches; the page scales a chart to its column
_LINE, _OTHER_SEEDS = 1.7, 0.35
_SHARES = np.linspace(0.0, 1.0, 101)  # the recalls, confidences and percentiles at which records keep their curves
_BORDER_SHARE = 0.01  # of the sizes at either end is left out of the axis: a few specks would squeeze the rest


def precision_recall_chart(entries: Sequence[Entry]) -> Figure:
    """Precision against recall at IoU 0.50, all particles as one class; the area below a line is its AP50."""
    figure, axes = _shares("recall", "precision")
    for entry, line in _lines(entries):
        if entry.record.details.precision_at_recall:
            axes.plot(_SHARES, _array(entry.record.details.precision_at_recall), **line)
    return figure


def f1_chart(entries: Sequence[Entry]) -> Figure:
    """F1 against the confidence, with a dot at the operating point that was chosen on val."""
    figure, axes = _shares("confidence", "F1 (IoU > 0.5)")
    for entry, line in _lines(entries):
        curve = entry.record.details.by_confidence
        if curve is None:
            continue
        axes.plot(_SHARES, _array(curve.f1), **line)
        confidence, f1 = entry.record.scores.get("confidence"), entry.record.scores.get("f1")
        if confidence is not None and f1 is not None:
            point = {key: line[key] for key in ("color", "alpha")}
            axes.plot([confidence], [f1], "o", ms=5.5, mec="white", gid=f"point-{line['gid']}", **point)
    return figure


def reliability_chart(entries: Sequence[Entry]) -> Figure:
    """Share of right detections against their mean confidence, in bins; on the diagonal a confidence means itself."""
    figure, axes = _shares("mean confidence of the detections in a bin", "share of them that is right")
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, gid="diagonal")
    for entry, line in _lines(entries):
        bins = entry.record.details.reliability
        if bins is not None:
            filled = np.array(bins.count) > 0
            axes.plot(_array(bins.confidence)[filled], _array(bins.precision)[filled], marker="o", ms=3.5, **line)
    return figure


def size_chart(entries: Sequence[Entry], unit: str) -> Figure:
    """Cumulative distributions of the diameters, truth in black."""
    figure, axes = blank_chart(*_WIDE)
    samples = [(entry, line, sample) for entry, line in _lines(entries) for sample in diameters(entry, unit)]
    truth = next((_array(sample.truth) for _, _, sample in samples if sample.truth), None)
    for _, line, sample in samples:
        if sample.predicted:
            axes.plot(_array(sample.predicted), 100 * _SHARES, **line)
    if truth is not None:
        axes.plot(truth, 100 * _SHARES, color=INK, linewidth=2.6, gid="truth", zorder=1.9)
        axes.annotate(
            "truth", (truth[22], 22), (7, -3), textcoords="offset points", color=INK, fontsize=TEXT_SIZE, weight="bold"
        )
    drawn = [_array(side) for _, _, sample in samples for side in (sample.truth, sample.predicted) if side]
    if drawn:
        ends = np.quantile(drawn, [_BORDER_SHARE, 1 - _BORDER_SHARE], axis=1)
        lowest = float(ends[0].min())
        log_axis(axes, lowest, max(float(ends[1].max()), lowest * 1.5))
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"equivalent diameter, {unit}")
    axes.set_ylabel("% of particles that are smaller")
    axes.grid(color=GRID, linewidth=0.8)
    return figure


def severity_chart(entries: Sequence[Entry], corruption: str, highest: float) -> Figure:
    """AP with all particles as one class against the severity; 0 is the image as it is.

    Args:
        entries: Of the eval set ``robustness``.
        corruption: Its id.
        highest: Upper end of the AP axis, the same for all corruptions.
    """
    figure, axes = blank_chart(*_SMALL)
    for entry, line in _lines(entries):
        scores = entry.record.details.corruptions.get(corruption, ())
        if scores:
            clean = entry.record.scores.get("map_50_95_agnostic_clean")
            values = (clean, *(each.get("map_50_95_agnostic") for each in scores))
            axes.plot(range(len(values)), _array(values), marker="o", ms=3, **line)
    axes.set_ylim(0, highest)
    axes.set_xticks(range(1 + len(SEVERITIES)), ["clean", *map(str, SEVERITIES)])
    axes.set_xlabel("severity")
    axes.set_ylabel("AP any class")
    axes.grid(color=GRID, linewidth=0.8)
    return figure


def diameters(entry: Entry, unit: str) -> list[Diameters]:
    """The entry's diameters in this unit: one sample, or none."""
    return [sample for sample in entry.record.details.diameters if sample.unit == unit]


def _shares(xlabel: str, ylabel: str) -> tuple[Figure, "Axes"]:
    """A chart of two shares, 0 to 1."""
    figure, axes = blank_chart(*_THIRD)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)  # a line at 1 keeps its width
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(color=GRID, linewidth=0.8)
    return figure, axes


def _lines(entries: Sequence[Entry]) -> Iterable[tuple[Entry, dict[str, Any]]]:
    """Each entry with its line's properties, the best last, so that it lies on top."""
    for place, entry in reversed(list(enumerate(entries))):
        yield (
            entry,
            {
                "color": entry.look.colour,
                "linestyle": entry.look.linestyle,
                "linewidth": _LINE,
                "alpha": 1.0 if entry.leads else _OTHER_SEEDS,
                "gid": f"row{place}-model-{entry.number}",  # the page's script finds the lines of a model by its end
            },
        )


def _array(values: Numbers) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
