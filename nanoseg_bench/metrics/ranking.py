"""Ranks that say when two models cannot be told apart."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.metrics.bootstrap import paired_difference

RANK_RULE = (
    "A model is better than another where the 95 % interval of their paired difference over resampled source groups "
    "lies above 0. Its best rank is one more than the number of models better than it, its worst rank the number of "
    "models that it is not better than, itself among them. Pairs are tested one by one, without a correction for their "
    "number. Images are drawn anew, trainings are not: of one seed each, a rank is of these trained networks."
)
"""As it is printed."""


class RankRange(NamedTuple):
    """Best and worst rank of a model; equal where it can be told apart from all others."""

    best: int
    worst: int


def rank_ranges(samples: Sequence[NDArray[np.float64]]) -> list[RankRange]:
    """Rank of each model as a range, by ``RANK_RULE``; higher scores are better.

    The range is the set of ranks that the tests leave open (cf. Mogstad et al., Rev. Econ. Stud. 91, 476, 2024, there
    with a correction for the number of tests). Being told apart is not transitive, so ranges may overlap in part.

    Args:
        samples: (R,) scores of each model, all resampled with the same weights.
    """
    better = np.array([[_is_better(one, other) for other in samples] for one in samples], dtype=bool)
    better = better.reshape(len(samples), len(samples))
    return [
        RankRange(best=1 + int(better[:, model].sum()), worst=len(samples) - int(better[model].sum()))
        for model in range(len(samples))
    ]


def _is_better(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    interval = paired_difference(one, other)
    return interval is not None and interval[0] > 0
