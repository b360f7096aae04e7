"""Training images at network size in a few tensors, so that batches can be cut out on any device.

Pixels are uint8, one channel where all images are grey. A region is kept as the window of pixels that it fills, one
byte per pixel, and the windows of all regions lie one after another in one tensor: particles may overlap, and memory
goes with their area instead of the canvas'.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanoseg_bench.models.data import Particle, Sample


class TooLargeError(Exception):
    """Images need more memory than there is for them."""

    def __init__(self, needed: float, room: float) -> None:
        super().__init__(f"{needed / 1e9:.3g} GB, more than the {room / 1e9:.3g} GB that may be used")


class Regions(NamedTuple):
    """Regions of all images, in columns of int64; kept on the CPU, where batches are planned.

    Attributes:
        label: Class index; -1 for what is to be ignored.
        x: Column of the window's first pixel. The window is as small as the region allows: it is the region's box.
        y: Row of it.
        width: Columns of the window.
        height: Rows.
        start: Where the window begins in ``PackedImages.covered``.
        area: Pixels of the region.
    """

    label: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    start: NDArray[np.int64]
    area: NDArray[np.int64]

    def at(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Regions":
        """The regions at these places, or where a mask is true."""
        return Regions(*(column[rows] for column in self))


@dataclass(frozen=True, eq=False, slots=True)
class PackedImages:
    """N images of S px with their regions.

    Attributes:
        pixels: (N, C, S, S) uint8; C is 1 or 3.
        covered: (M,) bool: the windows of all regions, row by row, on the device of ``pixels``.
        regions: Of all images, those of image i in the rows ``first[i]`` to ``first[i + 1]``; ignored ones come first.
        first: (N + 1,).
        slots: Place of each image of the training set among the N; -1 for those that are not held.
    """

    pixels: Tensor
    covered: Tensor
    regions: Regions
    first: NDArray[np.int64]
    slots: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self.pixels.shape[-1])

    @property
    def bytes(self) -> int:
        """Memory of pixels and windows."""
        return int(self.pixels.nbytes + self.covered.nbytes)

    def rows_of(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the regions of the images in ``slots``, one image after the other, and how many each has."""
        counts = self.first[slots + 1] - self.first[slots]
        skipped = np.repeat(self.first[slots] - (np.cumsum(counts) - counts), counts)
        return np.arange(counts.sum()) + skipped, counts

    def to(self, device: str) -> Self:
        """The same with pixels and windows on ``device``."""
        return replace(self, pixels=self.pixels.to(device), covered=self.covered.to(device))


def pack(
    samples: Iterable[Sample], images: Sequence[int], total: int, size: int, *, ignored: bool, room: float = math.inf
) -> PackedImages:
    """Pack images as they come.

    Args:
        samples: One for each of ``images``.
        images: Their numbers in the training set.
        total: Size of the training set.
        size: Side of the images in pixels.
        ignored: Keep the regions that are to be ignored.
        room: Bytes that their pixels may take.

    Raises:
        TooLargeError: They would take more.
    """
    pixels = np.zeros((0, 1, size, size), dtype=np.uint8)
    parts: list[Particle] = []
    windows: list[NDArray[np.bool_]] = []
    first = np.zeros(len(images) + 1, dtype=np.int64)
    for slot, sample in enumerate(samples):
        planes = sample.pixels[None] if sample.pixels.ndim == 2 else sample.pixels.transpose(2, 0, 1)
        if len(planes) > pixels.shape[1] or slot == 0:
            if len(images) * planes.size > room:
                raise TooLargeError(len(images) * planes.size, room)
            grown = np.empty((len(images), len(planes), size, size), dtype=np.uint8)
            grown[:slot] = pixels[:slot]  # grey so far: the one channel becomes three
            pixels = grown
        pixels[slot] = planes
        found = [_trimmed(part) for part in ((*sample.ignored, *sample.particles) if ignored else sample.particles)]
        parts += found
        windows += [part.mask.reshape(-1) for part in found]
        first[slot + 1] = first[slot] + len(found)
    slots = np.full(total, -1, dtype=np.int64)
    slots[list(images)] = np.arange(len(images))
    covered = np.concatenate([np.zeros(0, dtype=bool), *windows])
    return PackedImages(torch.from_numpy(pixels), torch.from_numpy(covered), _table(parts), first, slots)


def _trimmed(part: Particle) -> Particle:
    """The same without empty rows and columns around it."""
    rows, columns = np.flatnonzero(part.mask.any(axis=1)), np.flatnonzero(part.mask.any(axis=0))
    mask = part.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Particle(part.class_index, mask, part.x + int(columns[0]), part.y + int(rows[0]))


def _table(parts: list[Particle]) -> Regions:
    values = [(p.class_index, p.x, p.y, p.mask.shape[1], p.mask.shape[0], 0, int(p.mask.sum())) for p in parts]
    columns = np.array(values, dtype=np.int64).reshape(-1, len(Regions._fields)).T.copy()
    regions = Regions(*columns)
    sizes = regions.width * regions.height
    return regions._replace(start=np.cumsum(sizes) - sizes)
