"""The namer that ships, on outlines that were not made by the renderer it was fitted to."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from nanoseg_bench.measure.morphology import find_hull, measure_mask
from nanoseg_bench.measure.shape_names.descriptors import DESCRIPTORS, describe
from nanoseg_bench.measure.shape_names.namer import OTHER, SHIPPED, read_namer, shipped_namer

SIZES = (22, 30, 45, 80, 160)


def names_of(masks):
    return [
        each.name for each in shipped_namer().name([describe(find_hull(mask), measure_mask(mask)) for mask in masks])
    ]


def polygon(corners, diameter, angle, stretch=1.0):
    """Regular, of this equivalent diameter, painted at 8 times the resolution."""
    radius = diameter / 2 * math.sqrt(2 * math.pi / (corners * math.sin(2 * math.pi / corners)))
    size = 2 * int(radius * stretch + 4)
    angles = 2 * np.pi * np.arange(corners) / corners
    points = radius * np.column_stack([stretch * np.cos(angles), np.sin(angles)])
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    fine = np.zeros((8 * size, 8 * size), np.float32)
    cv2.fillPoly(fine, [np.round(8 * (points @ turn + size / 2)).astype(np.int32)], 1)
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA) >= 0.5


def test_discs_squares_and_rods_have_their_names_at_all_sizes(disc, rectangle, rod, rng):
    for angle in (0, 20, 45):
        assert names_of([disc(size, rng) for size in SIZES]) == ["sphere"] * len(SIZES)
        cubes = [rectangle(0.9 * size, 0.9 * size, angle, rng, 0.1 * size) for size in SIZES]
        assert names_of(cubes) == ["cube"] * len(SIZES)
        rods = [rod(1.8 * size, 0.5 * size, angle, rng) for size in SIZES]
        assert names_of(rods) == ["rod"] * len(SIZES)


def test_short_rods_have_their_name(rod, rng):
    """From 1.6 times as long as wide on; 1.5 is the border itself."""
    short = [rod(1.6 * width, width, angle, rng) for width in (30, 45, 80, 120) for angle in (0, 20, 45)]
    assert names_of(short) == ["rod"] * len(short)


def test_a_bite_or_a_piece_too_many_does_not_hide_a_rod(rod, rng):
    """As a model outlines rods that touch: a quarter of the width is gone from the middle of a side, or too much."""
    masks = []
    for width in (30, 45, 80):
        bitten = np.pad(rod(3 * width, width, 0, rng), 30)
        rows, columns = np.nonzero(bitten)
        y, x = np.ogrid[: bitten.shape[0], : bitten.shape[1]]
        near = (x - columns.mean() - width / 2) ** 2 + (y - rows.min()) ** 2 <= (width / 4) ** 2
        masks += [bitten & ~near, bitten | near]
    assert names_of(masks) == ["rod"] * len(masks)


@pytest.mark.parametrize(("name", "corners", "least"), [("triangle", 3, 22), ("pentagon", 5, 30)])
def test_polygons_have_their_names(name, corners, least):
    for angle in (0.0, 0.4, 1.1):
        assert set(names_of([polygon(corners, size, angle) for size in SIZES if size >= least])) == {name}


def test_what_has_none_of_the_names_is_other(disc, rng):
    small, large = np.zeros((90, 90), dtype=bool), disc(80, rng)[:80, :80]
    small[5:65, 5:30] = small[40:65, 5:80] = True
    bitten = large.copy()
    bitten[:45, 35:] = False
    dimer = np.hstack([disc(60, rng)[:, :56], disc(60, rng)[:, 10:]])
    assert names_of([small, bitten, dimer, polygon(6, 120, 0.2)]) == [OTHER] * 4


def test_what_lies_far_from_all_that_it_was_fitted_to_is_not_named_at_random():
    """Squares of descriptors grow without bound: a hair of 300 px is no cube."""
    hair = np.zeros((4, 400), dtype=bool)
    hair[1:3, 20:380] = True
    assert names_of([hair]) in (["rod"], [OTHER])


def test_an_unsure_name_is_other_and_its_certainty_low(rectangle, rng):
    """From a cube over a brick, which is "other", to a rod."""
    values = [
        describe(find_hull(mask), measure_mask(mask))
        for mask in (rectangle(100 * ratio, 100, 10, rng, 15) for ratio in np.linspace(1.0, 2.5, 31))
    ]
    namer = replace(shipped_namer(), least_certainty=0.9)
    found, probabilities = namer.name(values), namer.probabilities(np.array(values))
    assert [each.name for each in found][:2] == ["cube", "cube"]
    assert found[8].name == OTHER
    assert [each.name for each in found][-2:] == ["rod", "rod"]
    unsure = [each for each, row in zip(found, probabilities, strict=True) if row.max() < namer.least_certainty]
    assert unsure
    assert all(each.name == OTHER and each.certainty < namer.least_certainty for each in unsure)


def test_probabilities_sum_to_one_and_nothing_is_named_of_nothing():
    probabilities = shipped_namer().probabilities(np.random.default_rng(0).normal(0, 100, (50, len(DESCRIPTORS))))
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert shipped_namer().name([]) == []


def test_the_file_is_read_as_it_was_written(tmp_path):
    shipped_namer().write(tmp_path / "namer.json")
    assert (tmp_path / "namer.json").read_bytes() == SHIPPED.read_bytes()


def test_numbers_for_other_descriptors_are_refused(tmp_path):
    content = json.loads(SHIPPED.read_text("utf-8"))
    content["descriptors"][0] = "age"
    (tmp_path / "namer.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(ValueError, match="other descriptors"):
        read_namer(tmp_path / "namer.json")


def test_naming_needs_no_scikit_learn():
    code = (
        "import sys\n"
        "from nanoseg_bench.measure.particles import measure_particles\n"
        "from nanoseg_bench.measure.shape_names.namer import shipped_namer\n"
        "shipped_namer()\n"
        "assert 'sklearn' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
