"""Reading micrographs: every format becomes 8-bit grey or RGB."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from nanoseg_bench.errors import ImageError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_PERCENTILES = (0.1, 99.9)
_EIGHT_BIT_MODES = {"1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB"}


def open_image(source: Path | BinaryIO) -> Image.Image:
    """``PIL.Image.open``; an unknown format is an ``UnidentifiedImageError`` whatever else is imported."""
    try:
        return Image.open(source)
    except ModuleNotFoundError as error:
        # Ultralytics, once imported, replaces Image.open by a function that asks for a HEIF plug-in at this point.
        raise UnidentifiedImageError("not an image of a known format") from error


@contextmanager
def image_errors(path: Path) -> Iterator[None]:
    """Turn whatever Pillow raises inside into an ImageError that names ``path``."""
    try:
        yield
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such image") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not an image that Pillow can read; export it as PNG or TIFF") from error
    except Exception as error:
        # On a broken header Pillow raises nearly anything: SyntaxError, OverflowError, TypeError, ...
        raise ImageError(f"{path}: cannot be read ({error}); the file may be truncated, copy it again") from error


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as (H, W) grey, or (H, W, 3) RGB where the channels differ.

    EXIF rotation is applied, transparency is laid on white, and more than 8 bits are mapped by the
    0.1 and 99.9 percentiles.

    Raises:
        ImageError: The file is missing, truncated, or no image.
    """
    # From a stream: by its path, Pillow maps an uncompressed TIFF into memory and garbles one that is to be turned.
    with image_errors(path), path.open("rb") as stream, open_image(stream) as opened:
        opened.load()
        image = ImageOps.exif_transpose(opened)
    if image.mode not in _EIGHT_BIT_MODES:
        return _map_percentiles(np.asarray(image))
    return _drop_equal_channels(np.asarray(_on_white(image)))


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) as ``read_image`` returns it, from the header (PNG: the whole file, EXIF may come last).

    Raises:
        ImageError: The file is missing, truncated, or no image.
    """
    with image_errors(path), open_image(path) as image:
        # Pillow turns TIFFs by itself, and some of its releases say so in the size before loading.
        tags = image.tag_v2 if isinstance(image, TiffImageFile) else None
        width, height = (tags[256], tags[257]) if tags else image.size
        turned = image.getexif().get(0x0112, 1) >= 5
    return (height, width) if turned else (width, height)


def as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) to (H, W, 3)."""
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def as_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) to (H, W), by ITU-R 601 luma."""
    return pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"1", "L", "RGB"}:
        return image.convert("L") if image.mode == "1" else image
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _map_percentiles(values: NDArray[Any]) -> NDArray[np.uint8]:
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return np.zeros(values.shape, dtype=np.uint8)
    low, high = np.percentile(finite, _PERCENTILES)
    inside = np.clip(np.nan_to_num(values.astype(np.float64), nan=low), low, high)
    scaled = (inside - low) / max(high - low, 1e-12)
    return np.asarray(np.floor(scaled * 255 + 0.5), dtype=np.uint8)


def _drop_equal_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim == 3 and (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return pixels
