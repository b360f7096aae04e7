"""How well the size of a particle that was found is measured: pair by pair, whatever was missed or invented.

A distribution of sizes can be right by luck: particles drawn too small beside fragments that are taken for particles. A
pair compares one prediction with the particle that it is of. The areas of a pair of IoU > 0.5 differ by less than a
factor of two, so its relative error lies between -29 % and +41 %: what is drawn worse is no pair, but a miss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.metrics.matching import ImageOverlap, match
from nanoseg_bench.metrics.size_distribution import diameters_inside

LEAST_PAIRS = 10
"""Of fewer pairs nothing is said: one pair has no spread, and any bias."""

SPREAD = (16.0, 84.0)
"""Percentiles between which the middle 68 % of the errors lie; half of their distance is the spread."""


@dataclass(frozen=True, slots=True)
class PairErrors:
    """Errors of diameters, relative or in the diameters' unit.

    Attributes:
        bias: Median of the signed errors: positive when particles are drawn too large.
        spread: Half the distance of the 16th and the 84th percentile, of normal errors their standard deviation.
        bias_relative: The same of (predicted − true) / true.
        spread_relative: The same.
    """

    bias: float
    spread: float
    bias_relative: float
    spread_relative: float


def pair_diameters(overlap: ImageOverlap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Diameters sqrt(4 A / π), px, of the N matched pairs of an image (IoU > 0.5, Hungarian), (predicted, true).

    ``size_distribution.BORDER_RULE`` on both sides: a pair goes where its particle or its prediction is cut.
    """
    rows, columns = match(overlap.iou)
    predicted, truth = diameters_inside(overlap)
    found, present = predicted[rows], truth[columns]
    whole = ~np.isnan(found) & ~np.isnan(present)
    return found[whole], present[whole]


def pair_errors(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> PairErrors | None:
    """Bias and spread of N pairs of diameters, in px or nm; of one image, or of all images pooled.

    Returns:
        None of fewer than ``LEAST_PAIRS``.
    """
    if truth.size < LEAST_PAIRS:
        return None
    absolute = predicted - truth
    relative = absolute / truth
    return PairErrors(
        bias=float(np.median(absolute)),
        spread=_spread(absolute),
        bias_relative=float(np.median(relative)),
        spread_relative=_spread(relative),
    )


def pooled_pairs(
    pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(predicted, true) of all images together."""
    nothing = np.zeros(0)
    return (
        np.concatenate([nothing, *(predicted for predicted, _ in pairs)]),
        np.concatenate([nothing, *(truth for _, truth in pairs)]),
    )


def _spread(errors: NDArray[np.float64]) -> float:
    low, high = np.percentile(errors, SPREAD)
    return float(high - low) / 2
