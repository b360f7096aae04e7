"""Predictions of a run for the eval set ``robustness``: one file for each condition, ``predictions/robustness/``."""

from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import read_predictions, write_predictions
from nanoseg_bench.evaluation.robustness import CONDITIONS, Condition, clean_set, corrupted_hash
from nanoseg_bench.models.base import Deadline, Model
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.progress import track
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.inference import predict_corrupted


def predict_conditions(model: Model, prepared: PreparedSet, run: RunFolder, clean: EvalSet, deadline: Deadline) -> None:
    """Predict the images under each condition that is not predicted yet; each is kept as soon as it is done.

    Args:
        model: Ready to predict.
        prepared: Holds the images.
        run: Keeps the predictions.
        clean: The images as they are, from ``clean_set``.
        deadline: Looked at before each condition.

    Raises:
        TimeLimitReached: The deadline passed.
    """
    for condition in track(stale_conditions(run, clean), f"predict robustness with {model.recipe.model}"):
        deadline.check("the predictions for robustness")
        predictions = predict_corrupted(model, prepared, clean, condition)
        run.forget_made_from(condition.name)
        write_predictions(run.predictions_path(condition.name), predictions)
        run.write_made_from(condition.name, set_hash=corrupted_hash(clean, condition))


def stale_conditions(run: RunFolder, clean: EvalSet) -> list[Condition]:
    """Conditions under which the run's training has not predicted these images."""
    return [each for each in CONDITIONS if not run.has_current_predictions(each.name, corrupted_hash(clean, each))]


def kept_clean_set(run: RunFolder, test: EvalSet) -> EvalSet | None:
    """The images, as they are, of which a run keeps predictions under every condition; None where it does not.

    Raises:
        PredictionsError: The first file is malformed.
    """
    first = run.predictions_path(CONDITIONS[0].name)
    if not first.is_file():
        return None
    clean = clean_set(test, len(read_predictions(first).images))
    return None if stale_conditions(run, clean) else clean
