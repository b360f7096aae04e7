"""How deep inside its particle a pixel lies: what a semantic network learns to tell touching particles apart by.

The depth is the distance to the nearest edge of the pixel's own particle over the largest such distance in it: 1 in the
middle and 0 outside, whatever the size. P. Naylor et al., Segmentation of Nuclei in Histopathology Images by Deep
Regression of the Distance Map, IEEE Trans. Med. Imaging 38 (2019) 448-459, regress the distance itself.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nanoseg_bench.models.pixels import distance_to_edge
from nanoseg_bench.models.process_group import summed


def depth_map(owner: Tensor) -> Tensor:
    """(B, s, s) float32 depths, on the device of ``owner``.

    What the canvas cuts off is not known: its edge is no edge of a particle.

    Args:
        owner: (B, s, s) int64: the number of the particle that a pixel shows, a number of its own for each particle of
            the batch; 0 outside of all.
    """
    owners = owner.cpu().numpy()
    distance = np.stack([distance_to_edge(each) for each in owners])
    largest = np.zeros(int(owners.max()) + 1, dtype=np.float32)
    np.maximum.at(largest, owners.ravel(), distance.ravel())
    depth = np.divide(distance, largest[owners], out=np.zeros_like(distance), where=owners > 0)
    return torch.from_numpy(depth).to(owner.device)


def depth_loss(logits: Tensor, depth: Tensor, counted: Tensor) -> Tensor:
    """Mean binary cross entropy with the depth as soft target, over the pixels of all processes.

    Args:
        logits: (B, s, s).
        depth: (B, s, s) in [0, 1].
        counted: (B, s, s) bool; other pixels are left out.
    """
    each = functional.binary_cross_entropy_with_logits(logits, depth, reduction="none")
    return summed((each * counted).sum()) / summed(counted.sum()).clamp(min=1)
