import numpy as np
import pytest

from nanoseg_bench.annotations.raster import rle_to_mask
from nanoseg_bench.metrics.matching import image_overlap
from nanoseg_bench.metrics.pixel import pixel_scores


def test_agrees_with_boolean_arrays_pooled_over_images(scene, overlap):
    rng = np.random.default_rng(0)
    overlaps = [overlap(scene(rng)).keep(0.3) for _ in range(6)]
    both = either = areas = 0
    for one in overlaps:
        shape = (one.height, one.width)
        predicted, truth, ignore = (
            np.logical_or.reduce([np.zeros(shape, bool), *(rle_to_mask(region) for region in regions)])
            for regions in (one.predicted, one.truth, one.ignore)
        )
        both += (predicted & truth & ~ignore).sum()
        either += ((predicted | truth) & ~ignore).sum()
        areas += (predicted & ~ignore).sum() + (truth & ~ignore).sum()
    assert pixel_scores(overlaps).iou == pytest.approx(both / either)
    assert pixel_scores(overlaps).dice == pytest.approx(2 * both / areas)


def test_empty_sides(scene):
    predicted, truth = scene(np.random.default_rng(1), regions=False)
    assert pixel_scores([image_overlap([], truth, 120, 90)]).iou == 0
    assert pixel_scores([image_overlap(predicted, [], 120, 90)]).iou == 0
    assert pixel_scores([image_overlap([], [], 120, 90)]) is None
