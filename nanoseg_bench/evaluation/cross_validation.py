"""Cross-validation: the answers of the folds' networks, each to its own test images, become the numbers of one record.

Counts, sizes, precision, recall and F1 are of all test images together, each read at the operating point of the fold
that tests it. Average precision stands there in two ways. Pooled, it sorts the detections of differently trained
networks by scores that do not mean the same, which costs every model, and more where its scores are calibrated worse.
As a mean over the folds it compares no score of one network with one of another, so that is what ranks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.comparison import Comparison, Confidence, compare_with_truth
from nanoseg_bench.evaluation.detection_scores import pooled
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.precision_scores import class_aware
from nanoseg_bench.evaluation.predictions import Predictions
from nanoseg_bench.evaluation.resampling import Samples, draw, intervals, kept_samples
from nanoseg_bench.evaluation.result import Evaluation, FoldResult, OperatingPointChoice, Scores
from nanoseg_bench.evaluation.scoring import evaluate_comparison
from nanoseg_bench.evaluation.timing import Timing
from nanoseg_bench.metrics.average_precision import ClassMatches, ResampledMap, average_precision, mean_over_folds
from nanoseg_bench.metrics.bootstrap import group_indices
from nanoseg_bench.metrics.table import names, with_interval

FOLD_MEAN = "_fold_mean"
FOLD_SD = "_fold_sd"

RESAMPLED_OVER_FOLDS = with_interval("over_folds")
"""Means over the folds; each has an interval."""

SPREAD_OVER_FOLDS = tuple(name for name in names("over_folds") if name.endswith(FOLD_SD))
"""Standard deviation over the folds: of different images and trainings, not the error of the mean."""

RULE = (
    "Each micrograph is tested once, by a network that saw no micrograph of its source group, at the operating point "
    "that this network's fold chose on its own val. Counts, sizes, P, R and F1 are pooled over all of them. AP is a "
    "mean over the folds, of each class over those that show it; it ranks. AP of all detections sorted together stands "
    "beside it and is lower where the scores of differently trained networks do not mean the same."
)
"""As it is printed."""


@dataclass(frozen=True, eq=False, slots=True)
class FoldAnswer:
    """What the network of one fold says of its own test images.

    Attributes:
        fold: Its number, from 1.
        predictions: For the fold's test images, complete.
        point: Chosen on the fold's own val.
    """

    fold: int
    predictions: Predictions
    point: OperatingPointChoice


def evaluate_folds(
    eval_set: EvalSet, answers: Sequence[FoldAnswer], *, resamples: int = 1000, seed: int | None = 0
) -> tuple[Evaluation, tuple[FoldResult, ...]]:
    """Score a cross-validation.

    Args:
        eval_set: Every image of the folds, with its truth.
        answers: Of all folds.
        resamples: Bootstrap resamples of the source groups, one draw for everything; 0 leaves the intervals empty.
        seed: Of the bootstrap.

    Returns:
        The evaluation, whose scores have ``RESAMPLED_OVER_FOLDS`` and ``SPREAD_OVER_FOLDS`` beside those of
        ``evaluate``, and what each fold is by itself.

    Raises:
        PredictionsError: An image is answered by no fold, or by two.
    """
    confidence = {name: answer.point.confidence for answer in answers for name in answer.predictions.images}
    comparison = compare_with_truth(eval_set, _together(eval_set, answers), confidence)
    parts = [comparison.part(answer.predictions.images) for answer in answers]
    evaluation = _evaluate_in_parts(comparison, parts, resamples, seed)
    results = tuple(_result(answer, part) for answer, part in zip(answers, parts, strict=True))
    point = median_point([answer.point for answer in answers])
    scores = {**evaluation.scores, **_spreads(results), "confidence": point.confidence}
    return evaluation.model_copy(update={"scores": scores}), results


def evaluate_beside_folds(
    eval_set: EvalSet,
    predictions: Predictions,
    confidence: Confidence,
    folds: Sequence[Iterable[str]],
    *,
    resamples: int = 1000,
    seed: int | None = 0,
) -> Evaluation:
    """Score what was not trained in folds, such as another tool, so that it stands beside a cross-validation.

    Args:
        eval_set: Every image of the folds, with its truth.
        predictions: One answer to all of them.
        confidence: Operating point, as of ``evaluate``.
        folds: The test images of each fold, over which ``RESAMPLED_OVER_FOLDS`` are means.
        resamples: As of ``evaluate_folds``, as is the seed.
        seed: Of the bootstrap.

    Raises:
        PredictionsError: As ``evaluate``.
    """
    comparison = compare_with_truth(eval_set, predictions, confidence)
    return _evaluate_in_parts(comparison, [comparison.part(images) for images in folds], resamples, seed)


def _evaluate_in_parts(
    comparison: Comparison, parts: Sequence[Comparison], resamples: int, seed: int | None
) -> Evaluation:
    """What is of all images together, and the average precisions as means over the parts."""
    eval_set = comparison.eval_set
    draws = draw(eval_set, resamples, seed)
    evaluation = evaluate_comparison(comparison, draws)
    groups, number = group_indices([eval_set.source_groups[name] for name in eval_set.images])
    group_of = dict(zip(eval_set.images, groups, strict=True))
    of_parts = [np.array([group_of[name] for name in part.eval_set.images], dtype=np.intp) for part in parts]
    samples = {} if draws is None else _maps(parts, of_parts, draws.weights)
    means = _means(_maps(parts, of_parts, np.ones((1, number))))
    return evaluation.model_copy(
        update={
            "scores": {**evaluation.scores, **means, **intervals(samples, RESAMPLED_OVER_FOLDS)},
            "resampled": {**evaluation.resampled, **kept_samples(samples)},
        }
    )


def median_point(points: Sequence[OperatingPointChoice]) -> OperatingPointChoice:
    """The median of the folds' operating points; what a model that is trained on everything is used at.

    Where no fold's val could decide, it is the default that all of them took.

    Args:
        points: Of all folds, at least one.
    """
    defaulted = [point for point in points if point.source == "default"]
    confidence = float(np.median([point.confidence for point in points]))
    if len(defaulted) == len(points):
        return OperatingPointChoice(
            confidence=confidence, source="default", reason=f"in every fold (fold 1: {defaulted[0].reason})"
        )
    reason = f"the default in {len(defaulted)} of {len(points)} folds, whose val cannot decide" if defaulted else ""
    return OperatingPointChoice(confidence=confidence, source="folds", reason=reason)


def _together(eval_set: EvalSet, answers: Sequence[FoldAnswer]) -> Predictions:
    """The answers as those of one model, in the order of the eval set."""
    fold_of: dict[str, int] = {}
    for answer in answers:
        for name in answer.predictions.images:
            if name in fold_of:
                raise PredictionsError(
                    f"predictions of {answer.predictions.model!r}: {name!r} is tested in fold {fold_of[name]} and in "
                    f"fold {answer.fold}; prepare the set again, and run the model again"
                )
            fold_of[name] = answer.fold
    images = {name: found for answer in answers for name, found in answer.predictions.images.items()}
    sizes = {name: size for answer in answers for name, size in answer.predictions.sizes.items()}
    ordered = [*(name for name in eval_set.images if name in images), *(images.keys() - set(eval_set.images))]
    return replace(
        answers[0].predictions,
        set_hash=eval_set.set_hash,
        images={name: images[name] for name in ordered},
        sizes=sizes,
        timing=_timing([answer.predictions for answer in answers]),
    )


def _timing(answers: Sequence[Predictions]) -> Timing | None:
    """All measurements together, so that the columns are medians over all of them; None where a fold has none.

    Of the energy only each fold's mean is kept: it counts as often as the fold has images.
    """
    measured = [answer.timing for answer in answers if answer.timing is not None]
    if len(measured) < len(answers):
        return None
    energies = [timing.energy_j_per_image for timing in measured]
    known = [energy for energy in energies if energy is not None]
    images = [len(answer.images) for answer in answers]
    return Timing(
        total_ms=tuple(value for timing in measured for value in timing.total_ms),
        pre_ms=tuple(value for timing in measured for value in timing.pre_ms),
        network_ms=tuple(value for timing in measured for value in timing.network_ms),
        post_ms=tuple(value for timing in measured for value in timing.post_ms),
        energy_j_per_image=float(np.average(known, weights=images)) if len(known) == len(energies) else None,
    )


def _result(answer: FoldAnswer, part: Comparison) -> FoldResult:
    aware, agnostic = class_aware(part.masks), average_precision([part.masks.agnostic])
    found = pooled(part.kept or [])
    return FoldResult(
        fold=answer.fold,
        images=len(part.eval_set.images),
        groups=len(set(part.eval_set.source_groups.values())),
        operating_point=answer.point,
        scores={
            "map_50_95": aware.map_50_95,
            "map_50": aware.map_50,
            "map_50_95_agnostic": agnostic.map_50_95,
            "map_50_agnostic": agnostic.map_50,
            "precision": found.precision,
            "recall": found.recall,
            "f1": found.f1,
        },
    )


def _means(maps: Samples) -> Scores:
    """Of every group drawn once."""
    means: Scores = dict.fromkeys(RESAMPLED_OVER_FOLDS)
    for metric, (value,) in maps.items():
        means[metric] = None if np.isnan(value) else float(value)
    return means


def _maps(parts: Sequence[Comparison], groups: Sequence[NDArray[np.intp]], weights: NDArray[np.float64]) -> Samples:
    """Metrics of ``RESAMPLED_OVER_FOLDS`` to (R,) values; the class-aware ones only of a model that knows classes."""

    def columns(folds: Sequence[Sequence[ClassMatches]], suffix: str) -> Mapping[str, NDArray[np.float64]]:
        found: ResampledMap = mean_over_folds(folds, groups, weights)
        return {f"map_50_95{suffix}{FOLD_MEAN}": found.map_50_95, f"map_50{suffix}{FOLD_MEAN}": found.map_50}

    aware = [part.masks.aware for part in parts if part.masks.aware is not None]
    return {
        **(columns(aware, "") if len(aware) == len(parts) else {}),
        **columns([[part.masks.agnostic] for part in parts], "_agnostic"),
    }


def _spreads(results: Sequence[FoldResult]) -> Scores:
    spreads: Scores = {}
    for column in SPREAD_OVER_FOLDS:
        values = [value for each in results if (value := each.scores[column.removesuffix(FOLD_SD)]) is not None]
        spreads[column] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return spreads
