"""How latency and energy of a row are measured, the same way for every model.

One image at a time, already in memory. The first predictions, during which libraries choose their kernels, do not
count. A clock is read when the device has finished. Every image of the eval set is measured as it is predicted; a small
eval set is gone through again until there are enough measurements or the time for that is used up. The way back to
original pixels belongs to the prediction, reading the file does not.
"""

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.evaluation.timing import Timing
from nanoseg_bench.models.base import CanvasImage, Model
from nanoseg_bench.models.stopwatch import Lap
from nanoseg_bench.preparation.prepared_set import PreparedImage
from nanoseg_bench.progress import track
from nanoseg_bench.runs.energy import energy_per_image, joule_counter

WARM_UP = 3
MEASUREMENTS = 50
SECONDS_OF_REPEATS = 20.0
"""Predictions before the first that counts; measurements to reach; the longest that repeats may take to reach them."""


def predict_timed(
    model: Model,
    images: Sequence[PreparedImage],
    device: str,
    description: str,
    *,
    measurements: int = MEASUREMENTS,
    seconds_of_repeats: float = SECONDS_OF_REPEATS,
) -> tuple[dict[str, list[Instance]], Timing]:
    """Predict images and time it.

    Args:
        model: Ready to predict.
        images: At least one.
        device: torch device name.
        description: For the progress bar.
        measurements: To reach by repeats.
        seconds_of_repeats: After which they end.

    Returns:
        (found, timing): the instances of each image by its name, and the measurements.
    """
    synchronise = _synchroniser(device)

    def predict(image: PreparedImage) -> tuple[list[Instance], Lap]:
        canvas = CanvasImage.read(image)
        (instances,), lap = model.stopwatch.time(lambda: model.predict([canvas]), synchronise)
        return instances, lap

    for image in islice(cycle(images), WARM_UP):
        predict(image)
    found, laps = {}, []
    for image in track(images, description):
        found[image.name], lap = predict(image)
        laps.append(lap)
    end = time.perf_counter() + seconds_of_repeats
    for image in cycle(images):
        if len(laps) >= measurements or time.perf_counter() >= end:
            break
        laps.append(predict(image)[1])
    return found, _timing(laps, _energy(model, images[:measurements], device, synchronise))


def _timing(laps: Sequence[Lap], energy: float | None) -> Timing:
    stages = [lap.stages for lap in laps if lap.stages is not None]
    return Timing(
        total_ms=tuple(lap.total_ms for lap in laps),
        pre_ms=tuple(stage.pre_ms for stage in stages),
        network_ms=tuple(stage.network_ms for stage in stages),
        post_ms=tuple(stage.post_ms for stage in stages),
        energy_j_per_image=energy,
    )


def _energy(
    model: Model, images: Sequence[PreparedImage], device: str, synchronise: Callable[[], object]
) -> float | None:
    counter = joule_counter(device)
    if counter is None:
        return None
    return energy_per_image(model, [CanvasImage.read(image) for image in images], counter, synchronise)


def _synchroniser(device: str) -> Callable[[], object]:
    if not device.startswith("cuda"):
        return lambda: None
    import torch

    return lambda: torch.cuda.synchronize(torch.device(device))
