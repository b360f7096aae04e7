import math
from dataclasses import MISSING, fields

import numpy as np
import pandas as pd
import pytest

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Rle
from nanoseg_bench.annotations.raster import mask_to_rle, rle_to_mask
from nanoseg_bench.errors import MeasurementError
from nanoseg_bench.marks.mark import BANNER, TEXT, Mark
from nanoseg_bench.measure.columns import COLUMNS, column_of
from nanoseg_bench.measure.field import Field, find_field
from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.morphology import Morphology
from nanoseg_bench.measure.outlines import measure_outlines
from nanoseg_bench.measure.particles import (
    AT_BORDER,
    BELOW_CONFIDENCE,
    IGNORED,
    NO_AREA,
    ON_MARK,
    REMOVED,
    TOO_LARGE,
    TOO_SMALL,
    Decisions,
    Rules,
    count_exclusions,
    counted,
    judge_particles,
    measure_particles,
)

HEIGHT, WIDTH = 120, 160


def box(left, top, width, height, **about):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return Instance(about.pop("label", "particle"), mask_to_rle(mask), **about)


def measure(*instances, **options):
    return measure_particles(instances, HEIGHT, WIDTH, **options)


def test_columns_are_those_of_the_table_of_columns_whatever_is_known():
    names = [column.name for column in COLUMNS]
    kinds = {"text": "str", "whole": "int64", "number": "float64", "flag": "bool"}
    for table in (measure(), measure(box(20, 20, 20, 20), image="a.tif", nm_per_px=0.5)):
        assert list(table.columns) == names
        assert [str(kind) for kind in table.dtypes] == [kinds[column.kind] for column in COLUMNS]


def test_lengths_and_areas_in_nm():
    row = measure(box(20, 30, 24, 16), image="a.tif", nm_per_px=0.5).iloc[0]
    assert (row["area_px2"], row["area_nm2"]) == (384, 96)
    assert row["diameter_nm"] == pytest.approx(math.sqrt(4 * 96 / math.pi))
    assert row["length_nm"] == pytest.approx(row["length_px"] / 2)
    assert (row["x_px"], row["y_px"], row["x_nm"], row["y_nm"]) == (32, 38, 16, 19)
    assert (row["image"], row["particle"], row["nm_per_px"]) == ("a.tif", 1, 0.5)


def test_without_a_scale_nm_is_empty_and_px_is_the_same():
    known, unknown = measure(box(20, 30, 24, 16), nm_per_px=0.5), measure(box(20, 30, 24, 16))
    in_nm = [column.name for column in COLUMNS if "nm" in column.unit]
    assert len(in_nm) > 10
    assert unknown[in_nm].isna().all(axis=None)
    pd.testing.assert_frame_equal(known.drop(columns=in_nm), unknown.drop(columns=in_nm))


def test_small_particles_have_a_size_and_no_shape():
    table = measure(box(20, 20, 8, 8), box(50, 50, 9, 9), box(80, 20, 18, 18))
    assert table["diameter_px"].round(1).tolist() == [9.0, 10.2, 20.3]
    shapes = [column_of(each.name, "px").name for each in fields(Morphology) if each.default is not MISSING]
    assert len(shapes) == 16
    assert table.loc[0, shapes].isna().all()
    assert table.loc[1:, shapes].notna().all(axis=None)
    assert table["shape_uncertain"].tolist() == [True, True, False]


def test_edges_are_of_cubes_alone_by_the_outline_before_the_class():
    boxes = [box(20, 20, 20, 20, label=name) for name in ("Nano-Cubes", "rod", "cube", "sphere")]
    edges = measure(*boxes, shapes=[None, None, "sphere", "cube"])["edge_length_px"]
    assert edges.notna().tolist() == [True, False, False, True]
    assert edges[0] == pytest.approx(20, abs=0.05)


def test_a_cube_that_shows_no_square_has_no_edge():
    edges = measure(*(box(20, 20, 30, height, label="cube") for height in (30, 26, 20)))["edge_length_px"]
    assert edges[:2].tolist() == pytest.approx([30, 28], abs=0.1)
    assert math.isnan(edges[2])


