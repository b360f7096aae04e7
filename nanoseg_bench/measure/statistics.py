"""Statistics of a sample of sizes in which each particle may stand for more than itself.

All are functions of the values and of weights, so that a border correction, an area or volume weighting and a bootstrap
resample are the same thing: other weights.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = {"d10": 0.1, "d50": 0.5, "d90": 0.9}
"""Shares of the sample that lie below."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic, and all that is said of it anywhere.

    Attributes:
        name: In tables and files.
        heading: For people.
        meaning: Its formula.
        of_unit: Whether it has the unit of the values; else it is a ratio.
    """

    name: str
    heading: str
    meaning: str
    of_unit: bool = True


STATISTICS = (
    Statistic("mean", "Mean", "arithmetic mean"),
    Statistic("sd", "SD", "standard deviation of the particles, with n − 1"),
    Statistic("d10", "D10", "10 % of the sample lie below, interpolated between the middles of the particles' steps"),
    Statistic("d50", "D50", "the median: half of the sample lies below"),
    Statistic("d90", "D90", "90 % of the sample lie below"),
    Statistic("span", "Span", "(D90 − D10) / D50", of_unit=False),
    Statistic("geometric_mean", "Geometric mean", "exp of the mean of the logarithms"),
    Statistic(
        "gsd", "GSD", "geometric standard deviation: exp of the standard deviation of the logarithms", of_unit=False
    ),
)
"""In the order of the tables."""

OF_TENTHS = ("d10", "d90", "span")
"""Those that are read at a tenth of the sample from its ends."""


def compute_statistics(values: NDArray[np.float64], weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """All of ``STATISTICS`` of one sample under several sets of weights.

    Args:
        values: (N,) positive.
        weights: (R, N) not negative, in any unit: only their shares count.

    Returns:
        By name, (R,); NaN where nothing has a weight, and standard deviations of a single particle.
    """
    quantiles = weighted_quantiles(values, weights, np.array(list(LEVELS.values())))
    mean, sd = _mean_and_sd(values, weights)
    log_mean, log_sd = _mean_and_sd(np.log(values), weights)
    by_level = dict(zip(LEVELS, quantiles.T, strict=True))
    return {
        "mean": mean,
        "sd": sd,
        **by_level,
        "span": (by_level["d90"] - by_level["d10"]) / by_level["d50"],
        "geometric_mean": np.exp(log_mean),
        "gsd": np.exp(log_sd),
    }


def weighted_quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Quantiles of one sample under several sets of weights.

    A particle's step of the cumulative distribution is as high as its share; between the middles of the steps it is
    interpolated linearly. With equal weights that is ``numpy.quantile(..., method="hazen")``.

    Args:
        values: (N,).
        weights: (R, N) not negative.
        levels: (L,) shares of the sample that lie below.

    Returns:
        (R, L); NaN where nothing has a weight.
    """
    count = len(values)
    if not count:
        return np.full((len(weights), len(levels)), np.nan)
    order = np.argsort(values, kind="stable")
    ordered, steps = values[order], weights[:, order]
    until = np.cumsum(steps, axis=1)
    total = until[:, -1]
    rows = np.arange(len(weights))
    result = np.empty((len(weights), len(levels)))
    for column, level in zip(result.T, levels, strict=True):
        # What a resample lacks has no step: the sum stays as it is, and "the first that reaches" passes it over.
        target = np.maximum(level * total, np.finfo(np.float64).tiny)
        at = np.minimum((until < target[:, None]).sum(axis=1), count - 1)
        end, before = until[rows, at], np.where(at > 0, until[rows, at - 1], 0.0)
        middle = end - steps[rows, at] / 2
        upwards = target >= middle
        neighbour = np.where(upwards, (until <= end[:, None]).sum(axis=1), (until < before[:, None]).sum(axis=1))
        # Beyond the middles of the first and the last step, there is none.
        alone = np.where(upwards, neighbour == count, before == 0)
        neighbour = np.where(alone, at, neighbour)
        gap = until[rows, neighbour] - steps[rows, neighbour] / 2 - middle
        share = (target - middle) / np.where(alone, np.inf, gap)
        column[:] = ordered[at] + share * (ordered[neighbour] - ordered[at])
    result[total == 0] = np.nan
    return result


def _mean_and_sd(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(R,) means and standard deviations; weights are taken as shares of as many particles as there are."""
    count = len(values)
    centre = values.mean() if count else 0.0  # keeps the difference of squares exact
    total = weights.sum(axis=1)
    total = np.where(total > 0, total, np.nan)
    offset = weights @ (values - centre) / total
    variance = np.maximum(weights @ (values - centre) ** 2 / total - offset**2, 0.0)
    freedom = count / (count - 1) if count > 1 else np.nan
    return centre + offset, np.sqrt(variance * freedom)
