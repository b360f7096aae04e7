"""U-Net and DeepLabv3+: one class per pixel, particles by the shared post-processing.

O. Ronneberger et al., U-Net, MICCAI 2015; L.-C. Chen et al., DeepLabv3+, ECCV 2018. Both with a ResNet-34 encoder, as
segmentation-models-pytorch builds them; the channels are background and the classes, and the depth where it is learnt.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.errors import ModelError
from nanoseg_bench.models.base import CanvasImage
from nanoseg_bench.models.batches import InstanceBatch
from nanoseg_bench.models.data import network_input, normalise
from nanoseg_bench.models.depth import depth_loss, depth_map
from nanoseg_bench.models.options import SemanticOptions
from nanoseg_bench.models.pixels import instances_from_probability, restore_instances, split_at_middles
from nanoseg_bench.models.process_group import mean_of_all, summed
from nanoseg_bench.models.torch_model import TorchModel
from nanoseg_bench.preparation.letterbox import Letterbox

_IGNORED = 255
_ARCHITECTURES = {"unet": "Unet", "deeplabv3plus": "DeepLabV3Plus"}


class SemanticModel(TorchModel):
    """U-Net or DeepLabv3+, by ``recipe.model``: a network that says of each pixel what it is.

    Loss, training, post-processing and classes are the same for all, so a network of one's own needs one method:

        class MyNet(SemanticModel):
            def build_network(self) -> nn.Module:
                return MyModule(channels=self.channels)

    ``build_network`` returns a module that takes (N, 3, H, W) float32, normalised as ``data.normalise`` does, with H
    and W multiples of 32 and not always equal, and gives logits (N, channels, H, W) of background and the C classes,
    and with the option ``distance`` of the depth (see ``models.depth``).

    Raises:
        RecipeError: The canvas is no multiple of 32, or an option is unknown.
    """

    Options = SemanticOptions
    options: SemanticOptions

    uses_ignored = True

    losses_of_all = True

    @property
    def channels(self) -> int:
        """Of the network: background, classes, and the depth with the option ``distance``."""
        return 1 + len(self.classes) + self._has_depth

    @property
    def _has_depth(self) -> bool:
        # The options of a plug-in need not know of it.
        return bool(getattr(self.options, "distance", False))

    def predict(self, images: Sequence[CanvasImage]) -> list[list[Instance]]:
        """Class probabilities at network size, brought to the canvas, cut into particles."""
        network = self.network
        predictions = []
        for image in images:
            pixels, letterbox = self.crop_padding(image)
            inputs = network_input(pixels).to(self.device)
            with torch.inference_mode():
                with self.stopwatch.network():
                    logits = network(inputs)
                of_classes, depth = self._parts(logits)
                probabilities = of_classes.softmax(dim=1)[0].cpu().numpy()
                depths = None if depth is None else depth.sigmoid()[0].cpu().numpy()
            predictions.append(self._instances(probabilities, depths, letterbox, image.letterbox))
        return predictions

    def build_network(self) -> nn.Module:
        """U-Net or DeepLabv3+ with the recipe's encoder; see ``TorchModel.build_network``."""
        import segmentation_models_pytorch as smp

        architecture = getattr(smp, _ARCHITECTURES[self.recipe.model])
        network = architecture(
            encoder_name=self.options.encoder,
            encoder_weights=None,  # the default would fetch ImageNet's
            in_channels=3,
            classes=self.channels,
        )
        # Convolutions run a sixth faster in this layout, on the CPU too.
        return network.to(memory_format=torch.channels_last)

    def class_layer(self, network: nn.Module) -> Sequence[str]:
        """The head of segmentation-models-pytorch: channels of background and classes, and of the depth."""
        return [name for name in network.state_dict() if name.startswith("segmentation_head.")]

    def check_training_images(self, number: int) -> None:
        """Refuse single images, which batch normalisation cannot be trained on."""
        if self.recipe.batch < 2 or number < 2:
            raise ModelError(
                f"{self.recipe.model}: batch normalisation needs at least two images at a time "
                f"(batch {self.recipe.batch}, {number} training images)"
            )

    def targets(self, batch: InstanceBatch) -> tuple[Tensor, ...]:
        """Pixels (B, s, s), ``class_map`` and, where it is learnt, ``depth_map``."""
        owner = owners(batch)
        targets = (batch.pixels, class_map(batch, owner))
        return (*targets, depth_map(owner)) if self._has_depth else targets

    def losses(self, network: nn.Module, batch: tuple[Tensor, ...]) -> Mapping[str, Tensor]:
        """Cross entropy and Dice loss; that of the depth where it is learnt."""
        pixels, target, *depths = batch
        logits, depth = self._parts(network(normalise(pixels)).float())
        cross_entropy = functional.cross_entropy(logits, target, ignore_index=_IGNORED)
        losses = {
            "cross_entropy": mean_of_all(cross_entropy, (target != _IGNORED).sum()),
            "dice": self.options.dice_weight * dice_loss(logits, target),
        }
        if depth is not None:
            losses["depth"] = depth_loss(depth, depths[0], target != _IGNORED)
        return losses

    def _parts(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """(N, 1 + C, H, W) of background and classes, and (N, H, W) of the depth."""
        return (logits[:, :-1], logits[:, -1]) if self._has_depth else (logits, None)

    def _instances(
        self,
        probabilities: NDArray[np.float32],
        depth: NDArray[np.float32] | None,
        seen: Letterbox,
        canvas: Letterbox,
    ) -> list[Instance]:
        foreground = _on_canvas(1 - probabilities[0], seen, canvas)
        of_classes = np.stack([_on_canvas(plane, seen, canvas) for plane in probabilities[1:]])
        split = rating = None
        if depth is not None:
            on_canvas = _on_canvas(depth, seen, canvas)
            split = partial(split_at_middles, depth=on_canvas, middle=self.options.middle, neck=self.options.neck)
            rating = on_canvas if self.options.score == "fit" else None
        found = instances_from_probability(foreground, canvas, of_classes, self.options, split, rating)
        return restore_instances(found, canvas, self.classes, self.max_detections)


def _on_canvas(plane: NDArray[np.float32], seen: Letterbox, canvas: Letterbox) -> NDArray[np.float32]:
    """A plane of network size on the canvas, bilinearly; 0 in the padding."""
    whole = np.zeros((canvas.canvas, canvas.canvas), dtype=np.float32)
    canvas.content(whole)[:] = cv2.resize(seen.content(plane), canvas.content_size)
    return whole


def owners(batch: InstanceBatch) -> Tensor:
    """(B, s, s) int64: the region that a pixel shows, counted from 1, where regions overlap the later one; 0: none."""
    size, device = batch.size, batch.label.device
    pixel = (batch.canvas_of[batch.region_of] * size + batch.y) * size + batch.x
    top = torch.zeros(len(batch.pixels) * size * size, dtype=torch.int64, device=device)
    top.scatter_reduce_(0, pixel, batch.region_of + 1, "amax")
    return top.view(-1, size, size)


def class_map(batch: InstanceBatch, owner: Tensor) -> Tensor:
    """(B, s, s) int64: 0 background, class index + 1, 255 not counted.

    Args:
        batch: Its regions have the classes.
        owner: From ``owners``.
    """
    values = torch.where(batch.label < 0, _IGNORED, batch.label + 1)
    return torch.cat([values.new_zeros(1), values])[owner]


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - mean Dice coefficient of the classes that occur in the batch of all processes, background left out.

    Args:
        logits: (N, C + 1, H, W).
        target: (N, H, W) int64; 255 is not counted.
    """
    counted = (target != _IGNORED).unsqueeze(1)
    truth = functional.one_hot(target.clamp(max=logits.shape[1] - 1), logits.shape[1]).permute(0, 3, 1, 2)
    probability = (logits.softmax(dim=1) * counted)[:, 1:]
    truth = (truth * counted)[:, 1:].to(probability.dtype)
    dims = (0, 2, 3)
    overlap = summed((probability * truth).sum(dims))
    covered = summed(truth.sum(dims))
    dice = (2 * overlap + 1) / (summed(probability.sum(dims)) + covered + 1)
    present = covered > 0
    # An absent class has no overlap to reward; cross entropy already teaches its absence.
    return 1 - dice[present].mean() if bool(present.any()) else logits.sum() * 0
