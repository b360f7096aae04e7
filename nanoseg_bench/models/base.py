"""What a model is to the rest of the package.

A model outside this package subclasses ``Model`` (or ``TorchModel``, or ``SemanticModel``, which leave less to write),
registers under the entry point group ``nanoseg_bench.models`` and brings its recipe as ``baselines/<model>.yaml``
inside its package. In the ``pyproject.toml`` of that package:

    [project.entry-points."nanoseg_bench.models"]
    my-net = "my_package.my_module:MyNet"

``tests/models/test_plugins.py`` holds whole packages that do this.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance, Polygon, Rle, score_of
from nanoseg_bench.errors import ModelError, RecipeError, TimeLimitReached
from nanoseg_bench.images import as_rgb
from nanoseg_bench.models.options import Options, check_options
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.stopwatch import Stopwatch
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet

if TYPE_CHECKING:
    from torch import nn

    from nanoseg_bench.models.engine import Engine
    from nanoseg_bench.models.probe import ModelProbe

EngineName = Literal["torch", "onnx"]
"""Which library runs a network."""

MIN_SCORE = 0.001
"""Predictions are kept down to this confidence, or AP loses the tail of its precision-recall curve."""


def detection_limit(max_instances: int) -> int:
    """Predictions per image that count, twice the densest image and at least 100: for models and outside tools alike.

    Args:
        max_instances: Particles in the densest image.
    """
    return max(100, 2 * max_instances)


@dataclass(frozen=True, slots=True)
class CanvasImage:
    """What a model sees.

    Attributes:
        name: ``PreparedImage.name``.
        pixels: (S, S, 3) uint8 RGB; S is the prepared set's canvas.
        letterbox: The way back to original pixels.
    """

    name: str
    pixels: NDArray[np.uint8]
    letterbox: Letterbox

    @classmethod
    def read(cls, image: PreparedImage) -> "CanvasImage":
        """The canvas of an image of a prepared set."""
        return cls(image.name, image.read_canvas(), image.letterbox)

    @classmethod
    def of_micrograph(cls, pixels: NDArray[np.uint8], canvas: int, name: str = "") -> "CanvasImage":
        """The canvas of a micrograph (H, W[, 3]) that belongs to no prepared set.

        Args:
            pixels: As ``read_image`` returns them.
            canvas: Its side in pixels.
            name: For messages.
        """
        letterbox = Letterbox(pixels.shape[1], pixels.shape[0], canvas)
        return cls(name, as_rgb(letterbox.apply(pixels)), letterbox)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time after which training stops with a checkpoint.

    Attributes:
        at: ``time.monotonic()`` value, which all processes of a machine share; None for never.
        limit: The limit as the user wrote it, for messages ("9m").
    """

    at: float | None = None
    limit: str = ""

    @classmethod
    def after(cls, seconds: float | None, limit: str) -> "Deadline":
        """So many seconds from now; None for never."""
        return cls(None if seconds is None else time.monotonic() + seconds, limit)

    @property
    def seconds_left(self) -> float | None:
        """None where there is no end."""
        return None if self.at is None else self.at - time.monotonic()

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.at is not None and time.monotonic() >= self.at

    def check(self, progress: str) -> None:
        """Raise ``TimeLimitReached`` when the time is up; call it right after a checkpoint is written."""
        if self.passed:
            raise TimeLimitReached(
                f"time limit {self.limit} reached at {progress}; the same command goes on from there"
            )


