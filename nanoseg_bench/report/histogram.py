"""Bins with round edges, for the eye: no statistic is computed from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROUND = (1.0, 2.0, 5.0, 10.0)
_FEWEST, _MOST = 6, 40  # bins over the range of the values


@dataclass(frozen=True, eq=False, slots=True)
class Histogram:
    """Numbers of values per bin of equal width; a value on an edge belongs to the bin above.

    Attributes:
        edges: (N + 1,) ascending, whole multiples of the bin width.
        counts: (N,) values in each bin; the first bin is empty unless no value can be below it, the last one always is.
        below_middle: (N,) share of all values that are smaller than the middle of the bin, 0 to 1: the empirical
            distribution function at the places where a chart draws it.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    below_middle: NDArray[np.float64]

    @property
    def middles(self) -> NDArray[np.float64]:
        """(N,) middle of each bin, without the noise of the last binary digit."""
        return np.round((self.edges[:-1] + self.edges[1:]) / 2, 12)

    def count(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """(N,) numbers of other values, such as those of one class, in the same bins."""
        return np.histogram(values, self.edges)[0].astype(np.int64)


def make_histogram(values: NDArray[np.float64], least: float = 0.0) -> Histogram:
    """Choose bins and count.

    The width is that of Freedman and Diaconis, 2·IQR/n^(1/3) (Z. Wahrscheinlichkeitstheorie verw. Geb. 57, 1981,
    453-476), rounded to 1, 2 or 5 times a power of ten, such that 6 to 40 bins cover the values. One empty bin
    stands on either side, but none below ``least``, so that the cumulative curve begins at 0 and ends at 1.

    Args:
        values: (n,) finite, at least one, none below ``least``.
        least: What a value cannot be below, such as 1 of an aspect ratio.

    Raises:
        ValueError: There is no value.
    """
    if not values.size:
        raise ValueError("no values, no bins")
    low, high = float(values.min()), float(values.max())
    width = _bin_width(values, low, high)
    first = max(int(np.floor(low / width)) - 1, int(np.floor(least / width)))
    last = int(np.floor(high / width)) + 2
    # Rounded, since 3 × 0.1 is no 0.3; the digits that go are 12 orders below the values.
    edges = np.array([float(f"{number * width:.12g}") for number in range(first, last + 1)])
    counts = np.histogram(values, edges)[0].astype(np.int64)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.searchsorted(np.sort(values), middles, side="left") / values.size
    return Histogram(edges, counts, below)


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
