import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import rle_to_mask
from nanoseg_bench.metrics.aggregated_jaccard import aggregated_jaccard_index
from nanoseg_bench.metrics.matching import image_overlap


def literal(one):
    truth = [rle_to_mask(region) for region in one.truth]
    predicted = [rle_to_mask(region) for region in one.predicted]
    intersection = joint = 0
    used = set()
    for particle in truth:
        ious = [(particle & mask).sum() / (particle | mask).sum() for mask in predicted]
        best = int(np.argmax(ious)) if ious else None
        if best is None or ious[best] == 0:
            joint += particle.sum()
            continue
        intersection += (particle & predicted[best]).sum()
        joint += (particle | predicted[best]).sum()
        used.add(best)
    joint += sum(mask.sum() for index, mask in enumerate(predicted) if index not in used)
    return intersection / joint


def test_agrees_with_boolean_arrays_image_by_image(scene, overlap):
    rng = np.random.default_rng(0)
    overlaps = [overlap(scene(rng)).keep(0.3) for _ in range(6)]
    expected = [literal(one) for one in overlaps]
    assert aggregated_jaccard_index(overlaps) == pytest.approx(np.mean(expected))
    assert 0 < min(expected) < max(expected) < 1


def test_ends_of_the_scale(disc):
    truth = [Instance("a", disc(30, 30, 10)), Instance("a", disc(80, 60, 10))]
    perfect = [Instance("a", one.region, 0.9) for one in truth]
    assert aggregated_jaccard_index([image_overlap(perfect, truth, 120, 90)]) == 1
    assert aggregated_jaccard_index([image_overlap([], truth, 120, 90)]) == 0
    assert aggregated_jaccard_index([image_overlap(perfect, [], 120, 90)]) == 0
    far = [Instance("a", disc(100, 15, 6), 0.9)]
    assert aggregated_jaccard_index([image_overlap(far, truth, 120, 90)]) == 0
    empty = image_overlap([], [], 120, 90)
    assert aggregated_jaccard_index([empty]) is None
    assert aggregated_jaccard_index([empty, image_overlap(perfect, truth, 120, 90)]) == 1
