import datetime
from dataclasses import replace

import pandas as pd
import pytest

from nanoseg_bench.errors import MeasurementError
from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.particles import AT_BORDER, ON_MARK, OTHER_NAME, TOO_LARGE, Rules, counted, measure_particles
from nanoseg_bench.measure.shape_names.namer import shipped_namer
from nanoseg_bench.report.grouping import UNNAMED
from nanoseg_bench.report.report_input import Method
from nanoseg_bench.report.review.edits import Drawn, Edits, apply_edits
from nanoseg_bench.report.review.filters import Filters, apply_filters, filter_sentences
from nanoseg_bench.report.review.sample import make_sample

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def from_scratch(analysed, rules, instances=None):
    image = analysed.image
    return measure_particles(
        image.instances if instances is None else instances,
        image.height,
        image.width,
        image=image.name,
        nm_per_px=image.nm_per_px,
        rules=rules,
        shapes=shipped_namer(),
    )


def numbers(analysed):
    return counted(analysed.table)["particle"].tolist()


@pytest.mark.parametrize("confidence", [None, 0.0, 0.3, 0.62, 0.9, 1.0])
@pytest.mark.parametrize("least", [None, Length(17, "px"), Length(9, "nm")])
@pytest.mark.parametrize("most", [None, Length(22, "px"), Length(11, "nm")])
def test_what_is_kept_in_memory_gives_the_same_table_as_measuring_anew(analysed, confidence, least, most):
    filters = Filters(confidence=confidence, min_diameter=least, max_diameter=most)
    (found,) = apply_filters([analysed], filters)
    rules = Rules(
        confidence=analysed.rules.confidence if confidence is None else confidence,
        min_diameter=least,
        max_diameter=most,
    )
    pd.testing.assert_frame_equal(found.table, from_scratch(analysed, rules), check_exact=True)
    sizes = counted(found.table)["diameter_px"]
    in_px = {"px": 1.0, "nm": 2.0}
    assert least is None or sizes.empty or sizes.min() >= least.value * in_px[least.unit]
    assert most is None or sizes.empty or sizes.max() <= most.value * in_px[most.unit]


def test_the_largest_leave_their_neighbours_alone(analysed):
    (found,) = apply_filters([analysed], Filters(max_diameter=Length(20, "px")))
    assert found.table["exclusion"].fillna("").str.contains(TOO_LARGE).sum() > 3
    assert found.table["nearest_neighbour_px"].equals(analysed.table["nearest_neighbour_px"])


def test_marks_are_kept_as_if_the_model_had_not_been_told_of_them(analysed):
    (found,) = apply_filters([analysed], Filters(keep_marks=True))
    unmarked = [replace(each, on_mark=False) for each in analysed.image.instances]
    pd.testing.assert_frame_equal(found.table, from_scratch(analysed, analysed.rules, unmarked), check_exact=True)
    assert analysed.table["exclusion"].fillna("").str.contains(ON_MARK).any()


def test_the_border(analysed):
    (kept,), (excluded,), (weighted,) = (
        apply_filters([analysed], Filters(border=name)) for name in ("keep", "exclude", "weight")
    )
    assert numbers(excluded) == numbers(weighted)
    at_border = analysed.table.loc[analysed.table["exclusion"] == AT_BORDER, "particle"].tolist()
    assert at_border
    assert set(numbers(kept)) - set(numbers(weighted)) == set(at_border)
    assert [Filters(border=name).border_weighted for name in ("keep", "exclude", "weight")] == [False, False, True]


def test_classes_and_shapes_as_the_sample_groups_them(analyse):
    two = [analyse("a", 0), analyse("b", 1)]
    found = apply_filters(two, Filters(classes=("disc",)))
    for before, after in zip(two, found, strict=True):
        table = after.table
        others = table["class"] == "square"
        assert table.loc[others, "exclusion"].str.endswith(OTHER_NAME).all()
        pd.testing.assert_series_equal(table.loc[~others, "exclusion"], before.table.loc[~others, "exclusion"])
        assert table["nearest_neighbour_px"].equals(before.table["nearest_neighbour_px"])
    one = analyse("c", 2, 0.5, ("disc",))
    shape = counted(one.table)["shape"].dropna().iloc[0]
    (by_shape,) = apply_filters([one], Filters(classes=(shape,)))
    expected = counted(one.table).query("shape == @shape")["particle"].tolist()
    assert numbers(by_shape) == expected
    (nothing,) = apply_filters([one], Filters(classes=()))
    assert numbers(nothing) == []


