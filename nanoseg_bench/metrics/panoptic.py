"""Panoptic quality (Kirillov et al., CVPR 2019) and its factors, over pooled instances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.metrics.matching import ImageOverlap, match


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


@dataclass(frozen=True, slots=True)
class PanopticQuality:
    """Means over the classes that occur in truth or predictions; each factor is averaged by itself, as in the paper.

    Attributes:
        pq: Panoptic quality.
        sq: Segmentation quality; a class without a pair has 0.
        rq: Recognition quality, the F1 score.
        per_class: ``pq`` of each class that occurs.
    """

    pq: float
    sq: float
    rq: float
    per_class: dict[str, float]


def panoptic_quality(overlaps: Sequence[ImageOverlap], classes: Sequence[str]) -> PanopticQuality | None:
    """Class-aware panoptic quality: only predictions and particles of one class make a pair.

    Args:
        overlaps: One per image, from ``overlap.keep(confidence)``.
        classes: Class names.

    Returns:
        None where neither truth nor predictions have an instance of the classes.
    """
    scores = {name: score for name in classes if (score := _of_class(overlaps, name)).pq is not None}
    if not scores:
        return None
    per_class = {name: score.pq or 0.0 for name, score in scores.items()}
    return PanopticQuality(
        pq=sum(per_class.values()) / len(scores),
        sq=sum(score.iou_matched or 0.0 for score in scores.values()) / len(scores),
        rq=sum(score.f1 or 0.0 for score in scores.values()) / len(scores),
        per_class=per_class,
    )


def _of_class(overlaps: Sequence[ImageOverlap], name: str) -> DetectionScores:
    matched, predicted, truth = [np.zeros(0)], 0, 0
    for overlap in overlaps:
        rows = np.flatnonzero([label == name for label in overlap.labels])
        columns = np.flatnonzero([label == name for label in overlap.truth_labels])
        iou = overlap.iou[np.ix_(rows, columns)]
        matched.append(iou[match(iou)])
        predicted += rows.size
        truth += columns.size
    return detection_scores(np.concatenate(matched), predicted, truth)
