"""YOLO11n-seg, NSYOLO and the steps between them: Ultralytics' network and loss in this package's training loop.

Ultralytics' own trainer is left out on purpose: it rewrites the schedule, writes half checkpoints, augments by itself
and reads the lossy polygon labels. Kept from it is what defines the model: layers, assigner, loss and its gains.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import RecipeError
from nanoseg_bench.models.base import MIN_SCORE, CanvasImage, EngineName
from nanoseg_bench.models.batches import InstanceBatch
from nanoseg_bench.models.data import to_planes
from nanoseg_bench.models.engine import Engine, TorchEngine, as_input
from nanoseg_bench.models.optimization import FastParameters
from nanoseg_bench.models.options import YoloOptions
from nanoseg_bench.models.probe import ModelProbe
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.torch_model import STRIDE, TorchModel
from nanoseg_bench.models.yolo_data import yolo_targets
from nanoseg_bench.models.yolo_decode import decode_instances, select_detections
from nanoseg_bench.preparation.letterbox import Letterbox

_LOSS_NAMES = ("box", "seg", "cls", "dfl")
_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}  # Ultralytics' defaults; the mask loss shares the gain of the box
_ANY_NUMBER = 10**6  # of detections; a network has fewer anchors
_NETWORK_OPTIONS = {"scale", "kernel", "regions", "topk", "p4_layers", "mask_stride"}


class YoloModel(TorchModel):
    """A YOLO11n segmentation network; ``options.scheme`` says which layers are exchanged.

    Raises:
        RecipeError: The canvas is no multiple of 32 of at least 64 px.
    """

    Options = YoloOptions
    options: YoloOptions

    least_canvas = 2 * STRIDE

    weight_average = True

    losses_of_all = True

    exports_onnx = True

    def __init__(self, recipe: Recipe, classes: Sequence[str], max_instances: int) -> None:
        super().__init__(recipe, classes, max_instances)
        self._engine: Engine | None = None

    def adopt(self, network: nn.Module, device: str) -> None:
        """Make the model ready to predict with a trained network of its own kind, in PyTorch."""
        super().adopt(network, device)
        self._engine = None

    @property
    def engine(self) -> Engine:
        """What runs the network: PyTorch, unless ``run_with`` said otherwise.

        Raises:
            ModelError: There is no network yet.
        """
        return self._engine or TorchEngine(self.network, self.device, self.stopwatch)

    @property
    def engine_name(self) -> EngineName:
        """Which library runs the network."""
        return self.engine.name

    def run_with(self, engine: Engine) -> None:
        """Predict with ``engine``, which runs this model's network, from now on."""
        self._engine = engine

    def exported_network(self) -> nn.Module:
        """The trained network; see ``Model.exported_network``."""
        return self.network

    def predict(
        self, images: Sequence[CanvasImage], *, min_score: float = MIN_SCORE, limit: int | None = None
    ) -> list[list[Instance]]:
        """Detections of each image after class-agnostic suppression, as masks in original pixels.

        Args:
            images: At any size; they are brought to the recipe's canvas.
            min_score: Detections below are left out.
            limit: Detections per image; ``max_detections`` by default.
        """
        engine = self.engine
        limit = self.max_detections if limit is None else limit
        return [self._predict_one(engine, image, min_score, limit) for image in images]

    def predict_confident(self, images: Sequence[CanvasImage], min_score: float) -> list[list[Instance]]:
        """Every detection from ``min_score``; see ``Model.predict_confident``."""
        return self.predict(images, min_score=min_score, limit=_ANY_NUMBER)

    def probe(self, image: CanvasImage, min_score: float) -> ModelProbe:
        """Run the network in PyTorch and look at its blocks; see ``Model.probe``."""
        isolate_libraries()
        from nanoseg_bench.nsyolo.probe import mask_maps, probe_network

        pixels, letterbox = self.crop_padding(image)
        device = next(self.network.parameters()).device
        seen = probe_network(self.network, as_input(to_planes(pixels)[None].to(device)))
        detections = select_detections(
            seen.output[0], len(self.classes), min_score, _ANY_NUMBER, self.options.nms_iou
        ).cpu()
        prototypes = seen.prototypes[0].float().cpu()
        masks = mask_maps(prototypes, detections[:, :4], detections[:, 6:], pixels.shape[:2])
        instances = self._decode(detections.numpy(), prototypes.numpy(), letterbox)
        return ModelProbe(letterbox, seen, masks, instances)

    def _predict_one(self, engine: Engine, image: CanvasImage, min_score: float, limit: int) -> list[Instance]:
        pixels, letterbox = self.crop_padding(image)
        output, prototypes = engine.run(pixels)
        detections = select_detections(output, len(self.classes), min_score, limit, self.options.nms_iou)
        return self._decode(detections.cpu().numpy(), prototypes.float().cpu().numpy(), letterbox)

    def _decode(
        self, detections: NDArray[np.float32], prototypes: NDArray[np.float32], letterbox: Letterbox
    ) -> list[Instance]:
        return decode_instances(detections, prototypes, letterbox, self.classes, self.options.shared_pixels)

    def targets(self, batch: InstanceBatch) -> dict[str, Tensor]:
        """Ultralytics' batch; see ``yolo_data.yolo_targets``."""
        return yolo_targets(batch, self.options.mask_stride)

    def fast_parameters(self, network: nn.Module) -> FastParameters:
        """The fusion weights alpha of the snakes."""
        from nanoseg_bench.nsyolo.badsconv import FUSION_RATE_FACTOR, fusion_parameters

        return FastParameters(fusion_parameters(network), FUSION_RATE_FACTOR)

    def adapt(self, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Prototypes at stride 4 start those at stride 2."""
        from nanoseg_bench.nsyolo.prototypes import refined_tensors

        return refined_tensors(given, own)

    def class_layer(self, network: nn.Module) -> Sequence[str]:
        """The last convolution of each class branch."""
        branches, head = network.model[-1].cv3, len(network.model) - 1
        starts = tuple(f"model.{head}.cv3.{level}.{len(branch) - 1}." for level, branch in enumerate(branches))
        return [name for name in network.state_dict() if name.startswith(starts)]

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Ultralytics' losses of box, mask, class and distance distribution."""
        return _loss_step(network, batch)

    def build_network(self) -> nn.Module:
        """The scheme's network, with Ultralytics' loss."""
        isolate_libraries()
        from ultralytics.cfg import get_cfg

        from nanoseg_bench.models.yolo_loss import SegmentationLoss
        from nanoseg_bench.nsyolo.network import build_network

        blocks = self.options.model_dump(include=_NETWORK_OPTIONS)
        try:
            network = build_network(self.options.scheme or self.recipe.model, len(self.classes), **blocks)
        except ValueError as error:
            raise RecipeError(f"{self.recipe.model}, preset {self.recipe.preset!r}: {error}") from error
        # One mask per particle: the merged map would cut overlapping particles, and ends at 255 of them.
        network.args = get_cfg(overrides={**_GAINS, "overlap_mask": False})
        network.init_criterion = partial(SegmentationLoss, network)  # called at the first loss, on the device
        # Convolutions run a fifth faster in this layout, on the CPU too.
        return network.to(memory_format=torch.channels_last)


def _loss_step(network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ultralytics' segmentation loss of one batch, each part scaled by its gain and the batch size."""
    predictions = network(as_input(batch["img"]))
    targets = {**batch, "masks": batch["masks"].float() / 255}
    # The loss in float32: in bfloat16 a coordinate at 300 px is off by one.
    with torch.autocast(batch["img"].device.type, enabled=False):
        parts, _ = network.loss(targets, _as_float(predictions))
    return dict(zip(_LOSS_NAMES, parts, strict=False))


def _as_float(values: Any) -> Any:
    if isinstance(values, Tensor):
        return values.float()
    if isinstance(values, Mapping):
        return {key: _as_float(value) for key, value in values.items()}
    return [_as_float(value) for value in values]
