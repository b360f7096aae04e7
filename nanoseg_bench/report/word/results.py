"""Key figures with their intervals, charts, classes, uncertainty."""

import math
from collections.abc import Sequence
from typing import Any

from nanoseg_bench.measure.columns import SHAPE_SURE_FROM_PX, column_of
from nanoseg_bench.measure.fits import better_fit
from nanoseg_bench.measure.particles import BELOW_CONFIDENCE, count_exclusions, count_left_out, list_reasons
from nanoseg_bench.measure.resampling import Estimate
from nanoseg_bench.measure.sample import ALL, WEIGHTINGS
from nanoseg_bench.measure.statistics import STATISTICS
from nanoseg_bench.report.charts.distribution import FittedCurve, distribution_chart
from nanoseg_bench.report.charts.native import NativeChart
from nanoseg_bench.report.charts.scatter import MOST_POINTS, scatter_chart
from nanoseg_bench.report.charts.threshold import threshold_chart
from nanoseg_bench.report.distributions import border_matters, distributions, notes_on
from nanoseg_bench.report.grouping import has_values, points_by_group, values_by_group
from nanoseg_bench.report.numbers import NONE, length_text, ratio_text, statistic_text, uncertainty_text
from nanoseg_bench.report.sample_statistics import SampleStatistics
from nanoseg_bench.report.uncertainty import sentence_on
from nanoseg_bench.report.word.chart_parts import add_chart
from nanoseg_bench.report.word.page import Page
from nanoseg_bench.report.word.styles import SMALL_TABLE_TEXT, TABLE_NOTE, TEXT_WIDTH_MM
from nanoseg_bench.report.word.tables import TableColumn, add_table
from nanoseg_bench.wording import counted

_CHART_MM = (150.0, 64.0)
_CURVE_MM = (150.0, 54.0)
_LEAST_STEPS = 3  # of a curve that is worth a chart
_LEAST_OF_GROUP = 3  # particles of a class that has statistics of its own


def write_key_figures(page: Page) -> None:
    """The size distribution as numbers."""
    page.heading("Key figures")
    statistics = page.report.statistics
    size = statistics.size
    if not size.count:
        page.text("No particle counts, so there is no size to tell.")
        _write_exclusions(page)
        return
    page.captions.table(f"Diameter of the circle of equal area. {size.sentence}")
    rows = [("Number of particles", str(size.count), "")]
    for statistic in STATISTICS:
        estimate = size.estimates[statistic.name]
        unit = f" ({size.unit})" if statistic.of_unit else ""
        rows.append(
            (
                f"{statistic.heading}{unit}",
                statistic_text(estimate.value, statistic.of_unit),
                _interval(estimate, statistic.of_unit),
            )
        )
    add_table(
        page.document,
        (TableColumn("Quantity", 60), TableColumn("Value", 40, is_number=True), TableColumn("95 % interval", 70, True)),
        rows,
        description="Statistics of the diameter with their intervals.",
        bold_first=True,
    )
    _write_exclusions(page)
    _write_weightings(page)


def write_charts(page: Page, *, on_new_page: bool = False) -> None:
    """Histogram with cumulative curve, circularity against area, aspect ratio."""
    statistics = page.report.statistics
    if not statistics.size.count:
        return
    page.heading("Distributions", on_new_page=on_new_page)
    shown, group, unit = page.counted, page.group_of(page.counted), page.unit
    sizes = values_by_group(shown, group, "diameter", unit, page.groups)
    if has_values(sizes):
        fit = better_fit(statistics.size.fits)
        curve = None if fit is None else FittedCurve(f"{fit.name} fit", fit.cumulative)
        _figure(
            page,
            distribution_chart(sizes, "Diameter", unit, fit=curve),
            "Diameter of the circle of equal area: particles per bin, and the share of all that is smaller, which is "
            f"exact at the middle of each bar.{_weight_sentence(statistics, curve is not None)}{_fit_sentence(page)}",
        )
    points = points_by_group(shown, group, ("area", "circularity"), unit, page.groups)
    if has_values(points):
        number = sum(map(len, points.values()))
        some = f" Of {number} particles, evenly chosen ones are drawn." if number > MOST_POINTS else ""
        area = column_of("area", unit)
        _figure(
            page,
            scatter_chart(points, "Area", "Circularity", x_unit=area.unit),
            "Circularity 4πA/P² (1 for a disc; “sphericity” in some papers) against area. Particles below 10 px have "
            f"no point.{some}",
        )
    ratios = values_by_group(shown, group, "aspect_ratio", unit, page.groups)
    if has_values(ratios):
        _figure(
            page,
            distribution_chart(ratios, "Aspect ratio", least=1.0),
            "Aspect ratio: length over width of the rectangle of least area around each particle.",
        )


def write_groups(page: Page) -> None:
    """Every quantity of every class."""
    table = page.report.statistics.by_group
    if table.empty or not page.report.statistics.size.count:
        return
    by = page.report.statistics.groups_from
    what = "class" if by == "class" else "shape of outline"
    several = table[by].nunique() > 1
    named = page.counted[by]
    rare = {name: number for name, number in named.value_counts().items() if number < _LEAST_OF_GROUP}
    shown = table[(table[by] == ALL) | ~table[by].isin(list(rare))]
    page.heading(("Classes" if by == "class" else "Shapes") if several else "Size and shape")
    of = f" by {what}" if several else ""
    page.captions.table(f"Statistics{of}, with 95 % intervals in brackets.")
    columns = (
        TableColumn("Class" if by == "class" else "Shape", 28),
        TableColumn("Quantity", 32),
        TableColumn("n", 12, True),
        TableColumn("Mean", 40, True),
        TableColumn("SD", 18, True),
        TableColumn("Median", 40, True),
    )
    rows = [_group_row(row, by, page) for row in shown.to_dict("records")]
    add_table(
        page.document,
        columns,
        rows,
        description=f"Statistics by {what}.",
        text_style=SMALL_TABLE_TEXT,
        bold_first=True,
        keep_same_first=True,
    )
    if several and rare:
        few = ", ".join(f"{name} ({number})" for name, number in rare.items())
        page.text(f"Fewer than {_LEAST_OF_GROUP} particles, and not in the table: {few}.", TABLE_NOTE)
    unnamed = int(named.isna().sum())
    if several and unnamed:
        small = f", as below {SHAPE_SURE_FROM_PX:g} px of diameter" if by == "shape" else ""
        page.text(f"Without a name{small}, and among “all” alone: {counted(unnamed, 'particle')}.", TABLE_NOTE)


