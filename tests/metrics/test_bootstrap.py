import numpy as np
import pytest

from nanoseg_bench.metrics.bootstrap import (
    draw_weights,
    group_indices,
    paired_difference,
    percentile_interval,
    resampled_quantile,
    resampled_ratio,
)


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


def test_paired_interval_is_narrower_where_images_are_hard_for_both():
    rng = np.random.default_rng(0)
    difficulty, gain = rng.normal(0, 1, 80), rng.normal(0.1, 0.05, 80)
    weights = draw_weights(80, 2000, rng)
    reference, values = weights @ difficulty / 80, weights @ (difficulty + gain) / 80
    lo, hi = paired_difference(values, reference)
    assert 0 < lo < 0.1 < hi
    assert hi - lo == pytest.approx(2 * 1.96 * 0.05 / np.sqrt(80), rel=0.25)
    unpaired = percentile_interval(values)
    assert hi - lo < (unpaired[1] - unpaired[0]) / 5
    assert paired_difference(np.array([np.nan]), np.array([1.0])) is None


def test_resampled_ratio_equals_repeating_the_images():
    rng = np.random.default_rng(1)
    groups = np.array([0, 0, 1, 2, 2, 2])
    upper, lower = rng.integers(0, 9, 6).astype(float), rng.integers(1, 9, 6).astype(float)
    weights = draw_weights(3, 20, rng)
    for value, row in zip(resampled_ratio(upper, lower, groups, weights), weights, strict=True):
        images = [image for image in range(6) for _ in range(int(row[groups[image]]))]
        assert value == pytest.approx(upper[images].sum() / lower[images].sum())
    assert np.isnan(resampled_ratio(upper, np.zeros(6), groups, weights)).all()


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_resampled_quantile_equals_repeating_the_values(level):
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 5, 40)
    values = rng.gamma(5, 4, 40).round(1)  # ties
    weights = draw_weights(5, 30, rng)
    for value, row in zip(resampled_quantile(values, groups, weights, level), weights, strict=True):
        repeated = np.repeat(values, row[groups].astype(int))
        assert value == pytest.approx(np.quantile(repeated, level))
    nothing = resampled_quantile(values, np.zeros(40, dtype=int), np.array([[0.0, 3.0]]), level)
    assert np.isnan(nothing).all()
