"""Predict an eval set with a fitted model, image by image, and time it."""

import time

from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions
from nanoseg_bench.imageio import as_rgb, read_image
from nanoseg_bench.models.base import CanvasImage, Model
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet
from nanoseg_bench.progress import track


def predict_eval_set(model: Model, prepared: PreparedSet, eval_set: EvalSet, device: str) -> Predictions:
    """Predict every image of an eval set.

    The latency of an image is the wall time of ``Model.predict`` on that one image in memory: network, its pre- and
    post-processing and the way back to original pixels; batch 1, after one image of warm-up, GPU synchronised. Reading
    the file is not in it.
    """
    images = prepared.images(eval_set.name)
    found, latencies = {}, []
    if images:
        model.predict([_load(images[0])])
    for image in track(images, f"predict {eval_set.name} with {model.recipe.model}"):
        canvas = _load(image)
        start = time.perf_counter()
        found[image.name] = model.predict([canvas])[0]
        _synchronise(device)
        latencies.append((time.perf_counter() - start) * 1000)
    return Predictions(
        model=model.recipe.model,
        eval_set=eval_set.name,
        set_hash=prepared.content_hash,
        knows_classes=model.knows_classes,
        classes=prepared.classes,
        images=found,
        sizes=eval_set.sizes,
        latency_ms=tuple(latencies),
        has_confidence=model.has_confidence,
    )


def _load(image: PreparedImage) -> CanvasImage:
    return CanvasImage(image.name, as_rgb(read_image(image.image_path)), image.letterbox)


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(torch.device(device))
