import numpy as np
import pytest

from nanoseg_bench.annotations.extents import extents_of, place_of
from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle


def test_boxes_and_areas_are_those_of_each_instance_alone(disc, square):
    mask = np.zeros((40, 60), dtype=bool)
    mask[5:8, 10:30] = True
    instances = [
        Instance("a", (Polygon(square(2, 3, 12, 8)), Polygon(square(20, 1, 22, 30)))),
        Instance("b", mask_to_rle(mask)),
        Instance("c", (disc(1000.25, 2000.5, 7.5),)),
        Instance("d", mask_to_rle(np.zeros((40, 60), dtype=bool))),
        Instance("e", (Polygon(square(9, 9, 4, 4)),)),  # drawn the other way round
    ]
    extents = extents_of(instances)
    assert extents.boxes[0].tolist() == [2, 1, 22, 30] and extents.areas[0] == 50 + 58
    assert extents.boxes[1].tolist() == [10, 5, 30, 8] and extents.areas[1] == mask.sum()
    assert extents.areas[2] == pytest.approx(np.pi * 7.5**2, rel=1e-4)
    assert extents.boxes[2] == pytest.approx([992.75, 1993, 1007.75, 2008])
    assert extents.boxes[3].tolist() == [0, 0, 0, 0] and extents.areas[3] == 0
    assert extents.boxes[4].tolist() == [4, 4, 9, 9] and extents.areas[4] == 25
    for number, instance in enumerate(instances):
        alone = extents_of([instance])
        assert (alone.boxes[0] == extents.boxes[number]).all() and alone.areas[0] == extents.areas[number]
    assert extents_of([]).boxes.shape == (0, 4)


def test_a_place_is_the_middle_of_the_box(square):
    assert place_of(Instance("cube", (Polygon(square(2, 3, 12, 9)),))) == "cube near (7, 6)"


def test_a_micrograph_may_hold_more_than_255_masks():
    mask = np.zeros((40, 60), dtype=bool)
    mask[5:8, 10:30] = True
    extents = extents_of([Instance("a", mask_to_rle(mask))] * 300)
    assert (extents.areas == 60).all() and len(extents.boxes) == 300
