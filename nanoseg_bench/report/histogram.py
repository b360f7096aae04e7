"""Bins with round edges, for the eye: no statistic is computed from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.wording import counted

_ROUND = (1.0, 2.0, 5.0, 10.0)
_FEWEST, _MOST = 6, 40  # bins over the range that is shown

_FENCES = 5.0
_LEAST_GAIN = 2.0
_MOST_BEYOND = 0.05
"""How many interquartile ranges the axis reaches beyond the quartiles where it is limited; it is where all values would
need so many times its length, and so small a part of them lies beyond. Tukey calls values far out from 3 interquartile
ranges on (Exploratory Data Analysis, 1977); a broad log-normal distribution has such values, and keeps them here."""

_WIDE = 20.0
_ENDS = (5, 50, 95)
"""Ratio of the last to the first of these percentiles from which bins may be logarithmic: of equal width, most of the
smaller particles would share one. Percentiles, so that a single speck does not bend the axis of all others."""

_PREFERRED = (
    1.0, 1.06, 1.12, 1.18, 1.25, 1.32, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.12, 2.24, 2.36, 2.5, 2.65, 2.8, 3.0,
    3.15, 3.35, 3.55, 3.75, 4.0, 4.25, 4.5, 4.75, 5.0, 5.3, 5.6, 6.0, 6.3, 6.7, 7.1, 7.5, 8.0, 8.5, 9.0, 9.5,
)  # fmt: skip
"""The series R40 of preferred numbers (ISO 3); every second is R20, every fourth R10, every eighth R5. Sizes and sieves
are divided by them (ISO 9276-1, ISO 565)."""

_PER_DECADE = (20, 10, 5)
"""Logarithmic bins of a decade, finest first."""


@dataclass(frozen=True, eq=False, slots=True)
class Histogram:
    """Numbers of values per bin; a value on an edge belongs to the bin above.

    Bins are of equal width, or of equal ratio where they are logarithmic. A few values that lie so far from all others
    that these would be squeezed into some bins have none.

    Attributes:
        edges: (N + 1,) ascending; whole multiples of the bin width, or preferred numbers (ISO 3).
        middles: (N,) of the bins; of logarithmic ones by ratio.
        counts: (N,) values in each bin. On a side without values beyond it, the outermost bin is empty, unless no value
            can be that small.
        below_middle: (N,) share of all values that are smaller than the middle of the bin, 0 to 1: the empirical
            distribution function at the places where a chart draws it.
        below: Number of the values below the first edge.
        above: Number of the values from the last edge on.
        is_logarithmic: Whether the bins are of equal ratio.
    """

    edges: NDArray[np.float64]
    middles: NDArray[np.float64]
    counts: NDArray[np.int64]
    below_middle: NDArray[np.float64]
    below: int
    above: int
    is_logarithmic: bool = False

    def count(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """(N,) numbers of other values, such as those of one class, in the same bins."""
        return _counts(values, self.edges)

    def not_shown(self, unit: str = "") -> str:
        """What lies beyond the bins: ``3 particles above 90 nm are not shown``; empty where there is nothing.

        Args:
            unit: Of the values; empty where there is none.
        """
        in_unit = f" {unit}" if unit else ""
        sides = [
            f"{counted(number, 'particle')} {side} {edge:g}{in_unit}"
            for number, side, edge in (
                (self.below, "below", self.edges[0]),
                (self.above, "above", self.edges[-1]),
            )
            if number
        ]
        return f"{' and '.join(sides)} {'is' if self.below + self.above == 1 else 'are'} not shown" if sides else ""


def make_histogram(values: NDArray[np.float64], least: float = 0.0) -> Histogram:
    """Choose bins and count.

    The width is that of Freedman and Diaconis, 2·IQR/n^(1/3) (Z. Wahrscheinlichkeitstheorie verw. Geb. 57, 1981,
    453-476), rounded to 1, 2 or 5 times a power of ten, such that 6 to 40 bins cover the values that are shown. One
    empty bin stands on either side, but none below ``least``, so that the cumulative curve begins at 0 and ends at 1
    where all values are shown.

    Values of very different sizes, as of micrographs of different magnifications, get logarithmic bins: where the 95th
    percentile is 20 times the 5th or more, and the median lies nearer to the middle of the two by ratio than by
    difference. The same rule chooses among 20, 10 and 5 bins of a decade, with the logarithms of the values, and all
    values are shown.

    Args:
        values: (n,) finite, at least one, none below ``least``.
        least: What a value cannot be below, such as 1 of an aspect ratio.

    Raises:
        ValueError: There is no value.
    """
    if not values.size:
        raise ValueError("no values, no bins")
    is_logarithmic = _is_wide(values)
    edges, middles = _logarithmic_bins(values, least) if is_logarithmic else _even_bins(values, least)
    below_middle = np.searchsorted(np.sort(values), middles, side="left") / values.size
    below, above = int((values < edges[0]).sum()), int((values >= edges[-1]).sum())
    return Histogram(edges, middles, _counts(values, edges), below_middle, below, above, is_logarithmic)


def _is_wide(values: NDArray[np.float64]) -> bool:
    ends = np.percentile(values, _ENDS)
    if values.min() <= 0 or ends[-1] < _WIDE * ends[0]:
        return False
    return bool(abs(_skewness(*np.log(ends))) < abs(_skewness(*ends)))


def _skewness(low: float, middle: float, high: float) -> float:
    """Bowley's coefficient: 0 where the second of three quantiles is in the middle, 1 or -1 where it is at an end."""
    return (low + high - 2 * middle) / (high - low)


