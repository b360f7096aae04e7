"""Scores of the detections at the operating point: found or not, outlines, counts, calibration."""

from collections.abc import Sequence

import numpy as np

from nanoseg_bench.evaluation.comparison import Comparison
from nanoseg_bench.evaluation.result import Scores
from nanoseg_bench.metrics.calibration import calibration
from nanoseg_bench.metrics.counting import absolute_count_error, count_errors_per_image, relative_count_error
from nanoseg_bench.metrics.matching import ImageOverlap, match
from nanoseg_bench.metrics.panoptic import DetectionScores, panoptic_quality
from nanoseg_bench.metrics.panoptic import detection_scores as scores_of_pairs
from nanoseg_bench.metrics.pixel import pixel_scores
from nanoseg_bench.metrics.table import METRICS, names

COLUMNS = (*names("detection", "literature", "counts"), "instances_predicted")


def detection_scores(comparison: Comparison) -> Scores:
    """The columns above; all None without an operating point.

    Classes are disregarded but in ``pq_aware``, ``sq_aware`` and ``rq_aware``, which are None for a model that knows no
    classes. ``ece`` is None where scores only rank.
    """
    kept = comparison.kept
    if kept is None:
        return dict.fromkeys(COLUMNS)
    known = comparison.predictions.knows_classes
    pairs = pooled(kept)
    pixels = pixel_scores(kept)
    panoptic = panoptic_quality(kept, comparison.eval_set.classes) if known else None
    predicted = [len(overlap.predicted) for overlap in kept]
    truth = [len(overlap.truth) for overlap in kept]
    counts = count_errors_per_image(predicted, truth)
    scores = {
        "precision": pairs.precision,
        "recall": pairs.recall,
        "f1": pairs.f1,
        "iou_matched": pairs.iou_matched,
        "iou_pixel": pixels.iou if pixels else None,
        "dice_pixel": pixels.dice if pixels else None,
        "pq": pairs.pq,
        # With one class SQ is the pairs' mean IoU and RQ is F1: the same numbers under their names in the literature.
        "sq": pairs.iou_matched,
        "rq": pairs.f1,
        "pq_aware": panoptic.pq if panoptic else None,
        "sq_aware": panoptic.sq if panoptic else None,
        "rq_aware": panoptic.rq if panoptic else None,
        "ece": calibration(kept).ece if comparison.predictions.has_confidence else None,
        "count_error_relative": relative_count_error(predicted, truth),
        "count_error_absolute": absolute_count_error(predicted, truth),
        "count_error_image_bias": counts.bias if counts else None,
        "count_error_image_typical": counts.typical if counts else None,
        "instances_predicted": sum(predicted),
        **{metric.name: metric.of_detections(kept) for metric in METRICS if metric.of_detections},
    }
    return {name: scores[name] for name in COLUMNS}


def pooled(kept: Sequence[ImageOverlap]) -> DetectionScores:
    """Precision, recall, F1, SQ and PQ over the particles of these images together."""
    matched_iou = np.concatenate([np.zeros(0), *(overlap.iou[match(overlap.iou)] for overlap in kept)])
    return scores_of_pairs(
        matched_iou, sum(len(overlap.predicted) for overlap in kept), sum(len(overlap.truth) for overlap in kept)
    )
