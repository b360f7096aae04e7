"""A finished model on micrographs that belong to no prepared set."""

import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from numbers import Real
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import areas, to_rle
from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import MissingExtraError, ModelError, UsageError
from nanoseg_bench.extras import require_packages
from nanoseg_bench.files import require_path, sha256_file
from nanoseg_bench.inference.far import longest_whole, look_from_afar, may_be_cut
from nanoseg_bench.inference.model_path import resolve_model
from nanoseg_bench.inference.operating_point import OperatingPoint, choose_confidence
from nanoseg_bench.inference.particles import Particles, flag_marks
from nanoseg_bench.inference.tiles import AUTO, Tiles, find_everywhere
from nanoseg_bench.models.base import CanvasImage, EngineName, Model
from nanoseg_bench.models.device import resolve_device
from nanoseg_bench.models.recipe import Views
from nanoseg_bench.models.run_files import RUN_FILE, WEIGHTS_FILE
from nanoseg_bench.models.trained import open_trained

AUTO_ENGINE: Literal["auto"] = "auto"
EngineChoice = Literal["auto"] | EngineName

VIEWS: tuple[int, ...] = get_args(Views)

CLASSLESS = "particle"
"""Label of what a model finds that knows no classes."""

_ONNX_SUFFIX = ".onnx"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Opening:
    """What ``open_predictor`` was given."""

    model: Path | str | None
    confidence: float | None
    engine: EngineChoice
    device: str | int
    trust_pickle: bool
    views: int | None


class Predictor:
    """A model that takes micrographs of any size.

    Pickled, it is how it was opened: another process opens it once for all that comes there.

    Args:
        model: Ready to predict.
        chosen_confidence: Operating point that stands in the model's own file; None where there is none.
        weights_sha256: Of the file that its weights come from, also where they were exported since; None without any.
        path: What it was opened from; None for a model from no file.
        confidence: From which particles count, as the user wants it; None for the operating point.
        opening: What ``open_predictor`` was given; None for a model that stays in its process.
    """

    def __init__(
        self,
        model: Model,
        chosen_confidence: float | None = None,
        weights_sha256: str | None = None,
        path: Path | None = None,
        confidence: float | None = None,
        opening: _Opening | None = None,
    ) -> None:
        self.model = model
        self.chosen_confidence = chosen_confidence
        self.weights_sha256 = weights_sha256
        self.path = path
        self._confidence = confidence
        self._opening = opening

    def __reduce__(self) -> tuple[Callable[..., "Predictor"], tuple[Any, ...]]:
        if self._opening is None:
            raise TypeError("a model from no file cannot go to another process")
        return _open_once, (self._opening, self.weights_sha256)

    def __repr__(self) -> str:
        return f"Predictor({self.model.recipe.title}, from {self.path or 'no file'}, {', '.join(self.classes)})"

    @property
    def engine(self) -> EngineName:
        """What runs the model's network."""
        return self.model.engine_name

    @property
    def classes(self) -> tuple[str, ...]:
        """What particles are labelled with."""
        return self.model.classes if self.model.knows_classes else (CLASSLESS,)

    @property
    def run(self) -> str | None:
        """Id of the training that it comes from, where its path is in a run's folder."""
        if self.path is None:
            return None
        folder = (self.path if self.path.is_dir() else self.path.parent).resolve()
        return folder.name if (folder / RUN_FILE).is_file() else None

    @property
    def views(self) -> int:
        """Sides that it looks at a micrograph from; see ``models.judged_views``."""
        return self.model.recipe.judged_views

    @cached_property
    def operating_point(self) -> OperatingPoint:
        """The confidence from which particles count, and where it comes from.

        Raises:
            RecordError, ModelError: What is kept with the model is malformed.
        """
        return choose_confidence(
            self.path, self._confidence, self.chosen_confidence, only_ranks=not self.model.has_confidence
        )

    def predict(self, pixels: NDArray[np.uint8], confidence: float, name: str = "") -> list[Instance]:
        """What the model finds in one micrograph at a confidence, marks included.

        It is letterboxed as ``prepare`` would do it, at the canvas of the model's recipe; a network that is judged at
        another size goes on from there, as it does in a benchmark. As there, a detection without a pixel is none.

        Args:
            pixels: (H, W) or (H, W, 3), as ``read_image`` returns it.
            confidence: Particles with a lower score are left out.
            name: For messages.

        Returns:
            Particles in pixels of the micrograph, best score first.

        Raises:
            UsageError: ``pixels`` is of another type or shape, or ``confidence`` does not lie between 0 and 1.
        """
        _require_pixels(pixels)
        _require_confidence(confidence)
        image = CanvasImage.of_micrograph(pixels, self.model.recipe.canvas, name)
        (found,) = self.model.find_particles([image], confidence)
        pixels_of = areas([to_rle(each, *pixels.shape[:2]) for each in found])
        return [each for each, number in zip(found, pixels_of, strict=True) if number]

    def find_particles(
        self, pixels: NDArray[np.uint8], *, keep_marks: bool = False, tiles: Tiles = AUTO, name: str = ""
    ) -> Particles:
        """The particles of one micrograph at the operating point, as ``nanoseg-bench predict`` finds them.

        Args:
            pixels: (H, W) grey or (H, W, 3) RGB, uint8, as ``read_image`` returns it.
            keep_marks: What lies on information bars, scale bars and lettering counts; by default it is flagged.
            tiles: ``auto``: a micrograph is looked at in overlapping tiles, too, where its particles are too small to
                be seen on one canvas, and from afar where they are too large for one; ``off``: never; a number: so many
                along its longer side. See ``tiles`` and ``far``.
            name: For messages.

        Returns:
            The particles, each with a class, a confidence and a mask of H×W.

        Raises:
            UsageError: ``pixels`` is of another type or shape.
        """
        _require_pixels(pixels)
        confidence = self.operating_point.confidence

        def find(part: NDArray[np.uint8]) -> list[Instance]:
            return self.predict(part, confidence, name)

        recipe = self.model.recipe
        found, magnification = find_everywhere(find, pixels, recipe.canvas, tiles)
        height, width = pixels.shape[:2]
        cut: list[Instance] = []
        if recipe.crop is not None:
            limit = longest_whole(recipe.crop, recipe.input_canvas, height, width)
            if tiles == AUTO:
                found, cut = look_from_afar(find, pixels, found, limit)
            else:
                cut = [each for each, may in zip(found, may_be_cut(found, limit), strict=True) if may]
        labelled = tuple(each if each.label else replace(each, label=CLASSLESS) for each in found)
        instances, marks = (labelled, ()) if keep_marks else flag_marks(labelled, pixels)
        # An information bar is as long as the micrograph, and no piece of a particle.
        may_be = {id(each) for each in cut}
        pieces = (new for old, new in zip(found, instances, strict=True) if id(old) in may_be and not new.on_mark)
        return Particles(
            width=width,
            height=height,
            instances=instances,
            magnification=magnification,
            cut=tuple(pieces),
            marks=marks,
        )


