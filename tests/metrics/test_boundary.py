import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import mask_to_rle, rle_to_mask
from nanoseg_bench.metrics.boundary import boundary_distance, boundary_iou, matched_boundary_iou
from nanoseg_bench.metrics.matching import image_overlap, match


def literal(first, second, distance):
    """Whole images, eroded step by step as in the authors' code; beyond the image is outside."""
    bands = []
    for region in (first, second):
        mask = rle_to_mask(region)
        bands.append(mask & ~binary_erosion(mask, np.ones((3, 3)), iterations=distance, border_value=0))
    return (bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum()


@pytest.mark.parametrize("distance", [1, 2, 4, 30])
def test_agrees_with_eroding_whole_images(distance):
    rng = np.random.default_rng(0)
    for _ in range(10):
        # Blocks with holes and several parts, some of them at the border.
        masks = [np.kron(rng.random((9, 12)) < 0.6, np.ones((10, 10))) for _ in range(2)]
        first, second = (mask_to_rle(mask) for mask in masks)
        assert boundary_iou(first, second, distance) == pytest.approx(literal(first, second, distance))


def test_windows_that_lie_apart(disc):
    for other in (disc(90, 30, 8), disc(30, 75, 8), disc(41, 33, 8), disc(3, 3, 8)):
        one = disc(30, 30, 10)
        assert boundary_iou(one, other, 2) == pytest.approx(literal(one, other, 2))
    empty = mask_to_rle(np.zeros((90, 120)))
    assert boundary_iou(empty, disc(30, 30, 10), 2) == 0
    assert boundary_iou(empty, empty, 2) == 0


def test_thick_outlines_are_the_masks(disc):
    one, other = disc(40, 40, 9), disc(43, 41, 10)
    masks = rle_to_mask(one), rle_to_mask(other)
    assert boundary_iou(one, other, 50) == pytest.approx((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())


def test_distance_follows_the_diagonal():
    assert boundary_distance(768, 512) == round(0.005 * np.hypot(768, 512)) == 5
    assert boundary_distance(30, 40) == 1


def test_mean_over_the_pairs(scene, overlap):
    rng = np.random.default_rng(1)
    overlaps = [overlap(scene(rng)).keep(0.3) for _ in range(4)]
    expected = [
        literal(one.predicted[row], one.truth[column], 1)
        for one in overlaps
        for row, column in zip(*match(one.iou), strict=True)
    ]
    assert matched_boundary_iou(overlaps) == pytest.approx(np.mean(expected))
    iou_matched = np.mean(np.concatenate([one.iou[match(one.iou)] for one in overlaps]))
    assert matched_boundary_iou(overlaps) < iou_matched


def test_no_pair_no_mean(disc):
    assert matched_boundary_iou([image_overlap([], [Instance("a", disc(30, 30, 10))], 120, 90)]) is None
