"""Mask R-CNN with ResNet-50 and a feature pyramid, from torchvision.

K. He et al., Mask R-CNN, ICCV 2017. Trained from scratch, so all five stages of the backbone learn. Normalisation is
GroupNorm: torchvision's own choices are frozen batch statistics, which make sense for pretrained weights alone, or
batch normalisation, which is unreliable at the two to eight images that fit one step (K. He et al., Rethinking
ImageNet pre-training, ICCV 2019, trains from scratch with GroupNorm for this reason, in the pyramid and the mask head
as well as in the backbone).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import nms

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.models import process_group
from nanoseg_bench.models.base import MIN_SCORE, CanvasImage
from nanoseg_bench.models.batches import InstanceBatch
from nanoseg_bench.models.data import network_input, normalise
from nanoseg_bench.models.options import MaskRCNNOptions
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.models.torch_model import STRIDE, TorchModel
from nanoseg_bench.preparation.letterbox import Letterbox

_GROUPS = 32
_ALL_STAGES = 5
_REFERENCE_CANVAS = 640
_PYRAMID_CHANNELS = 256
_MASK_LAYERS = (256, 256, 256, 256)
_ASPECT_RATIOS = (0.5, 1.0, 2.0)
_TARGETS_OFF = 0.5
"""Network pixels by which the masks that torchvision teaches lie to the left and top of the particle.

It cuts a particle's box out of its mask by ``roi_align`` with ``aligned=False``, which takes pixel i to lie at i and
not at i + 0.5. What the mask head learns it also answers, so masks are moved back where they are placed. On EMPS'
validation images: AP 0.622 to 0.655.
"""


class MaskRCNN(TorchModel):
    """Mask R-CNN ResNet-50-FPN.

    Its GFLOPs are those of one image with as many proposals as prediction allows: the heads' share grows with their
    number, which is large on an untrained network.

    Raises:
        RecipeError: The canvas is no multiple of 32, or there are not five anchor sizes.
    """

    Options = MaskRCNNOptions
    options: MaskRCNNOptions

    losses_of_all = True

    def __init__(self, recipe: Recipe, classes: Sequence[str], max_instances: int) -> None:
        super().__init__(recipe, classes, max_instances)
        scale = recipe.canvas / _REFERENCE_CANVAS
        self._anchor_sizes = tuple((size * scale,) for size in self.options.anchor_sizes)

    def predict(self, images: Sequence[CanvasImage]) -> list[list[Instance]]:
        """Detect at network size; each 28 x 28 mask goes through its box and the letterbox to original pixels.

        Of two boxes with more overlap than ``nms_iou`` the better one stays, whatever their classes.
        """
        network = self.network
        predictions = []
        for image in images:
            pixels, letterbox = self.crop_padding(image)
            inputs = network_input(pixels).to(self.device)
            with torch.inference_mode(), self.stopwatch.network():
                (detected,) = network(inputs)
            predictions.append(self._instances(detected, letterbox, image.letterbox))
        return predictions

    def build_network(self) -> TorchvisionMaskRCNN:
        """ResNet-50 with a feature pyramid and GroupNorm; see ``TorchModel.build_network``."""
        options = self.options
        train_proposals = options.train_proposals
        # Suppression leaves about half of the candidates, and every particle of the densest image needs one.
        test_proposals = max(train_proposals, self.max_detections)
        network = TorchvisionMaskRCNN(
            # The weights' default would fetch ImageNet's.
            _resnet_fpn_extractor(resnet50(weights=None, norm_layer=_group_norm), _ALL_STAGES, norm_layer=_group_norm),
            num_classes=len(self.classes) + 1,
            rpn_anchor_generator=_ExactAnchors(self._anchor_sizes, (_ASPECT_RATIOS,) * len(self._anchor_sizes)),
            rpn_pre_nms_top_n_train=2 * train_proposals,
            rpn_post_nms_top_n_train=train_proposals,
            rpn_pre_nms_top_n_test=2 * test_proposals,
            rpn_post_nms_top_n_test=test_proposals,
            rpn_batch_size_per_image=options.rpn_samples,
            box_batch_size_per_image=options.box_samples,
            box_score_thresh=MIN_SCORE,
            box_nms_thresh=options.nms_iou,
            box_detections_per_img=self.max_detections,
            mask_head=MaskRCNNHeads(_PYRAMID_CHANNELS, _MASK_LAYERS, dilation=1, norm_layer=_group_norm),
        )
        network.transform = _SameSize(self.recipe.canvas)
        for part in (network.rpn.head, network.roi_heads.box_predictor):
            part.register_forward_hook(_in_float32)
        network.rpn.fg_bg_sampler = _CountedSamples(network.rpn.fg_bg_sampler)
        network.roi_heads.fg_bg_sampler = _CountedSamples(network.roi_heads.fg_bg_sampler)
        return network

    def class_layer(self, network: nn.Module) -> Sequence[str]:
        """The last layers of scores, boxes and masks, which have channels for each class."""
        starts = ("roi_heads.box_predictor.", "roi_heads.mask_predictor.mask_fcn_logits.")
        return [name for name in network.state_dict() if name.startswith(starts)]

    def targets(self, batch: InstanceBatch) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Pixels, and ``boxes_and_masks``."""
        return batch.pixels, boxes_and_masks(batch)

    def losses(self, network: nn.Module, batch: tuple[Tensor, list[dict[str, Tensor]]]) -> Mapping[str, Tensor]:
        """Torchvision's losses of proposals, boxes, classes and masks."""
        pixels, targets = batch
        losses: dict[str, Tensor] = network(list(normalise(pixels)), targets)
        if process_group.size() == 1:
            return losses
        # Each is a mean over the samples that its part of the network learns from.
        anchors, proposals = network.rpn.fg_bg_sampler, network.roi_heads.fg_bg_sampler
        counts = {
            "loss_objectness": anchors.number,
            "loss_rpn_box_reg": anchors.number,
            "loss_classifier": proposals.number,
            "loss_box_reg": proposals.number,
            "loss_mask": proposals.positives,
        }
        return {name: process_group.mean_of_all(loss, counts[name]) for name, loss in losses.items()}

    def _instances(self, detected: Mapping[str, Tensor], seen: Letterbox, canvas: Letterbox) -> list[Instance]:
        if len(self.classes) > 1:
            # torchvision suppresses within a class alone: what could be a cube or a sphere would be two particles.
            kept = nms(detected["boxes"], detected["scores"], self.options.nms_iou)
            detected = {name: values[kept] for name, values in detected.items()}
        corners = detected["boxes"].double().cpu().numpy().reshape(-1, 2) + _TARGETS_OFF
        boxes = canvas.to_canvas(seen.to_original(corners)).reshape(-1, 4)
        masks = detected["masks"].float().cpu().numpy()[:, 0]
        instances = []
        for box, mask, label, score in zip(
            boxes, masks, detected["labels"].tolist(), detected["scores"].tolist(), strict=True
        ):
            window, x, y = place_mask(mask, box)
            region = canvas.restore_mask(window, (x, y))
            instances.append(Instance(self.classes[label - 1], region, float(score)))
        return instances