def open_predictor(
    model: Path | str | None = None,
    *,
    confidence: float | None = None,
    engine: EngineChoice = "auto",
    device: str | int = "cpu",
    trust_pickle: bool = False,
    views: int | None = None,
) -> Predictor:
    """Open a finished model for micrographs.

    Args:
        model: A run's folder, weights (``.safetensors``, or ``.pt``), an ``.onnx`` file of ``nanoseg-bench export``, or
            the name of weights that ship with the package; None for the default ones of those.
        confidence: From which particles count, 0 to 1; None for the operating point that was chosen with the model.
        engine: ``onnx``: ONNX Runtime, for which a YOLO model is exported once and kept (``onnx_cache``). ``torch``:
            PyTorch. ``auto``: ONNX Runtime where it can run the model on this device, else PyTorch; a warning says so
            where only the extra ``onnx`` is missing.
        device: ``cpu``, ``cuda:N`` or N, or ``auto`` for the first GPU where there is one and the engine runs on it.
        trust_pickle: Read a ``.pt``, which runs whatever code stands in it.
        views: Sides to look at each micrograph from, 1, 4 or 8; None for those of the model's recipe.

    Raises:
        UsageError: Model, engine, device and views do not go together, or there is no such device or weights.
        MissingExtraError: ONNX Runtime is asked for and not installed.
        ModelError: There is no finished model, it is damaged, or cannot be exported for ``onnx``.
    """
    if engine not in (AUTO_ENGINE, *get_args(EngineName)):
        raise UsageError(f"engine {engine!r}: is one of {', '.join((AUTO_ENGINE, *get_args(EngineName)))}")
    if views not in (None, *VIEWS):
        raise UsageError(f"views {views!r}: give {', '.join(map(str, VIEWS[:-1]))} or {VIEWS[-1]}")
    if model is not None:
        require_path(model, "model")
    opening = _Opening(model, confidence, engine, device, trust_pickle, views)
    if confidence is not None:
        _require_confidence(confidence)
        confidence = float(confidence)  # NumPy's cannot be written as JSON
    path = resolve_model(model)
    if device == "auto":
        device = fitting_device(path, engine, device)
    if engine == "onnx" and device != "cpu":
        raise UsageError(f"engine onnx: runs on the CPU; use device cpu, or engine torch for {device}")
    if path.suffix.lower() == _ONNX_SUFFIX:
        if engine == "torch" or device != "cpu":
            raise UsageError(f"{path}: runs in ONNX Runtime on the CPU; use device cpu, and another engine than torch")
        isolate_libraries()
        from nanoseg_bench.models.onnx_file import open_onnx

        exported, about = open_onnx(path)
        _look_from(exported, views)
        return Predictor(exported, about.confidence, about.weights_sha256, path, confidence, opening)
    if engine == "torch" or device != "cpu":
        opened = open_trained(path, resolve_device(device), trust_pickle=trust_pickle)
    else:
        opened = _open_for_onnx(path, trust_pickle, required=engine == "onnx")
    _look_from(opened, views)
    weights = _weights_of(path)
    digest = sha256_file(weights) if weights.is_file() else None
    return Predictor(opened, None, digest, path, confidence, opening)


