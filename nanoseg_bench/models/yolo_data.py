"""Training samples for the YOLO models, straight from the prepared set's lossless canvas masks.

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

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import bounding_box, rle_to_mask, to_rle
from nanoseg_bench.errors import ModelError
from nanoseg_bench.imageio import read_image
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.progress import track

_MAX_CACHE_BYTES = 6 * 1024**3


@dataclass(frozen=True, slots=True)
class Targets:
    """The particles of one image.

    Attributes:
        classes: (N,) int64 class indices.
        boxes: (N, 4) float32 centre x, centre y, width, height, as fractions of the canvas.
        corners: (N, 2) column and row of each window's first pixel on the mask grid.
        windows: N uint8 arrays: share of each mask pixel that the particle covers, 255 for all of it.
    """

    classes: NDArray[np.int64]
    boxes: NDArray[np.float32]
    corners: NDArray[np.int64]
    windows: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One training image: (S, S) or (S, S, 3) uint8 RGB pixels and its particles."""

    pixels: NDArray[np.uint8]
    targets: Targets


class YoloDataset:
    """The split ``train`` of a prepared set at the network's size; no randomness of its own.

    Args:
        prepared: The prepared set.
        canvas: Side of the network's input in pixels.
        mask_size: Side of the grid on which masks are learnt: that of the prototypes.

    Raises:
        ModelError: An image of the split has no entry in the training targets, or a particle an unknown class.
    """

    def __init__(self, prepared: PreparedSet, canvas: int, mask_size: int) -> None:
        self.mask_size = mask_size
        self._canvas = canvas
        self._images = prepared.images("train")
        found = prepared.canvas_instances("train")
        missing = [image.name for image in self._images if image.name not in found]
        if missing:
            raise ModelError(
                f"{prepared.root / 'canvas' / 'train.json'}: no entry for {len(missing)} training images "
                f"({', '.join(missing[:5])}); run `nanoseg-bench prepare --out {prepared.root} --overwrite always` again"
            )
        self._targets = [
            make_targets(found[image.name], prepared.classes, prepared.canvas, mask_size)
            for image in track(self._images, "read training masks")
        ]
        self._pixels: dict[int, NDArray[np.uint8]] = {}
        self._cached = canvas * canvas * 3 * len(self._images) <= _MAX_CACHE_BYTES

    def __len__(self) -> int:
        """Number of training images."""
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """Training image ``index`` in the manifest's order."""
        pixels = self._pixels.get(index)
        if pixels is None:
            pixels = resize_square(read_image(self._images[index].image_path), self._canvas)
            if self._cached:
                self._pixels[index] = pixels
        return Sample(pixels, self._targets[index])

    def collate(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """A batch as Ultralytics' segmentation loss takes it with ``overlap_mask=False``.

        Returns:
            ``img`` (B, 3, S, S) uint8; ``batch_idx`` (N,), ``cls`` (N, 1) and ``bboxes`` (N, 4) float32;
            ``masks`` (N, mask_size, mask_size) uint8. N counts the particles of all B images.
        """
        targets = [sample.targets for sample in samples]
        counts = [len(target.windows) for target in targets]
        masks = np.zeros((sum(counts), self.mask_size, self.mask_size), dtype=np.uint8)
        corners = [corner for target in targets for corner in target.corners]
        windows = [window for target in targets for window in target.windows]
        for mask, (x, y), window in zip(masks, corners, windows, strict=True):
            mask[y : y + window.shape[0], x : x + window.shape[1]] = window
        return {
            "img": torch.stack([to_tensor(sample.pixels) for sample in samples]),
            "batch_idx": torch.from_numpy(np.repeat(np.arange(len(samples), dtype=np.float32), counts)),
            "cls": torch.from_numpy(np.concatenate([target.classes for target in targets])[:, None].astype(np.float32)),
            "bboxes": torch.from_numpy(np.concatenate([target.boxes for target in targets])),
            "masks": torch.from_numpy(masks),
        }


def make_targets(instances: Sequence[Instance], classes: Sequence[str], canvas: int, mask_size: int) -> Targets:
    """Boxes and small masks of the particles on a ``canvas`` x ``canvas`` image; ignore regions are left out.

    Raises:
        ModelError: A label is not among ``classes``.
    """
    positions = {name: index for index, name in enumerate(classes)}
    particles = [instance for instance in instances if not instance.ignored]
    unknown = {str(instance.label) for instance in particles if instance.label not in positions}
    if unknown:
        raise ModelError(
            f"training targets are labelled {', '.join(sorted(unknown))}, which is none of the set's classes "
            f"({', '.join(classes)}); prepare the set again"
        )
    boxes = np.zeros((len(particles), 4), dtype=np.float32)
    corners = np.zeros((len(particles), 2), dtype=np.int64)
    windows = []
    for index, instance in enumerate(particles):
        rle = to_rle(instance, canvas, canvas)
        x, y, width, height = bounding_box(rle)
        boxes[index] = np.array([x + width / 2, y + height / 2, width, height]) / canvas
        covered = resize_square(rle_to_mask(rle).astype(np.uint8) * 255, mask_size)
        corners[index], window = _tight(covered)
        windows.append(window)
    indices = np.array([positions[str(instance.label)] for instance in particles], dtype=np.int64)
    return Targets(indices, boxes, corners, tuple(windows))


def resize_square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize a square image: the mean over each new pixel when it shrinks, bilinear when it grows."""
    side = pixels.shape[0]
    if side == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA if size < side else cv2.INTER_LINEAR))


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """(S, S) grey or (S, S, 3) RGB to a (3, S, S) uint8 tensor."""
    tensor = torch.from_numpy(np.ascontiguousarray(pixels))
    return tensor.expand(3, *tensor.shape) if tensor.ndim == 2 else tensor.permute(2, 0, 1)


def _tight(values: NDArray[np.uint8]) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """(column, row) and copy of the smallest window that holds all non-zero values."""
    rows, columns = np.flatnonzero(values.any(axis=1)), np.flatnonzero(values.any(axis=0))
    if rows.size == 0:
        return (0, 0), np.zeros((0, 0), dtype=np.uint8)
    return (int(columns[0]), int(rows[0])), values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
