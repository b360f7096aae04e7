import numpy as np
import pytest

from nanoseg_bench.annotations.raster import rle_to_mask
from nanoseg_bench.metrics.matching import match
from nanoseg_bench.metrics.size_pairs import LEAST_PAIRS, pair_diameters, pair_errors, pooled_pairs


def is_cut(region):
    mask = rle_to_mask(region)
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def test_a_pair_is_left_out_where_either_side_is_cut(scene, overlap):
    cut = whole = 0
    for seed in range(6):
        one = overlap(scene(np.random.default_rng(seed), particles=30))
        expected = []
        for row, column in zip(*match(one.iou), strict=True):
            sides = one.predicted[row], one.truth[column]
            if any(map(is_cut, sides)):
                cut += 1
                continue
            whole += 1
            expected.append([np.sqrt(4 * rle_to_mask(side).sum() / np.pi) for side in sides])
        found = np.transpose(pair_diameters(one)).tolist()
        assert sorted(found) == [pytest.approx(pair) for pair in sorted(expected)]
    assert cut > 5 and whole > 20


def test_errors_of_pairs_that_are_a_factor_and_a_noise_apart():
    """Of many normal errors the spread is the standard deviation, and a few failures do not move it."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(10, 50, 20_000)
    predicted = truth * (1.05 + rng.normal(0, 0.04, truth.size))
    errors = pair_errors(predicted, truth)
    assert errors.bias_relative == pytest.approx(0.05, abs=0.001)
    assert errors.spread_relative == pytest.approx(0.04, rel=0.02)
    assert errors.bias == pytest.approx(np.median(predicted - truth))
    predicted[:200] *= 1.4
    failing = pair_errors(predicted, truth)
    assert failing.spread_relative == pytest.approx(errors.spread_relative, rel=0.03)
    assert np.std(predicted / truth) > 1.2 * errors.spread_relative


def test_few_pairs_say_nothing():
    sizes = np.linspace(10, 20, LEAST_PAIRS)
    assert pair_errors(sizes, sizes) is not None
    assert pair_errors(sizes[1:], sizes[1:]) is None
    assert [side.size for side in pooled_pairs([])] == [0, 0]
