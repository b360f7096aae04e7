"""Arrays of pixels: grey, colour, transparency and orientation."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.images.contrast import map_percentiles
from nanoseg_bench.images.notes import ImageNotes

_SIDEWAYS = (5, 6, 7, 8)


def as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) to (H, W, 3)."""
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def as_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) to (H, W), by ITU-R 601 luma."""
    return pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))


def shrunk(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3), ``factor`` times as wide and high; each pixel is the mean of what it covers."""
    import cv2

    size = (max(round(pixels.shape[1] * factor), 1), max(round(pixels.shape[0] * factor), 1))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def drop_equal_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) to (H, W) where all channels are equal."""
    if pixels.ndim == 3 and (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return pixels


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """What is stored under an EXIF orientation (1 to 8), upright; (H, W) or (H, W, C)."""
    upright = np.swapaxes(pixels, 0, 1) if orientation in _SIDEWAYS else pixels
    if orientation in (3, 4, 7, 8):
        upright = upright[::-1]
    if orientation in (2, 3, 6, 7):
        upright = upright[:, ::-1]
    return upright


def shown_size(width: int, height: int, orientation: Any) -> tuple[int, int]:
    """(width, height) after turning what is stored under an EXIF orientation."""
    return (height, width) if orientation in _SIDEWAYS else (width, height)


def deep_to_8_bits(
    values: NDArray[Any], notes: ImageNotes, alpha: NDArray[Any] | None = None, zero_is_white: bool = False
) -> tuple[NDArray[np.uint8], ImageNotes]:
    """Samples of more than 8 bits to what ``read_image`` returns.

    Args:
        values: (H, W) or (H, W, 3), without alpha.
        notes: What is known so far.
        alpha: (H, W) of unsigned integers, laid on white; None for an opaque image.
        zero_is_white: Whether the scale of greys runs the other way.

    Returns:
        The pixels, and the notes with the two values of the mapping.
    """
    mapped = map_percentiles(values)
    mapped = mapped.inverted() if zero_is_white else mapped
    pixels = mapped.pixels if alpha is None else _laid_on_white(mapped.pixels, alpha)
    invisible = alpha is not None and not alpha.any()
    noted = replace(notes, low=mapped.low, high=mapped.high, invisible=invisible)
    return np.ascontiguousarray(drop_equal_channels(pixels)), noted


def _laid_on_white(pixels: NDArray[np.uint8], alpha: NDArray[Any]) -> NDArray[np.uint8]:
    opaque = float(np.iinfo(alpha.dtype).max) if alpha.dtype.kind in "iu" else 1.0
    cover = np.clip(np.nan_to_num(alpha.astype(np.float32) / opaque), 0, 1)
    cover = cover[..., None] if pixels.ndim == 3 else cover
    return np.asarray(np.floor(pixels * cover + 255 * (1 - cover) + 0.5), dtype=np.uint8)
