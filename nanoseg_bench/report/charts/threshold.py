"""Count and median diameter against the confidence from which particles count: does the choice matter?"""

import pandas as pd

from nanoseg_bench.report.charts.distribution import label_some
from nanoseg_bench.report.charts.native import NativeChart, column_at, finish_chart, start_chart
from nanoseg_bench.report.charts.second_axis import RightAxis, move_to_line
from nanoseg_bench.report.charts.style import CURVE_COLOUR, class_colour, colour_fill, style_axis, style_chart


def threshold_chart(curve: pd.DataFrame, unit: str) -> NativeChart:
    """Columns for the number of particles, a line for D50.

    Args:
        curve: ``confidence``, ``count`` and ``d50``, as ``measure.confidence_curve`` makes it; at least one row.
        unit: Of D50.

    Raises:
        ValueError: The curve is empty.
    """
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    # Where no particle is left, there is no median; a chart has no gap at the end of a line.
    shown = curve[curve["d50"].notna()]
    if shown.empty:
        raise ValueError("no particles at any confidence, no chart")
    median = f"D50 ({unit})"
    data = CategoryChartData(number_format="General")
    data.categories = shown["confidence"].tolist()
    data.add_series("Particles", shown["count"].tolist())
    data.add_series(median, shown["d50"].round(4).tolist())
    chart = start_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, data)
    style_chart(chart, legend=True)
    colour_fill(chart.plots[0].series[0].format.fill, class_colour(0))
    chart.plots[0].gap_width = 40
    style_axis(chart.category_axis, "Confidence from which particles count", grid=False, number_format="0.00")
    style_axis(chart.value_axis, "Number of particles", grid=True, number_format="0")
    chart.value_axis.minimum_scale = 0
    label_some(chart.category_axis, shown["confidence"].tolist())
    move_to_line(chart, 1, CURVE_COLOUR, axis=RightAxis(median, low=0))
    columns = [column_at(data.categories_ref, "", "confidence", shown["confidence"].tolist())]
    columns += [column_at(each.values_ref, each.name_ref, each.name, list(each.values)) for each in data]
    first, last = shown.iloc[0], shown.iloc[-1]
    return finish_chart(
        chart,
        columns,
        f"Number of particles and D50 against the confidence from which they count: {first['count']:.0f} particles "
        f"with D50 {first['d50']:.4g} {unit} from {first['confidence']:g}, {last['count']:.0f} with {last['d50']:.4g} "
        f"{unit} from {last['confidence']:g}.",
    )
