"""Scores of resampled eval sets, for intervals, ranks and differences.

The draws depend on the source groups and the seed alone, so those of all models on an eval set are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.evaluation.comparison import Comparison
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.result import Numbers, Scores, to_numbers
from nanoseg_bench.evaluation.size_scores import diameter_pairs, diameters_px, says_nothing_of_all
from nanoseg_bench.metrics.average_precision import resampled_map, resampled_precision
from nanoseg_bench.metrics.bootstrap import (
    draw_weights,
    group_indices,
    percentile_interval,
    resampled_quantile,
    resampled_ratio,
)
from nanoseg_bench.metrics.matching import match
from nanoseg_bench.metrics.size_pairs import LEAST_PAIRS

RESAMPLED_DIGITS = 6

Samples = dict[str, NDArray[np.float64]]
"""Metric to (R,) values, one for each resample; NaN where it is not defined."""


@dataclass(frozen=True, eq=False, slots=True)
class Draws:
    """Resampled eval sets.

    Attributes:
        groups: (I,) index of each image's source group.
        weights: (R, G) how often each group is drawn.
    """

    groups: NDArray[np.intp]
    weights: NDArray[np.float64]


def draw(eval_set: EvalSet, resamples: int, seed: int | None) -> Draws | None:
    """Draw source groups with replacement; None where there is one only: it says nothing about the spread."""
    groups, count = group_indices([eval_set.source_groups[name] for name in eval_set.images])
    if count < 2 or resamples < 1:
        return None
    return Draws(groups, draw_weights(count, resamples, np.random.default_rng(seed)))


def resample(comparison: Comparison, draws: Draws) -> Samples:
    """``scoring.RESAMPLED``, as far as measured."""
    samples: Samples = {}
    if comparison.masks.aware is not None:
        aware = resampled_map(comparison.masks.aware, draws.groups, draws.weights)
        samples |= {"map_50_95": aware.map_50_95, "map_50": aware.map_50}
    agnostic = resampled_map([comparison.masks.agnostic], draws.groups, draws.weights)
    samples |= {"map_50_95_agnostic": agnostic.map_50_95, "map_50_agnostic": agnostic.map_50}
    if comparison.kept is not None:
        hits = np.array([len(match(overlap.iou)[0]) for overlap in comparison.kept], dtype=np.float64)
        both = np.array([len(overlap.predicted) + len(overlap.truth) for overlap in comparison.kept], dtype=np.float64)
        samples["f1"] = resampled_ratio(2 * hits, both, draws.groups, draws.weights)
    diameters = diameters_px(comparison)
    if diameters is not None and not says_nothing_of_all(comparison):
        predicted, truth = (_medians(side, draws) for side in (diameters.predicted, diameters.truth))
        samples["diameter_median_error_relative"] = (predicted - truth) / truth
    pairs = diameter_pairs(comparison)
    if pairs is not None and sum(truth.size for _, truth in pairs) >= LEAST_PAIRS:
        errors = [(predicted - truth) / truth for predicted, truth in pairs]
        samples["diameter_pair_error_bias"] = _medians(errors, draws)
    return samples


def resample_ood(comparison: Comparison, draws: Draws) -> Samples:
    """``map_50_agnostic`` of each resample: the one number that is judged on unknown shapes."""
    return {"map_50_agnostic": resampled_precision(comparison.masks.agnostic, draws.groups, draws.weights)[:, 0]}


def intervals(samples: Mapping[str, NDArray[np.float64]], metrics: Sequence[str]) -> Scores:
    """95 % percentile intervals, ``<metric>_lo`` and ``<metric>_hi``; None for a metric that was not resampled."""
    scores: Scores = {}
    for metric in metrics:
        interval = percentile_interval(samples[metric]) if metric in samples else None
        scores[f"{metric}_lo"], scores[f"{metric}_hi"] = interval or (None, None)
    return scores


def kept_samples(samples: Mapping[str, NDArray[np.float64]]) -> dict[str, Numbers]:
    """The samples as a record keeps them."""
    return {metric: to_numbers(values, RESAMPLED_DIGITS) for metric, values in samples.items()}


def _medians(values: Sequence[NDArray[np.float64]], draws: Draws) -> NDArray[np.float64]:
    """(R,) median of the values of all images of every resample."""
    pooled = np.concatenate([np.zeros(0), *values])
    groups = np.repeat(draws.groups, [sample.size for sample in values])
    return resampled_quantile(pooled, groups, draws.weights, 0.5)
