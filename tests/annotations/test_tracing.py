import numpy as np
import pytest
from scipy import ndimage

from nanoseg_bench.annotations.instance import Polygon
from nanoseg_bench.annotations.raster import mask_to_rle, polygons_to_rle, rle_to_mask
from nanoseg_bench.annotations.tracing import trace


def shoelace(outline):
    x, y = outline.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def check(mask):
    """The outlines enclose the mask's area, give its pixels back, and are one for each part and each hole."""
    height, width = mask.shape
    polygons = trace(mask_to_rle(mask))
    _, parts = ndimage.label(mask, structure=np.ones((3, 3)))
    _, outside = ndimage.label(np.pad(~mask, 1, constant_values=True))
    assert len(polygons) == parts
    assert sum(len(part.holes) for part in polygons) == outside - 1
    area = sum(shoelace(part.exterior) - sum(map(shoelace, part.holes)) for part in polygons)
    assert area == mask.sum()
    assert (rle_to_mask(polygons_to_rle(polygons, height, width)) == mask).all()
    for outline in (each for part in polygons for each in (part.exterior, *part.holes)):
        steps = np.roll(outline, -1, axis=0) - outline
        assert ((steps != 0).sum(axis=1) == 1).all()  # along the pixels' edges
        assert ((steps[:, 0] != 0) != (np.roll(steps[:, 0], 1) != 0)).all()  # and a corner at every point


def test_every_3x3_mask():
    for number in range(1, 512):
        mask = np.zeros((5, 5), dtype=bool)
        mask[1:4, 1:4] = np.array([number >> bit & 1 for bit in range(9)], dtype=bool).reshape(3, 3)
        check(mask)
        check(mask[1:4, 1:4])


@pytest.mark.parametrize("smoothness", [0, 0.7, 3])
def test_random_masks(smoothness):
    rng = np.random.default_rng(int(10 * smoothness))
    for _ in range(40):
        height, width = rng.integers(2, 60, 2)
        noise = ndimage.gaussian_filter(rng.random((height, width)), smoothness)
        check(noise > np.median(noise))


def test_empty_mask_has_no_outline():
    assert trace(mask_to_rle(np.zeros((4, 5)))) == []


def test_a_square_is_its_four_corners():
    mask = np.zeros((20, 30))
    mask[3:9, 7:20] = 1
    (polygon,) = trace(mask_to_rle(mask))
    assert polygon.exterior.tolist() == [[7, 3], [20, 3], [20, 9], [7, 9]]
    assert isinstance(polygon, Polygon) and polygon.holes == ()
