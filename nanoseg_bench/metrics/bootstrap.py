"""Confidence intervals by resampling source groups (Efron's percentile method).

Images of one specimen, figure or paper resemble each other, so the group is drawn, not the image. Models are compared
on the same draws: what is difficult for one is difficult for all, and their difference is known better than either.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


def group_indices(groups: Sequence[Hashable]) -> tuple[NDArray[np.intp], int]:
    """Number the groups in order of appearance.

    Returns:
        ((I,) index of each item's group, number of groups).
    """
    numbers: dict[Hashable, int] = {}
    indices = [numbers.setdefault(group, len(numbers)) for group in groups]
    return np.array(indices, dtype=np.intp), len(numbers)


def draw_weights(group_count: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw ``group_count`` groups with replacement, ``resamples`` times.

    Returns:
        (R, G) float64: how often each group was drawn; every row sums to ``group_count``.
    """
    shares = np.full(group_count, 1.0 / group_count)
    return rng.multinomial(group_count, shares, size=resamples).astype(np.float64)


def percentile_interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float] | None:
    """Central interval that holds ``level`` of the resampled values; NaN are left out.

    Returns:
        (lo, hi); None where no value is left.
    """
    values = values[~np.isnan(values)]
    if values.size == 0:
        return None
    tail = 50 * (1 - level)
    lo, hi = np.percentile(values, [tail, 100 - tail])
    return float(lo), float(hi)


def paired_difference(values: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[float, float] | None:
    """95 % interval of a model's score minus the reference's, both resampled with the same weights.

    Two models can be told apart where it does not hold 0.

    Args:
        values: (R,) scores of the model per resample.
        reference: (R,) scores of the reference in the same resamples.

    Returns:
        (lo, hi); None where no resample has both.
    """
    return percentile_interval(values - reference)


def resampled_ratio(
    numerator: NDArray[np.float64],
    denominator: NDArray[np.float64],
    groups: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Σ numerator / Σ denominator of many resampled eval sets.

    Precision, recall, F1, PQ, pixel IoU and relative count error are such ratios of sums over images.

    Args:
        numerator: (I,) of each image.
        denominator: (I,) of each image.
        groups: (I,) index of each image's source group.
        weights: (R, G) from ``draw_weights``.

    Returns:
        (R,) float64; NaN where the denominator is 0.
    """
    size = weights.shape[1]
    upper = weights @ np.bincount(groups, weights=numerator, minlength=size)
    lower = weights @ np.bincount(groups, weights=denominator, minlength=size)
    ratio: NDArray[np.float64] = upper / np.where(lower == 0, np.nan, lower)
    return ratio


def resampled_quantile(
    values: NDArray[np.float64], groups: NDArray[np.intp], weights: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Quantile, interpolated linearly, of the pooled values of many resampled eval sets: of diameters, for example.

    Args:
        values: (N,) of all images together.
        groups: (N,) index of each value's source group.
        weights: (R, G) from ``draw_weights``, whole numbers.
        level: Share of the values below, 0 to 1.

    Returns:
        (R,) float64, equal to ``numpy.quantile`` of the repeated values; NaN where a resample has no value.
    """
    order = np.argsort(values, kind="stable")
    ordered, ordered_groups = values[order], groups[order]
    result = np.full(len(weights), np.nan)
    for index, row in enumerate(weights):
        until = np.cumsum(row[ordered_groups])
        if until.size == 0 or until[-1] == 0:
            continue
        position = level * (until[-1] - 1)
        below = ordered[np.searchsorted(until, np.floor(position), side="right")]
        above = ordered[np.searchsorted(until, np.ceil(position), side="right")]
        result[index] = below + (above - below) * (position - np.floor(position))
    return result
