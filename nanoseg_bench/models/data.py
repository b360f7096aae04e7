"""The split ``train`` of a prepared set as samples at network size, for the torch models."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import bounding_box, rle_to_mask, to_rle
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.imageio import as_rgb, read_image
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet

_CACHE_BYTES = 256 * 2**20  # per process
_PIXEL_MEAN = 0.5
_PIXEL_STD = 0.25

T = TypeVar("T")


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

    @property
    def bytes(self) -> int:
        """Memory that the sample holds."""
        return self.pixels.nbytes + sum(part.mask.nbytes for part in (*self.particles, *self.ignored))


class TrainingImages(Generic[T]):
    """Training images in the manifest's order, each turned into what a model takes; small sets stay in memory.

    Args:
        prepared: The prepared set.
        network_size: Side of the network's input in pixels.
        encode: Sample to the model's input and targets.

    Raises:
        DatasetError: ``canvas/train.json`` lacks a training image.
    """

    def __init__(self, prepared: PreparedSet, network_size: int, encode: Callable[[Sample], T]) -> None:
        self._images = prepared.images("train")
        self._instances = prepared.canvas_instances("train")
        missing = [image.name for image in self._images if image.name not in self._instances]
        if missing:
            # An image without targets would be trained on as an image without particles.
            raise DatasetError(
                f"{prepared.root / 'canvas' / 'train.json'}: lacks {len(missing)} training images, first {missing[0]}; "
                f"run `nanoseg-bench prepare --out {prepared.root} --overwrite always` again"
            )
        self._classes = prepared.classes
        self._size = network_size
        self._encode = encode
        self._cache: dict[int, Sample] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> T:
        sample = self._cache.get(index)
        if sample is None:
            sample = self._read(self._images[index])
            if self._cached_bytes + sample.bytes <= _CACHE_BYTES:
                self._cache[index] = sample
                self._cached_bytes += sample.bytes
        return self._encode(sample)

    def _read(self, image: PreparedImage) -> Sample:
        particles: list[Particle] = []
        ignored: list[Particle] = []
        for instance in self._instances[image.name]:
            index = -1 if instance.ignored else self._class_index(instance, image)
            particle = shrink_instance(instance, index, image.letterbox.canvas, self._size)
            if particle is not None:
                (ignored if instance.ignored else particles).append(particle)
        return Sample(load_canvas(image, self._size), tuple(particles), tuple(ignored))

    def _class_index(self, instance: Instance, image: PreparedImage) -> int:
        if instance.label not in self._classes:
            raise DatasetError(
                f"{image.image_path}: label {instance.label!r} is not among the set's classes "
                f"({', '.join(self._classes)}); prepare the set again"
            )
        return self._classes.index(instance.label)


def load_canvas(image: PreparedImage, network_size: int) -> NDArray[np.uint8]:
    """Read a canvas image as (s, s) grey or (s, s, 3) RGB uint8 at network size."""
    return resize_pixels(read_image(image.image_path), network_size)


def resize_pixels(pixels: NDArray[np.uint8], network_size: int) -> NDArray[np.uint8]:
    """Resize a square (S, S[, 3]) uint8 image with the interpolation of the letterbox."""
    if pixels.shape[0] == network_size:
        return pixels
    size = (network_size, network_size)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def to_input(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """(s, s[, 3]) uint8 to a (3, s, s) float32 tensor, about zero mean and unit variance."""
    planes = np.ascontiguousarray(as_rgb(pixels).transpose(2, 0, 1))
    return (torch.from_numpy(planes).float() / 255 - _PIXEL_MEAN) / _PIXEL_STD


def network_inputs(images: Sequence[NDArray[np.uint8]], network_size: int) -> torch.Tensor:
    """Canvas images to a batch (N, 3, s, s) float32 for prediction."""
    return torch.stack([to_input(resize_pixels(pixels, network_size)) for pixels in images])


def shrink_instance(instance: Instance, class_index: int, canvas: int, network_size: int) -> Particle | None:
    """The instance's mask at network size: pixels that it covers by half or more; None when there are none."""
    rle = to_rle(instance, canvas, canvas)
    x, y, width, height = bounding_box(rle)
    if width == 0 or height == 0:
        return None
    zoom = canvas / network_size
    left, top = math.floor(x / zoom), math.floor(y / zoom)
    right = min(math.ceil((x + width) / zoom), network_size)
    bottom = min(math.ceil((y + height) / zoom), network_size)
    mask = rle_to_mask(rle)
    if zoom == 1:
        return Particle(class_index, mask[top:bottom, left:right].copy(), left, top)
    area = Image.fromarray(mask.astype(np.uint8) * 255).resize(
        (right - left, bottom - top),
        Image.Resampling.BOX,
        box=(left * zoom, top * zoom, min(right * zoom, canvas), min(bottom * zoom, canvas)),
    )
    window = np.asarray(area) > 127
    return Particle(class_index, window, left, top) if window.any() else None
