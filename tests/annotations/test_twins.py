import numpy as np
import pytest

from nanoseg_bench.annotations import twins
from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import to_mask, to_rle
from nanoseg_bench.annotations.twins import find_twins
from nanoseg_bench.errors import AnnotationError

HEIGHT, WIDTH = 200, 300


def overlap(first, second):
    one, other = (to_mask(each, HEIGHT, WIDTH) for each in (first, second))
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("portion", [1_000_000, 7])
def test_pairs_are_those_of_all_overlaps(disc, monkeypatch, portion):
    monkeypatch.setattr(twins, "_PAIRS_AT_ONCE", portion)
    random = np.random.default_rng(0)
    instances = []
    for _ in range(40):
        x, y, radius = random.uniform((5, 5, 4), (295, 195, 25))
        instances.append(Instance("cube", (disc(x, y, radius),)))
        shift = random.uniform(0, 0.1)  # from nearly the same to clearly another outline
        instances.append(Instance("rod", (disc(x + shift * radius, y, radius, points=12 + int(random.integers(50))),)))
    expected = {
        (first, second): overlap(instances[first], instances[second])
        for first in range(len(instances))
        for second in range(first + 1, len(instances))
    }
    found = {(pair.first, pair.second): pair.iou for pair in find_twins(instances, HEIGHT, WIDTH)}
    assert set(found) == {pair for pair, iou in expected.items() if iou > 0.95}
    assert 5 < len(found) < 40  # some of both kinds, or nothing is tested
    assert all(found[pair] == pytest.approx(expected[pair]) for pair in found)


def test_a_polygon_and_its_mask_are_twins_and_neighbours_are_none(disc, square):
    one = Instance("cube", (disc(50, 50, 20),))
    same = Instance("cube", to_rle(one, HEIGHT, WIDTH))
    beside = Instance("cube", (disc(90.5, 50, 20),))
    inside = Instance("cube", (Polygon(square(40, 40, 60, 60)),))
    assert [(pair.first, pair.second) for pair in find_twins([one, beside, inside, same], HEIGHT, WIDTH)] == [(0, 3)]


def test_what_covers_no_pixel_is_no_twin(square):
    outside = Instance("cube", (Polygon(square(-30, -30, -10, -10)),))
    line = Instance("cube", (Polygon(square(10, 10, 40, 10)),))
    assert find_twins([outside, outside, line, line], HEIGHT, WIDTH) == []
    assert find_twins([], HEIGHT, WIDTH) == []


def test_thousands_of_outlines_in_one_place_are_refused_and_not_compared(square):
    instances = [Instance("cube", (Polygon(square(3, 3, 20, 20)),))] * 5000
    with pytest.raises(AnnotationError, match="more than 100000 times two outlines lie in nearly the same place"):
        find_twins(instances, HEIGHT, WIDTH)
