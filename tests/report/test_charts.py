"""Charts hold the numbers they show twice, in their cache and in their workbook: both must be the particles'."""

import io
import re

import numpy as np
import openpyxl
import pytest
from lxml import etree

from nanoseg_bench.report.charts.distribution import FittedCurve, distribution_chart
from nanoseg_bench.report.charts.scatter import MOST_POINTS, scatter_chart, thinned

C = {
    "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
}


@pytest.fixture
def sizes():
    rng = np.random.default_rng(3)
    return {"sphere": rng.normal(40, 4, 120), "rod": rng.normal(62, 5, 60)}


def cells(workbook, reference):
    """Values of ``Sheet1!$A$2:$A$9``, read by a library that the chart's writer does not use."""
    sheet, place = reference.split("!")
    found = workbook[sheet.strip("'")][place.replace("$", "")]
    return [cell.value for (cell,) in found] if isinstance(found, tuple) else [found.value]


def references(chart):
    """(reference, what is drawn of it) of every text and number of a chart."""
    space = etree.fromstring(chart.xml)
    for element in space.iter(*(f"{{{C['c']}}}{tag}" for tag in ("numRef", "strRef"))):
        drawn = [point.text for point in element.iterfind(".//c:pt/c:v", C)]
        numbers = element.tag.endswith("numRef")
        yield element.find("c:f", C).text, [float(text) for text in drawn] if numbers else drawn


def assert_workbook_holds_what_is_drawn(chart):
    workbook = openpyxl.load_workbook(io.BytesIO(chart.workbook))
    found = list(references(chart))
    for reference, drawn in found:
        stored = cells(workbook, reference)
        assert stored == pytest.approx(drawn) if isinstance(drawn[0], float) else stored == drawn
    return found


def series_of(chart, kind):
    space = etree.fromstring(chart.xml)
    return {
        element.findtext("c:tx//c:v", namespaces=C): [float(v.text) for v in element.iterfind("c:val//c:v", C)]
        for element in space.iterfind(f".//c:{kind}/c:ser", C)
    }


def test_histogram_counts_the_particles(sizes):
    chart = distribution_chart(sizes, "equivalent circle diameter", "nm")
    assert len(assert_workbook_holds_what_is_drawn(chart)) == 9, "name, bins and numbers of three series"
    columns, curves = series_of(chart, "barChart"), series_of(chart, "lineChart")
    assert {name: sum(counts) for name, counts in columns.items()} == {"sphere": 120, "rod": 60}
    ((name, curve),) = curves.items()
    assert name == "Cumulative (%)" and curve[0] == 0 and curve[-1] == 100 and curve == sorted(curve)
    every = np.concatenate(list(sizes.values()))
    middles = next(drawn for reference, drawn in references(chart) if reference.startswith("Sheet1!$A$2"))
    assert curve == pytest.approx([100 * (every < middle).mean() for middle in middles], abs=5e-4)
    # As the bars show them: the key figures may be weighted for the border.
    assert f"180 particles, each counted once, from {every.min():.4g} to {every.max():.4g} nm, median" in chart.alt_text


def test_sizes_of_very_different_micrographs_have_logarithmic_bins(sizes):
    chart = distribution_chart({"small": sizes["sphere"] / 10, "large": 20 * sizes["rod"]}, "Diameter", "nm")
    assert_workbook_holds_what_is_drawn(chart)
    drawn = next(drawn for reference, drawn in references(chart) if reference.startswith("Sheet1!$A$2"))
    ratios = np.divide(drawn[1:], drawn[:-1])
    assert np.ptp(ratios) < 0.05 * ratios.mean() and drawn[-1] > 200 * drawn[0]
    assert {name: sum(counts) for name, counts in series_of(chart, "barChart").items()} == {"small": 120, "large": 60}
    titles = ["".join(title.itertext()).strip() for title in etree.fromstring(chart.xml).iterfind(".//c:title", C)]
    assert "Diameter (nm), logarithmic" in titles
    assert chart.alt_text.startswith("Histogram of logarithmic bins with the cumulative curve: Diameter of 180")


def test_fit_is_a_curve_of_expected_numbers(sizes):
    from scipy import stats

    fit = FittedCurve("normal fit", stats.norm(40, 4).cdf)
    chart = distribution_chart({"sphere": sizes["sphere"]}, "diameter", "nm", fit=fit)
    assert_workbook_holds_what_is_drawn(chart)
    curves = series_of(chart, "lineChart")
    assert set(curves) == {"normal fit", "Cumulative (%)"}
    assert sum(curves["normal fit"]) == pytest.approx(120, abs=1)
    ids = [axis.get("val") for axis in etree.fromstring(chart.xml).iterfind(".//c:lineChart/c:axId", C)]
    assert len(set(ids)) == 4, "the curve has axes of its own"


