"""The page's charts, drawn and captioned: curves of each group of rows that compete, and lines of each corruption.

Importing this loads matplotlib, so the page imports it only when it is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from nanoseg_bench.drawing.charts import chart_style
from nanoseg_bench.evaluation.corruptions.table import CORRUPTIONS
from nanoseg_bench.leaderboard.entries import Group, LeaderboardRow
from nanoseg_bench.leaderboard.page_charts import (
    f1_chart,
    precision_recall_chart,
    reliability_chart,
    severity_chart,
    size_chart,
)
from nanoseg_bench.leaderboard.series import PRECISION_RECALL, by_severity, curve, diameters
from nanoseg_bench.pages import svg

_UNITS = ("px", "nm")
_PERCENTILES = (10, 50, 90)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its caption.

    Attributes:
        title: First line of the caption.
        note: How to read it.
        picture: The ``<svg>`` element.
    """

    title: str
    note: str
    picture: Markup


@dataclass(frozen=True, slots=True)
class Sizes:
    """Diameters of truth and models, drawn and as numbers.

    Attributes:
        unit: ``px`` or ``nm``.
        chart: Their distributions.
        truth: Particles, and the 10th, 50th and 90th percentile of their diameters.
        rows: The same of each entry's predictions.
    """

    unit: str
    chart: Chart
    truth: tuple[int, tuple[float | None, ...]]
    rows: tuple[tuple[LeaderboardRow, int, tuple[float | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class CurveSection:
    """The charts of rows that compete.

    Attributes:
        name: What the rows have in common, where there is more than one group.
        entries: Those with a line in a chart, best first.
        curves: Of detections.
        sizes: Of diameters, one for each unit that was measured.
    """

    name: str
    entries: tuple[LeaderboardRow, ...]
    curves: tuple[Chart, ...]
    sizes: tuple[Sizes, ...]


@chart_style()
def curve_sections(groups: Sequence[Group]) -> list[CurveSection]:
    """Draw the charts of each group; a group without a single curve is left out.

    Args:
        groups: Of the eval set ``test``.
    """
    sections = []
    for number, group in enumerate(groups):
        curves = _curves(group.entries, f"group{number}")
        sizes = tuple(each for unit in _UNITS if (each := _sizes(group.entries, unit, f"group{number}")) is not None)
        if curves or sizes:
            sections.append(CurveSection(group.name, group.entries, curves, sizes))
    return sections


@chart_style()
def severity_charts(entries: Sequence[LeaderboardRow]) -> list[Chart]:
    """A chart for each corruption that was measured, all with one AP axis.

    Args:
        entries: Of the eval set ``robustness``.
    """
    highest = _axis_end(max((value for entry in entries for value in _measured(entry)), default=0.0))
    return [
        Chart(
            corruption.title,
            "",
            svg(
                severity_chart(entries, corruption.name, highest),
                f"severity-{corruption.name}",
                f"AP under {corruption.title.lower()} at severity 0 to 5, a line for each model",
            ),
        )
        for corruption in CORRUPTIONS
        if any(corruption.name in by_severity(entry.record) for entry in entries)
    ]


def _curves(entries: Sequence[LeaderboardRow], identifier: str) -> tuple[Chart, ...]:
    """The curves that at least one entry has."""
    wanted: tuple[
        tuple[str, str, str, Callable[[Sequence[LeaderboardRow]], Figure], Callable[[LeaderboardRow], object]], ...
    ] = (
        (
            "precision-recall",
            "Precision and recall",
            "IoU ≥ 0.50, any class; the area below a line is AP50",
            precision_recall_chart,
            lambda entry: curve(entry.record, PRECISION_RECALL),
        ),
        (
            "f1",
            "F1 and confidence",
            "The dot is the operating point; chosen on val, it need not lie on the peak",
            f1_chart,
            lambda entry: curve(entry.record, "f1"),
        ),
        (
            "reliability",
            "Reliability of the confidences",
            "On the diagonal a confidence is the share that is right; below it, a model is too sure",
            reliability_chart,
            lambda entry: entry.record.details.reliability,
        ),
    )
    return tuple(
        Chart(title, note, svg(draw(entries), f"{identifier}-{name}", f"{title}, a line for each model. {note}."))
        for name, title, note, draw, part in wanted
        if any(part(entry) for entry in entries)
    )


def _sizes(entries: Sequence[LeaderboardRow], unit: str, identifier: str) -> Sizes | None:
    samples = [(entry, found) for entry in entries if (found := diameters(entry.record, unit)) is not None]
    if not samples:
        return None
    title = f"Diameters in {unit}"
    note = "Cumulative share of the particles, all test images pooled; left of the truth: drawn too small"
    picture = svg(size_chart(entries, unit), f"{identifier}-sizes-{unit}", f"{title}, truth and a line for each model")
    truth = samples[0][1]
    return Sizes(
        unit,
        Chart(title, note, picture),
        (truth.truth_count, _percentiles(truth.truth)),
        tuple((entry, sample.predicted_count, _percentiles(sample.predicted)) for entry, sample in samples),
    )


def _percentiles(values: Sequence[float | None]) -> tuple[float | None, ...]:
    """The 10th, 50th and 90th of percentiles 0 to 100; None where nothing was measured."""
    return tuple(values[at] if values else None for at in _PERCENTILES)


def _measured(entry: LeaderboardRow) -> list[float]:
    return [value for values in by_severity(entry.record).values() for value in values if value is not None]


def _axis_end(highest: float) -> float:
    """A round number at or above the largest AP."""
    return next((end for end in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8) if end >= highest), 1.0)
