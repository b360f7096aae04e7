"""Scores of the size distribution at the operating point, of the particles that ``BORDER_RULE`` leaves in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.evaluation.comparison import Comparison
from nanoseg_bench.evaluation.result import Scores
from nanoseg_bench.metrics.size_distribution import (
    DIAMETER_QUANTILES,
    diameter_errors,
    diameter_errors_per_image,
    inner_diameters,
    quantile_errors,
    wasserstein_1,
)

COLUMNS = (
    "diameter_median_error_relative",
    "diameter_d10_error_relative",
    "diameter_d90_error_relative",
    "diameter_w1_relative",
    "diameter_w1_px",
    "diameter_median_error_image_bias",
    "diameter_median_error_image_typical",
    "diameter_d10_error_image_bias",
    "diameter_d10_error_image_typical",
    "diameter_d90_error_image_bias",
    "diameter_d90_error_image_typical",
    "diameter_w1_image_typical",
    "diameter_images_unanswered",
    "diameter_median_error_nm",
    "diameter_d10_error_nm",
    "diameter_d90_error_nm",
    "diameter_w1_nm",
)


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
    """The columns above; None without an operating point, and ``_nm`` where no scale is known."""
    scores: Scores = dict.fromkeys(COLUMNS)
    in_px = diameters_px(comparison)
    if in_px is None:
        return scores
    predicted, truth = in_px.pooled()
    errors = diameter_errors(predicted, truth)
    if errors is not None:
        for name in DIAMETER_QUANTILES:
            scores[f"diameter_{name}_error_relative"] = getattr(errors, name)
        scores["diameter_w1_relative"] = errors.w1_relative
        scores["diameter_w1_px"] = errors.w1
    per_image = diameter_errors_per_image(in_px.predicted, in_px.truth)
    if per_image is not None:
        for name in DIAMETER_QUANTILES:
            scores[f"diameter_{name}_error_image_bias"] = getattr(per_image, name).bias
            scores[f"diameter_{name}_error_image_typical"] = getattr(per_image, name).typical
        scores["diameter_w1_image_typical"] = per_image.w1_relative.typical
        scores["diameter_images_unanswered"] = per_image.median.unanswered
    in_nm = diameters_nm(comparison, in_px)
    if in_nm is not None:
        predicted, truth = in_nm.pooled()
        for name, value in (quantile_errors(predicted, truth) or {}).items():
            scores[f"diameter_{name}_error_nm"] = value
        scores["diameter_w1_nm"] = wasserstein_1(predicted, truth)
    return scores
