from itertools import permutations

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance
from nanoseg_bench.annotations.raster import area, areas, bounding_box, bounding_boxes, mask_to_rle, rle_to_mask
from nanoseg_bench.metrics.matching import GrowingMatch, as_boxes, image_overlap, match


def best_by_trying_all(iou, threshold):
    """(pairs, total IoU) of the best assignment: most pairs first, then the largest total."""
    size = max(iou.shape)
    padded = np.zeros((size, size))
    padded[: iou.shape[0], : iou.shape[1]] = iou
    best = (0, 0.0)
    for order in permutations(range(size)):
        values = [padded[row, column] for row, column in enumerate(order) if padded[row, column] > threshold]
        best = max(best, (len(values), sum(values)))
    return best


@pytest.mark.parametrize("seed", range(25))
def test_match_is_the_best_of_all_assignments(seed):
    rng = np.random.default_rng(seed)
    iou = rng.random((rng.integers(1, 7), rng.integers(1, 7)))
    rows, columns = match(iou, 0.5)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == rows.size
    assert (iou[rows, columns] > 0.5).all()
    pairs, total = best_by_trying_all(iou, 0.5)
    assert rows.size == pairs
    assert iou[rows, columns].sum() == pytest.approx(total)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_match_of_nothing_is_empty(shape):
    rows, columns = match(np.zeros(shape))
    assert rows.size == columns.size == 0


def test_match_threshold_is_exclusive():
    assert match(np.array([[0.5]]))[0].size == 0
    assert match(np.array([[np.nextafter(0.5, 1)]]))[0].size == 1


@pytest.mark.parametrize("seed", range(10))
def test_growing_match_counts_the_pairs_of_every_prefix(seed):
    rng = np.random.default_rng(seed)
    iou = rng.random((30, 20)) * (rng.random((30, 20)) < 0.2)
    growing = GrowingMatch(iou)
    pairs = np.cumsum([growing.add(row) for row in range(len(iou))])
    assert pairs.tolist() == [match(iou[: row + 1])[0].size for row in range(len(iou))]


def test_areas_and_boxes_of_many_masks_are_those_of_each(disc):
    rng = np.random.default_rng(0)
    regions = [disc(rng.uniform(0, 40), rng.uniform(0, 30), rng.uniform(1, 9), 40, 30) for _ in range(600)]
    regions.append(mask_to_rle(np.zeros((30, 40))))
    assert areas(regions).tolist() == [area(region) for region in regions]
    assert [tuple(box) for box in bounding_boxes(regions)] == [bounding_box(region) for region in regions]
    assert areas([]).shape == (0,)
    assert bounding_boxes([]).shape == (0, 4)


def test_boxes_of_an_overlap_agree_with_filled_rectangles(scene, overlap):
    def filled(region):
        x, y, width, height = (int(value) for value in bounding_box(region))
        mask = np.zeros((90, 120), dtype=bool)
        mask[y : y + height, x : x + width] = True
        return mask

    masks = overlap(scene(np.random.default_rng(3)))
    boxes = as_boxes(masks)
    for row, region in enumerate(masks.predicted):
        box = filled(region)
        for column, other in enumerate(masks.truth):
            expected = (box & filled(other)).sum() / (box | filled(other)).sum()
            assert boxes.iou[row, column] == pytest.approx(expected)
        for column, other in enumerate(masks.ignore):
            assert boxes.ignore_share[row, column] == pytest.approx((box & filled(other)).sum() / box.sum())
    assert boxes.area is masks.area
    assert as_boxes(image_overlap([], [], 8, 8)).iou.shape == (0, 0)


def test_overlap_agrees_with_pixel_loops(scene, overlap):
    predicted, truth = scene(np.random.default_rng(0))
    result = overlap((predicted, truth))
    assert (np.diff(result.scores) <= 0).all()
    masks = [rle_to_mask(region) for region in result.predicted]
    assert result.area.tolist() == [mask.sum() for mask in masks]
    assert result.truth_area.tolist() == [rle_to_mask(region).sum() for region in result.truth]
    for row, mask in enumerate(masks):
        for column, region in enumerate(result.truth):
            other = rle_to_mask(region)
            assert result.iou[row, column] == pytest.approx((mask & other).sum() / (mask | other).sum())
        outside = mask.copy()
        for column, region in enumerate(result.ignore):
            inside = rle_to_mask(region)
            assert result.ignore_share[row, column] == pytest.approx((mask & inside).sum() / mask.sum())
            outside &= ~inside
        mostly_inside = outside.sum() < mask.sum() / 2
        assert result.ignored[row] == (mostly_inside and not (result.iou[row] > 0.5).any())
    assert result.ignore_labels == (None, "rod")


def test_equal_scores_keep_their_order(disc):
    predicted = [Instance(label, disc(30, 30, 10), 0.5) for label in ("cube", "rod", "sphere")]
    assert image_overlap(predicted, [], 120, 90).labels == ("cube", "rod", "sphere")


def test_keep_filters_by_confidence_and_drops_what_is_ignored(disc):
    truth = [Instance(IGNORE_LABEL, disc(80, 60, 20)), Instance("cube", disc(30, 30, 10))]
    predicted = [
        Instance("cube", disc(80, 60, 10), 0.9),
        Instance("cube", disc(30, 30, 10), 0.6),
        Instance("cube", disc(20, 70, 10), 0.4),
    ]
    result = image_overlap(predicted, truth, 120, 90)
    assert result.ignored.tolist() == [True, False, False]
    assert result.keep(None).scores.tolist() == [0.6, 0.4]
    assert result.keep(None).area.tolist() == result.area[1:].tolist()
    assert result.keep(0.6).scores.tolist() == [0.6]
    assert result.keep(0.61).predicted == ()


def test_particle_on_an_ignore_region_can_be_hit(disc):
    truth = [Instance(IGNORE_LABEL, disc(60, 45, 30)), Instance("cube", disc(60, 45, 10))]
    result = image_overlap([Instance("cube", disc(60, 45, 10), 0.9)], truth, 120, 90)
    assert len(result.keep(0.5).predicted) == 1


def test_mask_of_another_size_is_refused(disc):
    with pytest.raises(ValueError, match="64x64"):
        image_overlap([Instance("cube", disc(30, 30, 10, 64, 64), 0.9)], [], 120, 90)


def test_a_prediction_without_a_pixel_is_none():
    empty = Instance("a", mask_to_rle(np.zeros((8, 8), dtype=bool)), 0.9)
    full = Instance("a", mask_to_rle(np.ones((8, 8), dtype=bool)), 0.5)
    overlap = image_overlap([empty, full], [full], 8, 8)
    assert overlap.scores.tolist() == [0.5]
