"""A finished model on micrographs that belong to no prepared set."""

import logging
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import ModelError, UsageError
from nanoseg_bench.files import sha256_file
from nanoseg_bench.models.base import CanvasImage, EngineName, Model
from nanoseg_bench.models.trained import open_trained

EngineChoice = Literal["auto"] | EngineName

_ONNX_SUFFIX = ".onnx"
_WEIGHTS = "weights.safetensors"

_LOG = logging.getLogger(__name__)


class Predictor:
    """A model that takes micrographs of any size.

    Args:
        model: Ready to predict.
        chosen_confidence: Operating point that came with the model; None where none is known.
        weights_sha256: Of the file that its weights come from, also where they were exported since; None without any.
    """

    def __init__(self, model: Model, chosen_confidence: float | None = None, weights_sha256: str | None = None) -> None:
        self.model = model
        self.chosen_confidence = chosen_confidence
        self.weights_sha256 = weights_sha256

    @property
    def engine(self) -> EngineName:
        """What runs the model's network."""
        return self.model.engine_name

    def predict(self, pixels: NDArray[np.uint8], confidence: float, name: str = "") -> list[Instance]:
        """Find the particles of one micrograph.

        It is letterboxed as ``prepare`` would do it, at the canvas of the model's recipe; a network that is judged at
        another size goes on from there, as it does in a benchmark.

        Args:
            pixels: (H, W) or (H, W, 3), as ``read_image`` returns it.
            confidence: Particles with a lower score are left out.
            name: For messages.

        Returns:
            Particles in pixels of the micrograph, best score first.
        """
        image = CanvasImage.of_micrograph(pixels, self.model.recipe.canvas, name)
        return self.model.find_particles([image], confidence)[0]


def open_predictor(
    path: Path, *, engine: EngineChoice = "auto", device: str = "cpu", trust_pickle: bool = False
) -> Predictor:
    """Open a finished model for micrographs.

    Args:
        path: A run's folder, weights (``.safetensors``, or ``.pt``), or an ``.onnx`` file of ``nanoseg-bench export``.
        engine: ``onnx``: ONNX Runtime, for which a YOLO model is exported once and kept (``onnx_cache``). ``torch``:
            PyTorch. ``auto``: ONNX Runtime where it can run the model on this device, else PyTorch.
        device: torch device name.
        trust_pickle: Read a ``.pt``, which runs whatever code stands in it.

    Raises:
        UsageError: Model, engine and device do not go together.
        ModelError: There is no finished model, it is damaged, or cannot be exported for ``onnx``.
    """
    if engine == "onnx" and device != "cpu":
        raise UsageError(f"--engine onnx runs on the CPU: give --device cpu, or --engine torch for {device}")
    if path.suffix.lower() == _ONNX_SUFFIX:
        if engine == "torch" or device != "cpu":
            raise UsageError(f"{path}: runs in ONNX Runtime on the CPU; give --device cpu without --engine torch")
        isolate_libraries()
        from nanoseg_bench.models.onnx_file import open_onnx

        opened, about = open_onnx(path)
        return Predictor(opened, about.confidence, about.weights_sha256)
    if engine == "torch" or device != "cpu":
        model = open_trained(path, device, trust_pickle=trust_pickle)
    else:
        model = _open_for_onnx(path, trust_pickle, required=engine == "onnx")
    weights = _weights_of(path)
    return Predictor(model, weights_sha256=sha256_file(weights) if weights.is_file() else None)


def _weights_of(path: Path) -> Path:
    return path / _WEIGHTS if path.is_dir() else path


def _open_for_onnx(path: Path, trust_pickle: bool, required: bool) -> Model:
    from nanoseg_bench.models.onnx_cache import OnnxCache

    weights = _weights_of(path)
    # What was exported from a pickle runs no code, but the user is asked the same on each call.
    may_read = weights.is_file() and (trust_pickle or weights.suffix.lower() != ".pt")
    cache = OnnxCache(weights) if may_read else None
    if cache is not None and (exported := cache.open()) is not None:
        return exported
    model = open_trained(path, trust_pickle=trust_pickle)
    if cache is None or not model.exports_onnx:
        if required:
            raise UsageError(f"{path}: {model.recipe.model} runs in PyTorch only; leave --engine onnx out")
        return model
    try:
        return cache.export(model)
    except ModelError as error:
        if required:
            raise
        _LOG.warning("%s", error)
        return model
