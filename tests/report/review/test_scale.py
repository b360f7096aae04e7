import numpy as np
import pandas as pd
import pytest

from nanoseg_bench.errors import ScaleError
from nanoseg_bench.images import ImageNotes, read_image
from nanoseg_bench.measure.particles import measure_particles
from nanoseg_bench.measure.scale import LINE, METADATA, SCALE_BAR, TYPED, FoundScale, find_scale
from nanoseg_bench.measure.shape_names.namer import shipped_namer
from nanoseg_bench.report.review.edits import Drawn, Edits, apply_edits
from nanoseg_bench.report.review.scale import ScaleChoice, rescale
from nanoseg_bench.report.review.view import statistics_of, summary_of

PROPOSAL = FoundScale(0.4, SCALE_BAR, 0.3, (10.0, 290.0, 110.0, 290.0), "40 nm", 40.0, 0.005)


def from_scratch(analysed, nm_per_px):
    image = analysed.image
    return measure_particles(
        image.instances,
        image.height,
        image.width,
        image=image.name,
        nm_per_px=nm_per_px,
        rules=analysed.rules,
        shapes=shipped_namer(),
    )


@pytest.mark.parametrize(
    ("choice", "given"),
    [
        (ScaleChoice(nm_per_px=0.42), {"nm_per_px": 0.42}),
        (ScaleChoice(line=(10, 20, 210, 20), length="200 nm"), {"line": (10, 20, 210, 20), "bar_nm": 200}),
        (ScaleChoice(line=(10, 20, 40, 60), length="0.1 µm"), {"line": (10, 20, 40, 60), "bar_nm": 100}),
    ],
    ids=["number", "line", "slanting line"],
)
def test_what_a_person_states_is_what_find_scale_takes_from_the_command_line(analyse, choice, given):
    analysed = analyse(scale=PROPOSAL)
    expected = find_scale(read_image(analysed.image.path), read_text=False, **given)
    found = rescale(analysed, choice)
    for name in ("nm_per_px", "source", "confidence", "text", "relative_uncertainty"):
        assert getattr(found.scale, name) == getattr(expected, name), name
    assert found.image.nm_per_px == expected.nm_per_px
    pd.testing.assert_frame_equal(found.table, from_scratch(analysed, expected.nm_per_px), check_exact=True)


def test_the_length_of_the_bar_that_was_found(analyse):
    found = rescale(analyse(scale=PROPOSAL), ScaleChoice(bar_length="50nm"))
    assert found.scale.nm_per_px == pytest.approx(0.5)
    assert (found.scale.source, found.scale.is_sure, found.scale.bar) == (LINE, True, PROPOSAL.bar)
    assert found.image.scale_source == "measured at the bar of the length that was given (50 nm), by hand"
    assert found.warnings == ()


def reading_of(analysed):
    """Standard uncertainty of the median by reading the scale, and the median."""
    told = statistics_of({"m": analysed}, intervals=True)["uncertainty"]
    parts = {each["name"]: each["standard_uncertainty"] for each in told["components"]}
    return parts["scale reading"], told["value"]


def test_what_a_drawn_line_is_uncertain_by_is_in_the_budget_of_all_that_take_its_scale(analysed):
    """Each end lies 0.35 px off as that of any bar, and a pixel of the screen, which spans 2.4 of the micrograph."""
    drawn = rescale(analysed, ScaleChoice(line=(10, 20, 210, 20), length="100 nm", screen_px=2.4))
    rng = np.random.default_rng(0)
    off = rng.normal(0, 0.35, (2, 200_000)) + rng.normal(0, 2.4, (2, 200_000))
    expected = np.std(200 + off[1] - off[0]) / 200
    reading, median = reading_of(drawn)
    assert reading == pytest.approx(expected * median, rel=0.01)
    summary = summary_of(drawn)
    choice = ScaleChoice(nm_per_px=summary["nm_per_px"], scale_uncertainty=summary["scale_uncertainty"])
    assert reading_of(rescale(analysed, choice)) == pytest.approx((reading, median))
    assert reading_of(rescale(analysed, ScaleChoice(nm_per_px=0.5)))[0] == 0


def test_a_proposal_is_used_when_a_person_accepts_it(analyse):
    analysed = analyse(scale=PROPOSAL)
    assert analysed.image.nm_per_px is None
    assert analysed.table["diameter_nm"].isna().all()
    accepted = rescale(analysed, ScaleChoice(accept=True))
    assert (accepted.image.nm_per_px, accepted.scale.source) == (0.4, SCALE_BAR)
    assert accepted.image.scale_source == "measured at the scale bar (40 nm), confirmed by hand"
    assert np.allclose(accepted.table["diameter_nm"], 0.4 * accepted.table["diameter_px"])


def test_lengths_stay_in_pixels_where_a_person_says_so(analysed):
    found = rescale(analysed, ScaleChoice(pixels=True))
    assert found.image.nm_per_px is None
    assert found.image.scale_source == "left out by hand"
    assert found.scale.bar == analysed.scale.bar
    pd.testing.assert_frame_equal(found.table, from_scratch(analysed, None), check_exact=True)


def test_nothing_said_is_the_scale_as_it_was_found(analysed):
    assert rescale(analysed, ScaleChoice()) is analysed
    assert ScaleChoice.from_json({"reset": True}) == ScaleChoice.from_json({}) == ScaleChoice()


def test_what_the_file_says_is_told_where_it_differs(analyse):
    analysed = analyse(scale=FoundScale(0.5, METADATA, 0.98, text="zeiss"))
    pixels = read_image(analysed.image.path)
    found = rescale(analysed, ScaleChoice(nm_per_px=0.6))
    expected = find_scale(pixels, notes=ImageNotes(nm_per_px=0.5, scale_from="zeiss"), nm_per_px=0.6, read_text=False)
    assert found.warnings == expected.warnings
    assert len(found.warnings) == 1
    assert (found.image.nm_per_px, found.scale.source) == (0.6, TYPED)
    assert rescale(analysed, ScaleChoice(nm_per_px=0.505)).warnings == ()


def test_edits_and_scale_in_either_order(analysed, square):
    edits = Edits(removed=frozenset({3}), labels={4: "rod"}, drawn=(Drawn(outline=square(150, 150, 20)),))
    choice = ScaleChoice(nm_per_px=2.0)
    one, other = rescale(apply_edits(analysed, edits), choice), apply_edits(rescale(analysed, choice), edits)
    pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (ScaleChoice(accept=True), "no scale was found"),
        (ScaleChoice(bar_length="200 nm"), "no scale bar was found"),
        (ScaleChoice(line=(1, 1, 1.5, 1), length="200 nm"), "tells no scale"),
        (ScaleChoice(line=(1, 1, 50, 1)), "say how long it is"),
        (ScaleChoice(line=(1, 1, 50, 1), length="200"), "without a unit"),
        (ScaleChoice(length="200 nm"), "draw the line"),
        (ScaleChoice(nm_per_px=1e9), "no electron microscope"),
    ],
)
def test_what_is_no_scale_is_refused_with_the_way_out(analyse, choice, message):
    with pytest.raises(ScaleError, match=message):
        rescale(analyse(nm_per_px=None), choice)


def test_choices_from_json():
    assert ScaleChoice.from_json({"line": [1, 2, 3, 4], "length": "5 nm", "revision": 7}) == ScaleChoice(
        line=(1, 2, 3, 4), length="5 nm"
    )
