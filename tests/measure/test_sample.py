import math

import numpy as np
import pandas as pd
import pytest

from nanoseg_bench.errors import MeasurementError
from nanoseg_bench.measure.columns import COLUMNS
from nanoseg_bench.measure.confidence_curve import against_confidence
from nanoseg_bench.measure.particles import AT_BORDER, BELOW_CONFIDENCE, ON_MARK, TOO_SMALL, Rules, measure_particles
from nanoseg_bench.measure.sample import (
    ALL,
    FEW,
    pooled_unit,
    quantities_of,
    summarise,
    summary_table,
    warnings_of,
)
from nanoseg_bench.measure.statistics import STATISTICS
from nanoseg_bench.measure.uncertainty import Budget, Component, OutlineErrors, make_budget


def table_of(diameters, images=1, nm_per_px=0.5, **columns):
    """Discs of known diameters, px, all of which count, dealt out to images."""
    count = len(diameters)
    kinds = {"text": "", "whole": 0, "number": np.nan, "flag": False}
    table = pd.DataFrame({column.name: [kinds[column.kind]] * count for column in COLUMNS})
    table["image"] = [f"image-{number % images}" for number in range(count)]
    table["exclusion"], table["class"], table["shape"] = None, "particle", None
    table["nm_per_px"], table["border_weight"] = nm_per_px, 1.0
    for name, value in columns.items():
        table[name] = value
    table["diameter_px"] = diameters
    table["area_px2"] = math.pi / 4 * table["diameter_px"] ** 2
    table["diameter_nm"] = table["diameter_px"] * table["nm_per_px"]
    table["area_nm2"] = table["area_px2"] * table["nm_per_px"] ** 2
    return table


DIAMETERS = np.random.default_rng(0).lognormal(np.log(40), 0.3, 90)


def value(summary, name):
    return summary.estimates[name].value


def test_number_distribution():
    summary = summarise(table_of(DIAMETERS), "diameter_nm", resamples=50)
    assert (summary.count, summary.images, summary.unit, summary.drawn) == (90, 1, "nm", "particles")
    assert value(summary, "mean") == pytest.approx(DIAMETERS.mean() / 2)
    assert value(summary, "d50") == pytest.approx(np.median(DIAMETERS) / 2)
    for statistic in STATISTICS:
        known = summary.estimates[statistic.name]
        assert known.lo <= known.value <= known.hi, statistic.name
    assert [fit.name for fit in summary.fits] == ["normal", "log-normal"]


def test_area_and_volume_distributions():
    for weighting, power in (("area", 2), ("volume", 3)):
        summary = summarise(table_of(DIAMETERS), "diameter_px", weighting=weighting, resamples=10)
        assert value(summary, "mean") == pytest.approx((DIAMETERS ** (power + 1)).sum() / (DIAMETERS**power).sum())


def test_border_weights_count_unless_they_shall_not():
    weights = np.linspace(1, 3, 90)
    table = table_of(DIAMETERS, border_weight=weights)
    assert value(summarise(table, "diameter_px", resamples=10), "mean") == pytest.approx(
        np.average(DIAMETERS, weights=weights)
    )
    plain = summarise(table, "diameter_px", border_weighted=False, resamples=10)
    assert value(plain, "mean") == pytest.approx(DIAMETERS.mean())
    assert "unweighted" in plain.sentence


def test_what_is_left_out_or_not_measured_is_not_in_it():
    table = table_of([10.0, 20, 30, 40], exclusion=[None, AT_BORDER, None, None], circularity=[np.nan, 0.1, 0.8, 1.0])
    assert value(summarise(table, "diameter_px", resamples=10), "mean") == pytest.approx(80 / 3)
    round_ones = summarise(table, "circularity", resamples=10)
    assert (round_ones.count, round_ones.unit) == (2, "")
    assert value(round_ones, "mean") == pytest.approx(0.9)


