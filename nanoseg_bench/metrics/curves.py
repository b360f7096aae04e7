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
class PrecisionRecallCurve:
    """Precision at COCO's 101 recalls; its mean is the AP at that IoU threshold (paper, Eq. 31).

    Attributes:
        recall: (101,) from 0 to 1.
        precision: (101,) largest precision at this recall or a higher one; 0 where the recall is not reached.
        confidence: (101,) of the detection with which the recall is reached; 0 where it is not.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    confidence: NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class ConfidenceCurve:
    """Precision, recall and F1 of the detections at or above each confidence; NaN where not defined.

    Attributes:
        confidence: (101,) ``CONFIDENCES``.
        precision: (101,) TP / (TP + FP).
        recall: (101,) TP / (TP + FN).
        f1: (101,) 2 TP / (2 TP + FP + FN).
    """

    confidence: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def precision_recall_curve(matches: ClassMatches, threshold: int = 0) -> PrecisionRecallCurve | None:
    """Precision against recall of one class, as ``COCOeval.eval["precision"]`` holds it.

    Args:
        matches: From ``average_precision.match_detections``.
        threshold: Index into ``average_precision.IOU_THRESHOLDS``; 0 is IoU 0.50, 5 is 0.75.

    Returns:
        None where the eval set has no particle of the class.
    """
    truth = int(matches.truth_count.sum())
    if truth == 0:
        return None
    outcome = matches.outcome[threshold]
    hits = np.cumsum(outcome == TRUE_POSITIVE)
    counted = hits + np.cumsum(outcome == FALSE_POSITIVE)
    envelope = np.maximum.accumulate((hits / np.maximum(counted, 1))[::-1])[::-1]
    at_recall = np.searchsorted(hits / truth, RECALLS, side="left")
    return PrecisionRecallCurve(
        recall=RECALLS,
        precision=np.append(envelope, 0.0)[at_recall],
        confidence=np.append(matches.scores, 0.0)[at_recall],
    )


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
        confidence=CONFIDENCES,
        precision=_quotient(hits, predicted),
        recall=_quotient(hits, np.full(CONFIDENCES.size, truth)),
        f1=_quotient(2 * hits, predicted + truth),
    )


def _quotient(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> NDArray[np.float64]:
    defined = denominator > 0
    quotient: NDArray[np.float64] = np.where(defined, numerator / np.where(defined, denominator, 1), np.nan)
    return quotient
