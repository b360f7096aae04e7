import numpy as np
import pytest
from scipy.stats import gmean, gstd

from nanoseg_bench.measure.statistics import STATISTICS, compute_statistics, weighted_quantiles

VALUES = np.random.default_rng(0).lognormal(3, 0.4, 57)


def test_with_equal_weights_they_are_the_usual_ones():
    found = {name: value[0] for name, value in compute_statistics(VALUES, np.full((1, 57), 3.0)).items()}
    d10, d50, d90 = np.quantile(VALUES, [0.1, 0.5, 0.9], method="hazen")
    assert found == pytest.approx(
        {
            "mean": VALUES.mean(),
            "sd": VALUES.std(ddof=1),
            "d10": d10,
            "d50": np.median(VALUES),
            "d90": d90,
            "span": (d90 - d10) / d50,
            "geometric_mean": gmean(VALUES),
            "gsd": gstd(VALUES),
        }
    )
    assert list(found) == [each.name for each in STATISTICS]


def test_whole_weights_are_repeated_values():
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, (3, 57))
    found = compute_statistics(VALUES, weights.astype(float))
    for row, of_row in enumerate(weights):
        repeated = np.repeat(VALUES, of_row)
        correction = np.sqrt(57 / 56 * (repeated.size - 1) / repeated.size)
        assert found["mean"][row] == pytest.approx(repeated.mean())
        assert found["geometric_mean"][row] == pytest.approx(gmean(repeated))
        assert found["sd"][row] == pytest.approx(repeated.std(ddof=1) * correction)
        assert found["d50"][row] == pytest.approx(np.median(repeated), rel=0.03)


def literal_quantile(values, weights, level):
    """Between the middles of the steps of those that have a weight."""
    order = np.argsort(values, kind="stable")
    values, weights = values[order][weights[order] > 0], weights[order][weights[order] > 0]
    until = np.cumsum(weights)
    return np.interp(level, (until - weights / 2) / until[-1], values)


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_quantiles_of_resamples(count):
    rng = np.random.default_rng(count)
    values = rng.lognormal(3, 0.4, count).round(0)  # some are equal
    weights = rng.integers(0, 3, (60, count)) * rng.uniform(0.5, 2, count)
    levels = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    for found, of_row in zip(weighted_quantiles(values, weights, levels), weights, strict=True):
        if of_row.sum():
            assert found.tolist() == pytest.approx([literal_quantile(values, of_row, level) for level in levels])
        else:
            assert np.isnan(found).all()


def test_volume_weighted_quantiles_of_a_known_distribution():
    """Hatch and Choate: the median by volume of a log-normal distribution is exp(3 σ²) times that by number."""
    values = np.random.default_rng(2).lognormal(np.log(20), 0.3, 200_000)
    levels = np.array([0.1, 0.5, 0.9])
    by_number, by_area, by_volume = (weighted_quantiles(values, values[None] ** k, levels)[0, 1] for k in (0, 2, 3))
    assert by_number == pytest.approx(20, rel=0.01)
    assert by_area == pytest.approx(20 * np.exp(2 * 0.3**2), rel=0.01)
    assert by_volume == pytest.approx(20 * np.exp(3 * 0.3**2), rel=0.01)


def test_nothing_and_one():
    nothing = compute_statistics(np.zeros(0), np.zeros((1, 0)))
    assert all(np.isnan(value[0]) for value in nothing.values())
    one = compute_statistics(np.array([7.0]), np.array([[2.0]]))
    assert one["mean"][0] == one["d10"][0] == one["d90"][0] == pytest.approx(7)
    assert np.isnan(one["sd"][0])
    assert np.isnan(one["gsd"][0])
