from dataclasses import replace

import numpy as np
import orjson
import pandas as pd
import pytest

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.errors import ReviewError
from nanoseg_bench.measure.particles import (
    AT_BORDER,
    BELOW_CONFIDENCE,
    ON_MARK,
    REMOVED,
    Rules,
    counted,
    measure_particles,
)
from nanoseg_bench.measure.shape_names.namer import shipped_namer
from nanoseg_bench.report.review.edits import Drawn, Edits, apply_edits


def from_scratch(analysed, instances, **more):
    """The table as it would be measured without anything that was kept."""
    image = analysed.image
    return measure_particles(
        instances,
        image.height,
        image.width,
        image=image.name,
        nm_per_px=image.nm_per_px,
        rules=more.pop("rules", analysed.rules),
        shapes=shipped_namer(),
    )


def numbers_with(table, reason):
    return table.loc[table["exclusion"].fillna("").str.contains(reason), "particle"].tolist()


def test_no_edits_change_nothing(analysed):
    again = apply_edits(analysed, Edits())
    pd.testing.assert_frame_equal(again.table, analysed.table, check_exact=True)
    pd.testing.assert_frame_equal(analysed.table, from_scratch(analysed, analysed.image.instances), check_exact=True)
    assert again.image.edited == 0


def test_edited_outlines_measure_as_if_they_had_been_there_from_the_start(analysed, square):
    edits = Edits(
        changed={3: square(150, 30, 31)},
        labels={5: "rod"},
        drawn=(Drawn(outline=square(200, 200, 25), label="disc"), Drawn(outline=square(205, 205, 30))),
    )
    edited = apply_edits(analysed, edits)
    instances = list(analysed.image.instances)
    box = lambda left, top, side: (Polygon(np.array(square(left, top, side)[0][0], dtype=float)),)  # noqa: E731
    instances[2] = Instance(instances[2].label, box(150, 30, 31), None, origin="changed")
    instances[4] = replace(instances[4], label="rod", origin="changed")
    instances.append(Instance("disc", box(200, 200, 25), origin="drawn"))
    instances.append(Instance(None, box(205, 205, 30), origin="drawn"))
    pd.testing.assert_frame_equal(edited.table, from_scratch(analysed, instances), check_exact=True)
    assert edited.table["area_px2"].iloc[-2:].tolist() == [625, 900]
    assert edited.table["overlaps"].iloc[-2:].tolist() == [True, True]
    assert edited.table["origin"].tolist()[-2:] == ["drawn", "drawn"]
    assert edited.image.edited == 4
    # What nobody touched is not measured again.
    before, after = analysed.measured.outlines, edited.measured.outlines
    assert [one is other for one, other in zip(before, after, strict=False)].count(False) == 1


def test_others_are_as_if_what_was_removed_had_never_been_there(analysed):
    gone = counted(analysed.table)["particle"].tolist()[:4]
    edited = apply_edits(analysed, Edits(removed=frozenset(gone)))
    kept = [each for number, each in enumerate(analysed.image.instances, start=1) if number not in gone]
    left = edited.table[~edited.table["particle"].isin(gone)].drop(columns="particle").reset_index(drop=True)
    pd.testing.assert_frame_equal(left, from_scratch(analysed, kept).drop(columns="particle"), check_exact=True)
    assert numbers_with(edited.table, REMOVED) == gone
    assert len(edited.table) == len(analysed.table)
    assert edited.image.edited == 4


def test_a_person_may_count_what_lies_at_the_border_or_on_a_mark(analysed):
    table = analysed.table
    at_border = table.loc[table["exclusion"] == AT_BORDER, "particle"].iloc[0]
    on_mark = table.loc[table["exclusion"].fillna("").str.contains(ON_MARK), "particle"].iloc[0]
    edited = apply_edits(analysed, Edits(counted=frozenset({int(at_border), int(on_mark)})))
    rows = edited.table.set_index("particle").loc[[at_border, on_mark]]
    assert rows["exclusion"].isna().all()
    assert rows["border_weight"].tolist()[0] == 1.0
    assert rows["origin"].tolist() == ["changed", "changed"]
    assert set(counted(edited.table)["particle"]) - set(counted(table)["particle"]) == {at_border, on_mark}