@pytest.mark.parametrize("values", [np.array([5.0]), np.full(9, 7.0), np.array([0.0, 1e6])])
def test_few_or_equal_values(values):
    chart = distribution_chart({"particle": values}, "diameter", "nm")
    assert_workbook_holds_what_is_drawn(chart)
    assert sum(series_of(chart, "barChart")["particle"]) == values.size


def test_scatter_has_a_point_per_particle(sizes):
    rng = np.random.default_rng(4)
    points = {
        name: np.column_stack([np.pi / 4 * values**2, rng.uniform(0.6, 1, values.size)])
        for name, values in sizes.items()
    }
    chart = scatter_chart({**points, "cube": np.empty((0, 2))}, "area", "circularity", x_unit="nm²")
    assert_workbook_holds_what_is_drawn(chart)
    space = etree.fromstring(chart.xml)
    for element, (name, expected) in zip(space.iterfind(".//c:ser", C), points.items(), strict=True):
        assert element.findtext("c:tx//c:v", namespaces=C) == name
        drawn = [[float(v.text) for v in element.iterfind(f"c:{axis}Val//c:v", C)] for axis in "xy"]
        assert np.allclose(np.array(drawn).T, expected)


def test_colours_of_classes_are_the_same_in_all_charts(sizes):
    histogram = distribution_chart({"sphere": np.empty(0), "rod": sizes["rod"]}, "diameter", "nm")
    scatter = scatter_chart({"sphere": np.empty((0, 2)), "rod": np.column_stack([sizes["rod"]] * 2)}, "x", "y")
    (bars,) = etree.fromstring(histogram.xml).findall(".//c:barChart/c:ser", C)
    assert bars.findtext("c:tx//c:v", namespaces=C) == "rod", "a class without bars has no place in the legend"
    colour = bars.find(".//a:srgbClr", C).get("val")
    assert etree.fromstring(scatter.xml).find(".//c:ser/c:marker//a:srgbClr", C).get("val") == colour


def test_wide_ranges_are_logarithmic():
    points = np.column_stack([np.geomspace(20, 5e4, 30), np.linspace(0.5, 1, 30)])
    axes = etree.fromstring(scatter_chart({"particle": points}, "area", "circularity").xml).findall(".//c:valAx", C)
    bases = [axis.find("c:scaling/c:logBase", C) for axis in axes]
    assert [base is not None for base in bases] == [True, False]
    assert [float(axes[0].find(f"c:scaling/c:{end}", C).get("val")) for end in ("min", "max")] == [10, 1e5]


def test_many_points_are_thinned_evenly_and_said():
    points = {"a": np.column_stack([np.arange(9000.0) + 1] * 2), "b": np.ones((1, 2))}
    shown = thinned(points)
    assert sum(map(len, shown.values())) <= MOST_POINTS and len(shown["b"]) == 1
    assert np.ptp(shown["a"][:, 0]) > 8990
    assert "of which 3001 evenly chosen" in scatter_chart(points, "x", "y").alt_text


def test_names_neither_run_nor_break():
    name = '=cmd|"/c calc"!A1\x00\x1b<&'
    chart = distribution_chart({name: np.array([1.0, 2, 3])}, name, name)
    workbook = openpyxl.load_workbook(io.BytesIO(chart.workbook))
    assert all(cell.data_type != "f" for row in workbook.active.iter_rows() for cell in row)
    assert_workbook_holds_what_is_drawn(chart)


def test_same_numbers_same_bytes(sizes):
    first, second = (distribution_chart(sizes, "diameter", "nm") for _ in range(2))
    assert first == second
    assert re.search(rb"externalData[^>]* r:id=.rId1.", first.xml)


def test_no_particle_no_chart():
    with pytest.raises(ValueError, match="no values"):
        distribution_chart({"a": np.empty(0)}, "diameter", "nm")
    with pytest.raises(ValueError, match="no points"):
        scatter_chart({"a": np.empty((0, 2))}, "x", "y")


def test_what_a_histogram_leaves_out_is_said_in_the_chart_itself():
    values = np.append(np.random.default_rng(7).normal(40, 4, 99), 900.0)
    chart = distribution_chart({"particle": values}, "Diameter", "nm")
    assert_workbook_holds_what_is_drawn(chart)
    assert sum(series_of(chart, "barChart")["particle"]) == 99
    assert series_of(chart, "lineChart")["Cumulative (%)"][-1] == pytest.approx(99)
    titles = ["".join(each.itertext()) for each in etree.fromstring(chart.xml).iterfind(".//c:catAx/c:title", C)]
    (said,) = (title.split("; ")[1] for title in titles if "not shown" in title)
    assert re.fullmatch(r"1 particle above \d+ nm is not shown", said)
    cells = openpyxl.load_workbook(io.BytesIO(chart.workbook)).active
    assert said in [cell.value for cell in cells[1]] and said in chart.alt_text and "to 900 nm" in chart.alt_text
