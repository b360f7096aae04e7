"""How latency and energy of a row are measured, the same way for every model.

It is done after the predictions, while nothing else of ours is at work on the machine (``runs.quiet``); where something
is, nothing is measured, and a later ``run`` does it. One image at a time, already in memory. The first predictions,
during which libraries choose their kernels, do not count. A clock is read when the device has finished. The images are
spread over the eval set; a small one is gone through again until there are enough measurements. The way back to
original pixels belongs to the prediction, reading the file does not.
"""

import logging
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice

import numpy as np

from nanoseg_bench.evaluation.timing import Timing
from nanoseg_bench.models.base import CanvasImage, Model
from nanoseg_bench.models.stopwatch import Lap
from nanoseg_bench.preparation.prepared_set import PreparedImage
from nanoseg_bench.progress import track
from nanoseg_bench.runs.energy import energy_per_image, joule_counter
from nanoseg_bench.runs.quiet import alone

WARM_UP = 3
MEASUREMENTS = 50
LEAST_MEASUREMENTS = 5
SECONDS = 20.0
"""Predictions before the first that counts; measurements to reach, and those that are made however long they take; how
long others may be kept waiting to reach them."""

_LOG = logging.getLogger(__name__)


def measure_alone(
    model: Model,
    images: Sequence[PreparedImage],
    device: str,
    description: str,
    *,
    measurements: int = MEASUREMENTS,
    seconds: float = SECONDS,
) -> Timing | None:
    """Time a model while nothing else of ours is at work.

    Args:
        model: Ready to predict.
        images: Of an eval set; at least one.
        device: torch device name.
        description: For the progress bar and the log.
        measurements: To reach.
        seconds: After which no more are made, if there are ``LEAST_MEASUREMENTS``.

    Returns:
        None where something else is at work; the log says so.
    """
    with alone() as reason:
        if reason:
            _LOG.warning("%s: not measured: %s; the same `run` measures it later", description, reason)
            return None
        return measure(model, _spread(images, measurements), device, description, measurements, seconds)


def measure(
    model: Model, images: Sequence[PreparedImage], device: str, description: str, measurements: int, seconds: float
) -> Timing:
    """Time a model, whatever else is at work; arguments as of ``measure_alone``."""
    synchronise = _synchroniser(device)

    def lap(image: PreparedImage) -> Lap:
        canvas = CanvasImage.read(image)
        return model.stopwatch.time(lambda: model.find_particles([canvas]), synchronise)[1]

    for image in islice(cycle(images), WARM_UP):
        lap(image)
    laps: list[Lap] = []
    end = time.perf_counter() + seconds
    for image in track(islice(cycle(images), measurements), description, measurements):
        if len(laps) >= LEAST_MEASUREMENTS and time.perf_counter() >= end:
            break
        laps.append(lap(image))
    return _timing(laps, _energy(model, images, device, synchronise))


def _spread(images: Sequence[PreparedImage], number: int) -> list[PreparedImage]:
    """At most ``number`` images, evenly over the whole eval set: neighbours are often of one specimen.

    In an order drawn by chance, always the same: of a slow model only the first few are measured.
    """
    number = min(number, len(images))
    order = np.random.default_rng(0).permutation(number).tolist()
    return [images[place * len(images) // number] for place in order]


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
