import numpy as np
import pytest

from nanoseg_bench.metrics.per_image import summarise


def test_medians_of_signed_and_absolute_errors():
    errors = summarise(np.array([-0.3, 0.1, 0.2, -0.05]))
    assert errors.bias == pytest.approx(0.025)
    assert errors.typical == pytest.approx(0.15)
    assert (errors.images, errors.unanswered) == (4, 0)


def test_an_unanswered_image_counts_as_infinitely_wrong():
    errors = summarise(np.array([0.1, 0.2, np.nan]))
    assert errors.typical == pytest.approx(0.2)
    assert errors.bias == pytest.approx(0.15)
    assert summarise(np.array([0.1, np.nan])).typical is None
    assert summarise(np.array([np.nan])) == summarise(np.array([np.nan]))
    assert summarise(np.array([np.nan])).bias is None
    assert summarise(np.zeros(0)) is None
