import random

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from nanoseg_bench.annotations.coco.regions import read_region
from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.annotations.run_lengths import find_wrong_runs
from nanoseg_bench.errors import AnnotationError


def is_wrong_one_by_one(region):
    """As the reader of COCO files decides it, number by number."""
    segmentation = {"size": [region.height, region.width], "counts": region.counts.decode("latin-1")}
    try:
        read_region(segmentation, (region.width, region.height), "here")
    except AnnotationError:
        return True
    return False


def test_masks_that_were_drawn_add_up():
    rng = np.random.default_rng(0)
    regions = []
    for _ in range(200):
        shape = tuple(rng.integers(1, 60, 2))
        regions.append(mask_to_rle(rng.random(shape) < rng.choice([0.0, 0.02, 0.5, 1.0])))
    large = {"size": [60000, 60000], "counts": [3_000_000_000, 1, 599_999_999]}
    regions.append(Rle(60000, 60000, coco_mask.frPyObjects(large, 60000, 60000)["counts"]))
    assert find_wrong_runs(regions).tolist() == []
    assert find_wrong_runs([]).tolist() == []


def test_random_texts_are_judged_as_one_by_one():
    chance, rng = random.Random(1), np.random.default_rng(1)
    regions = []
    for _ in range(3000):
        mask = rng.random(tuple(rng.integers(1, 30, 2))) < 0.3
        region = mask_to_rle(mask)
        counts = bytearray(region.counts)
        if chance.random() < 0.7:
            for _ in range(chance.randrange(1, 3)):
                place = chance.randrange(len(counts) + 1)
                if chance.random() < 0.5:
                    counts[place : place + 1] = bytes([chance.choice([47, 48, 63, 64, 79, 80, 111, 112, 0, 127])])
                else:
                    del counts[place : place + chance.randrange(4)]
        regions.append(Rle(region.height, region.width, bytes(counts)))
    expected = [number for number, region in enumerate(regions) if is_wrong_one_by_one(region)]
    assert 500 < len(expected) < 2500
    assert find_wrong_runs(regions).tolist() == expected


@pytest.mark.parametrize("size", [(-40, -60), (-40, 60), (10**30, 60), (40.0, 60), (2**33, 2**33), (40, 61)])
def test_an_image_without_a_size_has_no_good_runs(size):
    """Two negative sides have the product of a good image; what they are multiplied for is C code."""
    whole = mask_to_rle(np.eye(40, 60, dtype=bool))
    assert find_wrong_runs([whole]).tolist() == []
    assert find_wrong_runs([whole, Rle(*size, whole.counts)]).tolist() == [1]