def test_intervals_say_what_was_drawn():
    few, many = (summarise(table_of(DIAMETERS, images=n), "diameter_nm", resamples=20) for n in (4, 5))
    assert (few.drawn, few.images) == ("particles", 4)
    assert "by bootstrap over particles, since they are of fewer than 5 images: " in few.sentence
    # A fifth one without a particle that counts is an image of the sample all the same, and nothing to draw.
    five = table_of(DIAMETERS, images=5)
    five.loc[five["image"] == "image-4", "exclusion"] = AT_BORDER
    assert summarise(five, "diameter_nm", resamples=20).sentence.startswith("72 particles of 4 images, ")
    assert summarise(five, "diameter_nm", resamples=20).drawn == "particles"
    assert (many.drawn, many.images) == ("images", 5)
    assert "by bootstrap over images: expanded percentiles " in many.sentence
    assert many.sentence.endswith(" of 20 resamples.")
    thirty = summarise(table_of(DIAMETERS[: FEW - 1]), "diameter_nm", resamples=20)
    assert thirty.sentence.endswith(f" of 20 resamples; none of D10, D90 and span below {FEW} particles.")


def test_the_share_of_the_largest_particle_is_told():
    diameters = np.array([10.0] * 12 + [40.0])
    by_volume = summarise(table_of(diameters), "diameter_nm", weighting="volume", resamples=10)
    assert by_volume.largest_share == pytest.approx(40**3 / (12 * 10**3 + 40**3))
    assert math.isnan(summarise(table_of([]), "diameter_nm").largest_share)


def test_no_particle():
    summary = summarise(table_of([]), "diameter_px")
    assert (summary.count, summary.images, summary.fits) == (0, 0, ())
    assert math.isnan(value(summary, "d50"))
    assert len(summary_table(table_of([]))) == len(quantities_of(table_of([])))


def test_images_of_two_magnifications_pool_in_nm():
    """The same particles at twice the magnification: twice the diameter in px, and no more weight by volume."""
    scales = np.repeat([0.5, 0.25], 45)
    table = table_of(np.concatenate([DIAMETERS[:45], 2 * DIAMETERS[:45]]), nm_per_px=scales, images=1)
    assert pooled_unit(table) == "nm"
    once = summarise(table_of(DIAMETERS[:45]), "diameter_nm", weighting="volume", resamples=10)
    both = summarise(table, "diameter_nm", weighting="volume", resamples=10)
    assert value(both, "mean") == pytest.approx(value(once, "mean"))


def test_a_table_per_class():
    names = np.resize(["cube", "rod", "sphere"], 90)
    edges = np.where(names == "cube", DIAMETERS, np.nan)
    table = table_of(DIAMETERS, **{"class": names, "edge_length_px": edges, "edge_length_nm": edges / 2})
    found = summary_table(table, resamples=20).set_index(["class", "quantity"])
    assert found.index.get_level_values("class").unique().tolist() == [ALL, "cube", "rod", "sphere"]
    assert found.loc[("rod", "diameter"), "mean"] == pytest.approx(DIAMETERS[names == "rod"].mean() / 2)
    assert found.loc[("cube", "edge_length"), "count"] == 30
    assert ("rod", "length") in found.index
    assert ("sphere", "length") not in found.index
    assert found.loc[(ALL, "diameter"), ["count", "unit", "intervals_over"]].tolist() == [90, "nm", "particles"]


def test_a_quantity_needs_no_list_and_one_that_is_none_is_named():
    table = table_of(DIAMETERS)
    one, listed = (summary_table(table, quantities=each, resamples=0) for each in ("diameter", ["diameter"]))
    pd.testing.assert_frame_equal(one, listed)
    with pytest.raises(MeasurementError, match="no quantity 'diameter_nm'"):
        summary_table(table, quantities=["diameter_nm"])
    with pytest.raises(MeasurementError, match="no column 'diameter'; did you mean 'diameter_"):
        summarise(table, "diameter")


def test_one_class_needs_no_line_of_its_own():
    found = summary_table(table_of(DIAMETERS, **{"class": "nanorods"}), resamples=10)
    assert found["class"].unique().tolist() == [ALL]
    assert {"length", "width"} < set(found["quantity"])


def test_a_table_per_image_without_intervals():
    table = table_of(DIAMETERS, images=3)
    found = summary_table(table, by="image", quantities=["diameter"], resamples=0).set_index("image")
    assert found.index.tolist() == [ALL, "image-0", "image-1", "image-2"]
    assert found.loc["image-1", "d50"] == pytest.approx(np.median(DIAMETERS[1::3]) / 2)
    assert found["d50_lo"].isna().all()


