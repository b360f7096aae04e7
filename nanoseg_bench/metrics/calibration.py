"""Calibration of the confidences: is half of what a model says with confidence 0.5 right?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.metrics.matching import ImageOverlap, match

BINS = 10
"""Bins of equal width over [0, 1]; bin m holds the confidences in ((m − 1) / 10, m / 10], the first one also 0."""


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """Expected calibration error and its reliability diagram.

    Attributes:
        ece: Σ count_m |precision_m − confidence_m| / Σ count_m; None without a detection.
        count: (10,) detections of each bin.
        confidence: (10,) their mean confidence; NaN in an empty bin.
        precision: (10,) share of them that hit a particle; NaN in an empty bin.
    """

    ece: float | None
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    precision: NDArray[np.float64]


def calibration(overlaps: Sequence[ImageOverlap]) -> Calibration:
    """Expected calibration error of detections (Guo et al., ICML 2017; for detectors Küppers et al., CVPRW 2020).

    A detection is right where it is paired with a particle, one to one, at IoU > 0.5, whatever the classes: the mean
    over the bins is the precision. Which detections count is the caller's choice: with those at the operating
    point the number does not depend on how long a tail of doubtful candidates a model keeps.

    Args:
        overlaps: One per image, from ``overlap.keep(confidence)``. The scores must be confidences; of scores that
            only rank it says nothing.
    """
    scores, right = [np.zeros(0)], [np.zeros(0)]
    for overlap in overlaps:
        hit = np.zeros(len(overlap.scores))
        hit[match(overlap.iou)[0]] = 1
        scores.append(overlap.scores)
        right.append(hit)
    score, hits = np.concatenate(scores), np.concatenate(right)
    bins = np.clip(np.ceil(score * BINS).astype(np.intp) - 1, 0, BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    filled = np.where(count > 0, count, np.nan)
    confidence = np.bincount(bins, weights=score, minlength=BINS) / filled
    precision = np.bincount(bins, weights=hits, minlength=BINS) / filled
    gap = float(np.nansum(count * np.abs(precision - confidence)))
    return Calibration(gap / score.size if score.size else None, count, confidence, precision)
