import numpy as np
import pytest

from nanoseg_bench.metrics.bootstrap import draw_weights
from nanoseg_bench.metrics.seeds import SeedEffects, interval_over_both, seed_effects


def simulate(rng, *, seeds, images, seed_sd, image_sd, rest_sd, resamples=300):
    """Scores that are means over images of a seed's, an image's and a pair's own effect."""
    table = (
        rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, image_sd, images) + rng.normal(0, rest_sd, (seeds, images))
    )
    weights = draw_weights(images, resamples, rng)
    return table.mean(axis=1), table @ weights.T / images


def test_both_variances_are_found_again():
    rng = np.random.default_rng(0)
    sizes = {"seeds": 5, "images": 60, "seed_sd": 0.05, "image_sd": 0.3, "rest_sd": 0.2}
    effects = [seed_effects(*simulate(rng, **sizes)) for _ in range(150)]
    assert np.mean([one.variance_sampling for one in effects]) == pytest.approx((0.3**2 + 0.2**2 / 5) / 60, rel=0.1)
    assert np.mean([one.variance_seed for one in effects]) == pytest.approx(0.05**2, rel=0.2)
    assert np.mean([one.spread**2 for one in effects]) == pytest.approx(0.05**2 + 0.2**2 / 60, rel=0.2)


def test_standard_error_is_the_spread_of_the_mean_over_images_and_seeds():
    rng = np.random.default_rng(1)
    sizes = {"seeds": 3, "images": 40, "seed_sd": 0.1, "image_sd": 0.3, "rest_sd": 0.3}
    effects = [seed_effects(*simulate(rng, **sizes)) for _ in range(200)]
    expected = np.std([one.mean for one in effects])
    assert np.sqrt(np.mean([one.standard_error**2 for one in effects])) == pytest.approx(expected, rel=0.15)


def test_seeds_that_differ_only_by_the_images_have_no_variance_of_their_own():
    rng = np.random.default_rng(2)
    sizes = {"seeds": 4, "images": 50, "seed_sd": 0.0, "image_sd": 0.1, "rest_sd": 0.4}
    effects = [seed_effects(*simulate(rng, **sizes)) for _ in range(100)]
    spread = np.mean([one.spread**2 for one in effects])
    assert spread == pytest.approx(0.4**2 / 50, rel=0.2)
    # Not 0 on average: of few seeds the estimate scatters, and below 0 it is cut off.
    assert np.mean([one.variance_seed for one in effects]) < spread / 2
    assert np.mean([one.variance_seed == 0 for one in effects]) > 0.4


def test_the_interval_over_both_covers_what_it_says_with_few_seeds():
    """Two and three seeds whose scores move with the images each in its own way: the mean is inside 95 times of 100."""
    rng, repeats = np.random.default_rng(5), 3000
    for seeds, seed_sd, image_sd, rest_sd in ((2, 1.18, 0.36, 1.0), (2, 1.0, 1.0, 1.0), (3, 1.18, 0.36, 1.0)):
        inside = 0
        for _ in range(repeats):
            scores = rng.normal(0, image_sd) + rng.normal(0, np.hypot(seed_sd, rest_sd), seeds)
            spread, sampling = scores.std(ddof=1), image_sd**2 + rest_sd**2 / seeds
            variance_seed = max(spread**2 - rest_sd**2, 0.0)
            error = np.sqrt(variance_seed / seeds + sampling)
            low, high = interval_over_both(SeedEffects(scores.mean(), spread, variance_seed, sampling, error), seeds)
            inside += low <= 0 <= high
        # Binomial: 1.2 % are three deviations; of an estimated variance the interval is not exact.
        assert 0.925 < inside / repeats < 0.975, (seeds, seed_sd)


def test_the_interval_over_both_never_counts_fewer_degrees_of_freedom_than_the_seeds_have():
    without_error = SeedEffects(0.5, 0.1, 0.0, 0.0, 0.0)
    assert interval_over_both(without_error, 2) == (0.5, 0.5)


def test_one_seed_tells_nothing_about_seeds():
    resampled = np.random.default_rng(3).normal(0.5, 0.1, (1, 400))
    effects = seed_effects(np.array([0.5]), resampled)
    assert (effects.mean, effects.spread, effects.variance_seed, effects.standard_error) == (0.5, None, None, None)
    assert effects.variance_sampling == pytest.approx(0.01, rel=0.2)
    without = seed_effects(np.array([0.5, 0.6]), np.full((2, 5), np.nan))
    assert without.spread == pytest.approx(np.std([0.5, 0.6], ddof=1))
    assert (without.variance_sampling, without.variance_seed) == (None, None)


def test_resample_without_a_particle_is_left_out():
    scores, resampled = simulate(
        np.random.default_rng(4), seeds=3, images=20, seed_sd=0.1, image_sd=0.3, rest_sd=0.1, resamples=50
    )
    holes = np.concatenate([resampled, np.full((3, 7), np.nan)], axis=1)
    assert seed_effects(scores, holes) == seed_effects(scores, resampled)


def test_a_seed_without_resamples_is_refused():
    with pytest.raises(ValueError, match="2 scores and 1 rows"):
        seed_effects(np.array([0.1, 0.2]), np.zeros((1, 9)))
    with pytest.raises(ValueError, match="0 scores"):
        seed_effects(np.zeros(0), np.zeros((0, 9)))
