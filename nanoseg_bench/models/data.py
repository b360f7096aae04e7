"""The split ``train`` of a prepared set as samples at network size, for the torch models."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import rle_to_window, to_rle
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.images import as_rgb
from nanoseg_bench.preparation.audit import PREPARE_AGAIN
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet
from nanoseg_bench.wording import counted, shortened

_PIXEL_MEAN = 0.5
_PIXEL_STD = 0.25


@dataclass(frozen=True, eq=False, slots=True)
class Particle:
    """One training target at network size.

    Attributes:
        class_index: Position of its class in the prepared set.
        mask: (h, w) bool, the window that it fills.
        x: Column of the window's first pixel.
        y: Row of it.
    """

    class_index: int
    mask: NDArray[np.bool_]
    x: int
    y: int


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One training image at network size.

    Attributes:
        pixels: (s, s) or (s, s, 3) uint8.
        particles: Those that cover at least one pixel.
        ignored: Windows that belong to no class; their class index is -1.
    """

    pixels: NDArray[np.uint8]
    particles: tuple[Particle, ...]
    ignored: tuple[Particle, ...]


class TrainingImages:
    """The training images of a prepared set in the manifest's order, read at network size.

    Args:
        prepared: The prepared set.
        network_size: Side of the network's input in pixels.
        copies: Whether its augmented copies are training images, too.

    Raises:
        DatasetError: The set lacks the instances of a training image, or a shard is missing or cut off.
    """

    def __init__(self, prepared: PreparedSet, network_size: int, *, copies: bool = True) -> None:
        self._images = [image for image in prepared.images("train") if copies or image.parent is None]
        self._instances = prepared.canvas_instances("train")
        missing = [image.name for image in self._images if image.name not in self._instances]
        if missing:
            # An image without targets would be trained on as an image without particles.
            raise DatasetError(
                f"{prepared.instances_file('canvas', 'train')}: lacks {counted(len(missing), 'training image')} "
                f"({shortened(missing)}); {PREPARE_AGAIN}"
            )
        self._classes = prepared.classes
        self.in_shards = prepared.shards is not None
        self.size = network_size

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        image = self._images[index]
        particles: list[Particle] = []
        ignored: list[Particle] = []
        for instance in self._instances[image.name]:
            class_index = -1 if instance.ignored else self._class_index(instance, image)
            particle = shrink_instance(instance, class_index, image.letterbox.canvas, self.size)
            if particle is not None:
                (ignored if instance.ignored else particles).append(particle)
        return Sample(resize_pixels(image.read_pixels(), self.size), tuple(particles), tuple(ignored))

    def _class_index(self, instance: Instance, image: PreparedImage) -> int:
        if instance.label not in self._classes:
            raise DatasetError(
                f"{image.image_path}: label {instance.label!r} is not among the set's classes "
                f"({', '.join(self._classes)}); prepare the set again"
            )
        return self._classes.index(instance.label)


def resize_pixels(pixels: NDArray[np.uint8], network_size: int) -> NDArray[np.uint8]:
    """Resize a square (S, S[, 3]) uint8 image with the interpolation of the letterbox."""
    if pixels.shape[0] == network_size:
        return pixels
    size = (network_size, network_size)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """(N, 1 or 3, H, W) uint8 to (N, 3, H, W) float32, about zero mean and unit variance."""
    return ((pixels.float() / 255 - _PIXEL_MEAN) / _PIXEL_STD).expand(-1, 3, -1, -1)


def network_input(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """An image at network size, (H, W) or (H, W, 3), to a batch of one for prediction: (1, 3, H, W) float32."""
    return normalise(to_planes(pixels)[None])


def to_planes(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """(H, W) grey or (H, W, 3) RGB to a (3, H, W) uint8 tensor."""
    return torch.from_numpy(np.ascontiguousarray(as_rgb(pixels).transpose(2, 0, 1)))


def shrink_instance(instance: Instance, class_index: int, canvas: int, network_size: int) -> Particle | None:
    """The instance's mask at network size: pixels that it covers by half or more; None when there are none."""
    inside, x, y = rle_to_window(to_rle(instance, canvas, canvas))
    height, width = inside.shape
    if width == 0:
        return None
    if canvas == network_size:
        return Particle(class_index, inside, x, y)
    zoom = canvas / network_size
    left, top = math.floor(x / zoom), math.floor(y / zoom)
    right = min(math.ceil((x + width) / zoom), network_size)
    bottom = min(math.ceil((y + height) / zoom), network_size)
    # The canvas pixels under the window's, the particle among them.
    x0, y0 = math.floor(left * zoom), math.floor(top * zoom)
    x1, y1 = min(right * zoom, canvas), min(bottom * zoom, canvas)
    under = np.zeros((math.ceil(y1) - y0, math.ceil(x1) - x0), dtype=np.uint8)
    under[y - y0 : y - y0 + height, x - x0 : x - x0 + width] = 255 * inside
    area = Image.fromarray(under).resize(
        (right - left, bottom - top),
        Image.Resampling.BOX,
        box=(left * zoom - x0, top * zoom - y0, x1 - x0, y1 - y0),
    )
    window = np.asarray(area) > 127
    return Particle(class_index, window, left, top) if window.any() else None
