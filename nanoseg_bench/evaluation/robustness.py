"""The eval set ``robustness``: test images under eight corruptions, each in five severities.

Corrupted is what models see: the canvas, without its padding and the info bar. A prepared set holds no original pixels,
and does not need them here: lengths and doses of a corruption are relative to the longer side of the image, so it comes
out the same on the micrograph and on its canvas but for what the letterbox' resampling smooths, and it is as hard for
every image whatever its size. Truth stays in original pixels, and moves there where a corruption moves particles.

What happens to an image depends on its name, the corruption and the severity, with one seed for all models.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.evaluation.comparison import Confidence, keep_at
from nanoseg_bench.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt, corrupt_truth, field_rows
from nanoseg_bench.evaluation.corruptions.table import corruption_named
from nanoseg_bench.evaluation.degradation import mean_corrupted_performance, mean_performance, relative_degradation
from nanoseg_bench.evaluation.detection_scores import pooled
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions, compare
from nanoseg_bench.evaluation.resampling import Draws, Samples, draw, intervals, kept_samples
from nanoseg_bench.evaluation.result import Details, Evaluation, Scores
from nanoseg_bench.evaluation.strata import answers_to, part_of
from nanoseg_bench.files import sha256_json
from nanoseg_bench.metrics.average_precision import (
    NOT_MEASURED,
    average_precision,
    match_detections,
    resampled_map,
)
from nanoseg_bench.metrics.pixel import pixel_scores
from nanoseg_bench.metrics.table import with_interval
from nanoseg_bench.models.base import CanvasImage

ROBUSTNESS = "robustness"

PRIMARY = "map_50_95_agnostic"
"""What degradation is measured by: every model has it, Otsu too."""

RESAMPLED_ROBUSTNESS = with_interval("robustness")
"""Metrics that have an interval."""

_SEED = 0
_VERSION = 1
"""Raised when a corruption changes in more than its parameters: kept predictions are then of other images."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One corruption at one severity."""

    corruption: str
    severity: int

    @property
    def name(self) -> str:
        """Names the eval set and, below a run's predictions, the file: ``robustness/shot-noise-3``."""
        return f"{ROBUSTNESS}/{self.corruption}-{self.severity}"


CONDITIONS = tuple(Condition(corruption.name, severity) for corruption in CORRUPTIONS for severity in SEVERITIES)


def clean_set(test: EvalSet, number: int) -> EvalSet:
    """The images that are corrupted, as they are: the same for every model, spread over the source groups.

    Every group gives one image before any gives two. The order in which groups, and images of a group, are taken
    follows from a hash of their names, so fewer images are always some of more.

    Args:
        test: The eval set.
        number: How many; all where there are not so many.
    """
    by_group: dict[str, list[str]] = defaultdict(list)
    for name in sorted(test.images, key=_shuffled):
        by_group[test.source_groups[name]].append(name)
    groups = [by_group[group] for group in sorted(by_group, key=_shuffled)]
    rounds = (name for each in zip_longest(*groups) for name in each if name is not None)
    return part_of(test, [name for name, _ in zip(rounds, range(number), strict=False)])


def corrupted_set(clean: EvalSet, condition: Condition) -> EvalSet:
    """Images and truth under a condition.

    Its hash stands for images and corruption too: predictions for others are refused.
    """

    def moved(name: str) -> list[Instance]:
        truth, size = clean.truth[name], clean.sizes[name]
        field = field_rows(truth, size)
        return corrupt_truth(truth, size, condition.corruption, condition.severity, _SEED, name, field=field)

    return replace(
        clean,
        name=condition.name,
        set_hash=corrupted_hash(clean, condition),
        truth={name: moved(name) for name in clean.images},
    )


def corrupted_hash(clean: EvalSet, condition: Condition) -> str:
    """SHA-256 of what is corrupted, and how."""
    return sha256_json(
        {
            "set_hash": clean.set_hash,
            "images": list(clean.images),
            "corruption": condition.corruption,
            "parameters": corruption_named(condition.corruption).at(condition.severity),
            "seed": _SEED,
            "version": _VERSION,
        }
    )


def corrupt_canvas(canvas: CanvasImage, clean: EvalSet, condition: Condition) -> CanvasImage:
    """What a model sees of an image under a condition.

    Args:
        canvas: What it sees of the image as it is.
        clean: Holds the image.
        condition: What happens to it.
    """
    name, letterbox = canvas.name, canvas.letterbox
    rows = field_rows(clean.truth[name], clean.sizes[name])
    _, scale = letterbox.scale
    pixels = canvas.pixels.copy()
    content = letterbox.content(pixels)
    content[:] = corrupt(
        content,
        condition.corruption,
        condition.severity,
        _SEED,
        name,
        field=slice(round(rows.start * scale), round(rows.stop * scale)),
        modality=clean.attributes.get(name, {}).get("modality"),
    )
    return replace(canvas, pixels=pixels)


