"""Predict an eval set with a fitted model, image by image."""

from dataclasses import replace

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions
from nanoseg_bench.evaluation.robustness import Condition, corrupt_canvas, corrupted_hash
from nanoseg_bench.evaluation.timing import Timing
from nanoseg_bench.models.base import CanvasImage, Model
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.progress import track
from nanoseg_bench.runs.timing import measure_alone


def predict_eval_set(
    model: Model, prepared: PreparedSet, eval_set: EvalSet, device: str, *, timed: bool = True
) -> Predictions:
    """Predict every image of an eval set.

    Args:
        model: Ready to predict.
        prepared: Holds the images.
        eval_set: Its images are predicted.
        device: torch device name.
        timed: Whether latency and energy are measured too, where nothing else is at work; see ``runs.timing``.
    """
    images = prepared.images(eval_set.name)
    description = f"predict {eval_set.name} with {model.recipe.model}"
    found = {image.name: model.find_particles([CanvasImage.read(image)])[0] for image in track(images, description)}
    timing = measure_latency(model, prepared, eval_set.name, device) if timed else None
    return _predictions(model, eval_set, found, timing)


def measure_latency(model: Model, prepared: PreparedSet, eval_set: str, device: str) -> Timing | None:
    """Latency and energy on the images of an eval set; None where something else is at work.

    Args:
        model: Ready to predict.
        prepared: Holds the images.
        eval_set: Its name.
        device: torch device name.
    """
    description = f"latency of {model.recipe.model} on {eval_set}"
    return measure_alone(model, prepared.images(eval_set), device, description)


def predict_corrupted(model: Model, prepared: PreparedSet, clean: EvalSet, condition: Condition) -> Predictions:
    """Predict the images of an eval set after they were corrupted.

    Args:
        model: Ready to predict.
        prepared: Holds the images.
        clean: The images as they are, from ``evaluation.robustness.clean_set``.
        condition: What happens to them.
    """
    by_name = {image.name: image for image in prepared.images(clean.name)}
    found = {}
    for name in clean.images:
        canvas = corrupt_canvas(CanvasImage.read(by_name[name]), clean, condition)
        (found[name],) = model.find_particles([canvas])
    predictions = _predictions(model, clean, found)
    return replace(predictions, eval_set=condition.name, set_hash=corrupted_hash(clean, condition))


def _predictions(
    model: Model, eval_set: EvalSet, found: dict[str, list[Instance]], timing: Timing | None = None
) -> Predictions:
    return Predictions(
        model=model.recipe.model,
        eval_set=eval_set.name,
        set_hash=eval_set.set_hash,
        knows_classes=model.knows_classes,
        classes=eval_set.classes,
        images=found,
        sizes=eval_set.sizes,
        timing=timing,
        has_confidence=model.has_confidence,
    )
