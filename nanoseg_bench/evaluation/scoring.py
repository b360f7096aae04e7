"""Scores: an eval set and predictions become one flat row of numbers.

Column names are those of the leaderboards. None means not measured.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions, compare
from nanoseg_bench.metrics.average_precision import (
    NOT_MEASURED,
    ClassMatches,
    average_precision,
    match_detections,
    resampled_map,
)
from nanoseg_bench.metrics.bootstrap import draw_weights, group_indices, percentile_interval
from nanoseg_bench.metrics.counting import absolute_count_error, relative_count_error
from nanoseg_bench.metrics.matching import ImageOverlap, match
from nanoseg_bench.metrics.panoptic import detection_scores
from nanoseg_bench.metrics.pixel import pixel_iou
from nanoseg_bench.metrics.size_distribution import equivalent_diameters, relative_median_error, wasserstein_1

EVALUATOR_VERSION = "1"
"""Stands in every record; raised whenever a published number could change. Tables never mix versions."""

Scores = dict[str, float | None]

OOD_SHAPES = ("triangle", "pentagon")
OOD_CONFIDENCES = {"": None, "_25": 0.25, "_50": 0.5, "_75": 0.75}
"""Column suffix to smallest confidence; None takes every prediction."""


def score(
    eval_set: EvalSet,
    predictions: Predictions,
    confidence: float | None,
    *,
    resamples: int = 1000,
    seed: int | None = 0,
) -> Scores:
    """Score predictions on an eval set, in original pixels.

    Class-aware columns (``map_50_95``, ``map_50``, ``map_75`` and the interval) are None for a model that knows
    no classes, also where the data have only one: nothing was classified. All others disregard classes.

    Args:
        eval_set: Images and truth.
        predictions: The model's answer.
        confidence: Operating point, from ``choose_confidence``; None leaves its columns empty.
        resamples: Bootstrap resamples of the source groups.
        seed: Of the bootstrap; the same seed draws the same groups for every model.

    Raises:
        PredictionsError: The predictions are incomplete or belong to another set.
    """
    overlaps = compare(eval_set, predictions)
    kept = None if confidence is None else [overlap.keep(confidence) for overlap in overlaps]
    return {
        **_average_precision(eval_set, overlaps, predictions.knows_classes, resamples, seed),
        "confidence": confidence,
        **_detection(kept),
        **_sizes(eval_set, kept),
        "instances_truth": sum(len(overlap.truth) for overlap in overlaps),
        "instances_predicted": None if kept is None else sum(len(overlap.predicted) for overlap in kept),
        "latency_ms_per_image": _latency(predictions),
    }


def score_ood(eval_set: EvalSet, predictions: Predictions) -> Scores:
    """Score particles of shapes that were not in the training data (the paper's Table S4).

    The detection rate is the share of particles with a prediction of IoU >= 0.5, one to one, of any class.

    Where scores are confidences, the rates at 0.25, 0.5 and 0.75 are filled (``detection_rate_25``,
    ``detection_rate_triangle_25``, ...) and those without a threshold (``detection_rate``,
    ``detection_rate_triangle``, ...) stay empty: a list that goes down to 0.001 would win there by its length. Where
    they only rank (Otsu), it is the other way round.

    Raises:
        PredictionsError: The predictions are incomplete or belong to another set.
    """
    overlaps = compare(eval_set, predictions)
    shapes = [_shapes(eval_set, name, overlap) for name, overlap in zip(eval_set.images, overlaps, strict=True)]
    rates: Scores = {}
    for suffix, confidence in OOD_CONFIDENCES.items():
        measured = predictions.has_confidence == (confidence is not None)
        found = _found(overlaps, confidence) if measured else None
        for shape in (None, *OOD_SHAPES):
            column = f"detection_rate{'' if shape is None else f'_{shape}'}{suffix}"
            rates[column] = None if found is None else _rate(found, shapes, shape)
    agnostic = average_precision(match_detections(overlaps, None, eval_set.max_detections))
    return {
        **rates,
        "map_50_agnostic": agnostic.map_50,
        "instances_truth": sum(len(overlap.truth) for overlap in overlaps),
        "latency_ms_per_image": _latency(predictions),
    }


def _latency(predictions: Predictions) -> float | None:
    return float(np.median(predictions.latency_ms)) if predictions.latency_ms else None


def _average_precision(
    eval_set: EvalSet, overlaps: Sequence[ImageOverlap], knows_classes: bool, resamples: int, seed: int | None
) -> Scores:
    aware = match_detections(overlaps, eval_set.classes, eval_set.max_detections) if knows_classes else None
    agnostic = match_detections(overlaps, None, eval_set.max_detections)
    groups, group_count = group_indices([eval_set.source_groups[name] for name in eval_set.images])
    weights = draw_weights(group_count, resamples, np.random.default_rng(seed))

    def columns(matches: Sequence[ClassMatches] | None, suffix: str) -> Scores:
        result = NOT_MEASURED if matches is None else average_precision(matches)
        # One source group says nothing about the spread between groups.
        interval = percentile_interval(resampled_map(matches, groups, weights)) if matches and group_count > 1 else None
        lo, hi = interval or (None, None)
        return {
            f"map_50_95{suffix}": result.map_50_95,
            f"map_50_95{suffix}_lo": lo,
            f"map_50_95{suffix}_hi": hi,
            f"map_50{suffix}": result.map_50,
            f"map_75{suffix}": result.map_75,
        }

    return {**columns(aware, ""), **columns(agnostic, "_agnostic")}


def _detection(kept: Sequence[ImageOverlap] | None) -> Scores:
    if kept is None:
        names = ("precision", "recall", "f1", "iou_matched", "iou_pixel", "pq", "count_error_relative")
        return dict.fromkeys((*names, "count_error_absolute"))
    matched_iou = np.concatenate([overlap.iou[match(overlap.iou)] for overlap in kept])
    predicted = [len(overlap.predicted) for overlap in kept]
    truth = [len(overlap.truth) for overlap in kept]
    scores = detection_scores(matched_iou, sum(predicted), sum(truth))
    return {
        "precision": scores.precision,
        "recall": scores.recall,
        "f1": scores.f1,
        "iou_matched": scores.iou_matched,
        "iou_pixel": pixel_iou(kept),
        "pq": scores.pq,
        "count_error_relative": relative_count_error(predicted, truth),
        "count_error_absolute": absolute_count_error(predicted, truth),
    }


def _sizes(eval_set: EvalSet, kept: Sequence[ImageOverlap] | None) -> Scores:
    if kept is None:
        return dict.fromkeys(("diameter_median_error_relative", "diameter_w1_px", "diameter_w1_nm"))
    predicted_px = [equivalent_diameters(overlap.predicted) for overlap in kept]
    truth_px = [equivalent_diameters(overlap.truth) for overlap in kept]
    scales = [eval_set.nm_per_px.get(name) for name in eval_set.images]
    predicted_nm = [d * scale for d, scale in zip(predicted_px, scales, strict=True) if scale is not None]
    truth_nm = [d * scale for d, scale in zip(truth_px, scales, strict=True) if scale is not None]
    return {
        "diameter_median_error_relative": relative_median_error(np.concatenate(predicted_px), np.concatenate(truth_px)),
        "diameter_w1_px": wasserstein_1(np.concatenate(predicted_px), np.concatenate(truth_px)),
        "diameter_w1_nm": wasserstein_1(np.concatenate(predicted_nm), np.concatenate(truth_nm)) if truth_nm else None,
    }


def _found(overlaps: Sequence[ImageOverlap], confidence: float | None) -> list[set[int]]:
    """Indices of the detected particles of each image."""
    # match() wants a larger IoU; the next smaller number makes 0.5 itself count, as in COCO.
    at_least_half = float(np.nextafter(0.5, 0))
    return [set(match(overlap.keep(confidence).iou, at_least_half)[1].tolist()) for overlap in overlaps]


def _rate(found: Sequence[set[int]], shapes: Sequence[Sequence[str | None]], shape: str | None) -> float | None:
    """Share of the particles of a shape (None: of all) that are detected; None where there is no such particle."""
    hits = [
        index in detected
        for detected, names in zip(found, shapes, strict=True)
        for index, name in enumerate(names)
        if shape is None or name == shape
    ]
    return sum(hits) / len(hits) if hits else None


def _shapes(eval_set: EvalSet, name: str, overlap: ImageOverlap) -> list[str | None]:
    """Shape of each particle: its own label, else the image's attribute ``ood_shape``."""
    attributes: Mapping[str, str] = eval_set.attributes.get(name, {})
    fallback = attributes.get("ood_shape")
    return [label if label in OOD_SHAPES else fallback for label in overlap.truth_labels]
