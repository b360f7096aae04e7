"""Corrupt a micrograph, and its truth where particles move.

Chance comes from (seed, image, corruption, severity) alone: neither from the other images nor from the order or the
number of workers. Lengths scale with the image and geometry is drawn without regard to its pixels, so an image may be
corrupted on the canvas and its truth in original pixels.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import area, bounding_box, to_rle
from nanoseg_bench.evaluation.corruptions.drift import displace_mask, draw_displacement, source_pixels
from nanoseg_bench.evaluation.corruptions.table import Corruption, corruption_named
from nanoseg_bench.evaluation.corruptions.view import REFERENCE_SIDE_PX, View

_FILLED = 0.95


def corrupt(
    pixels: NDArray[np.uint8],
    name: str,
    severity: int,
    seed: int,
    image_name: str,
    *,
    field: slice | None = None,
    modality: str | None = None,
) -> NDArray[np.uint8]:
    """A corrupted copy of a micrograph.

    The rows outside of ``field`` stay as they are: what the instrument writes below an image has nothing to do with how
    the image was taken. Colour images are corrupted channel by channel with the same draws, so grey ones stay grey.

    Args:
        pixels: (H, W) or (H, W, 3) uint8, in original pixels.
        name: Of one of ``CORRUPTIONS``.
        severity: 1 to 5.
        seed: Of the eval set.
        image_name: Name of the image in the eval set.
        field: Rows of the field of view, from ``field_rows``; all rows by default.
        modality: How it was taken, where known: it decides what defocus does.

    Raises:
        UsageError: No such corruption or severity.
        ValueError: The pixels are not uint8 of one of these shapes.
    """
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(f"{image_name}: {pixels.dtype} pixels of shape {pixels.shape}, expected uint8 (H, W[, 3])")
    corruption = corruption_named(name)
    parameters = corruption.at(severity)
    rows = field or slice(0, pixels.shape[0])
    corrupted = pixels.copy()
    view = pixels[rows]
    if view.size == 0:
        return corrupted
    px = _pixels_per_reference(*pixels.shape[:2])

    def one_channel(channel: NDArray[np.uint8]) -> NDArray[np.uint8]:
        rng = _generator(corruption, severity, seed, image_name)
        intensity = np.ascontiguousarray(channel, dtype=np.float32) / np.float32(255)
        changed = corruption.apply(View(intensity, px, modality), rng, **parameters)
        return np.asarray(np.floor(np.clip(changed, 0, 1) * 255 + 0.5), dtype=np.uint8)

    if view.ndim == 2:
        corrupted[rows] = one_channel(view)
    elif (view == view[:, :, :1]).all():
        corrupted[rows] = one_channel(view[:, :, 0])[:, :, None]
    else:
        corrupted[rows] = np.stack([one_channel(view[:, :, channel]) for channel in range(3)], axis=2)
    return corrupted


def corrupt_truth(
    instances: Sequence[Instance],
    size: tuple[int, int],
    name: str,
    severity: int,
    seed: int,
    image_name: str,
    *,
    field: slice | None = None,
) -> list[Instance]:
    """The truth of a corrupted micrograph: moved with the pixels where the corruption moves them, else as it was.

    Args:
        instances: Truth of the micrograph as it was.
        size: (width, height) of the image, px.
        name: As given to ``corrupt``, like what follows.
        severity: 1 to 5.
        seed: Of the eval set.
        image_name: Name of the image in the eval set.
        field: Rows of the field of view.

    Returns:
        The instances of which a pixel is left; moved ones are masks.

    Raises:
        UsageError: No such corruption or severity.
    """
    corruption = corruption_named(name)
    parameters = corruption.at(severity)
    if not corruption.moves_truth:
        return list(instances)
    width, height = size
    top, bottom, _ = (field or slice(0, height)).indices(height)
    rng = _generator(corruption, severity, seed, image_name)
    displacement = draw_displacement(bottom - top, width, _pixels_per_reference(height, width), rng, **parameters)
    columns, rows = source_pixels(displacement, height, top)
    moved = []
    for instance in instances:
        region = displace_mask(to_rle(instance, height, width), columns, rows)
        if area(region):
            moved.append(replace(instance, region=region))
    return moved


def field_rows(instances: Sequence[Instance], size: tuple[int, int]) -> slice:
    """Rows of the field of view: all but an info bar that the truth names.

    An info bar is an ignore region as wide as the image along its lower or upper edge. Where nobody marked one, as in
    EMPS, the whole image counts as field. Lettering and bars that are burnt into the field are part of it.

    Args:
        instances: Truth of the image.
        size: (width, height) of the image, px.
    """
    width, height = size
    top, bottom = 0, height
    for region in (to_rle(instance, height, width) for instance in instances if instance.ignored):
        _, y, box_width, box_height = (int(value) for value in bounding_box(region))
        if box_width < width or area(region) < _FILLED * box_width * box_height:
            continue
        if y + box_height >= height:
            bottom = min(bottom, y)
        elif y == 0:
            top = max(top, box_height)
    return slice(top, max(top, bottom))


def _generator(corruption: Corruption, severity: int, seed: int, image_name: str) -> np.random.Generator:
    text = f"{seed}\n{corruption.name}\n{severity}\n{image_name}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest(), "big"))


def _pixels_per_reference(height: int, width: int) -> float:
    return max(height, width) / REFERENCE_SIDE_PX
