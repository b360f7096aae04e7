import math

import numpy as np
import pytest
from scipy.stats import norm

from nanoseg_bench.measure.resampling import FEW, MIN_IMAGES, MIN_PARTICLES, _draw, estimate

SETS = 250


def coverage(sample, truth, statistics):
    """Share of the intervals of many samples that hold the truth."""
    rng = np.random.default_rng(4)
    hits = dict.fromkeys(statistics, 0)
    for _ in range(SETS):
        values, images = sample(rng)
        found, _ = estimate(values, np.ones_like(values), images, resamples=300, seed=int(rng.integers(1 << 30)))
        for name in statistics:
            hits[name] += found[name].lo <= truth[name] <= found[name].hi
    return {name: number / SETS for name, number in hits.items()}


def test_intervals_over_particles_hold_the_truth():
    def sample(rng):
        return rng.lognormal(3, 0.3, 40), np.zeros(40, dtype=np.intp)

    truth = {"mean": math.exp(3 + 0.045), "d50": math.exp(3), "geometric_mean": math.exp(3)}
    for share in coverage(sample, truth, truth).values():
        assert 0.91 <= share <= 0.99


def test_intervals_over_few_images_hold_the_truth_although_images_differ():
    """With the same draws, the plain percentiles hold it in 85 of 100 cases, and resamples of particles in 45."""

    def sample(rng):
        images = np.repeat(np.arange(6), 20)
        return np.exp(3 + rng.normal(0, 0.15, 6)[images] + rng.normal(0, 0.2, 120)), images

    truth = {"mean": math.exp(3 + (0.15**2 + 0.2**2) / 2), "geometric_mean": math.exp(3)}
    for share in coverage(sample, truth, truth).values():
        assert 0.91 <= share <= 0.99


def test_images_are_drawn_from_five_on():
    values = np.random.default_rng(0).lognormal(3, 0.3, 60)
    for count in (MIN_IMAGES - 1, MIN_IMAGES):
        _, drawn = estimate(values, np.ones(60), np.arange(60) % count, resamples=20, seed=0)
        assert drawn == ("images" if count == MIN_IMAGES else "particles")


def test_the_same_seed_gives_the_same_interval_in_whatever_pieces(monkeypatch):
    values = np.random.default_rng(0).lognormal(3, 0.3, 40)
    arguments = (values, np.ones(40), np.zeros(40, dtype=np.intp))
    ends = {}
    for cells in (4_000_000, 300):
        monkeypatch.setattr("nanoseg_bench.measure.resampling._CELLS", cells)
        for seed in (3, 4):
            found, _ = estimate(*arguments, resamples=100, seed=seed)
            ends[cells, seed] = [end for each in found.values() for end in (each.lo, each.hi)]
    assert ends[300, 3] == pytest.approx(ends[4_000_000, 3])
    assert ends[300, 3] != pytest.approx(ends[300, 4])


def test_draws_are_as_many_as_there_are():
    rows = np.concatenate(list(_draw(7, 7, 50, np.random.default_rng(0))))
    assert rows.shape == (50, 7)
    assert (rows.sum(axis=1) == 7).all()


def test_standard_error_of_the_mean_is_that_of_the_formula():
    values = np.random.default_rng(5).normal(50, 10, 80)
    found, _ = estimate(values, np.ones(80), np.zeros(80, dtype=np.intp), resamples=4000, seed=0)
    assert found["mean"].standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(80), rel=0.05)
    assert found["mean"].value == pytest.approx(values.mean())


def test_one_particle_has_no_interval():
    found, _ = estimate(np.array([5.0]), np.ones(1), np.zeros(1, dtype=np.intp), resamples=10, seed=0)
    assert found["mean"].value == 5
    assert math.isnan(found["mean"].lo)
    nothing, _ = estimate(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.intp), resamples=10, seed=0)
    assert math.isnan(nothing["mean"].value)


@pytest.mark.parametrize("count", [0, 1, 3, 9, 10])
def test_few_particles_carry_no_tenths_and_no_intervals(count):
    values = np.linspace(10.0, 20.0, count)
    found, _ = estimate(values, np.ones(count), np.zeros(count, dtype=np.intp), resamples=50, seed=0)
    few = count < MIN_PARTICLES
    assert [math.isnan(found[name].value) for name in ("d10", "d90", "span")] == [few] * 3
    assert math.isnan(found["d50"].value) == (count == 0) and math.isnan(found["d50"].lo) == few
    if count:
        assert found["d50"].value == pytest.approx(15 if count > 1 else 10)


@pytest.mark.parametrize("count", [MIN_PARTICLES, FEW - 1, FEW])
def test_few_particles_carry_no_intervals_of_tenths(count):
    """In more than 2.5 % of all samples the true D90 is larger than all of fewer than 36 particles."""
    assert (0.9**count > 0.025) == (count < FEW)
    values = np.random.default_rng(0).lognormal(3, 0.3, count)
    found, _ = estimate(values, np.ones(count), np.zeros(count, dtype=np.intp), resamples=50, seed=0)
    for name in ("d10", "d90", "span"):
        assert not math.isnan(found[name].value)
        assert [math.isnan(end) for end in (found[name].lo, found[name].hi)] == [count < FEW] * 2, name
    assert found["d50"].lo < found["d50"].value < found["d50"].hi


def test_intervals_of_tenths_hold_the_truth_from_as_many_on_as_have_them():
    def sample(rng):
        return rng.lognormal(3, 0.3, FEW), np.zeros(FEW, dtype=np.intp)

    truth = {name: math.exp(3 + 0.3 * norm.ppf(level)) for name, level in (("d10", 0.1), ("d90", 0.9))}
    for share in coverage(sample, truth, truth).values():
        assert 0.84 <= share <= 0.99