def place_mask(mask: NDArray[np.float32], box: NDArray[np.float64]) -> tuple[NDArray[np.float32], int, int]:
    """Resample a mask that fills its box to pixels.

    Args:
        mask: (m, m) probabilities.
        box: (x0, y0, x1, y1) in continuous pixels.

    Returns:
        (window, x, y): probabilities on whole pixels around the box, and the window's first column and row.
    """
    size = mask.shape[0]
    # A border of zeros: beyond the outermost cells the probability falls off instead of ending at the box.
    padded = np.pad(mask, 1)
    x0, y0, x1, y1 = box
    cell_x, cell_y = max((x1 - x0) / size, 1e-6), max((y1 - y0) / size, 1e-6)
    left, top = math.floor(x0 - cell_x), math.floor(y0 - cell_y)
    right, bottom = math.ceil(x1 + cell_x), math.ceil(y1 + cell_y)
    # Destination pixel centre (left + i + 0.5) to source index: cell 1 of the padded mask begins at x0.
    matrix = np.array(
        [
            [1 / cell_x, 0, (left + 0.5 - x0) / cell_x + 0.5],
            [0, 1 / cell_y, (top + 0.5 - y0) / cell_y + 0.5],
        ]
    )
    window = cv2.warpAffine(
        padded,
        matrix,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return np.asarray(window, dtype=np.float32), left, top


def boxes_and_masks(batch: InstanceBatch) -> list[dict[str, Tensor]]:
    """Targets of each image for torchvision: boxes (n, 4) float32, labels (n,) from 1, masks (n, s, s) uint8.

    Ignore regions have no counterpart in this loss and count as background.
    """
    number, size = len(batch.label), batch.size
    masks = torch.zeros(number * size * size, dtype=torch.uint8, device=batch.label.device)
    masks[(batch.region_of * size + batch.y) * size + batch.x] = 1
    counts = torch.bincount(batch.canvas_of, minlength=len(batch.pixels)).tolist()
    parts = (batch.boxes.float(), batch.label + 1, masks.view(number, size, size))
    return [
        {"boxes": boxes, "labels": labels, "masks": image_masks}
        for boxes, labels, image_masks in zip(*(part.split(counts) for part in parts), strict=True)
    ]


class _CountedSamples:
    """A sampler of torchvision, called ``sampler``, that keeps how many samples it gave last time.

    Attributes:
        number: In all images together, an int64 scalar.
        positives: Of them, those that show a particle.
    """

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler
        self.number = self.positives = torch.zeros((), dtype=torch.int64)

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        positive, negative = self._sampler(labels)
        if process_group.size() > 1:
            self.positives = torch.stack([each.sum() for each in positive]).sum()
            self.number = self.positives + torch.stack([each.sum() for each in negative]).sum()
        return positive, negative


class _ExactAnchors(AnchorGenerator):
    """Anchors in float32, whatever the features are computed in; see ``_in_float32``."""

    def set_cell_anchors(self, dtype: torch.dtype, device: torch.device) -> None:
        del dtype
        super().set_cell_anchors(torch.float32, device)


def _in_float32(
    part: nn.Module, inputs: object, outputs: tuple[Tensor | Sequence[Tensor], ...]
) -> tuple[Tensor | list[Tensor], ...]:
    """What a layer says of boxes, in float32; a forward hook.

    torchvision computes boxes in the type of these values. Of bfloat16's 8 bits, coordinates beyond 256 px would be
    rounded to 2 px: learnt would be other boxes than those drawn, and one that is 1 px wide has no width, by which the
    loss divides.
    """
    del part, inputs
    return tuple(each.float() if isinstance(each, Tensor) else [level.float() for level in each] for each in outputs)


class _SameSize(GeneralizedRCNNTransform):
    """Images arrive at network size, normalised, and detections leave as boxes with 28 x 28 masks.

    torchvision's own step would paste every mask into a full float image: 1.6 GB for 1000 particles at 640 px.
    """

    def __init__(self, canvas: int) -> None:
        super().__init__(canvas, canvas, [0.0] * 3, [1.0] * 3, size_divisible=STRIDE)

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target

    def postprocess(
        self, result: list[dict[str, Tensor]], image_shapes: Any, original_image_sizes: Any
    ) -> list[dict[str, Tensor]]:
        return result


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(_GROUPS, channels)
