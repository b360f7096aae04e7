"""Scoring: an eval set and a model's predictions become the numbers of a record.

Column names are those of the leaderboards. None means not measured.
"""

from nanoseg_bench.evaluation.comparison import Comparison, Confidence, compare_with_truth, typical_confidence
from nanoseg_bench.evaluation.details import by_confidence, details_of
from nanoseg_bench.evaluation.detection_scores import detection_scores
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.marks import marks_excused_scores
from nanoseg_bench.evaluation.ood import ood_confusion, ood_scores
from nanoseg_bench.evaluation.precision_scores import precision_scores
from nanoseg_bench.evaluation.predictions import Predictions
from nanoseg_bench.evaluation.resampling import Draws, draw, intervals, kept_samples, resample, resample_ood
from nanoseg_bench.evaluation.result import Details, Evaluation, Scores
from nanoseg_bench.evaluation.size_scores import size_scores
from nanoseg_bench.evaluation.strata import UNKNOWN_MODALITY, strata
from nanoseg_bench.evaluation.timing import timing_scores
from nanoseg_bench.metrics.table import also_in, with_interval

EVALUATOR_VERSION = "3"
"""Stands in every record; raised whenever a published number could change. Tables never mix versions."""

RESAMPLED = with_interval("precision", "detection", "counts", "sizes")
RESAMPLED_OOD = tuple(each.name for each in also_in("ood") if each.interval)
"""Metrics that have an interval."""


def evaluate(
    eval_set: EvalSet,
    predictions: Predictions,
    confidence: Confidence,
    *,
    resamples: int = 1000,
    seed: int | None = 0,
) -> Evaluation:
    """Score predictions on an eval set, in original pixels.

    Class-aware columns are None for a model that knows no classes, also where the data have only one: nothing was
    classified. All others disregard classes.

    Args:
        eval_set: Images and truth.
        predictions: The model's answer.
        confidence: Operating point, from ``choose_operating_point``; None leaves its columns empty.
        resamples: Bootstrap resamples of the source groups; 0 leaves the intervals empty.
        seed: Of the bootstrap; the same seed draws the same groups for every model.

    Raises:
        PredictionsError: The predictions are incomplete or belong to another set.
    """
    comparison = compare_with_truth(eval_set, predictions, confidence)
    return evaluate_comparison(comparison, draw(eval_set, resamples, seed))


def evaluate_comparison(comparison: Comparison, draws: Draws | None) -> Evaluation:
    """Score predictions that were compared with the truth.

    Args:
        comparison: Of predictions and truth.
        draws: Resamples of the eval set's source groups; None leaves the intervals empty.
    """
    samples = {} if draws is None else resample(comparison, draws)
    timing = timing_scores(comparison.predictions.timing)
    return Evaluation(
        scores={**_scores(comparison), **intervals(samples, RESAMPLED), **timing},
        resampled=kept_samples(samples),
        details=details_of(comparison).model_copy(update={"modalities": _modalities(comparison)}),
    )


def evaluate_ood(
    eval_set: EvalSet,
    predictions: Predictions,
    confidence: Confidence,
    *,
    resamples: int = 1000,
    seed: int | None = 0,
) -> Evaluation:
    """Score particles of shapes that were not in the training data: found or not, and what they are called.

    Args:
        eval_set: Images and truth.
        predictions: The model's answer.
        confidence: Operating point, at which the shapes' names are read; None leaves them out.
        resamples: Bootstrap resamples of the source groups; 0 leaves the interval empty.
        seed: Of the bootstrap.

    Raises:
        PredictionsError: The predictions are incomplete or belong to another set.
    """
    comparison = compare_with_truth(eval_set, predictions, confidence)
    draws = draw(eval_set, resamples, seed)
    samples = {} if draws is None else resample_ood(comparison, draws)
    return Evaluation(
        scores={
            **ood_scores(comparison),
            **intervals(samples, RESAMPLED_OOD),
            **_common(comparison),
            **timing_scores(predictions.timing),
        },
        resampled=kept_samples(samples),
        details=Details(confusion=ood_confusion(comparison), by_confidence=by_confidence(comparison.overlaps)),
    )


def _scores(comparison: Comparison) -> Scores:
    return {
        **precision_scores(comparison),
        **detection_scores(comparison),
        **marks_excused_scores(comparison),
        **size_scores(comparison),
        **_common(comparison),
    }


def _common(comparison: Comparison) -> Scores:
    return {
        "confidence": typical_confidence(comparison),
        "instances_truth": sum(len(overlap.truth) for overlap in comparison.overlaps),
        "max_detections": comparison.eval_set.max_detections,
    }


def _modalities(comparison: Comparison) -> dict[str, Scores]:
    """The row of each modality by itself, with its number of images; empty where no image's modality is known."""
    found = strata(comparison.eval_set)
    if set(found) <= {UNKNOWN_MODALITY}:
        return {}
    return {modality: {"images": len(names), **_scores(comparison.part(names))} for modality, names in found.items()}
