"""PNG, JPEG, BMP and WebP, and a Pillow image of any format to 8 bits."""

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nanoseg_bench.images.errors import check_size
from nanoseg_bench.images.notes import ImageNotes
from nanoseg_bench.images.pixels import deep_to_8_bits, drop_equal_channels, shown_size, turned
from nanoseg_bench.images.png_header import PngHeader, read_png_header

ORIENTATION = 0x0112  # the tag of EXIF and of TIFF
EIGHT_BIT_MODES = frozenset({"1", "L", "P", "LA", "La", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"})
# Not all that Pillow knows: an EPS, whatever its suffix, would be run by Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM")
_PNG_COLOUR_TYPES = (2, 4, 6)  # RGB, grey with alpha, RGBA
_WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_JPEG_BEST_RATIO = 1024  # pixels for each byte: every block of 8 x 8 takes a bit or more

# Images up to twice Pillow's limit are read (``errors.check_size``): its warning of those above it helps nobody.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def open_image(source: Path | BinaryIO) -> Image.Image:
    """``PIL.Image.open``; an unknown format is an ``UnidentifiedImageError`` whatever else is imported."""
    try:
        return Image.open(source, formats=_FORMATS)
    except ModuleNotFoundError as error:
        # Ultralytics, once imported, replaces Image.open by a function that asks for a HEIF plug-in at this point.
        raise UnidentifiedImageError("not an image of a known format") from error


def read_raster(path: Path) -> tuple[NDArray[np.uint8], ImageNotes]:
    """Read an image that is no TIFF: (H, W) grey or (H, W, 3) RGB."""
    with path.open("rb") as stream:
        return read_raster_stream(stream)


def read_raster_stream(stream: BinaryIO) -> tuple[NDArray[np.uint8], ImageNotes]:
    """The same of an open file, or of bytes in memory, from its start."""
    png = read_png_header(stream)
    length = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    with open_image(stream) as opened:
        # libjpeg fills up what is missing with grey, however much it is.
        if opened.format == "JPEG" and opened.width * opened.height > _JPEG_BEST_RATIO * length:
            raise ValueError(f"{length} bytes cannot hold {opened.width} × {opened.height} pixels")
        opened.load()
        orientation = valid_orientation(opened.getexif().get(ORIENTATION, 1))
        if png is not None and png.bits == 16 and png.colour in _PNG_COLOUR_TYPES:
            return _read_deep_colour(stream, ImageNotes(bits=16, orientation=orientation))
        ImageOps.exif_transpose(opened, in_place=True)
        bits = stored_bits(opened.mode) if png is None else png.bits
        return to_8_bits(opened, ImageNotes(bits=bits, orientation=orientation))


def raster_size(path: Path) -> tuple[int, int]:
    """(width, height) as ``read_raster`` returns them, from the headers."""
    with path.open("rb") as stream:
        png = read_png_header(stream)
        if png is not None and png.whole:
            check_size(path, png.width, png.height)
            return shown_size(png.width, png.height, _png_orientation(png))
        stream.seek(0)
        with open_image(stream) as image:
            return shown_size(*image.size, image.getexif().get(ORIENTATION, 1))


def raster_orientation(path: Path) -> int:
    """EXIF's number of the stored image, 1 to 8, as ``read_raster`` applies it, from the headers."""
    with path.open("rb") as stream:
        png = read_png_header(stream)
        if png is not None:
            return _png_orientation(png)
        stream.seek(0)
        with open_image(stream) as image:
            return valid_orientation(image.getexif().get(ORIENTATION, 1))


def to_8_bits(image: Image.Image, notes: ImageNotes) -> tuple[NDArray[np.uint8], ImageNotes]:
    """A loaded, upright Pillow image as (H, W) grey or (H, W, 3) RGB."""
    if image.mode not in EIGHT_BIT_MODES:
        return deep_to_8_bits(np.asarray(image), notes)
    return drop_equal_channels(np.asarray(_on_white(image))), replace(notes, invisible=_is_invisible(image))


def stored_bits(mode: str) -> int:
    """Bits per sample of a Pillow mode."""
    if mode == "1":
        return 1
    if mode in EIGHT_BIT_MODES:
        return 8
    return 16 if mode.startswith("I;16") else 32


def valid_orientation(value: Any) -> int:
    """An EXIF orientation, or 1 where the value means nothing."""
    return int(value) if value in (2, 3, 4, 5, 6, 7, 8) else 1


def _is_invisible(image: Image.Image) -> bool:
    if image.mode not in _WITH_ALPHA and "transparency" not in image.info:
        return False
    return bool(image.convert("RGBA").getchannel("A").getextrema()[1] == 0)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"La", "RGBa"}:
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in {"1", "L", "RGB"}:
        return image.convert("L") if image.mode == "1" else image
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _read_deep_colour(stream: BinaryIO, notes: ImageNotes) -> tuple[NDArray[np.uint8], ImageNotes]:
    """A PNG of 16-bit colour, of which Pillow keeps the upper 8 bits; called once Pillow has found it sound."""
    import cv2

    stream.seek(0)
    decoded = cv2.imdecode(np.frombuffer(stream.read(), dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("16-bit colour that OpenCV cannot decode")
    values = turned(decoded, notes.orientation)
    if values.ndim == 2:
        return deep_to_8_bits(values, notes)
    return deep_to_8_bits(values[..., 2::-1], notes, alpha=values[..., 3] if values.shape[2] == 4 else None)


def _png_orientation(png: PngHeader) -> int:
    if not png.without_pixels:
        return 1
    with open_image(io.BytesIO(png.without_pixels)) as image:
        # The method of PngImageFile decodes the pixels first, for the chunks that may follow them.
        return valid_orientation(Image.Image.getexif(image).get(ORIENTATION, 1))
