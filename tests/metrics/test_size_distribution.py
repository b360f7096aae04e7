import math

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.metrics.size_distribution import (
    diameter_errors,
    diameter_errors_per_image,
    equivalent_diameters,
    inner_diameters,
    quantile_errors,
    wasserstein_1,
)


def test_diameter_of_a_disc(disc):
    assert equivalent_diameters([disc(60, 45, 30)])[0] == pytest.approx(60, rel=0.005)


def test_diameter_of_a_rectangle():
    mask = np.zeros((20, 30))
    mask[3:7, 5:14] = 1
    assert equivalent_diameters([mask_to_rle(mask)]).tolist() == [pytest.approx(math.sqrt(4 * 36 / math.pi))]


@pytest.mark.parametrize("pixel", [(0, 9), (19, 9), (9, 0), (9, 29)])
def test_one_pixel_on_any_side_touches(pixel):
    mask = np.zeros((20, 30))
    mask[pixel] = 1
    assert equivalent_diameters([mask_to_rle(mask)]).size == 0


@pytest.mark.parametrize("pixel", [(1, 1), (18, 28), (1, 28), (18, 1)])
def test_second_row_or_column_does_not_touch(pixel):
    mask = np.zeros((20, 30))
    mask[pixel] = 1
    assert equivalent_diameters([mask_to_rle(mask)]).size == 1


def test_nothing_has_no_diameter():
    assert equivalent_diameters([]).size == 0
    assert equivalent_diameters([mask_to_rle(np.zeros((5, 5)))]).size == 0


def test_errors_of_quantiles_are_signed_and_in_the_unit_of_the_samples():
    truth = np.arange(0.0, 101.0)
    assert quantile_errors(truth + 3, truth) == {"d10": 3, "median": 3, "d90": 3}
    assert quantile_errors(truth * 0.9, truth) == pytest.approx({"d10": -1, "median": -5, "d90": -9})
    assert quantile_errors(np.zeros(0), truth) is None
    assert quantile_errors(truth, np.zeros(0)) is None


def test_wasserstein_of_equal_sizes_is_the_mean_gap_of_sorted_values():
    rng = np.random.default_rng(0)
    first, second = rng.gamma(5, 4, 50), rng.gamma(6, 4, 50)
    expected = np.abs(np.sort(first) - np.sort(second)).mean()
    assert wasserstein_1(first, second) == pytest.approx(expected)
    assert wasserstein_1(first, second[:20]) == pytest.approx(wasserstein_distance(first, second[:20]))
    assert wasserstein_1(first, np.zeros(0)) is None


def test_diameters_of_an_overlap_are_those_of_each_side(scene, overlap):
    rng = np.random.default_rng(1)
    left_out = 0
    for _ in range(4):
        one = overlap(scene(rng))
        predicted, truth = inner_diameters(one)
        assert predicted.tolist() == equivalent_diameters(one.predicted).tolist()
        assert truth.tolist() == equivalent_diameters(one.truth).tolist()
        left_out += len(one.predicted) - predicted.size
    assert left_out > 0
    nothing = overlap(([], []))
    assert inner_diameters(nothing)[0].size == inner_diameters(nothing)[1].size == 0


def test_errors_of_a_sample_scaled_by_a_factor():
    truth = np.random.default_rng(0).gamma(5, 4, 200)
    errors = diameter_errors(1.1 * truth, truth)
    assert (errors.median, errors.d10, errors.d90) == pytest.approx((0.1, 0.1, 0.1))
    assert errors.w1 == pytest.approx(0.1 * truth.mean())
    assert errors.w1_relative == pytest.approx(0.1)
    shifted = diameter_errors(truth + 2, truth)
    assert shifted.w1 == pytest.approx(2)
    assert shifted.d10 == pytest.approx(2 / np.percentile(truth, 10))
    assert shifted.d90 == pytest.approx(2 / np.percentile(truth, 90))
    assert diameter_errors(truth, np.zeros(0)) is None
    assert diameter_errors(np.zeros(0), truth) is None


def test_errors_per_image_are_medians_and_silence_is_no_advantage():
    truth = [np.array([10.0]), np.array([20.0, 20.0]), np.array([30.0]), np.zeros(0)]
    predicted = [np.array([11.0]), np.array([18.0]), np.array([30.0]), np.array([5.0])]
    errors = diameter_errors_per_image(predicted, truth)
    assert errors.median.bias == pytest.approx(0)
    assert errors.median.typical == pytest.approx(0.1)
    assert errors.w1.typical == pytest.approx(1)
    assert errors.w1_relative.typical == pytest.approx(0.1)
    assert errors.d90.images == 3
    silent = diameter_errors_per_image([predicted[0], predicted[1], np.zeros(0), predicted[3]], truth)
    assert silent.median.typical == pytest.approx(0.1)
    assert (silent.median.images, silent.median.unanswered) == (3, 1)
    assert silent.median.bias == pytest.approx(0)
    mute = diameter_errors_per_image([predicted[0], np.zeros(0), np.zeros(0), np.zeros(0)], truth)
    assert mute.median.typical is None
    assert mute.median.bias == pytest.approx(0.1)
    assert diameter_errors_per_image([np.zeros(0)], [np.zeros(0)]) is None
