import numpy as np
import pytest
from scipy.stats import lognorm, norm

from nanoseg_bench.measure.fits import better_fit, fit_distributions


def test_fits_are_those_of_scipy():
    values = np.random.default_rng(0).lognormal(3, 0.4, 300)
    normal, log_normal = fit_distributions(values)
    assert (normal.centre, normal.width) == pytest.approx(norm.fit(values))
    shape, _, scale = lognorm.fit(values, floc=0)
    assert (log_normal.centre, log_normal.width) == pytest.approx((scale, np.exp(shape)), rel=1e-4)
    assert normal.aic == pytest.approx(4 - 2 * norm(*norm.fit(values)).logpdf(values).sum())
    where = np.linspace(5, 60, 2001)
    assert np.trapezoid(np.exp(log_normal.log_density(where)), where) == pytest.approx(
        np.ptp(log_normal.cumulative(where[[0, -1]])), abs=1e-4
    )


def test_the_distribution_that_a_sample_is_of_fits_better():
    rng = np.random.default_rng(1)
    assert better_fit(fit_distributions(rng.lognormal(3, 0.5, 300))).name == "log-normal"
    assert better_fit(fit_distributions(rng.normal(30, 8, 300).clip(1))).name == "normal"
    assert better_fit(fit_distributions(rng.normal(30, 1, 40))) is None


def test_weights_are_repeated_values():
    values = np.random.default_rng(2).lognormal(3, 0.4, 30)
    weights = np.random.default_rng(3).integers(1, 4, 30)
    for weighted, repeated in zip(
        fit_distributions(values, weights.astype(float)), fit_distributions(np.repeat(values, weights)), strict=True
    ):
        assert (weighted.centre, weighted.width) == pytest.approx((repeated.centre, repeated.width))


def test_equal_sizes_and_too_few_have_no_fit():
    assert fit_distributions(np.array([5.0, 5.0, 5.0])) == fit_distributions(np.array([5.0, 6.0])) == ()
    assert better_fit(()) is None
