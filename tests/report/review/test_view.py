import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import orjson
import pytest

from nanoseg_bench.annotations.raster import iou_matrix, polygons_to_rle, to_rle
from nanoseg_bench.measure.columns import COLUMNS
from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.particles import BELOW_CONFIDENCE, REMOVED, counted
from nanoseg_bench.measure.scale import SCALE_BAR, FoundScale
from nanoseg_bench.report.analysis.micrograph import judged
from nanoseg_bench.report.review.edits import Drawn, Edits, apply_edits
from nanoseg_bench.report.review.filters import Filters
from nanoseg_bench.report.review.geometry import polygons_of
from nanoseg_bench.report.review.scale import ScaleChoice, rescale
from nanoseg_bench.report.review.view import detail_of, outlines_of, statistics_of, summary_of


def as_json(value):
    """Through JSON and back; what no browser reads is an error."""
    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    assert b"NaN" not in text
    return orjson.loads(text)


def estimate(statistics, name):
    return next(each for each in statistics["estimates"] if each["name"] == name)


def test_the_detail_has_every_outline_as_a_person_can_edit_it(analysed):
    image = analysed.image
    detail = as_json(detail_of(analysed))
    assert [each["number"] for each in detail["particles"]] == list(range(1, len(image.instances) + 1))
    for shown, instance in zip(detail["particles"], image.instances, strict=True):
        drawn = polygons_to_rle(polygons_of(shown["outline"]), image.height, image.width)
        assert iou_matrix([drawn], [to_rle(instance, image.height, image.width)])[0, 0] >= 0.98
        assert (shown["label"], shown["confidence"], shown["origin"]) == (instance.label, instance.score, "model")
    row = detail["particles"][4]["values"]
    assert list(row) == [column.name for column in COLUMNS]
    assert row["diameter_nm"] == analysed.table["diameter_nm"].iloc[4]
    assert row["exclusion"] is None or isinstance(row["exclusion"], str)
    assert as_json(detail_of(analysed, outlines_of(analysed))) == detail


def test_the_detail_of_an_edited_micrograph(analysed, square):
    mine = square(150.5, 30, 31)
    edited = apply_edits(
        analysed,
        Edits(
            removed=frozenset({1}), changed={2: mine}, labels={3: "rod"}, drawn=(Drawn(outline=square(200, 200, 25)),)
        ),
    )
    detail = as_json(detail_of(edited, outlines_of(analysed)))
    one, two, three, last = (detail["particles"][position] for position in (0, 1, 2, -1))
    assert (one["removed"], two["removed"]) == (True, False)
    assert [each["origin"] for each in (one, two, three, last)] == ["model", "changed", "changed", "drawn"]
    assert two["outline"] == mine
    assert (three["label"], three["confidence"]) == ("rod", None)
    assert last["outline"] == square(200, 200, 25)
    assert summary_of(edited)["edited"] == 4


def test_what_was_found_of_the_scale_is_shown_below_the_gate(analyse):
    proposal = FoundScale(0.4, SCALE_BAR, 0.3, (10.0, 290.0, 110.0, 290.0), "40 nm", 40.0)
    shown = detail_of(analyse(scale=proposal.with_warnings("look which is right, and give it (--scale 0.4nm)")))
    assert (shown["scale"]["nm_per_px"], shown["scale"]["used"], shown["scale"]["is_sure"]) == (0.4, None, False)
    assert shown["scale"]["bar"] == [10, 290, 110, 290]
    assert shown["warnings"] == ["look which is right, and give it"]
    assert summary_of(analyse(scale=proposal))["unit"] == "px"


