"""Energy of a prediction, from the counter of an NVIDIA GPU."""

import logging
import time
from collections.abc import Callable, Sequence
from itertools import cycle

from nanoseg_bench.models.base import CanvasImage, Model

SECONDS = 5.0
"""The counter moves about ten times a second, so what lies between two readings is known to some percent."""

_LOG = logging.getLogger(__name__)


def joule_counter(device: str) -> Callable[[], float] | None:
    """What a GPU has taken since its driver was loaded, joules: the whole board, idle power included.

    Args:
        device: torch device name.

    Returns:
        Reads the counter; None on a CPU, without NVML (a driver and the package ``nvidia-ml-py``), and for a GPU that
        does not count.
    """
    if not device.startswith("cuda"):
        return None
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError:
        return None
    import torch

    try:
        pynvml.nvmlInit()
        # By identity: NVML numbers all GPUs of the machine, torch those that CUDA_VISIBLE_DEVICES shows.
        identity = f"GPU-{torch.cuda.get_device_properties(torch.device(device)).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(identity)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        _LOG.info("%s: has no energy counter (%s); the column stays empty", device, error)
        return None
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000


def energy_per_image(
    model: Model,
    images: Sequence[CanvasImage],
    counter: Callable[[], float],
    synchronise: Callable[[], object],
    seconds: float = SECONDS,
) -> float:
    """Mean energy of predicting one image, joules.

    Images in memory are predicted one after the other without a pause, so the GPU waits only where the model makes it
    wait.

    Args:
        model: Ready to predict.
        images: Gone through again and again.
        counter: From ``joule_counter``.
        synchronise: Waits until the device has done all that it was given.
        seconds: How long.
    """
    synchronise()
    before, start = counter(), time.perf_counter()
    number = 0
    for image in cycle(images):
        model.find_particles([image])
        number += 1
        if time.perf_counter() - start >= seconds:
            break
    synchronise()
    return (counter() - before) / number
