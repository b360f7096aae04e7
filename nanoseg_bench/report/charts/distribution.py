"""A histogram with the cumulative curve, stacked by class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.report.charts.native import CHART, Column, NativeChart, column_at, finish_chart, start_chart
from nanoseg_bench.report.charts.second_axis import RightAxis, move_to_line
from nanoseg_bench.report.charts.style import (
    CURVE_COLOUR,
    FIT_COLOUR,
    class_colour,
    colour_fill,
    colour_line,
    style_axis,
    style_chart,
)
from nanoseg_bench.report.histogram import Histogram, make_histogram
from nanoseg_bench.report.texts import one_line

if TYPE_CHECKING:
    from pptx.chart.chart import Chart

CUMULATIVE = "Cumulative (%)"

_LETTERS_IN_A_ROW = 54  # of labels below the columns


@dataclass(frozen=True, slots=True)
class FittedCurve:
    """A distribution that was fitted to the values.

    Attributes:
        name: For the legend: ``log-normal fit``.
        cumulative: Its share below each of some values.
    """

    name: str
    cumulative: Callable[[NDArray[np.float64]], NDArray[np.float64]]


def distribution_chart(
    values: Mapping[str, NDArray[np.float64]],
    quantity: str,
    unit: str = "",
    *,
    fit: FittedCurve | None = None,
    least: float = 0.0,
) -> NativeChart:
    """Numbers of particles per bin, one colour per class, and the share of all that is smaller.

    The cumulative curve passes the middle of each bar at the share of particles that are smaller than that middle, so
    that every point of it is true at its place. Sizes that differ widely have logarithmic bins, drawn as wide as each
    other, and the title of the axis says so. A few values far from all others are not shown, and that title says how
    many; the bins, their numbers and what is not shown stand in the workbook, too.

    Args:
        values: By class, in the order of the colours; finite; at least one in all. A class without any has no place
            in the legend, and the others keep their colours.
        quantity: What is shown: ``Diameter``.
        unit: Empty where there is none.
        fit: Drawn as the number that is expected in each bin.
        least: What a value cannot be below.

    Raises:
        ValueError: There is no value.
    """
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    every = np.concatenate(list(values.values()))
    bins = make_histogram(every, least)
    axis = f"{quantity} ({unit})" if unit else quantity
    missing = bins.not_shown(unit)
    title = f"{axis}, logarithmic" if bins.is_logarithmic else axis
    data = CategoryChartData(number_format="General")
    data.categories = bins.middles.tolist()
    positions = [number for number, of_class in enumerate(values.values()) if len(of_class)]
    for name, of_class in values.items():
        if len(of_class):
            data.add_series(one_line(name), bins.count(of_class).tolist())
    if fit is not None:
        expected = every.size * np.diff(fit.cumulative(bins.edges))
        data.add_series(one_line(fit.name), np.round(expected, 3).tolist())
    data.add_series(CUMULATIVE, np.round(100 * bins.below_middle, 3).tolist())
    chart = start_chart(XL_CHART_TYPE.COLUMN_STACKED, data)
    # Below the axis, since a chart that is copied elsewhere leaves its caption behind.
    _style(chart, positions, f"{title}; {missing}" if missing else title, bins)
    right = RightAxis(CUMULATIVE, 0, 100, 20)
    move_to_line(chart, len(positions) + (fit is not None), CURVE_COLOUR, axis=right)
    if fit is not None:
        move_to_line(chart, len(positions), FIT_COLOUR, smooth=True, dash="dash")
    return finish_chart(chart, _cells(data, axis, bins, unit), _alt_text(every, quantity, unit, bins))


def _style(chart: "Chart", positions: Sequence[int], axis_title: str, bins: Histogram) -> None:
    plot = chart.plots[0]
    style_chart(chart, legend=len(plot.series) > 1)
    plot.gap_width, plot.overlap = 4, 100
    # Of the series, the classes come first; what follows them becomes lines.
    for position, series in zip(positions, plot.series, strict=False):
        colour_fill(series.format.fill, class_colour(position))
        colour_line(series.format.line, "FFFFFF", 0.5)
    style_axis(chart.category_axis, axis_title, grid=False)
    style_axis(chart.value_axis, "Number of particles", grid=True, number_format="0")
    chart.value_axis.minimum_scale = 0
    if bins.counts.max() < 5:
        chart.value_axis.major_unit = 1
    label_some(chart.category_axis, bins.middles.tolist())


def label_some(axis: Any, categories: Sequence[float]) -> None:
    """A label at every second or third bar where there are more than stand beside each other."""
    from lxml import etree

    letters = max(len(f"{category:g}") for category in categories) + 2
    every = -(-len(categories) * letters // _LETTERS_IN_A_ROW)
    if every == 1:
        return
    after = axis._element.find(f"{{{CHART}}}noMultiLvlLbl")
    for tag, value in (("tickLblSkip", every), ("tickMarkSkip", 1)):
        skip = etree.Element(f"{{{CHART}}}{tag}")
        skip.set("val", str(value))
        if after is None:
            axis._element.append(skip)
        else:
            after.addprevious(skip)


def _cells(data: Any, axis: str, bins: Histogram, unit: str) -> list[Column]:
    series = list(data)
    columns = [column_at(data.categories_ref, "", f"{axis}: middle of the bin", bins.middles.tolist())]
    columns += [column_at(each.values_ref, each.name_ref, each.name, list(each.values)) for each in series]
    after = len(series) + 2  # one empty column between what is drawn and what explains it
    columns.append(Column(0, after, "bin from", bins.edges[:-1].tolist()))
    columns.append(Column(0, after + 1, "bin to, without it", bins.edges[1:].tolist()))
    if missing := bins.not_shown(unit):
        columns.append(Column(0, after + 2, missing, []))
    return columns


def _alt_text(values: NDArray[np.float64], quantity: str, unit: str, bins: Histogram) -> str:
    low, middle, high = (f"{each:.4g}" for each in np.percentile(values, (0, 50, 100)))
    fullest = int(np.argmax(bins.counts))
    span = f"{bins.edges[fullest]:g} to {bins.edges[fullest + 1]:g}"
    in_unit = f" {unit}" if unit else ""
    kind = "Histogram of logarithmic bins" if bins.is_logarithmic else "Histogram"
    missing = bins.not_shown(unit)
    return (
        f"{kind} with the cumulative curve: {quantity} of {values.size} particles, each counted once, from {low} to "
        f"{high}{in_unit}, median {middle}{in_unit}; most particles ({bins.counts[fullest]}) lie in the bin from "
        f"{span}{in_unit}.{f' {missing}.' if missing else ''}"
    )
