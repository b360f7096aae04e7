"""Ultralytics' segmentation loss, its mask part computed where it counts.

Ultralytics multiplies the mask of each positive anchor out on the whole prototype grid, image by image, and then zeroes
what lies outside of the anchor's box. Here only the pixels inside of the boxes are looked at, of all images together:
the same sum from far fewer pixels, and a GPU is not stopped several times per image to say how many anchors there are.

Ultralytics divides by what the batch holds, and where several processes share it, that is what all of them hold.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.utils.loss import v8SegmentationLoss

from nanoseg_bench.models import process_group


class SegmentationLoss(v8SegmentationLoss):
    """Ultralytics' loss for ``overlap_mask=False``, equal to it but for rounding.

    Args:
        model: The network.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self._divisors: Tensor | None = None
        self.assigner.register_forward_hook(self._take_divisors)

    def loss(self, preds: dict[str, Tensor], batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Ultralytics' parts of the loss, of the batch of all processes, times its number of images.

        Box, class and distance distribution are divided by the sum of the target scores, the mask by the number of
        positive anchors: linear in both, so each process' own parts are brought to the divisors of all.
        """
        parts, items = super().loss(preds, batch)
        if process_group.size() == 1 or self._divisors is None:
            return parts, items
        own = torch.cat([self._divisors.to(parts.dtype), parts.new_tensor([len(preds["boxes"])])])
        of_all = process_group.summed(own)
        scores = own[0].clamp(min=1) / of_all[0].clamp(min=1)  # Ultralytics divides by no less than 1
        anchors = own[1] / of_all[1].clamp(min=1)
        images = of_all[2] / own[2]
        return process_group.summed(parts * torch.stack([scores, anchors, scores, scores, anchors]) * images), items

    def _take_divisors(self, assigner: nn.Module, given: Any, assigned: tuple[Tensor, ...]) -> None:
        """Keep the sum of the target scores and the number of positive anchors."""
        if process_group.size() > 1:
            _, _, scores, positive, _ = assigned
            self._divisors = torch.stack([scores.sum(), positive.sum().to(scores.dtype)])

    def calculate_segmentation_loss(
        self,
        fg_mask: Tensor,
        masks: Tensor,
        target_gt_idx: Tensor,
        target_bboxes: Tensor,
        batch_idx: Tensor,
        proto: Tensor,
        pred_masks: Tensor,
        imgsz: Tensor,
    ) -> Tensor:
        """Binary cross entropy inside the box, over the box's share of the image, averaged over positive anchors.

        Args:
            fg_mask: (B, A) bool, the positive anchors.
            masks: (N, H, W) float32, the truth of all particles, from 0 to 1.
            target_gt_idx: (B, A) int64 number of the anchor's particle in its image.
            target_bboxes: (B, A, 4) x0, y0, x1, y1 of the anchor's particle in network pixels.
            batch_idx: (N, 1) image of each particle, rising.
            proto: (B, C, H, W) prototypes.
            pred_masks: (B, A, C) coefficients.
            imgsz: (2,) height and width of the network's input in pixels.

        Returns:
            A scalar.
        """
        images, channels, height, width = proto.shape
        image, anchor = fg_mask.nonzero(as_tuple=True)
        boxes = target_bboxes[image, anchor] / imgsz[[1, 0, 1, 0]]
        share = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
        # A pixel belongs to the box when its index, not its centre, lies in it; so does Ultralytics' crop. Where a box
        # ends within a pixel, that pixel is learnt at the right and the bottom, and not at the left and the top: there
        # masks reach a little too far out, by 0.1 px of the canvas, and three times as far without a crop to the box.
        limits = boxes.new_tensor([width, height, width, height])
        edges = (boxes * limits).ceil().clamp(min=0).minimum(limits).long()
        sides = (edges[:, 2:] - edges[:, :2]).clamp(min=0)
        box, x, y = _pixels_of(edges[:, 0], edges[:, 1], sides[:, 0], sides[:, 1])

        first = torch.bincount(batch_idx.view(-1).long(), minlength=images).cumsum(0).roll(1)
        first[0] = 0
        particle = first[image] + target_gt_idx[image, anchor]
        truth = masks.reshape(-1).index_select(0, (particle[box] * height + y) * width + x)
        # As embeddings, because the gradient of those is summed by sorting: quick, and in the same order every time.
        at = functional.embedding(
            (image[box] * height + y) * width + x, proto.permute(0, 2, 3, 1).reshape(-1, channels)
        )
        logits = (at * functional.embedding(box, pred_masks[image, anchor])).sum(dim=1)
        losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return (losses / (share * height * width)[box]).sum() / len(image)


def _pixels_of(left: Tensor, top: Tensor, width: Tensor, height: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every pixel of M boxes: (T,) number of its box, column and row."""
    sizes = width * height
    box = torch.repeat_interleave(sizes)
    within = torch.arange(len(box), device=box.device) - (sizes.cumsum(0) - sizes)[box]
    return box, left[box] + within % width[box], top[box] + within // width[box]
