"""Predictions beside the truth of an eval set, compared once: every score and every picture is read from this."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions, compare
from nanoseg_bench.evaluation.strata import answers_to, part_of
from nanoseg_bench.metrics.average_precision import ClassMatches, match_detections
from nanoseg_bench.metrics.matching import ImageOverlap, as_boxes

Confidence = float | Mapping[str, float] | None
"""Operating point: one for all images, or one for each, where they were not all predicted by the same training; None
where there is none."""


@dataclass(frozen=True, eq=False, slots=True)
class Matches:
    """Fate of every detection.

    Attributes:
        agnostic: With all particles as one class.
        aware: Class by class; None for a model that knows no classes.
    """

    agnostic: ClassMatches
    aware: Sequence[ClassMatches] | None


@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """One model on one eval set.

    Attributes:
        eval_set: Images and truth.
        predictions: The model's complete answer.
        confidence: Operating point.
        overlaps: One per image, in the eval set's order, with every prediction.
        kept: The same with the detections at the operating point; None without one.
        masks: What becomes of the detections when masks are compared.
        boxes: The same for the masks' bounding boxes.
    """

    eval_set: EvalSet
    predictions: Predictions
    confidence: Confidence
    overlaps: Sequence[ImageOverlap]
    kept: Sequence[ImageOverlap] | None
    masks: Matches
    boxes: Matches

    def part(self, images: Iterable[str]) -> "Comparison":
        """These images by themselves, as if the rest did not exist; the overlaps are not computed again."""
        names = set(images)
        overlaps = [overlap for name, overlap in zip(self.eval_set.images, self.overlaps, strict=True) if name in names]
        return _match(part_of(self.eval_set, names), answers_to(self.predictions, names), self.confidence, overlaps)


def compare_with_truth(eval_set: EvalSet, predictions: Predictions, confidence: Confidence) -> Comparison:
    """Compare predictions with the truth, in original pixels.

    Args:
        eval_set: Images and truth.
        predictions: The model's answer.
        confidence: Operating point.

    Raises:
        PredictionsError: The predictions are incomplete or belong to another set.
    """
    return _match(eval_set, predictions, confidence, compare(eval_set, predictions))


def typical_confidence(comparison: Comparison) -> float | None:
    """The operating point, or the median of those of the images."""
    confidence = comparison.confidence
    if isinstance(confidence, Mapping):
        return float(np.median([confidence[name] for name in comparison.eval_set.images]))
    return confidence


def keep_at(
    images: Sequence[str], overlaps: Sequence[ImageOverlap], confidence: Confidence
) -> list[ImageOverlap] | None:
    """Each image with its detections at the operating point; None without one."""
    if confidence is None:
        return None
    if isinstance(confidence, Mapping):
        return [overlap.keep(confidence[name]) for name, overlap in zip(images, overlaps, strict=True)]
    return [overlap.keep(confidence) for overlap in overlaps]


def _match(
    eval_set: EvalSet, predictions: Predictions, confidence: Confidence, overlaps: Sequence[ImageOverlap]
) -> Comparison:
    classes = eval_set.classes if predictions.knows_classes else None

    def matches(of: Sequence[ImageOverlap]) -> Matches:
        return Matches(
            agnostic=match_detections(of, None, eval_set.max_detections)[0],
            aware=None if classes is None else match_detections(of, classes, eval_set.max_detections),
        )

    return Comparison(
        eval_set=eval_set,
        predictions=predictions,
        confidence=confidence,
        overlaps=overlaps,
        kept=keep_at(eval_set.images, overlaps, confidence),
        masks=matches(overlaps),
        boxes=matches([as_boxes(overlap) for overlap in overlaps]),
    )
