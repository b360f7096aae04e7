"""A point per particle: circularity against area, one colour per class."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.report.charts.native import CHART, Column, NativeChart, column_at, finish_chart, start_chart
from nanoseg_bench.report.charts.style import class_colour, colour_fill, colour_line, style_axis, style_chart
from nanoseg_bench.report.texts import one_line

if TYPE_CHECKING:
    from pptx.chart.chart import Chart

Points = NDArray[np.float64]

MOST_POINTS = 4000
"""Points that Word draws without making its reader wait; of more, evenly chosen ones are shown."""

_THOUSANDS = 10_000.0  # from which numbers have separators
_RATIO = 1.2  # up to which an axis is that of a ratio
_LOG_FROM = 30.0  # ratio of the largest to the smallest value, from which an axis is logarithmic


def scatter_chart(points: Mapping[str, Points], x: str, y: str, *, x_unit: str = "") -> NativeChart:
    """One point per particle.

    Args:
        points: (n, 2) x and y by class, in the order of the legend; finite; at least one in all.
        x: What the horizontal axis is.
        y: What the vertical axis is.
        x_unit: Empty where there is none.

    Raises:
        ValueError: There is no point.
    """
    from pptx.chart.data import XyChartData
    from pptx.enum.chart import XL_CHART_TYPE

    every = np.concatenate(list(points.values()))
    if not every.size:
        raise ValueError("no points, no chart")
    shown = thinned(points)
    data = XyChartData(number_format="General")
    for name, of_class in shown.items():
        series = data.add_series(one_line(name))
        for across, up in of_class.tolist():
            series.add_data_point(across, up)
    positions = [number for number, of_class in enumerate(points.values()) if len(of_class)]
    chart = start_chart(XL_CHART_TYPE.XY_SCATTER, data)
    titles = [f"{x} ({x_unit})" if x_unit else x, y]
    _style(chart, titles, every, positions)
    columns: list[Column] = []
    for series in data:
        columns.append(column_at(series.x_values_ref, "", titles[0], list(series.x_values)))
        columns.append(column_at(series.y_values_ref, series.name_ref, series.name, list(series.y_values)))
    return finish_chart(chart, columns, _alt_text(every, sum(map(len, shown.values())), titles))


def thinned(points: Mapping[str, Points]) -> dict[str, Points]:
    """At most about ``MOST_POINTS``, every k-th of each class; a class keeps at least one; empty ones are left out."""
    total = sum(map(len, points.values()))
    step = max(-(-total // MOST_POINTS), 1)
    return {name: of_class[::step] for name, of_class in points.items() if len(of_class)}


def _style(chart: "Chart", titles: list[str], every: Points, positions: list[int]) -> None:
    from pptx.enum.chart import XL_MARKER_STYLE

    plot = chart.plots[0]
    style_chart(chart, legend=len(plot.series) > 1)
    for position, series in zip(positions, plot.series, strict=True):
        series.marker.style, series.marker.size = XL_MARKER_STYLE.CIRCLE, 5
        colour_fill(series.marker.format.fill, class_colour(position), opacity=0.6)
        colour_line(series.marker.format.line, class_colour(position), 0.5)
        series.format.line.fill.background()
    for axis, title, values in zip((chart.category_axis, chart.value_axis), titles, every.T, strict=True):
        low, high = float(values.min()), float(values.max())
        style_axis(axis, title, grid=True, number_format="#,##0" if high >= _THOUSANDS else "General")
        if low > 0 and high > _LOG_FROM * low:
            _make_logarithmic(axis, low, high)
        elif high <= _RATIO:
            # Circularities lie close together near 1; an axis from 0 would show a line of points.
            axis.minimum_scale = np.floor(10 * low - 0.5) / 10 if low > _RATIO / 10 else 0
            axis.maximum_scale = np.ceil(10 * high) / 10


def _make_logarithmic(axis: Any, low: float, high: float) -> None:
    from lxml import etree

    scaling = axis._element.find(f"{{{CHART}}}scaling")
    base = etree.Element(f"{{{CHART}}}logBase")
    base.set("val", "10")
    scaling.insert(0, base)
    axis.minimum_scale = 10.0 ** np.floor(np.log10(low))
    axis.maximum_scale = 10.0 ** np.ceil(np.log10(high))


def _alt_text(every: Points, shown: int, titles: list[str]) -> str:
    (x_low, x_high), (y_low, y_high) = ((f"{v.min():.4g}", f"{v.max():.4g}") for v in every.T)
    some = f", of which {shown} evenly chosen ones are drawn" if shown < len(every) else ""
    return (
        f"Scatter chart with a point for each of {len(every)} particles{some}: {titles[0]} from {x_low} to {x_high} "
        f"across, {titles[1]} from {y_low} to {y_high} up."
    )