def _require_confidence(confidence: float) -> None:
    if not isinstance(confidence, Real) or not 0 <= confidence <= 1:
        raise UsageError(f"confidence {confidence!r}: give a number between 0 and 1")


def _require_pixels(pixels: NDArray[Any]) -> None:
    """Refuse what no micrograph is here: 16 bits would wrap around, shares of 1 would be black."""
    kind = getattr(pixels, "dtype", type(pixels).__name__)
    shape: tuple[int, ...] = getattr(pixels, "shape", ())
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if kind != np.uint8 or not fits or 0 in shape:
        given = f"{kind} of {' x '.join(map(str, shape))}" if shape else kind
        raise UsageError(
            f"pixels: are {given}; give an array of uint8, H x W or H x W x 3, as read_image makes it of any file"
        )


@lru_cache(maxsize=1)
def _open_once(opening: _Opening, weights_sha256: str | None) -> Predictor:
    """Open a model of another process, and see that it is the same one: this may be another machine.

    Raises:
        ModelError: Its weights are others here.
    """
    predictor = open_predictor(
        opening.model,
        confidence=opening.confidence,
        engine=opening.engine,
        device=opening.device,
        trust_pickle=opening.trust_pickle,
        views=opening.views,
    )
    if predictor.weights_sha256 != weights_sha256:
        raise ModelError(f"{predictor.path}: has other weights on {platform.node()} than where the command was given")
    return predictor


def fitting_device(path: Path, engine: EngineChoice, device: str | int) -> str:
    """Torch device name for what ``open_predictor`` is given; ``auto`` is the CPU where only that can run the model.

    Raises:
        UsageError: There is no such device.
    """
    needs_cpu = engine == "onnx" or path.suffix.lower() == _ONNX_SUFFIX
    return "cpu" if device == "auto" and needs_cpu else resolve_device(device)


def _look_from(model: Model, views: int | None) -> None:
    """Let a model look from so many sides.

    Raises:
        UsageError: It has no confidences to vote with.
    """
    if views is None:
        return
    if views != 1 and not model.has_confidence:
        raise UsageError(f"views {views}: {model.recipe.title} has no confidences that views could vote with")
    model.recipe = model.recipe.model_copy(update={"judged_views": views})


def _weights_of(path: Path) -> Path:
    return path / WEIGHTS_FILE if path.is_dir() else path


def _open_for_onnx(path: Path, trust_pickle: bool, required: bool) -> Model:
    from nanoseg_bench.inference.onnx_cache import OnnxCache

    if required:
        require_packages("engine onnx", "onnxruntime")
    weights = _weights_of(path)
    # What was exported from a pickle runs no code, but the user is asked the same on each call.
    may_read = weights.is_file() and (trust_pickle or weights.suffix.lower() != ".pt")
    cache = OnnxCache(weights) if may_read else None
    if cache is not None and (exported := cache.open()) is not None:
        return exported
    model = open_trained(path, trust_pickle=trust_pickle)
    if cache is None or not model.exports_onnx:
        if required:
            raise UsageError(f"{path}: {model.recipe.model} runs in PyTorch only; use engine auto or torch")
        return model
    try:
        return cache.export(model)
    except MissingExtraError as error:
        if required:
            raise
        _LOG.warning("%s predicts in PyTorch: %s", model.recipe.title, error)
    except ModelError as error:
        if required:
            raise
        _LOG.warning("%s", error)
    return model
