"""YOLO11n-seg, NSYOLO and the steps between them: Ultralytics' network and loss in this package's training loop.

Ultralytics' own trainer is left out on purpose: it rewrites the schedule, writes half checkpoints, augments by itself
and reads the lossy polygon labels. Kept from it is what defines the model: layers, assigner, loss and its gains.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.errors import RecipeError
from nanoseg_bench.models.base import MIN_SCORE, CanvasImage
from nanoseg_bench.models.data import Sample, resize_pixels
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.torch_model import TorchModel
from nanoseg_bench.models.yolo_data import YoloSample, collate, encode_sample, to_planes
from nanoseg_bench.models.yolo_decode import decode_instances, select_detections

_STRIDE = 32  # of the coarsest feature map
_LOSS_NAMES = ("box", "seg", "cls", "dfl")
_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}  # Ultralytics' defaults; the mask loss shares the gain of the box
_NETWORK_OPTIONS = ("kernel", "regions", "topk", "p4_layers")


class YoloModel(TorchModel):
    """A YOLO11n segmentation network; ``options.scheme`` says which layers are exchanged.

    Recipe options:
        scheme: yolo11n, yolo11n-c3ds, yolo11n-c3bads, yolo11n-c2psa-bra or nsyolo; the model's id by default.
        kernel, regions, topk, p4_layers: See ``nsyolo.network.build_network``.

    Raises:
        RecipeError: The canvas is no multiple of 32 of at least 64 px.
    """

    weight_average = True

    def __init__(self, recipe: Recipe, classes: Sequence[str], max_instances: int) -> None:
        super().__init__(recipe, classes, max_instances)
        if recipe.canvas % _STRIDE or recipe.canvas < 2 * _STRIDE:
            raise RecipeError(
                f"{recipe.model}: canvas {recipe.canvas} must be a multiple of {_STRIDE}, and at least {2 * _STRIDE}"
            )

    def predict(self, images: Sequence[CanvasImage]) -> list[list[Instance]]:
        """Detections of each image after class-agnostic suppression, as masks in original pixels."""
        network = self._ready()
        with torch.inference_mode():
            return [self._predict_one(network, image) for image in images]

    def _predict_one(self, network: nn.Module, image: CanvasImage) -> list[Instance]:
        pixels = to_planes(resize_pixels(image.pixels, self.recipe.canvas))[None].to(self._device)
        # Evaluation mode: ((boxes with scores and coefficients, prototypes), raw maps).
        (output, prototypes), _ = network(_as_input(pixels))
        detections = select_detections(output[0], len(self.classes), MIN_SCORE, self.max_detections)
        return decode_instances(
            detections.cpu().numpy(),
            prototypes[0].float().cpu().numpy(),
            image.letterbox,
            self.recipe.canvas,
            self.classes,
        )

    def _encode(self, sample: Sample) -> YoloSample:
        return encode_sample(sample)

    def _collate(self, samples: list[YoloSample]) -> dict[str, Tensor]:
        return collate(samples)

    def _losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return _loss_step(network, batch)

    def _build(self) -> nn.Module:
        isolate_libraries()
        from ultralytics.cfg import get_cfg

        from nanoseg_bench.nsyolo.network import build_network

        options = self.recipe.options
        chosen = {name: options[name] for name in _NETWORK_OPTIONS if name in options}
        try:
            network = build_network(options.get("scheme", self.recipe.model), len(self.classes), **chosen)
        except ValueError as error:
            raise RecipeError(f"{self.recipe.model}, preset {self.recipe.preset!r}: {error}") from error
        # One mask per particle: the merged map would cut overlapping particles, and ends at 255 of them.
        network.args = get_cfg(overrides={**_GAINS, "overlap_mask": False})
        # Convolutions run a fifth faster in this layout, on the CPU too.
        return network.to(memory_format=torch.channels_last)


def _loss_step(network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ultralytics' segmentation loss of one batch, each part scaled by its gain and the batch size."""
    predictions = network(_as_input(batch["img"]))
    targets = {**batch, "masks": batch["masks"].float() / 255}
    # The loss in float32: in bfloat16 a coordinate at 300 px is off by one.
    with torch.autocast(batch["img"].device.type, enabled=False):
        parts, _ = network.loss(targets, _as_float(predictions))
    return dict(zip(_LOSS_NAMES, parts, strict=False))


def _as_input(pixels: Tensor) -> Tensor:
    return (pixels.float() / 255).contiguous(memory_format=torch.channels_last)


def _as_float(values: Any) -> Any:
    if isinstance(values, Tensor):
        return values.float()
    if isinstance(values, Mapping):
        return {key: _as_float(value) for key, value in values.items()}
    return [_as_float(value) for value in values]
