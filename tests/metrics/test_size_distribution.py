import math

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.metrics.size_distribution import (
    equivalent_diameters,
    relative_median_error,
    touches_border,
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
    assert touches_border(mask_to_rle(mask))
    assert equivalent_diameters([mask_to_rle(mask)]).size == 0


@pytest.mark.parametrize("pixel", [(1, 1), (18, 28), (1, 28), (18, 1)])
def test_second_row_or_column_does_not_touch(pixel):
    mask = np.zeros((20, 30))
    mask[pixel] = 1
    assert not touches_border(mask_to_rle(mask))
    assert equivalent_diameters([mask_to_rle(mask)]).size == 1


def test_nothing_has_no_diameter():
    assert equivalent_diameters([]).size == 0
    assert equivalent_diameters([mask_to_rle(np.zeros((5, 5)))]).size == 0


def test_median_error_is_signed():
    truth = np.array([10.0, 20.0, 30.0])
    assert relative_median_error(truth * 1.1, truth) == pytest.approx(0.1)
    assert relative_median_error(truth * 0.9, truth) == pytest.approx(-0.1)
    assert relative_median_error(np.zeros(0), truth) is None
    assert relative_median_error(truth, np.zeros(0)) is None


def test_wasserstein_of_equal_sizes_is_the_mean_gap_of_sorted_values():
    rng = np.random.default_rng(0)
    first, second = rng.gamma(5, 4, 50), rng.gamma(6, 4, 50)
    expected = np.abs(np.sort(first) - np.sort(second)).mean()
    assert wasserstein_1(first, second) == pytest.approx(expected)
    assert wasserstein_1(first, second[:20]) == pytest.approx(wasserstein_distance(first, second[:20]))
    assert wasserstein_1(first, np.zeros(0)) is None