def write_uncertainty(page: Page) -> None:
    """What the median is uncertain by, and how much hangs on the threshold."""
    statistics = page.report.statistics
    budget = statistics.budget
    if budget is None:
        return
    page.heading("Uncertainty")
    page.captions.table(sentence_on(budget))
    add_table(
        page.document,
        (
            TableColumn("Source", 28),
            TableColumn(f"Standard uncertainty ({budget.unit})", 38, True),
            TableColumn("Basis", TEXT_WIDTH_MM - 66),
        ),
        [(each.name, uncertainty_text(each.standard_uncertainty), each.basis) for each in budget.components],
        description="Sources of uncertainty of the median diameter.",
        bold_first=True,
    )
    curve = statistics.curve
    if curve["d50"].notna().sum() >= _LEAST_STEPS:
        confidence = page.report.method.confidence
        used = "" if confidence is None else f" This report uses {confidence:.3g}."
        _figure(
            page,
            threshold_chart(curve, budget.unit),
            f"Number of particles and their median diameter against the confidence from which they count.{used} Where "
            "both are level, the result does not hang on the choice.",
            _CURVE_MM,
        )


def _write_exclusions(page: Page) -> None:
    left_out = count_left_out(page.report.particles)
    below = count_exclusions(page.report.particles).get(BELOW_CONFIDENCE, 0)
    sentences = []
    if left_out:
        number = counted(sum(left_out.values()), "outline")
        sentences.append(f"Left out: {number}, each by its first reason: {list_reasons(left_out)}.")
    if below:
        sentences.append(f"Below the confidence: {counted(below, 'outline')}.")
    if sentences:
        page.text(" ".join(sentences), TABLE_NOTE)


def _write_weightings(page: Page) -> None:
    statistics = page.report.statistics
    page.captions.table(
        f"Diameter ({statistics.unit}) of the number, area and volume distribution, with 95 % intervals in brackets. "
        f"{notes_on(statistics)}"
    )
    rows = []
    for name, summary in distributions(statistics).items():
        cells = [_with_interval(summary.estimates[each], True) for each in ("d10", "d50", "d90", "mean")]
        rows.append((name, *cells))
    explained = "; ".join(f"{name}: {meaning}" for name, meaning in WEIGHTINGS.items())
    add_table(
        page.document,
        (TableColumn("Distribution", 34), *(TableColumn(head, 34, True) for head in ("D10", "D50", "D90", "Mean"))),
        rows,
        description=explained,
        text_style=SMALL_TABLE_TEXT,
        bold_first=True,
    )


def _group_row(row: dict[Any, Any], by: str, page: Page) -> Sequence[str]:
    of_unit = bool(row["unit"])
    column = column_of(row["quantity"], page.unit)
    estimates = {
        name: Estimate(row[name], row[f"{name}_lo"], row[f"{name}_hi"], math.nan) for name in ("mean", "d50", "sd")
    }
    return (
        "all" if row[by] == ALL else row[by],
        column.title,
        str(row["count"]),
        _with_interval(estimates["mean"], of_unit),
        statistic_text(estimates["sd"].value, of_unit),
        _with_interval(estimates["d50"], of_unit),
    )


def _weight_sentence(statistics: SampleStatistics, has_fit: bool) -> str:
    """Why the chart's median is not the one of the key figures."""
    if not border_matters(statistics):
        return ""
    weighted = "the key figures and the dashed line are" if has_fit else "the key figures are"
    return f" Bars and line count each particle once; {weighted} weighted for those that the border left out."


def _fit_sentence(page: Page) -> str:
    fits = page.report.statistics.size.fits
    if not fits:
        return ""
    best = better_fit(fits)
    if best is None:
        return " Normal and log-normal distribution describe it equally well."
    width = f"{length_text(best.width)} {page.unit}" if best.name == "normal" else ratio_text(best.width)
    what = ("mean", "SD") if best.name == "normal" else ("median", "GSD")
    return (
        f" Dashed: the {best.name} distribution of {what[0]} {length_text(best.centre)} {page.unit} and {what[1]} "
        f"{width}, which describes it better than the other of the two (by Akaike's criterion)."
    )


def _figure(page: Page, chart: NativeChart, caption: str, size_mm: tuple[float, float] = _CHART_MM) -> None:
    add_chart(page.document, page.figure_paragraph(), chart, *size_mm)
    page.captions.figure(caption)


def _interval(estimate: Estimate, of_unit: bool) -> str:
    if math.isnan(estimate.lo):
        return NONE
    return f"{statistic_text(estimate.lo, of_unit)} to {statistic_text(estimate.hi, of_unit)}"


def _with_interval(estimate: Estimate, of_unit: bool) -> str:
    value = statistic_text(estimate.value, of_unit)
    if math.isnan(estimate.lo):
        return value
    return f"{value} [{statistic_text(estimate.lo, of_unit)}, {statistic_text(estimate.hi, of_unit)}]"