def test_few_particles_are_a_warning():
    assert any(f"below {FEW}" in each for each in warnings_of(table_of(DIAMETERS[: FEW - 1])))
    assert warnings_of(table_of(DIAMETERS[:FEW])) == []
    assert "no particle counts" in warnings_of(table_of([]))[0]


def test_no_particle_is_a_warning_of_its_own():
    (sentence,) = warnings_of(table_of([10.0], exclusion=[AT_BORDER]))[:1]
    assert sentence.startswith("no particle counts") and "--confidence" in sentence


def test_other_warnings():
    assert "below 10 px shapes are not measured" in warnings_of(table_of(DIAMETERS / 5))[0]
    assert "below 20 px are rough" in warnings_of(table_of(DIAMETERS / 3))[0]
    at_border = table_of(DIAMETERS, exclusion=[AT_BORDER] * 30 + [None] * 60)
    assert "30 of 90 particles touch the border" in warnings_of(at_border)[0]
    specks = table_of(DIAMETERS, exclusion=[TOO_SMALL] * 50 + [None] * 40)
    assert "50 outlines are below the minimum diameter" in warnings_of(specks)[0]
    scales = table_of(DIAMETERS, images=3, nm_per_px=np.resize([0.5, 0.5, np.nan], 90))
    assert "1 of 3 images have no scale" in warnings_of(scales)[0]
    assert pooled_unit(scales) == "px"
    without = table_of(DIAMETERS, images=3, nm_per_px=np.nan)
    assert "3 of 3 images have no scale: sizes are pooled in px" in warnings_of(without)[0]
    assert not any("pooled" in each for each in warnings_of(table_of(DIAMETERS, nm_per_px=np.nan)))
    zooms = table_of(DIAMETERS, images=3, nm_per_px=np.resize([0.5, 0.5, 0.2], 90))
    assert "Images of 0.2 to 0.5 nm per px" in warnings_of(zooms)[0]


def test_a_steep_curve_below_the_confidence_is_a_warning():
    """Marks taken for particles have no part in it, cut ones have; few outlines, or a gentle curve, say nothing."""

    def told(*, sure, unsure, on_mark=0, lowest=0.26):
        exclusion = [None] * sure + [f"{BELOW_CONFIDENCE}; {AT_BORDER}"] + [BELOW_CONFIDENCE] * (unsure - 1)
        exclusion += [f"{BELOW_CONFIDENCE}; {ON_MARK}"] * on_mark
        scores = np.concatenate([np.full(sure, 0.9), np.linspace(lowest, 0.5, unsure), np.full(on_mark, 0.4)])
        table = table_of(np.full(len(scores), 50.0), confidence=scores, exclusion=exclusion)
        return [each for each in warnings_of(table) if "hangs on the confidence" in each]

    (sentence,) = told(sure=40, unsure=20)
    assert sentence.startswith("20 outlines of a confidence of 0.26 to 0.50 do not count, beside 40 of which")
    assert "(--confidence 0.26)" in sentence
    (sentence,) = told(sure=40, unsure=20, lowest=0.266)
    assert "of a confidence of 0.27 to 0.50" in sentence and "(--confidence 0.26)" in sentence, "it takes in all"
    assert told(sure=41, unsure=20) == told(sure=12, unsure=9) == told(sure=40, unsure=19, on_mark=10) == []


def test_of_several_images_those_with_a_steep_curve_are_named():
    steep, calm = (table_of(np.full(40, 50.0), confidence=0.9).assign(image=name) for name in ("steep", "calm"))
    below = steep.assign(confidence=0.3, exclusion=BELOW_CONFIDENCE)
    found = warnings_of(pd.concat([steep, below, calm], ignore_index=True))
    assert "40 outlines of a confidence of 0.30 to 0.30 do not count in steep, beside 40 of which" in found[0]


def scored():
    """Confidences fall with size: what is added below 0.5 is small."""
    scores = np.linspace(0.95, 0.05, 90)
    diameters = np.sort(DIAMETERS)[::-1]
    exclusion = [None if score >= 0.5 else BELOW_CONFIDENCE for score in scores]
    return table_of(diameters, confidence=scores, exclusion=exclusion), diameters, scores


