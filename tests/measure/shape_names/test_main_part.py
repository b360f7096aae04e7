import numpy as np
import pytest

from nanoseg_bench.measure.morphology import find_hull, measure_mask
from nanoseg_bench.measure.shape_names.descriptors import describe
from nanoseg_bench.measure.shape_names.main_part import RAGGED_BELOW, describe_main_part, main_part
from nanoseg_bench.measure.shape_names.namer import shipped_namer


def name_of(mask):
    hull = find_hull(mask)
    return shipped_namer().name([describe_main_part(mask, hull, measure_mask(mask, hull=hull))])[0].name


@pytest.fixture
def ragged(rod, rng):
    """A rod with a hole, fringes at an end, and a crumb."""
    mask = np.pad(rod(90, 24, 0, rng), 6)
    rows, columns = np.nonzero(mask)
    middle, left, right = int(rows.mean()), columns.min(), columns.max()
    mask[middle - 4 : middle + 2, left + 20 : left + 28] = False
    for row in range(middle - 9, middle + 9, 3):
        mask[row, right - 6 : right + 5] = True
    mask[rows.min() - 4 : rows.min() - 2, left + 40 : left + 50] = True
    return mask


def test_holes_fringes_and_crumbs_do_not_hide_a_rod(ragged):
    hull = find_hull(ragged)
    numbers = measure_mask(ragged, hull=hull)
    assert numbers.convexity < RAGGED_BELOW
    assert shipped_namer().name([describe(hull, numbers)])[0].name == "other"
    assert name_of(ragged) == "rod"


def test_the_main_part_is_one_piece_without_holes(ragged):
    part = measure_mask(main_part(ragged, 2))
    assert part.convexity > RAGGED_BELOW
    assert part.length == pytest.approx(90, abs=4)
    assert part.width == pytest.approx(24, abs=1.5)


def test_a_smooth_outline_is_described_as_it_is(disc, rng):
    mask = disc(60, rng)
    hull = find_hull(mask)
    numbers = measure_mask(mask, hull=hull)
    assert np.array_equal(describe_main_part(mask, hull, numbers), describe(hull, numbers))


def test_threads_alone_have_no_main_part_and_a_name_all_the_same():
    cross = np.zeros((61, 61), dtype=bool)
    cross[29:31] = cross[:, 29:31] = True
    assert not main_part(cross, 3).any()
    assert name_of(cross) == "other"