def test_statistics_against_plain_formulas(analysed):
    """Of particles that count the same: numpy's quantiles, counts by hand."""
    statistics = as_json(statistics_of({"m": analysed}, Filters(border="exclude", confidence=0.6)))
    table = analysed.table
    inside = (table["confidence"] >= 0.6) & ~table["touches_border"]
    on_mark = [each.on_mark for each in analysed.image.instances]
    sizes = table.loc[inside & ~np.array(on_mark), "diameter_nm"].to_numpy()
    assert statistics["count"] == len(sizes) > 10
    assert statistics["unit"] == "nm"
    for name, level in (("d10", 0.1), ("d50", 0.5), ("d90", 0.9)):
        assert estimate(statistics, name)["value"] == pytest.approx(np.quantile(sizes, level, method="hazen"))
    assert estimate(statistics, "mean")["value"] == pytest.approx(sizes.mean())
    assert estimate(statistics, "sd")["value"] == pytest.approx(sizes.std(ddof=1))
    histogram = statistics["histogram"]
    counts = np.sum([group["counts"] for group in histogram["groups"]], axis=0)
    assert counts.tolist() == np.histogram(sizes, histogram["edges"])[0].tolist()
    assert histogram["cumulative"] == pytest.approx([(sizes < edge).mean() for edge in histogram["edges"]])
    assert [len(each) for each in histogram["particles"]] == counts.tolist()
    by_number = table.set_index("particle")["diameter_nm"]
    for (low, high), members in zip(pairwise(histogram["edges"]), histogram["particles"], strict=True):
        assert all(low <= by_number[number] < high and micrograph == "m" for micrograph, number in members)


def test_the_curve_at_a_confidence_is_what_the_slider_would_show(analysed):
    curve = statistics_of({"m": analysed})["curve"]
    assert len(curve) > 5
    for row in curve:
        there = statistics_of({"m": analysed}, Filters(confidence=row["confidence"]))
        assert row["count"] == there["count"]
        assert row["d50"] == pytest.approx(estimate(there, "d50")["value"], nan_ok=True)


def test_exclusions_left_out_and_points_belong_together(analysed, square):
    edited = apply_edits(
        analysed, Edits(removed=frozenset({5}), drawn=(Drawn(outline=square(150, 150, 20), label="disc"),))
    )
    statistics = as_json(statistics_of({"m": edited}))
    reasons = statistics["exclusions"]["m"]
    total = len(edited.table)
    assert REMOVED in reasons["5"]
    assert str(total) not in reasons
    assert statistics["count"] == total - len(reasons)
    assert sum(each["count"] for each in statistics["left_out"]) == len(reasons)
    assert {each["reason"] for each in statistics["left_out"]} >= {REMOVED, BELOW_CONFIDENCE}
    for name, (x, y) in {
        "circularity_area": ("area_nm2", "circularity"),
        "aspect_ratio": ("diameter_nm", "aspect_ratio"),
    }.items():
        rows = counted(edited.table).dropna(subset=[x, y])
        points = statistics["scatter"][name]["points"]
        assert [(each["number"], each["x"], each["y"]) for each in points] == list(
            rows[["particle", x, y]].itertuples(index=False, name=None)
        )
    everything, *groups = statistics["groups"]
    assert everything["name"] == "all"
    assert everything["count"] == sum(each["count"] for each in groups) == statistics["count"]
    assert [each["name"] for each in groups] == [each["name"] for each in statistics["histogram"]["groups"]]


def test_intervals_change_no_other_number(analysed):
    plain, full = (as_json(statistics_of({"m": analysed}, intervals=each)) for each in (False, True))
    d50 = estimate(full, "d50")
    assert d50["lo"] < d50["value"] < d50["hi"]
    assert full["uncertainty"]["expanded"] > 0
    assert plain["uncertainty"] is None
    assert estimate(plain, "d50") == {**d50, "lo": None, "hi": None}
    # What hangs on the threshold is that of the confidence which the micrograph was analysed with.
    threshold = next(each for each in full["uncertainty"]["components"] if each["name"] == "threshold")
    assert threshold["basis"] == "largest change for a confidence of 0.4 to 0.6"
    for name in set(plain) - {"estimates", "weightings", "groups", "uncertainty", "sentence"}:
        assert plain[name] == full[name], name


def test_several_micrographs_are_pooled_and_told_apart(analyse):
    one, other = analyse("same", 0), analyse("same", 1)
    statistics = as_json(statistics_of({"x": one, "y": other}))
    sizes = np.concatenate([counted(each.table)["diameter_nm"] for each in (one, other)])
    weights = np.concatenate([counted(each.table)["border_weight"] for each in (one, other)])
    assert (statistics["images"], statistics["count"]) == (2, len(sizes))
    assert estimate(statistics, "mean")["value"] == pytest.approx(np.average(sizes, weights=weights))
    assert {micrograph for bin_ in statistics["histogram"]["particles"] for micrograph, _ in bin_} == {"x", "y"}