def test_what_a_person_answers_for_counts_at_any_confidence(analysed, square):
    unsure = numbers_with(analysed.table, BELOW_CONFIDENCE)
    whole = [number for number in unsure if analysed.table["exclusion"].iloc[number - 1] == BELOW_CONFIDENCE]
    edited = apply_edits(
        analysed, Edits(labels={whole[0]: "rod"}, changed={whole[1]: square(300, 120, 20)}, counted={whole[2]})
    )
    assert set(whole[:3]) <= set(counted(edited.table)["particle"])
    confidences = edited.table["confidence"]
    assert confidences.iloc[whole[0] - 1] == analysed.table["confidence"].iloc[whole[0] - 1]
    assert np.isnan(confidences.iloc[whole[1] - 1])


def test_what_is_drawn_is_named_after_what_it_was_made_from(analyse, square):
    analysed = analyse()
    labels = [each.label for each in analysed.image.instances]
    disc, other = labels.index("disc") + 1, labels.index("square") + 1
    drawn = apply_edits(
        analysed,
        Edits(
            drawn=(
                Drawn(outline=square(9, 9, 9), made_from=(disc,)),
                Drawn(outline=square(9, 9, 9), made_from=(disc, other)),
                Drawn(outline=square(9, 9, 9), made_from=(len(labels) + 1,)),
                Drawn(outline=square(9, 9, 9), label="rod"),
            )
        ),
    )
    assert [each.label for each in drawn.image.instances[-4:]] == ["disc", None, "disc", "rod"]
    alone = apply_edits(analyse("other", 1, 0.5, ("disc",)), Edits(drawn=(Drawn(outline=square(9, 9, 9)),)))
    assert alone.image.instances[-1].label == "disc"


def test_what_was_drawn_and_deleted_keeps_its_number_and_is_no_edit(analysed, square):
    total = len(analysed.image.instances)
    edits = Edits(
        removed=frozenset({total + 1}), drawn=(Drawn(outline=square(50, 50, 20)), Drawn(outline=square(90, 90, 20)))
    )
    edited = apply_edits(analysed, edits)
    assert edited.table["particle"].tolist()[-2:] == [total + 1, total + 2]
    assert edited.image.edited == 1


def test_edits_survive_json(square):
    edits = Edits(
        removed=frozenset({4, 2}),
        counted=frozenset({7}),
        changed={3: square(1, 2, 3)},
        labels={9: "Würfel"},
        drawn=(Drawn(outline=square(5, 5, 5), label="rod", made_from=(1, 2)),),
    )
    document = orjson.loads(orjson.dumps(edits.as_json(), option=orjson.OPT_NON_STR_KEYS))
    assert Edits.from_json(document).as_json() == edits.as_json()
    assert Edits.from_json({}).as_json() == Edits().as_json()


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (Edits(removed=frozenset({0})), "no outline 0"),
        (Edits(labels={10**6: "rod"}), "no outline 1000000"),
        (Edits(drawn=(Drawn(outline=[[[[0, 0], [1, 1]]]]),)), "fewer than 3 places"),
        (
            Edits(changed={1: [[[[0, 0], [9, 0], [float("nan"), 9]]]]}),
            r"outline 1: point 3 is \[nan, 9\]; points",
        ),
        (Edits(changed={1: []}), "outline 1 has no part"),
        (Edits(changed={1: [[[[0, 0], [9, 0], [1e9, 9]]]]}), "outside of any micrograph"),
    ],
)
def test_edits_of_nothing_are_refused(analysed, edits, message):
    with pytest.raises(ReviewError, match=message):
        apply_edits(analysed, edits)


def test_an_outline_outside_of_the_micrograph_is_kept_and_does_not_count(analysed, square):
    edited = apply_edits(analysed, Edits(drawn=(Drawn(outline=square(5000, 5000, 10)),)))
    assert edited.table["exclusion"].iloc[-1] == "no area"
    assert Rules().describe().startswith("Particles count")