def test_what_does_not_count_says_why():
    table = measure(
        box(20, 20, 20, 20, score=0.9),
        box(0, 40, 20, 20, score=0.9),
        box(60, 20, 20, 20, score=0.9, on_mark=True),
        box(60, 60, 3, 3, score=0.9),
        box(90, 20, 20, 20, score=0.1),
        box(0, 80, 3, 3, score=0.1),
        box(90, 60, 20, 20, label=IGNORE_LABEL),
        Instance("particle", mask_to_rle(np.zeros((HEIGHT, WIDTH)))),
        rules=Rules(confidence=0.5, min_diameter=Length(5, "px")),
    )
    assert table["exclusion"].fillna("").tolist() == [
        "",
        AT_BORDER,
        ON_MARK,
        TOO_SMALL,
        BELOW_CONFIDENCE,
        f"{BELOW_CONFIDENCE}; {AT_BORDER}; {TOO_SMALL}",
        IGNORED,
        NO_AREA,
    ]
    assert counted(table)["particle"].tolist() == [1]
    assert count_exclusions(table) == {
        NO_AREA: 1, BELOW_CONFIDENCE: 2, ON_MARK: 1, IGNORED: 1, AT_BORDER: 1, TOO_SMALL: 1,
    }  # fmt: skip
    assert sum(count_exclusions(table).values()) == len(table) - 1


def test_annotations_have_no_confidence_and_count():
    table = measure(box(20, 20, 20, 20), rules=Rules(confidence=0.5))
    assert len(counted(table)) == 1
    assert table["confidence"].isna().all()


@pytest.mark.parametrize(("text", "counts"), [((11.5, "nm"), 1), ((11, "nm"), 2), ((23, "px"), 1), ((22, "px"), 2)])
def test_the_minimum_diameter_in_nm_or_px(text, counts):
    table = measure(box(20, 20, 20, 20), box(60, 20, 30, 30), nm_per_px=0.5, rules=Rules(min_diameter=Length(*text)))
    assert len(counted(table)) == counts


def test_a_minimum_in_nm_needs_a_scale():
    with pytest.raises(MeasurementError, match=r"a\.tif: 5 nm in pixels needs the scale"):
        measure(box(20, 20, 20, 20), image="a.tif", rules=Rules(min_diameter=Length(5, "nm")))


@pytest.mark.parametrize("scale", [0.0, -0.5, math.inf, "0.5"])
def test_a_scale_that_is_no_length_is_refused(scale):
    with pytest.raises(MeasurementError, match=r"a\.png: nm_per_px .*above 0, or None"):
        measure_particles([], 10, 10, image="a.png", nm_per_px=scale)


def test_the_rules_in_words():
    assert Rules(confidence=0.25, min_diameter=Length(5, "nm")).describe() == (
        "Particles count that touch no border of the field, lie on or touch no information bar, scale bar or "
        "lettering, have a confidence of 0.25 or more and have a diameter of 5 nm or more."
    )


def test_rules_that_leave_nothing_out_in_words():
    assert Rules(keep_marks=True).describe(border_counts=True) == "All particles count."
    assert Rules(max_diameter=Length(9, "px")).describe(border_counts=True) == (
        "Particles count that lie on no information bar, scale bar or lettering and have a diameter of 9 px or less."
    )


def test_large_ones_and_marks_by_rule():
    boxes = (box(20, 20, 20, 20), box(60, 20, 40, 40), box(20, 60, 20, 20, on_mark=True))
    assert measure(*boxes, rules=Rules(max_diameter=Length(30, "px")))["exclusion"].fillna("").tolist() == [
        "", TOO_LARGE, ON_MARK,
    ]  # fmt: skip
    assert len(counted(measure(*boxes, rules=Rules(keep_marks=True)))) == 3
    rules = (Rules(), Rules(max_diameter=Length(30, "px")))
    nearest = [measure(*boxes, rules=each)["nearest_neighbour_px"][0] for each in rules]
    assert nearest[0] == nearest[1] > 0


def test_what_a_person_decides_goes_before_rules():
    instances = (
        box(0, 20, 20, 20, score=0.9, origin="model"),
        box(30, 20, 20, 20, score=0.1, origin="changed"),
        box(60, 20, 20, 20, score=0.1, origin="model"),
        box(90, 20, 20, 20, origin="drawn", on_mark=True),
        box(120, 20, 20, 20, score=0.1, origin="model"),
    )
    table = judge_particles(
        measure_outlines(instances, HEIGHT, WIDTH),
        rules=Rules(confidence=0.5),
        decisions=Decisions(removed=frozenset({5}), counted=frozenset({1, 4})),
    )
    assert table["exclusion"].fillna("").tolist() == ["", "", BELOW_CONFIDENCE, "", f"{REMOVED}; {BELOW_CONFIDENCE}"]
    assert table["origin"].tolist() == ["model", "changed", "model", "drawn", "model"]
    assert table["border_weight"][0] == 1
    assert (table["border_weight"][1:] > 1).all()
    assert count_exclusions(table) == {REMOVED: 1, BELOW_CONFIDENCE: 1}


