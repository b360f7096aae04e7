"""Training batches for the YOLO models, from the prepared set's lossless canvas masks.

Ultralytics' own data set reads the polygon labels, where holes and many-part particles are lost, drops an image when
one label touches the border, and writes a cache into the set; none of that can happen here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanoseg_bench.imageio import as_rgb
from nanoseg_bench.models.data import Particle, Sample

MASK_STRIDE = 4
"""Network pixels per mask pixel: masks are learnt on the grid of the prototypes."""


@dataclass(frozen=True, eq=False, slots=True)
class MaskWindow:
    """One particle on the mask grid.

    Attributes:
        covered: (h, w) uint8: share of each mask pixel that the particle covers, 255 for all of it. Shares instead of
            yes or no let the interpolated mask find the edge inside a pixel.
        x: Column of the window's first pixel.
        y: Row of it.
    """

    covered: NDArray[np.uint8]
    x: int
    y: int


@dataclass(frozen=True, eq=False, slots=True)
class YoloSample:
    """One training image.

    Attributes:
        pixels: (3, S, S) uint8 RGB.
        classes: (N, 1) float32 class indices.
        boxes: (N, 4) float32 centre x, centre y, width, height, as fractions of S.
        windows: N masks.
    """

    pixels: Tensor
    classes: NDArray[np.float32]
    boxes: NDArray[np.float32]
    windows: tuple[MaskWindow, ...]


def encode_sample(sample: Sample) -> YoloSample:
    """Boxes and small masks of an image's particles; ignore regions are left out."""
    size = sample.pixels.shape[0]
    boxes = np.array([_box(particle) for particle in sample.particles], dtype=np.float32).reshape(-1, 4) / size
    classes = np.array([particle.class_index for particle in sample.particles], dtype=np.float32).reshape(-1, 1)
    windows = tuple(_window(particle) for particle in sample.particles)
    return YoloSample(to_planes(sample.pixels), classes, boxes, windows)


def collate(samples: Sequence[YoloSample]) -> dict[str, Tensor]:
    """A batch as Ultralytics' segmentation loss takes it with ``overlap_mask=False``.

    Returns:
        ``img`` (B, 3, S, S) uint8; ``batch_idx`` (N,), ``cls`` (N, 1) and ``bboxes`` (N, 4) float32; ``masks``
        (N, S / 4, S / 4) uint8. N counts the particles of all B images.
    """
    pixels = torch.stack([sample.pixels for sample in samples])
    windows = [window for sample in samples for window in sample.windows]
    side = pixels.shape[-1] // MASK_STRIDE
    masks = np.zeros((len(windows), side, side), dtype=np.uint8)
    for mask, window in zip(masks, windows, strict=True):
        height, width = window.covered.shape
        mask[window.y : window.y + height, window.x : window.x + width] = window.covered
    counts = [len(sample.windows) for sample in samples]
    return {
        "img": pixels,
        "batch_idx": torch.from_numpy(np.repeat(np.arange(len(samples), dtype=np.float32), counts)),
        "cls": torch.from_numpy(np.concatenate([sample.classes for sample in samples])),
        "bboxes": torch.from_numpy(np.concatenate([sample.boxes for sample in samples])),
        "masks": torch.from_numpy(masks),
    }


def to_planes(pixels: NDArray[np.uint8]) -> Tensor:
    """(S, S) grey or (S, S, 3) RGB to a (3, S, S) uint8 tensor."""
    return torch.from_numpy(np.ascontiguousarray(as_rgb(pixels).transpose(2, 0, 1)))


def _box(particle: Particle) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(particle.mask.any(axis=1)), np.flatnonzero(particle.mask.any(axis=0))
    left, right = particle.x + columns[0], particle.x + columns[-1] + 1
    top, bottom = particle.y + rows[0], particle.y + rows[-1] + 1
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _window(particle: Particle) -> MaskWindow:
    """The particle's mask averaged over blocks of ``MASK_STRIDE`` x ``MASK_STRIDE`` network pixels."""
    x, y = particle.x // MASK_STRIDE, particle.y // MASK_STRIDE
    before = (particle.y - y * MASK_STRIDE, particle.x - x * MASK_STRIDE)
    padding = [(start, -(start + side) % MASK_STRIDE) for start, side in zip(before, particle.mask.shape, strict=True)]
    blocks = np.pad(particle.mask.astype(np.uint8) * 255, padding)
    height, width = blocks.shape[0] // MASK_STRIDE, blocks.shape[1] // MASK_STRIDE
    covered = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_AREA)
    return MaskWindow(np.asarray(covered).reshape(height, width), x, y)
