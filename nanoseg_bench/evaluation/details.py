"""What pages and figures draw of one model on one eval set: curves, confusion, calibration, sizes, single images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.evaluation.comparison import Comparison
from nanoseg_bench.evaluation.detection_scores import pooled
from nanoseg_bench.evaluation.precision_scores import class_aware
from nanoseg_bench.evaluation.result import (
    ByConfidence,
    ClassResult,
    Confusion,
    Details,
    Diameters,
    ImageResult,
    Numbers,
    Reliability,
    to_numbers,
)
from nanoseg_bench.evaluation.size_scores import DiameterSamples, diameters_nm, diameters_px
from nanoseg_bench.metrics.average_precision import ClassMatches
from nanoseg_bench.metrics.calibration import calibration
from nanoseg_bench.metrics.confusion import confusion_matrix
from nanoseg_bench.metrics.curves import confidence_curve, precision_at_recalls
from nanoseg_bench.metrics.matching import ImageOverlap
from nanoseg_bench.metrics.size_distribution import diameter_errors, inner_diameters

CURVE_DIGITS = 5


def details_of(comparison: Comparison) -> Details:
    """Every part but ``modalities`` and ``corruptions``; empty where the model or the eval set has no such thing."""
    kept, known = comparison.kept, comparison.predictions.knows_classes
    classes = comparison.eval_set.classes
    return Details(
        classes=_class_results(comparison),
        precision_at_recall=_precision_at_recall(comparison.masks.agnostic),
        by_confidence=by_confidence(comparison.overlaps),
        confusion=confusion(kept, classes, classes) if kept is not None and known else None,
        reliability=_reliability(kept) if kept is not None and comparison.predictions.has_confidence else None,
        diameters=_diameters(comparison),
        images=() if kept is None else _image_results(comparison.eval_set.images, kept),
    )


def by_confidence(overlaps: Sequence[ImageOverlap]) -> ByConfidence:
    """Precision, recall and F1 against the confidence."""
    curve = confidence_curve(overlaps)
    return ByConfidence(
        precision=to_numbers(curve.precision, CURVE_DIGITS),
        recall=to_numbers(curve.recall, CURVE_DIGITS),
        f1=to_numbers(curve.f1, CURVE_DIGITS),
    )


def confusion(
    kept: Sequence[ImageOverlap], truth_classes: Sequence[str], predicted_classes: Sequence[str]
) -> Confusion:
    """Which class of the truth is taken for which at the operating point."""
    matrix = confusion_matrix(kept, truth_classes, predicted_classes)
    return Confusion(
        truth=tuple(truth_classes),
        predicted=tuple(predicted_classes),
        counts=tuple(tuple(row) for row in matrix.tolist()),
    )


def _class_results(comparison: Comparison) -> dict[str, ClassResult]:
    masks, boxes = class_aware(comparison.masks), class_aware(comparison.boxes)
    results = {}
    for matches in comparison.masks.aware or ():
        name = matches.label
        if name is not None and name in masks.per_class:
            results[name] = ClassResult(
                map_50_95=masks.per_class[name],
                map_50=masks.per_class_50[name],
                map_75=masks.per_class_75[name],
                map_50_95_box=boxes.per_class[name],
                map_50_box=boxes.per_class_50[name],
                map_75_box=boxes.per_class_75[name],
                instances_truth=int(matches.truth_count.sum()),
                precision_at_recall=_precision_at_recall(matches),
            )
    return results


def _precision_at_recall(matches: ClassMatches) -> Numbers:
    precision = precision_at_recalls(matches)
    return () if precision is None else to_numbers(precision, CURVE_DIGITS)


def _reliability(kept: Sequence[ImageOverlap]) -> Reliability:
    result = calibration(kept)
    return Reliability(
        count=tuple(result.count.tolist()),
        confidence=to_numbers(result.confidence, CURVE_DIGITS),
        precision=to_numbers(result.precision, CURVE_DIGITS),
    )


def _diameters(comparison: Comparison) -> tuple[Diameters, ...]:
    in_px = diameters_px(comparison)
    if in_px is None:
        return ()
    in_nm = diameters_nm(comparison, in_px)
    return (_percentiles("px", in_px), *([] if in_nm is None else [_percentiles("nm", in_nm)]))


def _percentiles(unit: str, samples: DiameterSamples) -> Diameters:
    predicted, truth = samples.pooled()

    def percentiles(sample: NDArray[np.float64]) -> Numbers:
        return to_numbers(np.percentile(sample, np.arange(101)), CURVE_DIGITS) if sample.size else ()

    return Diameters(
        unit=unit,
        truth_count=truth.size,
        predicted_count=predicted.size,
        truth=percentiles(truth),
        predicted=percentiles(predicted),
    )


def _image_results(names: Sequence[str], kept: Sequence[ImageOverlap]) -> tuple[ImageResult, ...]:
    return tuple(_image_result(name, overlap) for name, overlap in zip(names, kept, strict=True))


def _image_result(name: str, overlap: ImageOverlap) -> ImageResult:
    pairs = pooled([overlap])
    errors = diameter_errors(*inner_diameters(overlap))
    return ImageResult(
        name=name,
        instances_truth=len(overlap.truth),
        instances_predicted=len(overlap.predicted),
        f1=pairs.f1,
        pq=pairs.pq,
        diameter_median_error_relative=errors.median if errors else None,
    )