@dataclass(frozen=True, slots=True)
class FitContext:
    """What training needs beside the data and the recipe.

    Attributes:
        run_dir: The run's own folder; checkpoints and the history go here.
        seed: Seed of every random choice; None is unseeded, 0 is a seed.
        device: torch device name: ``cpu`` or ``cuda:0``.
        deadline: When to stop with a checkpoint.
        weights: Initial weights; None trains from scratch.
        beside: Further devices, each of which takes its share of every batch.
    """

    run_dir: Path
    seed: int | None = 0
    device: str = "cpu"
    deadline: Deadline = field(default_factory=Deadline)
    weights: Path | None = None
    beside: tuple[str, ...] = ()

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices that train."""
        return self.device, *self.beside


@dataclass(frozen=True, slots=True)
class FitReport:
    """What training did.

    Attributes:
        checkpoint: File in the run's folder that ``load`` takes; None for a model without weights.
        epochs: Epochs trained in all.
        images_seen: Training images that went through the network, repeats counted.
        seconds: Wall time of training, all sessions of a resumed run added up.
        core_seconds: The same of all processor cores that the training's processes kept busy.
        resumes: How often training went on from a checkpoint.
        precision: Of the arithmetic: ``float32`` or ``bfloat16``; None for a model that does not train.
    """

    checkpoint: Path | None
    epochs: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0
    resumes: int = 0
    precision: str | None = None


@dataclass(frozen=True, slots=True)
class Complexity:
    """Size of a model at its recipe's input size.

    Attributes:
        parameters: Trainable and fixed parameters.
        gflops: 1e9 floating-point operations for one image (multiply and add counted apart); None if unknown.
    """

    parameters: int
    gflops: float | None


class Model(ABC):
    """A segmentation model with its recipe.

    To be written by a subclass: ``fit``, ``load``, ``predict`` and ``complexity``. ``fit`` returns the file that
    ``load`` takes, in the run's folder itself, under any name; ``predict``, ``explain`` and ``score`` find it there.

    May be written: ``predict_confident``, where a model can look for less or for more than ``predict`` keeps;
    ``exported_network`` and ``run_with``, with ``exports_onnx`` set, where its network goes into an ONNX file; and
    ``probe``, where it can show what its network made of an image.

    Args:
        recipe: Hyper-parameters of one preset.
        classes: Class names in the order of the prepared set.
        max_instances: Particles in the densest image: detection limits are set from it.

    Raises:
        RecipeError: The recipe has an option that ``Options`` does not know, or a value that it does not allow; or it
            gives a ``judged_canvas``, and the model cannot be judged at any size; or several ``judged_views``, and the
            model has no confidence.
    """

    Options: ClassVar[type[Options]] = Options
    """What may stand under ``options`` in the recipe: names, values, and on which side of a run each stands."""

    knows_classes: bool = True
    """Whether predictions carry class names; class-aware cells of others stay empty."""

    has_confidence: bool = True
    """Whether scores are confidences that a threshold can be compared with; others only rank the predictions."""

    judged_at_any_size: bool = False
    """Whether ``predict`` heeds the recipe's ``judged_canvas``; a recipe that gives one is refused otherwise."""

    exports_onnx: bool = False
    """Whether ``exported_network`` and ``run_with`` are there; other models run in PyTorch only."""

    def __init__(self, recipe: Recipe, classes: Sequence[str], max_instances: int) -> None:
        if recipe.judged_canvas is not None and not self.judged_at_any_size:
            raise RecipeError(
                f"{recipe.model}, preset {recipe.preset!r}: judged_canvas {recipe.judged_canvas}: this model has no "
                "network whose input could be of another size; leave it out"
            )
        if recipe.judged_views != 1 and not self.has_confidence:
            raise RecipeError(
                f"{recipe.model}, preset {recipe.preset!r}: judged_views {recipe.judged_views}: its scores are "
                "no confidences that sides could vote with; leave it out"
            )
        self.recipe = recipe
        self.options = check_options(recipe, self.Options)
        self.classes = tuple(classes)
        self.max_instances = max_instances
        self.stopwatch = Stopwatch()
        """``predict`` marks its network, ``with self.stopwatch.network(): ...``: latency is told by stages."""

    @property
    def max_detections(self) -> int:
        """Upper limit of predictions per image."""
        return detection_limit(self.max_instances)

    @abstractmethod
    def fit(self, prepared: PreparedSet, context: FitContext) -> FitReport:
        """Train on the split ``train``, going on from the checkpoint in ``context.run_dir`` where there is one.

        The model is ready to predict afterwards.

        Raises:
            TimeLimitReached: The deadline passed; a checkpoint is written.
            ModelError: Training is impossible or diverged.
        """

    @abstractmethod
    def load(self, checkpoint: Path | None, device: str) -> None:
        """Make the model ready to predict from a finished training's checkpoint.

        Raises:
            ModelError: The file is missing, truncated, or of another model, class count or version.
        """

    @abstractmethod
    def predict(self, images: Sequence[CanvasImage]) -> list[list[Instance]]:
        """One list of scored instances per image, in original pixels, best score first; as the model finds them.

        Scores are kept down to ``MIN_SCORE``; at most ``max_detections`` per image. The canvas is not the original:
        ``restore_instances`` makes such instances of masks on the canvas.
        """

    def predict_confident(self, images: Sequence[CanvasImage], min_score: float) -> list[list[Instance]]:
        """What ``predict`` finds with a score of at least ``min_score``, in images that belong to no prepared set.

        These may hold more particles than any that the model was trained on: one that can leaves out the limit of
        ``max_detections``. By default, ``predict`` is asked, with its limit.

        Args:
            images: As for ``predict``.
            min_score: Of the weakest detection; without a score, all count.
        """
        return [
            [each for each in found if each.score is None or each.score >= min_score] for found in self.predict(images)
        ]

    def find_particles(self, images: Sequence[CanvasImage], confidence: float | None = None) -> list[list[Instance]]:
        """What the model finds, looking and cleaning as the recipe says: what is kept, timed, scored and used.

        Args:
            images: As for ``predict``.
            confidence: Particles with a lower score are left out, and no limit holds, see ``predict_confident``; None
                for what ``predict`` finds.

        Raises:
            ModelError: The model gave something else than particles of these images.
        """
        from nanoseg_bench.models.mask_cleaning import clean_masks

        predicted = self._look(images, confidence)
        self._require_particles(images, predicted)
        return [
            clean_masks(found, self.recipe.mask_cleaning, image.letterbox.height, image.letterbox.width)
            for image, found in zip(images, predicted, strict=True)
        ]

    def _require_particles(self, images: Sequence[CanvasImage], predicted: Sequence[Sequence[Instance]]) -> None:
        """Refuse what no particle can be, while it is known which model said it."""
        who = f"model {self.recipe.model!r}"
        if len(predicted) != len(images):
            raise ModelError(f"{who}: gave {len(predicted)} answers for {len(images)} images; each image needs a list")
        for image, found in zip(images, predicted, strict=True):
            size = image.letterbox.height, image.letterbox.width
            for each in found:
                if isinstance(each.region, Rle):
                    if (each.region.height, each.region.width) != size:
                        raise ModelError(
                            f"{who}: a mask of {each.region.width}x{each.region.height} px for {image.name!r}, which "
                            f"has {size[1]}x{size[0]} px; bring it from the canvas to the micrograph with "
                            "restore_instances"
                        )
                elif not (
                    isinstance(each.region, (tuple, list)) and all(isinstance(part, Polygon) for part in each.region)
                ):
                    raise ModelError(
                        f"{who}: the region of a particle in {image.name!r} is of type {type(each.region).__name__}; "
                        "make it with restore_instances, or give an Rle or a tuple of Polygons in pixels of the "
                        "micrograph"
                    )

    def _look(self, images: Sequence[CanvasImage], confidence: float | None) -> list[list[Instance]]:
        """What the model finds, from as many sides as the recipe says."""
        from nanoseg_bench.models.judged_views import LEAST_SCORE, find_from_sides

        sides = self.recipe.judged_views
        if sides == 1:
            return self.predict(images) if confidence is None else self.predict_confident(images, confidence)

        def find(image: CanvasImage) -> list[Instance]:
            # A side that is less sure than ``confidence`` votes, too: the same particles as in a benchmark.
            return (self.predict([image]) if confidence is None else self.predict_confident([image], LEAST_SCORE))[0]

        found = [find_from_sides(find, image, sides) for image in images]
        if confidence is None:
            return [of_image[: self.max_detections] for of_image in found]
        return [[each for each in of_image if score_of(each) >= confidence] for of_image in found]

    @property
    def has_network(self) -> bool:
        """Whether a network makes the predictions; a threshold has none."""
        return self.complexity() is not None

    @property
    def engine_name(self) -> EngineName:
        """What runs the model's network."""
        return "torch"

    def exported_network(self) -> "nn.Module":
        """The trained network that an ONNX file is made of; it gives what ``Engine.run`` returns.

        Raises:
            ModelError: The model has none, or there is no network yet.
        """
        raise ModelError(f"{self.recipe.model} cannot be exported to ONNX; use it in PyTorch")

    def run_with(self, engine: "Engine") -> None:
        """Predict with ``engine``, which runs this model's network, from now on.

        Raises:
            ModelError: The model has no network that could run elsewhere than in PyTorch.
        """
        raise ModelError(f"{self.recipe.model} runs in PyTorch only")

    def probe(self, image: CanvasImage, min_score: float) -> "ModelProbe":
        """Predict one image as ``predict_confident`` does, and keep what the network made of it.

        Args:
            image: At any size.
            min_score: Detections below are left out.

        Raises:
            ModelError: The model shows nothing of the kind.
        """
        raise ModelError(
            f"{self.recipe.model} cannot be explained: the maps are those of a YOLO network; "
            "use nsyolo, yolo11n or another scheme of the ablation"
        )

    @abstractmethod
    def complexity(self) -> Complexity | None:
        """Parameters and GFLOPs; None for a model without weights."""
