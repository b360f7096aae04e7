"""Bins are round, hold every value once, and the curve is the empirical distribution at the bars' middles."""

import numpy as np
import pytest

from nanoseg_bench.report.histogram import make_histogram


def samples():
    rng = np.random.default_rng(0)
    return {
        "normal": rng.normal(50, 8, 200),
        "log-normal": np.exp(rng.normal(3, 0.6, 1000)),
        "tiny": np.exp(rng.normal(-9, 0.3, 50)),
        "two": np.array([3.0, 8.0]),
        "one": np.array([17.3]),
        "same": np.full(40, 12.5),
        "near zero": rng.uniform(0.0, 1.0, 100),
        "on edges": np.array([10.0, 12.0, 12.0, 14.0, 20.0]),
        "outlier": np.append(rng.normal(10, 0.1, 500), 1000.0),
        "zero": np.zeros(3),
    }


@pytest.mark.parametrize("name", samples())
def test_bins(name):
    values = samples()[name]
    bins = make_histogram(values)
    assert bins.counts.sum() == values.size
    expected = [
        ((values >= low) & (values < high)).sum() for low, high in zip(bins.edges, bins.edges[1:], strict=False)
    ]
    assert bins.counts.tolist() == expected
    assert bins.count(values).tolist() == expected
    assert bins.counts[-1] == 0 and (bins.counts[0] == 0 or bins.edges[0] == 0)
    assert len(bins.counts) <= 44
    assert bins.below_middle.tolist() == [
        (values < (low + high) / 2).mean() for low, high in zip(bins.edges, bins.edges[1:], strict=False)
    ]
    assert bins.below_middle[-1] == 1
    width = bins.edges[1] - bins.edges[0]
    digits = f"{width:.3e}".split("e")[0]
    assert digits in ("1.000", "2.000", "5.000")
    assert np.allclose(bins.edges / width, np.round(bins.edges / width))


def test_width_follows_freedman_and_diaconis():
    values = np.random.default_rng(1).normal(100, 10, 1000)
    width = np.diff(make_histogram(values).edges)[0]
    wanted = 2 * np.subtract(*np.percentile(values, (75, 25))) / 10
    assert 0.63 * wanted <= width <= 1.6 * wanted


def test_no_value_no_bins():
    with pytest.raises(ValueError, match="no values"):
        make_histogram(np.array([]))


def test_no_bin_lies_below_what_a_value_cannot_be():
    bins = make_histogram(np.array([1.0, 1.02, 1.1, 1.3]), least=1.0)
    assert bins.edges[0] == 1 and bins.counts.sum() == 4