def test_a_file_that_is_pooled_twice_is_told(analysed, analyse):
    copies = {"a": analysed, "b": analyse("second", 1), "c": analysed}
    (told,) = [each for each in statistics_of(copies)["warnings"] if "the same file" in each]
    assert told.startswith("first.png, first-2.png: the same file 2 times")
    copies.pop("c")
    assert not [each for each in statistics_of(copies)["warnings"] if "the same file" in each]


def test_a_micrograph_without_a_scale_is_left_out_beside_others_that_have_one(analyse):
    scaled, unscaled = analyse("a", 0), analyse("b", 1, None)
    filters = Filters(min_diameter=Length(2, "nm"))
    statistics = as_json(statistics_of({"a": scaled, "b": unscaled}, filters))
    assert statistics["count"] == statistics_of({"a": scaled}, filters)["count"]
    assert len(statistics["exclusions"]["b"]) == len(unscaled.table)
    assert any("without a scale" in sentence and "--" not in sentence for sentence in statistics["warnings"])


def test_a_sample_of_nothing_has_no_numbers_and_is_told(analysed):
    statistics = as_json(statistics_of({"m": analysed}, Filters(min_diameter=Length(10**6, "px"))))
    assert statistics["count"] == 0
    assert all(each["value"] is None for each in statistics["estimates"])
    assert statistics["histogram"] is None
    assert statistics["scatter"]["aspect_ratio"]["points"] == []
    assert len(statistics["exclusions"]["m"]) == len(analysed.table)
    nothing = as_json(
        statistics_of({"m": apply_edits(analysed, Edits(removed=frozenset(range(1, 49))))}, intervals=True)
    )
    assert nothing["count"] == len(analysed.table) - len(nothing["exclusions"]["m"])
    assert math.isfinite(len(nothing["warnings"]))


def test_a_micrograph_in_which_nothing_was_found(analysed):
    empty = judged(analysed, image=replace(analysed.image, instances=()))
    statistics = as_json(statistics_of({"m": empty}, intervals=True))
    assert (statistics["count"], statistics["curve"], statistics["exclusions"]) == (0, [], {"m": {}})
    assert detail_of(empty)["particles"] == []
    drawn = apply_edits(empty, Edits(drawn=(Drawn(outline=[[[[50, 50], [80, 50], [80, 80], [50, 80]]]]),)))
    assert as_json(statistics_of({"m": drawn}))["count"] == 1


def test_two_magnifications_are_shown_in_logarithmic_bins(analysed):
    """The bins are those of Word; a brush finds the particles of a bin by its edges."""
    near = rescale(analysed, ScaleChoice(nm_per_px=0.5))
    far = rescale(analysed, ScaleChoice(nm_per_px=100.0))
    statistics = as_json(statistics_of({"near": near, "far": far}))
    histogram = statistics["histogram"]
    edges, middles = histogram["edges"], histogram["middles"]
    assert histogram["logarithmic"] and edges[-1] > 100 * edges[0]
    assert all(low < middle < high for (low, high), middle in zip(pairwise(edges), middles, strict=True))
    assert sum(map(len, histogram["particles"])) == statistics["count"]
    assert not statistics["aspect_ratios"]["logarithmic"]
    assert any("nm per px are pooled" in sentence for sentence in statistics["warnings"])


def test_what_lies_far_from_all_others_is_said_and_not_shown(analysed, square):
    edited = apply_edits(analysed, Edits(drawn=(Drawn(outline=square(100, 60, 200), label="disc"),)))
    statistics = as_json(statistics_of({"m": edited}))
    histogram = statistics["histogram"]
    assert histogram["not_shown"] == f"1 particle above {histogram['edges'][-1]:g} nm is not shown"
    assert sum(map(len, histogram["particles"])) == statistics["count"] - 1
    assert histogram["cumulative"][-1] == pytest.approx(1 - 1 / statistics["count"])
