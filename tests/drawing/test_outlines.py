import numpy as np

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.drawing.colours import IGNORE_COLOUR, class_colours
from nanoseg_bench.drawing.outlines import class_outlines, outline_of

SIZE = (30, 20)
SQUARE = np.array([(2, 2), (12, 2), (12, 12), (2, 12)], dtype=float)
INNER = SQUARE / 2 + 3


def signed_area(ring):
    following = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]).sum() / 2)


def test_holes_run_the_other_way_round_whatever_was_drawn():
    for exterior in (SQUARE, SQUARE[::-1]):
        for hole in (INNER, INNER[::-1]):
            outline = outline_of((Polygon(exterior, (hole,)),), SIZE, (0, 0, 0))
            assert [signed_area(ring) for ring in outline.rings] == [100, -25]


def test_a_mask_of_two_parts_is_one_outline_along_the_edges_of_its_pixels():
    window = np.zeros((4, 9), bool)
    window[:, :3] = window[1:3, 6:] = True
    outline = outline_of(window_to_rle(window, 5, 6, 20, 30), SIZE, (0, 0, 0))
    assert sorted(signed_area(ring) for ring in outline.rings) == [6, 12]
    assert np.concatenate(outline.rings).min(axis=0).tolist() == [5, 6]
    assert np.concatenate(outline.rings).max(axis=0).tolist() == [14, 10]


def test_classes_have_their_colours_and_what_does_not_count_is_grey_and_hatched():
    colours = class_colours(["cube", "rod"])
    region = (Polygon(SQUARE),)
    instances = [
        Instance("rod", region),
        Instance("rod", region, on_mark=True),
        Instance("ignore", region),
        Instance("cube", region, crowd=True),
        Instance("wire", region),
        Instance(None, region),
    ]
    assert [(each.colour, each.fill) for each in class_outlines(instances, SIZE, colours)] == [
        (colours["rod"], "none"),
        *[(IGNORE_COLOUR, "hatch")] * 3,
        *[(IGNORE_COLOUR, "none")] * 2,
    ]