def test_count_and_d50_against_the_confidence():
    table, diameters, scores = scored()
    curve = against_confidence(table, "diameter_px", [0.1, 0.5, 0.9, 0.99])
    assert curve["count"].tolist() == [(scores >= level).sum() for level in (0.1, 0.5, 0.9, 0.99)]
    assert curve["d50"][:3].tolist() == pytest.approx([np.median(diameters[scores >= c]) for c in (0.1, 0.5, 0.9)])
    assert math.isnan(curve["d50"][3])
    whole = against_confidence(table, "diameter_px")
    assert whole["confidence"].tolist() == pytest.approx(np.arange(0.05, 0.96, 0.05))
    assert whole["count"][0] == 90
    assert against_confidence(table_of(DIAMETERS), "diameter_px").empty


def test_the_curve_leaves_out_what_is_left_out_for_other_reasons():
    table, _, _ = scored()
    table.loc[[0, 80], "exclusion"] = [AT_BORDER, f"{BELOW_CONFIDENCE}; {AT_BORDER}"]
    assert against_confidence(table, "diameter_px", [0.0])["count"].tolist() == [88]


def test_the_budget_of_a_median():
    table, diameters, scores = scored()
    summary = summarise(table, "diameter_nm", resamples=200)
    errors = OutlineErrors(typical=0.03, bias=-0.005, bias_interval=(-0.011, 0.001), images=99)
    budget = make_budget(table, summary, scale_reading=0.02, outlines=errors, confidence=0.5)
    parts = {each.name: each.standard_uncertainty for each in budget.components}
    d50 = {level: np.median(diameters[scores >= level]) / 2 for level in (0.4, 0.5, 0.6)}
    assert budget.value == pytest.approx(d50[0.5])
    assert parts["scale reading"] == pytest.approx(0.02 * d50[0.5])
    normal = np.random.default_rng(0).normal(0, 1, 200_000)
    assert parts["outlines"] == pytest.approx(0.03 * d50[0.5] / np.median(abs(normal)), rel=0.01)
    basis = next(each.basis for each in budget.components if each.name == "outlines")
    assert "3.0 % in the typical of 99 micrographs" in basis and "−0.5 % (95 % interval −1.1 to +0.1 %)" in basis
    assert parts["edge"] == pytest.approx(2 * 0.5 * 0.5 / math.sqrt(3))
    assert parts["sampling"] == summary.estimates["d50"].standard_error
    change = max(abs(d50[0.4] - d50[0.5]), abs(d50[0.6] - d50[0.5]))
    assert parts["threshold"] == pytest.approx(change / math.sqrt(3))
    assert budget.components[-1].basis == "largest change for a confidence of 0.4 to 0.6"
    assert math.isnan(parts.pop("calibration"))
    assert budget.combined == pytest.approx(math.sqrt(sum(part**2 for part in parts.values())))
    assert budget.unknown == ("calibration",)


@pytest.mark.parametrize(
    ("images", "factor"),
    # JCGM 100, table G.2, p = 95.45 %: nu = 4 -> 2.87, 9 -> 2.32, 19 -> 2.14
    [(5, 2.87), (10, 2.32), (20, 2.14)],
)
def test_few_images_have_a_larger_coverage_factor(images, factor):
    """Diameters that differ between images, and by nothing else that matters."""
    rng = np.random.default_rng(0)
    means = rng.lognormal(5, 0.3, images)
    table = pd.concat(
        [table_of(rng.normal(mean, 1, 40)).assign(image=f"{number}.tif") for number, mean in enumerate(means)],
        ignore_index=True,
    )
    budget = make_budget(table, summarise(table, "diameter_nm", resamples=200))
    sampling = next(each for each in budget.components if each.name == "sampling")
    assert (sampling.basis, sampling.degrees_of_freedom) == (f"bootstrap over {images} images", images - 1)
    assert budget.coverage_factor == pytest.approx(factor, abs=0.03)
    assert budget.expanded == budget.coverage_factor * budget.combined


def test_many_particles_have_a_coverage_factor_of_two():
    table = table_of(np.random.default_rng(0).lognormal(3, 0.2, 5000))
    budget = make_budget(table, summarise(table, "diameter_nm", resamples=50))
    assert budget.coverage_factor == pytest.approx(2, abs=0.001)