def test_a_choice_among_classes_says_nothing_of_shapes_and_conversely(analyse):
    several, single = analyse("a", 0), analyse("b", 2, 0.5, ("disc",))
    model = ("disc", "square", "lamella")
    for analysed, chosen in ((several, ("sphere", "other", UNNAMED)), (single, ("square", "lamella", UNNAMED))):
        filters = Filters(classes=chosen)
        (found,) = apply_filters([analysed], filters, model)
        assert numbers(found) == numbers(analysed) != []
        assert filter_sentences([found], filters, model) == filter_sentences([analysed], Filters())
    # Of names that are groups here, or nowhere, none of these particles may be: then nothing counts.
    for chosen in (("lamella",), (UNNAMED,), ("typing error",)):
        assert numbers(*apply_filters([several], Filters(classes=chosen), model)) == []
    sample = make_sample({"b": single}, Filters(classes=("lamella",)), method=Method(model=""), made=NOW, classes=model)
    assert numbers(sample.members["b"]) == numbers(single)


def test_the_report_names_of_the_chosen_groups_those_that_there_are(analyse):
    filters = Filters(classes=("disc", "lamella", UNNAMED))
    found = apply_filters([analyse()], filters)
    assert filter_sentences(found, filters)[-1] == "Of them, those count whose class is disc."
    filters = Filters(classes=("lamella", "rod"))
    found = apply_filters([analyse()], filters, ("disc", "square", "lamella"))
    told = filter_sentences(found, filters, ("disc", "square", "lamella"))[-1]
    assert told == "Of them, those count whose class is lamella or rod."


def test_a_persons_outlines_stay_whatever_the_confidence(analysed, square):
    edited = apply_edits(
        analysed, Edits(drawn=(Drawn(outline=square(150, 150, 20), label="disc"),), labels={20: "rod"})
    )
    (found,) = apply_filters([edited], Filters(confidence=1.0))
    assert set(numbers(found)) <= {20, len(edited.table)}
    assert len(edited.table) in numbers(found)


def test_filters_are_undone_by_other_filters(analysed):
    (some,) = apply_filters([analysed], Filters(confidence=0.9, border="keep", classes=("disc",), keep_marks=True))
    (again,) = apply_filters([some], Filters(confidence=analysed.rules.confidence))
    pd.testing.assert_frame_equal(again.table, analysed.table, check_exact=True)


def test_a_diameter_in_nm_needs_a_scale(analyse):
    with pytest.raises(MeasurementError, match="needs the scale"):
        apply_filters([analyse(nm_per_px=None)], Filters(max_diameter=Length(5, "nm")))


def test_the_report_says_every_filter_and_what_a_person_did(analysed, square):
    edited = apply_edits(
        analysed, Edits(removed=frozenset({1, 2}), labels={3: "rod"}, drawn=(Drawn(outline=square(150, 150, 20)),))
    )
    filters = Filters(
        confidence=0.4,
        min_diameter=Length(3, "nm"),
        max_diameter=Length(90, "nm"),
        border="keep",
        classes=("disc", "rod"),
        keep_marks=True,
    )
    assert filter_sentences(apply_filters([edited], filters), filters) == (
        "Particles count that have a confidence of 0.4 or more, have a diameter of 3 nm or more and have a diameter of "
        "90 nm or less.",
        "Particles that touch the border count, too, as they are cut.",
        "Of them, those count whose class is disc or rod.",
        "A person removed 2 outlines, changed 1 outline and drew 1 outline; what a person changed or drew counts at "
        "any confidence.",
    )
    plain = filter_sentences(apply_filters([analysed], Filters()), Filters())
    assert plain[0] == Rules(confidence=0.5).describe()
    assert len(plain) == 2


def test_filters_from_json():
    document = {
        "confidence": 0.3,
        "min_diameter": {"value": 5, "unit": "nm"},
        "max_diameter": None,
        "border": "exclude",
        "classes": ["disc"],
        "keep_marks": True,
    }
    assert Filters.from_json(document) == Filters(
        confidence=0.3, min_diameter=Length(5, "nm"), border="exclude", classes=("disc",), keep_marks=True
    )
    assert Filters.from_json({}) == Filters()
