"""Normal and log-normal distribution of a sample, by maximum likelihood."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import lognorm, norm

Name = Literal["normal", "log-normal"]

TELL_APART = 2.0
"""Difference of AIC from which one distribution is preferred (Burnham and Anderson's rule of thumb)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One distribution.

    Attributes:
        name: Which.
        centre: Mean of a normal one; median (geometric mean) of a log-normal one; in the values' unit.
        width: Standard deviation of a normal one, in the values' unit; geometric standard deviation of a log-normal.
        aic: Akaike's criterion, 4 − 2 log L; smaller is better, only differences mean something.
    """

    name: Name
    centre: float
    width: float
    aic: float

    def log_density(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its logarithm, also where it is too small for a number."""
        return self._evaluate("logpdf", values)

    def cumulative(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the distribution below."""
        return self._evaluate("cdf", values)

    def _evaluate(self, function: Literal["logpdf", "cdf"], values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.name == "normal":
            result = getattr(norm, function)(values, self.centre, self.width)
        else:
            result = getattr(lognorm, function)(values, math.log(self.width), scale=self.centre)
        return np.asarray(result, dtype=np.float64)


def fit_distributions(values: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> tuple[Fit, ...]:
    """Normal and log-normal distribution of a sample.

    Args:
        values: (N,) positive.
        weights: (N,) how much each particle stands for; their sum is taken as N.

    Returns:
        Both; nothing of less than three different values.
    """
    if len(np.unique(values)) < 3:
        return ()
    shares = np.ones_like(values) if weights is None else weights * len(values) / weights.sum()
    logs = np.log(values)
    mean, sd = _moments(values, shares)
    log_mean, log_sd = _moments(logs, shares)
    return (
        _fit("normal", mean, sd, values, shares),
        _fit("log-normal", math.exp(log_mean), math.exp(log_sd), values, shares),
    )


def better_fit(fits: tuple[Fit, ...]) -> Fit | None:
    """The one that describes the sample better; None where the sample cannot tell them apart, or there is none."""
    ranked = sorted(fits, key=lambda each: each.aic)
    if len(ranked) < 2 or ranked[1].aic - ranked[0].aic < TELL_APART:
        return None
    return ranked[0]


def _moments(values: NDArray[np.float64], shares: NDArray[np.float64]) -> tuple[float, float]:
    mean = float(shares @ values / len(values))
    return mean, math.sqrt(float(shares @ (values - mean) ** 2) / len(values))


def _fit(name: Name, centre: float, width: float, values: NDArray[np.float64], shares: NDArray[np.float64]) -> Fit:
    bare = Fit(name, centre, width, math.nan)
    return replace(bare, aic=4 - 2 * float(shares @ bare.log_density(values)))
