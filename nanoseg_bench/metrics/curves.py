"""Curves over the confidence: precision against recall, and precision, recall and F1 against the confidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.metrics.average_precision import FALSE_POSITIVE, RECALLS, TRUE_POSITIVE, ClassMatches
from nanoseg_bench.metrics.matching import GrowingMatch, ImageOverlap

CONFIDENCES: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)
"""Where the curves against the confidence are read, the same for every model."""


@dataclass(frozen=True, eq=False, slots=True)
class ConfidenceCurve:
    """Precision, recall and F1 of the detections at or above each of ``CONFIDENCES``; NaN where not defined.

    Attributes:
        precision: (101,) TP / (TP + FP).
        recall: (101,) TP / (TP + FN).
        f1: (101,) 2 TP / (2 TP + FP + FN).
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def precision_at_recalls(matches: ClassMatches) -> NDArray[np.float64] | None:
    """Precision of one class at COCO's 101 recalls, at IoU 0.50, as ``COCOeval.eval["precision"]`` holds it.

    Args:
        matches: From ``average_precision.match_detections``.

    Returns:
        (101,) largest precision at each recall or a higher one, 0 where it is not reached; the mean is the AP (paper,
        Eq. 31). None where the eval set has no particle of the class.
    """
    truth = int(matches.truth_count.sum())
    if truth == 0:
        return None
    outcome = matches.outcome[0]
    hits = np.cumsum(outcome == TRUE_POSITIVE)
    counted = hits + np.cumsum(outcome == FALSE_POSITIVE)
    envelope = np.maximum.accumulate((hits / np.maximum(counted, 1))[::-1])[::-1]
    return np.append(envelope, 0.0)[np.searchsorted(hits / truth, RECALLS, side="left")]


def confidence_curve(overlaps: Sequence[ImageOverlap]) -> ConfidenceCurve:
    """Precision, recall and F1 against the confidence, at IoU > 0.5, one to one, any class.

    At every confidence these are the numbers that ``panoptic.detection_scores`` has with ``overlap.keep(confidence)``,
    so the curve goes through the published operating point.
    """
    kept = [overlap.keep(None) for overlap in overlaps]
    truth = sum(len(overlap.truth) for overlap in kept)
    scores, gains = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for overlap in kept:
        growing = GrowingMatch(overlap.iou)
        scores.append(overlap.scores)
        gains.append(np.array([growing.add(row) for row in range(len(overlap.scores))], dtype=bool))
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    pairs = np.append(0, np.cumsum(np.concatenate(gains)[order]))
    predicted = np.searchsorted(-score[order], -CONFIDENCES, side="right")
    hits = pairs[predicted]
    return ConfidenceCurve(
        precision=_quotient(hits, predicted),
        recall=_quotient(hits, np.full(CONFIDENCES.size, truth)),
        f1=_quotient(2 * hits, predicted + truth),
    )


def _quotient(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> NDArray[np.float64]:
    defined = denominator > 0
    quotient: NDArray[np.float64] = np.where(defined, numerator / np.where(defined, denominator, 1), np.nan)
    return quotient
