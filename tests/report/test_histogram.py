"""Bins are round, hold every value once, and the curve is the empirical distribution at the bars' middles."""

from itertools import pairwise

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
    assert bins.counts.sum() + bins.below + bins.above == values.size
    assert (bins.below, bins.above) == ((0, 1) if name == "outlier" else (0, 0))
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
    assert bins.below_middle[-1] == 1 - bins.above / values.size
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


def test_a_few_far_values_do_not_squeeze_the_others():
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(50, 5, 200), [400.0, 500.0, 900.0]])
    bins = make_histogram(values)
    assert bins.edges[-1] < 100 and (bins.counts > 5).sum() >= 8, "the bulk is spread over many bins"
    assert (bins.above, bins.below) == (3, 0)
    assert bins.not_shown("nm") == f"3 particles above {bins.edges[-1]:g} nm are not shown"
    assert bins.below_middle[-1] == pytest.approx(200 / 203), "the curve ends where the bins end"
    both = make_histogram(np.append(values, 1.0) + 1000)
    assert both.below == 1 and both.not_shown() == (
        f"1 particle below {both.edges[0]:g} and 3 particles above {both.edges[-1]:g} are not shown"
    )
    assert make_histogram(np.append(values[:200], 900)).not_shown().endswith("is not shown")


@pytest.mark.parametrize(
    "values",
    [
        np.exp(np.random.default_rng(5).normal(3, 0.8, 400)),
        np.concatenate([np.random.default_rng(6).normal(m, 3, n) for m, n in ((20, 180), (300, 20))]),
        np.array([10.0, 11, 12, 13, 200]),
        np.append(np.full(99, 7.0), 70.0),
    ],
    ids=["broad", "second population of a tenth", "few", "equal but one"],
)
def test_what_is_no_outlier_is_shown(values):
    bins = make_histogram(values)
    assert bins.counts.sum() == values.size and bins.not_shown() == ""


def wide_samples():
    rng = np.random.default_rng(7)
    return {
        "two magnifications": np.concatenate([rng.normal(15, 3, 300), rng.normal(900, 150, 80)]),
        "broad": np.exp(rng.normal(4, 1.3, 500)),
        "five decades": 10.0 ** rng.uniform(0, 5, 60),
        "few": np.array([3.0, 20.0, 130.0, 900.0]),
        "on edges": np.array([1.0, 1.6, 2.5, 10.0, 25.0, 100.0]),
    }


@pytest.mark.parametrize("name", wide_samples())
def test_values_of_very_different_sizes_get_logarithmic_bins(name):
    values = wide_samples()[name]
    bins = make_histogram(values)
    assert bins.is_logarithmic and bins.not_shown() == ""
    pairs = list(pairwise(bins.edges))
    assert bins.counts.tolist() == [((values >= low) & (values < high)).sum() for low, high in pairs]
    assert bins.counts.sum() == values.size and len(bins.counts) <= 44
    assert bins.counts[0] == bins.counts[-1] == 0 and bins.counts[1] and bins.counts[-2]
    assert bins.below_middle.tolist() == [(values < middle).mean() for middle in bins.middles]
    # Preferred numbers are rounded to 1 % of a geometric series.
    ratio = 10 ** (1 / round(1 / np.log10(bins.edges[5] / bins.edges[4])))
    assert np.allclose(bins.edges[1:] / bins.edges[:-1], ratio, rtol=0.03)
    assert np.allclose(bins.middles, np.sqrt(bins.edges[1:] * bins.edges[:-1]), rtol=0.02)
    assert all(float(f"{edge:.3g}") == edge for edge in (*bins.edges, *bins.middles))


def test_logarithmic_bins_are_the_series_of_iso_3():
    bins = make_histogram(np.exp(np.random.default_rng(8).normal(4, 1.0, 60)))
    inside = {edge for edge in bins.edges if 9 < edge < 120}
    assert inside in (
        {10, 16, 25, 40, 63, 100},
        {10, 12.5, 16, 20, 25, 31.5, 40, 50, 63, 80, 100},
    )


@pytest.mark.parametrize(
    "values",
    [
        np.append(np.random.default_rng(9).normal(50, 8, 300), 0.4),
        np.random.default_rng(10).uniform(0.01, 1, 300),
        np.random.default_rng(11).normal(50, 8, 100) * np.linspace(0, 1, 100),
    ],
    ids=["one speck", "evenly spread", "zero among them"],
)
def test_bins_stay_even_where_logarithms_would_squeeze_the_bulk(values):
    bins = make_histogram(values)
    assert not bins.is_logarithmic
    assert np.ptp(np.diff(bins.edges)) < 1e-9


def test_logarithmic_bins_begin_at_what_a_value_cannot_be_below():
    bins = make_histogram(1 + 10.0 ** np.random.default_rng(12).uniform(-2, 2, 100), least=1.0)
    assert bins.is_logarithmic and bins.edges[0] == 1 and bins.counts.sum() == 100