def _even_bins(values: NDArray[np.float64], least: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges and middles."""
    shown = _without_far_out(values)
    low, high = float(shown.min()), float(shown.max())
    width = _bin_width(shown, low, high)
    first = max(int(np.floor(low / width)) - 1, int(np.floor(least / width)))
    last = int(np.floor(high / width)) + 2
    # Rounded, since 3 × 0.1 is no 0.3; the digits that go are 12 orders below the values.
    edges = np.array([float(f"{number * width:.12g}") for number in range(first, last + 1)])
    return edges, np.round((edges[:-1] + edges[1:]) / 2, 12)


def _logarithmic_bins(values: NDArray[np.float64], least: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of R5, R10 or R20, and middles, which are of the next finer series."""
    exponents = np.log10(values)
    wanted = 2 * np.subtract(*np.percentile(exponents, (75, 25))) / values.size ** (1 / 3)
    allowed = [number for number in _PER_DECADE if np.ptp(exponents) * number <= _MOST] or [_PER_DECADE[-1]]
    per_decade = min(allowed, key=lambda number: abs(np.log(max(wanted, 1e-9) * number)))
    decades = range(int(np.floor(exponents.min())) - 1, int(np.floor(exponents.max())) + 2)
    step = len(_PREFERRED) // per_decade // 2
    every = np.array([float(f"{each}e{decade}") for decade in decades for each in _PREFERRED[::step]])
    edges, middles = every[::2], every[1::2]
    # One bin before that of the smallest value, and one after that of the largest.
    first = max(int(np.searchsorted(edges, values.min(), side="right")) - 2, int((edges <= least).sum()) - 1)
    last = int(np.searchsorted(edges, values.max(), side="right")) + 1
    return edges[first : last + 1], middles[first:last]


def _without_far_out(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """All values, or those inside of the fences where a few others would squeeze them."""
    lower, upper = np.percentile(values, (25, 75))
    reach = _FENCES * (upper - lower)
    inside = values[(values >= lower - reach) & (values <= upper + reach)]
    squeezed = np.ptp(values) > _LEAST_GAIN * max(np.ptp(inside), upper - lower)
    few = values.size - inside.size <= _MOST_BEYOND * values.size
    return inside if reach > 0 and squeezed and few else values


def _counts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    # numpy counts what lies on the last edge into the last bin.
    return np.histogram(values[values < edges[-1]], edges)[0].astype(np.int64)


def _bin_width(values: NDArray[np.float64], low: float, high: float) -> float:
    spread = high - low
    if spread <= 1e-9 * max(high, 1e-9):
        return _round_number(high / 10 or 1.0)
    quartiles = np.percentile(values, (25, 75))
    wanted = 2 * float(quartiles[1] - quartiles[0]) / values.size ** (1 / 3)
    narrowest, widest = spread / _MOST, spread / _FEWEST
    return _round_number(min(max(wanted, narrowest), widest), narrowest, widest)


def _round_number(wanted: float, narrowest: float = 0.0, widest: float = np.inf) -> float:
    """Of 1, 2 and 5 times a power of ten, the nearest by ratio; the limits are a factor of 2.5 or more apart."""
    decade = 10.0 ** np.floor(np.log10(wanted))
    steps = [step * power for power in (decade / 10, decade) for step in _ROUND]
    allowed = [step for step in steps if narrowest <= step <= widest]
    return float(min(allowed, key=lambda each: abs(np.log(each / wanted))))
