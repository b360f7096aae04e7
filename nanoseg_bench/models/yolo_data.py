"""Training targets of the YOLO models, from the prepared set's lossless canvas masks.

Ultralytics' own data set reads the polygon labels, where holes and many-part particles are lost, drops an image when
one label touches the border, and writes a cache into the set; none of that can happen here.
"""

import torch
from torch import Tensor

from nanoseg_bench.models.batches import InstanceBatch


def yolo_targets(batch: InstanceBatch, mask_stride: int = 4) -> dict[str, Tensor]:
    """A batch as Ultralytics' segmentation loss takes it with ``overlap_mask=False``.

    Args:
        batch: Canvases with their regions.
        mask_stride: s, network pixels per mask pixel: masks are learnt on the grid of the prototypes.

    Returns:
        ``img`` (B, 1 or 3, S, S) uint8; ``batch_idx`` (N,), ``cls`` (N, 1) and ``bboxes`` (N, 4: centre x, centre y,
        width, height, as fractions of S) float32; ``masks`` (N, S / s, S / s) uint8: the share of each mask pixel that
        the particle covers, 255 for all of it. Shares instead of yes or no let the interpolated mask find the edge
        inside a pixel. N counts the particles of all B images.
    """
    low, high = batch.boxes.float().chunk(2, dim=1)
    return {
        "img": batch.pixels,
        "batch_idx": batch.canvas_of.float(),
        "cls": batch.label.float()[:, None],
        "bboxes": torch.cat([(low + high) / 2, high - low], dim=1) / batch.size,
        "masks": _covered_shares(batch, mask_stride),
    }


def _covered_shares(batch: InstanceBatch, stride: int) -> Tensor:
    number, side = len(batch.label), batch.size // stride
    cells = (batch.region_of * side + batch.y // stride) * side + batch.x // stride
    counts = torch.zeros(number * side * side, device=cells.device)
    counts.scatter_add_(0, cells, torch.ones_like(cells, dtype=counts.dtype))
    return counts.mul_(255 / stride**2).round_().to(torch.uint8).view(number, side, side)