def test_degrees_of_freedom_are_those_of_welch_and_satterthwaite():
    """The end gauge of JCGM 100, H.1.6: 32 nm with 16.7 degrees of freedom."""
    parts = [(25.0, 18.0), (9.7, 25.6), (2.9, 50.0), (16.6, 2.0)]
    budget = Budget(1.0, "nm", tuple(Component("", value, "", freedom) for value, freedom in parts))
    assert budget.combined == pytest.approx(32, abs=0.5)
    assert budget.degrees_of_freedom == pytest.approx(16.7, abs=0.2)


def test_no_reading_of_a_scale_is_its_calibration():
    """A bar of 1,000 px is read to 0.05 %, and says nothing of the microscope that drew it."""
    table = table_of(DIAMETERS)
    summary = summarise(table, "diameter_nm", resamples=20)
    for reading in (0.0, 0.0005):
        budget = make_budget(table, summary, scale_reading=reading)
        assert "calibration" in budget.unknown
        calibration, read = budget.components[:2]
        assert "ISO 16700" in calibration.basis and math.isnan(calibration.standard_uncertainty)
        assert read.standard_uncertainty == pytest.approx(reading * budget.value)
        assert read.basis.startswith("0.05 % of the scale" if reading else "none")


def test_a_budget_without_particles_below_the_confidence_says_so():
    table, _, _ = scored()
    known = table[table["exclusion"].isna()]
    summary = summarise(known, "diameter_nm", resamples=20)
    budget = make_budget(known, summary, confidence=0.5)
    assert budget.components[-1].basis.endswith("0.5 to 0.6; no outline below is known")
    assert budget.components[-1].standard_uncertainty > 0
    # One that the border cuts, too, shows that they were looked for, from its own confidence on.
    cut = table[table["exclusion"].notna()].head(1).assign(exclusion=f"{BELOW_CONFIDENCE}; {AT_BORDER}")
    for least, told in ((0.2, "0.4"), (0.43, "0.43")):
        budget = make_budget(pd.concat([known, cut.assign(confidence=least)]), summary, confidence=0.5)
        assert budget.components[-1].basis == f"largest change for a confidence of {told} to 0.6"


def test_what_is_not_known_is_said():
    table = table_of(DIAMETERS)
    budget = make_budget(table, summarise(table, "diameter_nm", resamples=50))
    assert budget.unknown == ("calibration", "outlines")
    assert budget.combined > 0
    in_px = make_budget(table, summarise(table, "diameter_px", resamples=50))
    assert in_px.unknown == ("outlines",)
    assert [each.name for each in in_px.components] == ["outlines", "edge", "sampling", "threshold"]
    assert in_px.components[-1].standard_uncertainty == 0


def test_from_masks_to_the_published_number(disc, placed):
    """Discs of 24 px at 0.5 nm per px: 12 nm, to a tenth of a pixel."""
    rng = np.random.default_rng(0)
    tables = []
    for image in range(6):
        instances = [
            placed(disc(24, rng), 40 * column, 40 * row, 200, 240, score=0.9) for row in range(5) for column in range(6)
        ]
        tables.append(
            measure_particles(instances, 200, 240, image=f"{image}.tif", nm_per_px=0.5, rules=Rules(confidence=0.5))
        )
    summary = summarise(pd.concat(tables, ignore_index=True), "diameter_nm")
    assert (summary.count, summary.images, summary.drawn) == (180, 6, "images")
    assert value(summary, "d50") == pytest.approx(12, abs=0.05)
    assert value(summary, "gsd") == pytest.approx(1, abs=0.01)


def test_a_ratio_has_no_budget():
    table = table_of(DIAMETERS, circularity=0.9)
    with pytest.raises(ValueError, match="circularity is no length"):
        make_budget(table, summarise(table, "circularity", resamples=10))


def test_what_a_person_answers_for_counts_at_every_confidence():
    table = table_of([20.0, 30.0, 40.0, 50.0])
    table["confidence"], table["origin"] = [0.3, 0.9, 0.3, np.nan], ["model", "model", "changed", "drawn"]
    curve = against_confidence(table, "diameter_px", [0.2, 0.5, 0.95])
    assert curve["count"].tolist() == [4, 3, 2]
    assert curve["d50"].tolist() == [35, 40, 45]
