"""Sizes at the operating point, of the particles that ``BORDER_RULE`` leaves in: their distribution, and pair by pair.

The distribution of a model that finds few particles says which ones it finds, not how it measures them: a single one
may happen to have the median diameter. So the columns of the pooled distribution are empty below a recall.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.evaluation.comparison import Comparison
from nanoseg_bench.evaluation.detection_scores import pooled
from nanoseg_bench.evaluation.result import Scores
from nanoseg_bench.metrics.size_distribution import (
    DIAMETER_QUANTILES,
    diameter_errors,
    diameter_errors_per_image,
    inner_diameters,
    quantile_errors,
    wasserstein_1,
)
from nanoseg_bench.metrics.size_pairs import pair_diameters, pair_errors, pooled_pairs
from nanoseg_bench.metrics.table import names

LEAST_RECALL = 0.5
"""At a lower recall most particles are missing: the median of those found says nothing of the median of all."""

COLUMNS = names("sizes")


@dataclass(frozen=True, eq=False, slots=True)
class DiameterSamples:
    """Diameters of every image, in one unit; the images of the eval set, or those whose scale is known.

    Attributes:
        predicted: Of the detections at the operating point.
        truth: Of the particles.
    """

    predicted: Sequence[NDArray[np.float64]]
    truth: Sequence[NDArray[np.float64]]

    def pooled(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(predicted, truth) of all images together."""
        return np.concatenate([np.zeros(0), *self.predicted]), np.concatenate([np.zeros(0), *self.truth])


def diameters_px(comparison: Comparison) -> DiameterSamples | None:
    """Diameters in pixels of the original images; None without an operating point."""
    if comparison.kept is None:
        return None
    samples = [inner_diameters(overlap) for overlap in comparison.kept]
    return DiameterSamples([predicted for predicted, _ in samples], [truth for _, truth in samples])


def says_nothing_of_all(comparison: Comparison) -> bool:
    """Whether so few particles are found that the pooled columns stay empty."""
    recall = None if comparison.kept is None else pooled(comparison.kept).recall
    return recall is not None and recall < LEAST_RECALL


def diameters_nm(comparison: Comparison, in_px: DiameterSamples) -> DiameterSamples | None:
    """The same in nanometres, of the images whose scale is known; None where there is no such image."""
    scales = [comparison.eval_set.nm_per_px.get(name) for name in comparison.eval_set.images]
    known = [(index, scale) for index, scale in enumerate(scales) if scale is not None]
    if not known:
        return None
    return DiameterSamples(
        [in_px.predicted[index] * scale for index, scale in known],
        [in_px.truth[index] * scale for index, scale in known],
    )


def size_scores(comparison: Comparison) -> Scores:
    """The columns above; None without an operating point, and ``_nm`` where no scale is known.

    Those of pairs are None of fewer than ``size_pairs.LEAST_PAIRS``.
    """
    scores: Scores = dict.fromkeys(COLUMNS)
    in_px = diameters_px(comparison)
    if in_px is None:
        return scores
    scores |= _pair_scores(comparison) | _image_scores(in_px)
    if says_nothing_of_all(comparison):
        return scores
    predicted, truth = in_px.pooled()
    errors = diameter_errors(predicted, truth)
    if errors is not None:
        for name in DIAMETER_QUANTILES:
            scores[f"diameter_{name}_error_relative"] = getattr(errors, name)
        scores["diameter_w1_relative"] = errors.w1_relative
        scores["diameter_w1_px"] = errors.w1
    in_nm = diameters_nm(comparison, in_px)
    if in_nm is not None:
        predicted, truth = in_nm.pooled()
        for name, value in (quantile_errors(predicted, truth) or {}).items():
            scores[f"diameter_{name}_error_nm"] = value
        scores["diameter_w1_nm"] = wasserstein_1(predicted, truth)
    return scores


def diameter_pairs(comparison: Comparison) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]] | None:
    """(predicted, true) diameters of the matched pairs of each image, px; None without an operating point."""
    return None if comparison.kept is None else [pair_diameters(overlap) for overlap in comparison.kept]


def _pair_scores(comparison: Comparison) -> Scores:
    pairs = diameter_pairs(comparison) or []
    in_px = pooled_pairs(pairs)
    scores: Scores = {"diameter_pairs": in_px[0].size}
    errors = pair_errors(*in_px)
    if errors is not None:
        scores["diameter_pair_error_bias"] = errors.bias_relative
        scores["diameter_pair_error_spread"] = errors.spread_relative
        scores["diameter_pair_error_bias_px"] = errors.bias
        scores["diameter_pair_error_spread_px"] = errors.spread
    scales = [comparison.eval_set.nm_per_px.get(name) for name in comparison.eval_set.images]
    in_nm = [
        (predicted * scale, truth * scale)
        for (predicted, truth), scale in zip(pairs, scales, strict=True)
        if scale is not None
    ]
    errors = pair_errors(*pooled_pairs(in_nm))
    if errors is not None:
        scores["diameter_pair_error_bias_nm"] = errors.bias
        scores["diameter_pair_error_spread_nm"] = errors.spread
    return scores


def _image_scores(in_px: DiameterSamples) -> Scores:
    per_image = diameter_errors_per_image(in_px.predicted, in_px.truth)
    if per_image is None:
        return {}
    scores: Scores = {
        "diameter_w1_image_typical": per_image.w1_relative.typical,
        "diameter_images_unanswered": per_image.median.unanswered,
    }
    for name in DIAMETER_QUANTILES:
        scores[f"diameter_{name}_error_image_bias"] = getattr(per_image, name).bias
        scores[f"diameter_{name}_error_image_typical"] = getattr(per_image, name).typical
    return scores
