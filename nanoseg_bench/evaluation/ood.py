"""Scores of particles whose shapes were not in the training data (the paper's Table S4)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nanoseg_bench.evaluation.comparison import Comparison
from nanoseg_bench.evaluation.details import confusion
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.result import Confusion, Scores
from nanoseg_bench.metrics.average_precision import average_precision
from nanoseg_bench.metrics.matching import ImageOverlap, match

OOD_SHAPES = ("triangle", "pentagon")
OOD_CONFIDENCES = {"": None, "_25": 0.25, "_50": 0.5, "_75": 0.75}
"""Column suffix to smallest confidence; None takes every prediction."""

UNKNOWN_SHAPE = "unknown"
"""What a particle is called whose shape nobody noted."""


def ood_scores(comparison: Comparison) -> Scores:
    """Detection rates and class-agnostic AP at IoU 0.50.

    The detection rate is the share of particles with a prediction of IoU >= 0.5, one to one, of any class.

    Where scores are confidences, the rates at 0.25, 0.5 and 0.75 are filled (``detection_rate_25``,
    ``detection_rate_triangle_25``, ...) and those without a threshold (``detection_rate``,
    ``detection_rate_triangle``, ...) stay empty: a list that goes down to 0.001 would win there by its length. Where
    they only rank (Otsu), it is the other way round.
    """
    shapes = _shapes(comparison)
    rates: Scores = {}
    for suffix, confidence in OOD_CONFIDENCES.items():
        measured = comparison.predictions.has_confidence == (confidence is not None)
        found = _found(comparison.overlaps, confidence) if measured else None
        for shape in (None, *OOD_SHAPES):
            column = f"detection_rate{'' if shape is None else f'_{shape}'}{suffix}"
            rates[column] = None if found is None else _rate(found, shapes, shape)
    return {**rates, "map_50_agnostic": average_precision([comparison.masks.agnostic]).map_50}


def ood_confusion(comparison: Comparison) -> Confusion | None:
    """What the model calls the new shapes: rows are shapes, columns the classes that it was trained on.

    Returns:
        None without an operating point, and for a model that knows no classes.
    """
    if comparison.kept is None or not comparison.predictions.knows_classes:
        return None
    shapes = _shapes(comparison)
    named = [replace(overlap, truth_labels=names) for overlap, names in zip(comparison.kept, shapes, strict=True)]
    present = {name for names in shapes for name in names}
    ordered = [name for name in OOD_SHAPES if name in present] + sorted(present.difference(OOD_SHAPES))
    return confusion(named, ordered, comparison.eval_set.classes)


def _found(overlaps: Sequence[ImageOverlap], confidence: float | None) -> list[set[int]]:
    """Indices of the detected particles of each image."""
    # match() wants a larger IoU; the next smaller number makes 0.5 itself count, as in COCO.
    at_least_half = float(np.nextafter(0.5, 0))
    return [set(match(overlap.keep(confidence).iou, at_least_half)[1].tolist()) for overlap in overlaps]


def _rate(found: Sequence[set[int]], shapes: Sequence[Sequence[str]], shape: str | None) -> float | None:
    """Share of the particles of a shape (None: of all) that are detected; None where there is no such particle."""
    hits = [
        index in detected
        for detected, names in zip(found, shapes, strict=True)
        for index, name in enumerate(names)
        if shape is None or name == shape
    ]
    return sum(hits) / len(hits) if hits else None


def _shapes(comparison: Comparison) -> list[tuple[str, ...]]:
    """Shape of each particle of each image."""
    return [
        tuple(_shape(label, comparison.eval_set, name) for label in overlap.truth_labels)
        for name, overlap in zip(comparison.eval_set.images, comparison.overlaps, strict=True)
    ]


def _shape(label: str | None, eval_set: EvalSet, image: str) -> str:
    """Its own label where that is a new shape, else the image's attribute ``ood_shape``, else whatever it is called."""
    if label in OOD_SHAPES:
        return str(label)
    attributes: Mapping[str, str] = eval_set.attributes.get(image, {})
    return attributes.get("ood_shape") or label or UNKNOWN_SHAPE
