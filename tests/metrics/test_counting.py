import numpy as np
import pytest

from nanoseg_bench.metrics.counting import (
    absolute_count_error,
    count_errors_per_image,
    relative_count_error,
)


def test_relative_error_is_signed_and_pooled():
    assert relative_count_error([8, 1], [10, 5]) == pytest.approx(-6 / 15)
    assert relative_count_error([20], [10]) == pytest.approx(1.0)
    assert relative_count_error([3], [0]) is None


def test_absolute_errors_do_not_cancel():
    assert relative_count_error([12, 8], [10, 10]) == 0
    assert absolute_count_error([12, 8], [10, 10]) == 2
    assert absolute_count_error([], []) is None


def test_every_image_weighs_the_same_in_the_median():
    errors = count_errors_per_image([90, 1, 3, 7, 5], [100, 2, 3, 0, 4])
    assert errors.bias == pytest.approx(np.median([-0.1, -0.5, 0, 0.25]))
    assert errors.typical == pytest.approx(np.median([0.1, 0.5, 0, 0.25]))
    assert (errors.images, errors.unanswered) == (4, 0)
    assert count_errors_per_image([3], [0]) is None