def test_an_outline_that_stayed_the_same_object_is_not_measured_again():
    one, other, third = box(20, 20, 20, 20), box(50, 20, 20, 20), box(30, 30, 25, 25)
    first = measure_outlines((one, other), HEIGHT, WIDTH)
    again = measure_outlines((one, third, other), HEIGHT, WIDTH, known=first)
    assert (again.outlines[0], again.outlines[2]) == first.outlines
    pd.testing.assert_frame_equal(judge_particles(again), measure(one, third, other), check_exact=True)


@pytest.mark.parametrize("seed", range(4))
def test_overlaps_against_counted_pixels(seed):
    """Of each pair, the pixels that both hold, as far as both are there."""
    rng = np.random.default_rng(seed)
    boxes = [box(*rng.integers(0, 90, 2), *rng.integers(8, 50, 2), score=float(rng.uniform())) for _ in range(14)]
    table = measure(*boxes, rules=Rules(confidence=0.4))
    masks = [rle_to_mask(each.region) for each in boxes]
    there = table["exclusion"].isna() | (table["exclusion"] == AT_BORDER)
    expected = [
        bool(there[one])
        and any(
            there[other] and other != one and (masks[one] & masks[other]).sum() > 0.05 * masks[one].sum()
            for other in range(len(masks))
        )
        for one in range(len(masks))
    ]
    assert table["overlaps"].tolist() == expected
    assert 0 < sum(expected) < len(masks)


def test_the_edge_of_an_information_bar_is_a_border():
    bar = Mark(BANNER, 0, 100, WIDTH, HEIGHT)
    field = find_field([Mark(TEXT, 5, 5, 30, 20), bar], HEIGHT, WIDTH)
    assert field == Field(right=WIDTH, bottom=100, covered=((5, 5, 30, 20),))
    assert find_field([Mark(BANNER, 0, 0, WIDTH, 15), bar], HEIGHT, WIDTH) == Field(top=15, right=WIDTH, bottom=100)
    assert find_field([], HEIGHT, WIDTH) == Field(right=WIDTH, bottom=HEIGHT)
    assert field.inset(2) == Field(left=2, top=2, right=WIDTH - 2, bottom=98, covered=((3, 3, 32, 22),))
    assert field.inset(50) == field, "nothing would be left"
    table = measure(box(20, 80, 20, 20), box(60, 79, 20, 20), field=field)
    assert table["touches_border"].tolist() == [True, False]
    whole = measure(box(20, 80, 20, 20), box(60, 79, 20, 20))
    assert whole["touches_border"].tolist() == [False, False]
    assert table["border_weight"][1] > whole["border_weight"][1]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (30, 7), (158, 118)])
def test_border_weights_make_up_for_all_places_where_a_box_touches(width, height):
    """Literally: of all places of a box in the field, those that touch no border have the weight of all."""
    places = [
        (left, top)
        for left in range(1, WIDTH)
        for top in range(1, HEIGHT)
        if left + width <= WIDTH - 1 and top + height <= HEIGHT - 1
    ]
    table = measure(box(*places[0], width, height), box(*places[-1], width, height))
    assert not table["touches_border"].any()
    assert table["border_weight"].to_numpy() * len(places) == pytest.approx(WIDTH * HEIGHT)


LETTERING = Field(right=WIDTH, bottom=HEIGHT, covered=((100, 90, 150, 108), (90, 85, 120, 95), (20, 20, 24, 24)))
"""Two boxes that lie over each other, and a small one."""


@pytest.mark.parametrize(
    ("place", "touches"),
    [
        ((40, 40, 20, 20), False),
        ((60, 60, 29, 24), False),
        ((60, 60, 30, 25), True),
        ((18, 18, 9, 9), True),
        ((151, 100, 5, 5), False),
        ((150, 100, 5, 5), True),
        ((0, 60, 5, 5), True),
    ],
)
def test_what_is_written_on_the_field_is_a_border(place, touches):
    one = measure(box(*place), field=LETTERING)
    assert one["touches_border"].tolist() == [touches]
    assert one["exclusion"].notna().tolist() == [touches]
    kept = measure(box(*place), field=LETTERING, rules=Rules(keep_marks=True))
    bare = measure(box(*place))
    pd.testing.assert_frame_equal(kept, bare, check_exact=True)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (30, 7), (25, 60)])
