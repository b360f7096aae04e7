"""What the torch models share: build, train in the common loop, write and read weights, count operations."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nanoseg_bench.errors import ModelError
from nanoseg_bench.models.base import Complexity, FitContext, FitReport, Model
from nanoseg_bench.models.checkpoint import seed_everything
from nanoseg_bench.models.data import Sample, TrainingImages
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.training import describe, load_trained, measure_complexity, train
from nanoseg_bench.preparation.prepared_set import PreparedSet


class TorchModel(Model):
    """A network trained by ``training.train``; a subclass says what it is made of and how it predicts."""

    weight_average: bool = False
    """Whether the published weights are the moving average over the training's end."""

    def __init__(self, recipe: Recipe, classes: Sequence[str], max_instances: int) -> None:
        super().__init__(recipe, classes, max_instances)
        self._network: nn.Module | None = None
        self._device = "cpu"

    def fit(self, prepared: PreparedSet, context: FitContext) -> FitReport:
        """Train on the split ``train``; see ``Model.fit``."""
        seed_everything(context.seed)
        network = self._build()
        dataset: TrainingImages[Any] = TrainingImages(prepared, self.recipe.canvas, self._encode)
        self._check_training_images(len(dataset))
        about = describe(self.recipe, self.classes)
        report = train(
            network, self._losses, dataset, self._collate, self.recipe, context, about, ema=self.weight_average
        )
        self._network, self._device = network, context.device
        return report

    def load(self, checkpoint: Path | None, device: str) -> None:
        """Read trained weights; see ``Model.load``."""
        self._network = load_trained(self._build(), checkpoint, self.recipe, self.classes, device)
        self._device = device

    def complexity(self) -> Complexity:
        """Parameters, and GFLOPs of one image at the recipe's canvas, by torch's flop counter."""
        return measure_complexity(self._build(), self.recipe.canvas)

    @abstractmethod
    def _build(self) -> nn.Module:
        """An untrained network, its weights drawn from torch's global generator."""

    @abstractmethod
    def _encode(self, sample: Sample) -> Any:
        """One training image as the network takes it, with its targets."""

    @abstractmethod
    def _collate(self, samples: list[Any]) -> Any:
        """Encoded samples to a batch."""

    @abstractmethod
    def _losses(self, network: nn.Module, batch: Any) -> Mapping[str, Tensor]:
        """Named losses of a batch; their sum is minimised."""

    def _check_training_images(self, number: int) -> None:
        """Raise ``ModelError`` where the network cannot train on so few images."""

    def _ready(self) -> nn.Module:
        """The trained network."""
        if self._network is None:
            raise ModelError(f"{self.recipe.model}: predict before fit or load")
        return self._network
