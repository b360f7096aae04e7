"""What the torch models share: build, train in the common loop, write and read weights, count operations."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from nanoseg_bench.errors import ModelError, RecipeError
from nanoseg_bench.models.base import CanvasImage, Complexity, FitContext, FitReport, Model
from nanoseg_bench.models.batches import InstanceBatch
from nanoseg_bench.models.checkpoint import describe, load_into, read_trained, seed_everything
from nanoseg_bench.models.complexity import measure_complexity
from nanoseg_bench.models.optimization import FastParameters
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.training import train
from nanoseg_bench.models.training_batches import TrainingBatches
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.prepared_set import PreparedSet

STRIDE = 32
"""Pixels of the input to a cell of the coarsest map, in all networks: the sides of every input are multiples of it."""


class TorchModel(Model):
    """A network trained by ``training.train``; a subclass says what it is made of and how it predicts.

    Budget, batches, augmentation, schedule, checkpoints, exact resume and the weights' file are those of all models.
    To be written:

    - ``build_network()``: the untrained network,
    - ``targets(batch)``: assembled training images as the loss wants them,
    - ``losses(network, batch)``: named losses of a batch, and
    - ``predict(images)``: particles in original pixels (``network``, ``device`` and ``crop_padding`` help).

    May be written: ``fast_parameters``, ``adapt``, ``class_layer`` and ``check_training_images``; ``Options``,
    ``least_canvas``, ``weight_average``, ``uses_ignored`` and ``losses_of_all`` may be set. A network that says of each
    pixel what it is needs less: see ``SemanticModel``.

    Raises:
        RecipeError: A canvas or the crop is no multiple of 32, or below ``least_canvas``, or an option is unknown.
    """

    least_canvas: int = STRIDE
    """Side of the smallest canvas that the network takes."""

    weight_average: bool = False
    """Whether the published weights are the moving average over the training's end."""

    judged_at_any_size = True

    uses_ignored: bool = False
    """Whether ``targets`` wants the regions that are to be ignored; without it they are background."""

    losses_of_all: bool = False
    """Whether ``losses`` are those of the whole batch where several processes share it: every sum and mean over images
    or particles goes through ``process_group.summed`` or ``mean_of_all``. Without it, one device trains the model. A
    class that writes ``losses`` anew says it anew."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "losses" in vars(cls) and "losses_of_all" not in vars(cls):
            cls.losses_of_all = False

    def __init__(self, recipe: Recipe, classes: Sequence[str], max_instances: int) -> None:
        super().__init__(recipe, classes, max_instances)
        sides = {"canvas": recipe.canvas, "crop": recipe.crop, "judged_canvas": recipe.judged_canvas}
        for name, side in sides.items():
            if side is not None and (side % STRIDE or side < self.least_canvas):
                raise RecipeError(
                    f"{recipe.model}: {name} {side} must be a multiple of {STRIDE}, and at least {self.least_canvas}"
                )
        self._network: nn.Module | None = None
        self.device = "cpu"
        """torch device name of ``network``."""

    def fit(self, prepared: PreparedSet, context: FitContext) -> FitReport:
        """Train on the split ``train``; see ``Model.fit``."""
        if context.beside:
            return self._fit_on_devices(prepared, context)
        seed_everything(context.seed)
        network = self.build_network()
        batches = TrainingBatches(prepared, self.recipe, context.seed, self.targets, ignored=self.uses_ignored)
        self.check_training_images(len(batches))
        about = describe(self.recipe, self.classes, self.max_instances)
        report = train(
            network,
            self.losses,
            batches,
            self.recipe,
            context,
            about,
            ema=self.weight_average,
            fast=self.fast_parameters(network),
            adapt=self.adapt,
            class_layer=self.class_layer(network),
        )
        self.adopt(network, context.device)
        return report

    def _fit_on_devices(self, prepared: PreparedSet, context: FitContext) -> FitReport:
        from nanoseg_bench.models.multi_device import fit_on_devices

        if not self.losses_of_all:
            raise ModelError(
                f"{self.recipe.model}: {', '.join(context.devices)} cannot train it together, since its losses are not "
                "said to be those of the whole batch (losses_of_all); give one device"
            )
        report = fit_on_devices(self, prepared, context)
        self.load(report.checkpoint, context.device)
        return report

    def load(self, checkpoint: Path | None, device: str) -> None:
        """Read trained weights; see ``Model.load``."""
        if checkpoint is None:
            model = self.recipe.model
            raise ModelError(f"{model}: needs a checkpoint; train it with `nanoseg-bench run --models {model}`")
        network = self.build_network()
        load_into(network, read_trained(checkpoint, self.recipe, self.classes), checkpoint)
        self.adopt(network, device)

    def adopt(self, network: nn.Module, device: str) -> None:
        """Make the model ready to predict with a trained network of its own kind."""
        self._network, self.device = network.to(device).eval(), device

    @property
    def has_network(self) -> bool:
        """Known without building one and counting its operations."""
        return True

    def complexity(self) -> Complexity:
        """Parameters, and GFLOPs of one image at the recipe's canvas, by torch's flop counter.

        At whatever size it is judged: that may change when the training is long finished.
        """
        return measure_complexity(self.build_network(), self.recipe.canvas)

    def letterbox(self, width: int, height: int) -> Letterbox:
        """What brings an original of ``width`` x ``height`` pixels to the network's input.

        Training is on squares. In prediction, only as much is padded as the stride needs: what the network would make
        of more grey is thrown away, and takes a quarter of the time for a micrograph of 4:3.
        """
        return Letterbox(width, height, self.recipe.input_canvas, STRIDE)

    @property
    def network(self) -> nn.Module:
        """The trained network, in evaluation mode on ``device``.

        Raises:
            ModelError: There is none: neither ``fit`` nor ``load`` came before, or the model was opened from ONNX.
        """
        if self._network is None:
            raise ModelError(f"{self.recipe.model}: predict before fit or load")
        return self._network

    def crop_padding(self, image: CanvasImage) -> tuple[NDArray[np.uint8], Letterbox]:
        """A canvas image as the network sees it in prediction, and the way back to original pixels.

        Returns:
            (h, w, 3) uint8, both sides multiples of 32 and the longer one the recipe's ``input_canvas``; its letterbox.
        """
        letterbox = self.letterbox(image.letterbox.width, image.letterbox.height)
        return letterbox.apply(image.letterbox.content(image.pixels)), letterbox

    @abstractmethod
    def build_network(self) -> nn.Module:
        """An untrained network, its weights drawn from torch's global generator, which is seeded before.

        It depends on ``recipe``, ``options``, ``classes`` and ``max_instances`` alone: weights are loaded into it.

        Raises:
            RecipeError: The options describe no network.
        """

    @abstractmethod
    def targets(self, batch: InstanceBatch) -> Any:
        """Assembled training images as ``losses`` takes them, on the same device.

        Args:
            batch: ``pixels`` (B, C, S, S) uint8, and of every particle its class, box and pixels; regions that are to
                be ignored have the class -1, and come only where ``uses_ignored`` is set.

        Returns:
            Tensors, or lists, tuples and dicts of them.
        """

    @abstractmethod
    def losses(self, network: nn.Module, batch: Any) -> Mapping[str, Tensor]:
        """Named scalar losses of a batch; their sum is minimised, and each has a column in ``history.csv``.

        Args:
            network: In training mode, on the device, maybe compiled; on CUDA under bfloat16 autocast.
            batch: What ``targets`` returned.
        """

    def fast_parameters(self, network: nn.Module) -> FastParameters:
        """Parameters with a learning rate of their own; none by default."""
        return FastParameters()

    def adapt(self, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Tensors of initial weights, by name, in the shapes of the network's own; as they are by default."""
        del own
        return given

    def class_layer(self, network: nn.Module) -> Sequence[str]:
        """Names of the tensors that tell classes apart; unknown by default, and then only their shapes count.

        They are drawn anew where initial weights know other classes.
        """
        del network
        return ()

    def check_training_images(self, number: int) -> None:
        """Raise ``ModelError`` where the network cannot be trained on so few images; any number will do by default."""
