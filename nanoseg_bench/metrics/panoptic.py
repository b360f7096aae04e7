"""Panoptic quality (Kirillov et al., CVPR 2019) and its factors, over pooled instances and one class, "particle"."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """Scores of one set of pairs.

    Attributes:
        precision: TP / (TP + FP), Eq. 27; None without a prediction.
        recall: TP / (TP + FN), Eq. 28; None without a particle.
        f1: 2 TP / (2 TP + FP + FN), Eq. 29, which is RQ; None without either.
        iou_matched: Mean IoU of the pairs, which is SQ; None without a pair.
        pq: Sum of the pairs' IoU / (TP + FP / 2 + FN / 2) = SQ RQ; None without prediction and particle.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    iou_matched: float | None
    pq: float | None


def detection_scores(matched_iou: NDArray[np.float64], predicted: int, truth: int) -> DetectionScores:
    """Precision, recall, F1, SQ and PQ from the IoU of the matched pairs.

    Args:
        matched_iou: (TP,) IoU of every pair, pooled over all images.
        predicted: Number of predictions, TP + FP.
        truth: Number of particles, TP + FN.
    """
    hits = matched_iou.size
    total = predicted + truth
    return DetectionScores(
        precision=hits / predicted if predicted else None,
        recall=hits / truth if truth else None,
        f1=2 * hits / total if total else None,
        iou_matched=float(matched_iou.mean()) if hits else None,
        pq=2 * float(matched_iou.sum()) / total if total else None,
    )