def test_border_weights_make_up_for_what_is_written_too(width, height):
    """Literally, as beside the border alone."""
    places = [
        (left, top)
        for left in range(1, WIDTH - width)
        for top in range(1, HEIGHT - height)
        if not any(
            left <= x1 and left + width >= x0 and top <= y1 and top + height >= y0
            for x0, y0, x1, y1 in LETTERING.covered
        )
    ]
    table = measure(box(*places[0], width, height), box(*places[-1], width, height), field=LETTERING)
    assert not table["touches_border"].any()
    assert table["border_weight"].to_numpy() * len(places) == pytest.approx(WIDTH * HEIGHT)


def test_what_touches_has_no_weight():
    assert measure(box(0, 20, 20, 20))["border_weight"].isna().all()


def test_neighbours_and_overlaps():
    table = measure(
        box(20, 20, 20, 20),
        box(50, 20, 20, 20),
        box(60, 35, 20, 20),
        box(0, 20, 12, 12),
        box(22, 22, 20, 20, on_mark=True),
        box(44, 22, 3, 3),
        rules=Rules(min_diameter=Length(5, "px")),
    )
    assert table["overlaps"].tolist() == [False, True, True, False, False, False]
    close = math.hypot(10, 15)
    expected = [math.hypot(24, 4), close, close, math.hypot(24, 4)]
    assert table["nearest_neighbour_px"][:4].tolist() == pytest.approx(expected)
    assert table["nearest_neighbour_px"][4:].isna().all()
    assert measure(box(20, 20, 20, 20))["nearest_neighbour_px"].isna().all()


@pytest.mark.parametrize(("left", "overlap"), [(40, False), (39, False), (38, True)])
def test_outlines_that_touch_do_not_overlap(left, overlap):
    """Of 20 columns, one is a share of 5 %."""
    assert measure(box(20, 20, 20, 20), box(left, 20, 20, 20))["overlaps"].tolist() == [overlap, overlap]


def test_a_small_one_on_a_large_one_overlaps_and_the_large_one_hardly():
    assert measure(box(20, 20, 60, 60), box(30, 30, 10, 10))["overlaps"].tolist() == [False, True]


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="mask of 5x4 px"):
        measure(Instance(None, Rle(4, 5, mask_to_rle(np.ones((4, 5))).counts)))


@pytest.mark.parametrize(("field", "images"), [(None, 80), (LETTERING, 160)])
def test_large_and_small_discs_of_a_boolean_model(disc, placed, field, images):
    """Half of the discs are large; unweighted, too few of those that touch no border are; weighted, half are again."""
    rng = np.random.default_rng(3)
    tables = []
    for _ in range(images):
        instances = []
        for diameter in rng.choice([12.0, 60.0], 16):
            mask = disc(diameter, rng)
            left, top = rng.integers(-70, WIDTH + 1), rng.integers(-70, HEIGHT + 1)
            inside = (left < WIDTH) and (top < HEIGHT) and left + mask.shape[1] > 0 and top + mask.shape[0] > 0
            if inside:
                instances.append(placed(mask, int(left), int(top), HEIGHT, WIDTH))
        tables.append(measure(*instances, field=field))
    known = counted(pd.concat(tables, ignore_index=True))
    large = known["diameter_px"] > 30
    weights = known["border_weight"]
    error = math.sqrt(float((weights**2 * (large - 0.5) ** 2).sum())) / weights.sum()
    assert large.mean() < 0.35
    assert error < 0.035
    assert abs(weights[large].sum() / weights.sum() - 0.5) < 3 * error


def test_overlaps_are_the_same_however_many_outlines_are_compared_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    places = rng.integers(0, 100, (40, 2)).tolist()
    instances = [box(left, top, 14, 12) for left, top in places] + [
        Instance("a", mask_to_rle(np.zeros((HEIGHT, WIDTH))))
    ]
    whole = measure_outlines(instances, HEIGHT, WIDTH).overlaps
    monkeypatch.setattr("nanoseg_bench.measure.outlines._AT_ONCE", 7)
    parts = measure_outlines(instances, HEIGHT, WIDTH).overlaps
    for each in ("one", "other", "pixels"):
        assert getattr(whole, each).tolist() == getattr(parts, each).tolist()
    masks = [rle_to_mask(each.region) for each in instances]
    expected = [
        (a, b, int((x & y).sum())) for a, x in enumerate(masks) for b, y in enumerate(masks) if a != b and (x & y).any()
    ]
    assert expected and list(zip(whole.one, whole.other, whole.pixels, strict=True)) == expected
