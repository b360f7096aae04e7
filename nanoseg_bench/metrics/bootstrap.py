"""Confidence intervals by resampling source groups (Efron's percentile method).

Images of one specimen, figure or paper resemble each other, so the group is drawn, not the image.
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