def evaluate_robustness(
    clean: EvalSet,
    clean_predictions: Predictions,
    predictions_for: Callable[[Condition], Predictions],
    confidence: Confidence,
    *,
    resamples: int = 1000,
    seed: int | None = 0,
) -> Evaluation:
    """How much worse a model becomes.

    Args:
        clean: From ``clean_set``.
        clean_predictions: The model's answer to the eval set that it was taken from.
        predictions_for: The model's answer under a condition; asked for one at a time.
        confidence: Operating point; None leaves its scores empty.
        resamples: Bootstrap resamples of the source groups, the same for every condition; 0 leaves the intervals empty.
        seed: Of the bootstrap.

    Returns:
        ``scores``: the clean and the corrupted AP and the share that is lost, overall and by corruption, means over
        severities. ``details.corruptions``: several scores at each severity.

    Raises:
        PredictionsError: Predictions are incomplete or belong to another set.
    """
    draws = draw(clean, resamples, seed)
    reference = _judge(clean, answers_to(clean_predictions, clean.images), confidence, draws)
    corruptions = {
        corruption.name: tuple(
            _judge(corrupted_set(clean, condition), predictions_for(condition), confidence, draws)
            for condition in (Condition(corruption.name, severity) for severity in SEVERITIES)
        )
        for corruption in CORRUPTIONS
    }
    by_corruption = {name: [judged.scores[PRIMARY] for judged in each] for name, each in corruptions.items()}
    clean_ap, overall = reference.scores[PRIMARY], mean_corrupted_performance(by_corruption)
    means = {name.replace("-", "_"): mean_performance(scores) for name, scores in by_corruption.items()}
    samples = {} if draws is None else _resample(reference, [each for row in corruptions.values() for each in row])
    return Evaluation(
        scores={
            f"{PRIMARY}_clean": clean_ap,
            f"{PRIMARY}_corrupted": overall,
            "degradation": relative_degradation(clean_ap, overall),
            **{f"{PRIMARY}_{name}": mean for name, mean in means.items()},
            **{f"degradation_{name}": relative_degradation(clean_ap, mean) for name, mean in means.items()},
            **intervals(samples, RESAMPLED_ROBUSTNESS),
        },
        resampled=kept_samples(samples),
        details=Details(
            corruptions={name: tuple(judged.scores for judged in each) for name, each in corruptions.items()}
        ),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Judged:
    """Scores under one condition, and (R,) ``PRIMARY`` of the resampled images; empty without draws."""

    scores: Scores
    resampled: NDArray[np.float64]


def _judge(eval_set: EvalSet, predictions: Predictions, confidence: Confidence, draws: Draws | None) -> _Judged:
    overlaps = compare(eval_set, predictions)
    matches = match_detections(overlaps, None, eval_set.max_detections)
    agnostic = average_precision(matches)
    aware = NOT_MEASURED
    if predictions.knows_classes:
        aware = average_precision(match_detections(overlaps, eval_set.classes, eval_set.max_detections))
    kept = keep_at(eval_set.images, overlaps, confidence)
    pixels = None if kept is None else pixel_scores(kept)
    return _Judged(
        scores={
            "map_50_95": aware.map_50_95,
            "map_50_95_agnostic": agnostic.map_50_95,
            "map_50_agnostic": agnostic.map_50,
            "f1": None if kept is None else pooled(kept).f1,
            "iou_pixel": pixels.iou if pixels else None,
        },
        resampled=np.zeros(0) if draws is None else resampled_map(matches, draws.groups, draws.weights).map_50_95,
    )


def _resample(clean: _Judged, corrupted: Sequence[_Judged]) -> Samples:
    """What has an interval, from the same resampled images under every condition.

    Every corruption has as many severities, so the mean over all conditions is that of the means over severities.
    """
    overall = np.mean([judged.resampled for judged in corrupted], axis=0)
    reference = np.where(clean.resampled > 0, clean.resampled, np.nan)
    return {f"{PRIMARY}_corrupted": overall, "degradation": 1 - overall / reference}


def _shuffled(name: str) -> str:
    return hashlib.sha256(f"{_SEED}\n{name}".encode()).hexdigest()
