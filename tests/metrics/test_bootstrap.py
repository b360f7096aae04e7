import numpy as np
import pytest

from nanoseg_bench.metrics.bootstrap import draw_weights, group_indices, percentile_interval


def test_groups_are_numbered_in_order_of_appearance():
    indices, count = group_indices(["b", "a", "b", "c"])
    assert indices.tolist() == [0, 1, 0, 2]
    assert count == 3


def test_every_resample_draws_as_many_groups_as_there_are():
    weights = draw_weights(7, 500, np.random.default_rng(0))
    assert weights.shape == (500, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean() == pytest.approx(1.0)
    assert weights.var() == pytest.approx(1 - 1 / 7, abs=0.06)  # multinomial


def test_same_seed_same_weights():
    first, second, other = (draw_weights(5, 20, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_interval_of_a_known_distribution():
    values = np.arange(1001) / 1000
    assert percentile_interval(values) == pytest.approx((0.025, 0.975))
    assert percentile_interval(values, 0.5) == pytest.approx((0.25, 0.75))
    assert percentile_interval(np.append(values, np.nan)) == pytest.approx((0.025, 0.975))
    assert percentile_interval(np.array([np.nan])) is None


def test_interval_of_a_mean_covers_it_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        sample = rng.normal(0, 1, 60)
        means = draw_weights(60, 300, rng) @ sample / 60
        lo, hi = percentile_interval(means)
        covered += lo <= 0 <= hi
    assert 0.89 < covered / 300 < 0.98
