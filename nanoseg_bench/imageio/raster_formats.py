"""PNG, JPEG and BMP, and a Pillow image of any format to 8 bits."""

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nanoseg_bench.imageio.errors import check_size
from nanoseg_bench.imageio.notes import ImageNotes
from nanoseg_bench.imageio.pixels import deep_to_8_bits, drop_equal_channels, shown_size, turned

EIGHT_BIT_MODES = frozenset({"1", "L", "P", "LA", "La", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"})
# Not all that Pillow knows: an EPS, whatever its suffix, would be run by Ghostscript.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.Struct(">8s I4s II BB")  # signature, length, IHDR, width, height, bits, colour type
_PNG_COLOUR_TYPES = (2, 4, 6)  # RGB, grey with alpha, RGBA
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTATION_KEYWORDS = (b"Raw profile type exif", b"XML:com.adobe.xmp")
_KEYWORD_BYTES = 80  # of a text chunk: at most 79, and a zero
_ORIENTATION = 0x0112


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
        png_bits, png_colour = _png_sample(stream)
        with open_image(stream) as opened:
            opened.load()
            orientation = valid_orientation(opened.getexif().get(_ORIENTATION, 1))
            if png_bits == 16 and png_colour in _PNG_COLOUR_TYPES:
                return _read_deep_colour(path, ImageNotes(bits=16, orientation=orientation))
            ImageOps.exif_transpose(opened, in_place=True)
            bits = png_bits or stored_bits(opened.mode)
            return to_8_bits(opened, ImageNotes(bits=bits, orientation=orientation))


def raster_size(path: Path) -> tuple[int, int]:
    """(width, height) as ``read_raster`` returns them, from the headers."""
    with path.open("rb") as stream:
        size = _upright_png_size(stream)
        if size is not None:
            check_size(path, *size)
            return size
        stream.seek(0)
        with open_image(stream) as image:
            # A PNG's EXIF may follow its pixels; Pillow then reads all of it here.
            return shown_size(*image.size, image.getexif().get(_ORIENTATION, 1))


def to_8_bits(image: Image.Image, notes: ImageNotes) -> tuple[NDArray[np.uint8], ImageNotes]:
    """A loaded, upright Pillow image as (H, W) grey or (H, W, 3) RGB."""
    if image.mode not in EIGHT_BIT_MODES:
        return deep_to_8_bits(np.asarray(image), notes)
    return drop_equal_channels(np.asarray(_on_white(image))), notes


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


def _read_deep_colour(path: Path, notes: ImageNotes) -> tuple[NDArray[np.uint8], ImageNotes]:
    """A PNG of 16-bit colour, of which Pillow keeps the upper 8 bits; called once Pillow has found it sound."""
    import cv2

    decoded = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("16-bit colour that OpenCV cannot decode")
    values = turned(decoded, notes.orientation)
    if values.ndim == 2:
        return deep_to_8_bits(values, notes)
    return deep_to_8_bits(values[..., 2::-1], notes, alpha=values[..., 3] if values.shape[2] == 4 else None)


def _png_sample(stream: BinaryIO) -> tuple[int, int]:
    """Bits per sample and colour type of a PNG; zeros of anything else."""
    start = stream.read(_PNG_HEADER.size)
    stream.seek(0)
    if len(start) < _PNG_HEADER.size or not start.startswith(_PNG_SIGNATURE):
        return 0, 0
    *_, bits, colour = _PNG_HEADER.unpack(start)
    return bits, colour


def _upright_png_size(stream: BinaryIO) -> tuple[int, int] | None:
    """(width, height) of a whole PNG that says nothing about its orientation, None of any other file.

    Only the chunks' headers are read: the orientation may stand behind the pixels, which Pillow would decode first.
    """
    start = stream.read(_PNG_HEADER.size)
    if len(start) < _PNG_HEADER.size or not start.startswith(_PNG_SIGNATURE):
        return None
    _, length, kind, width, height, *_ = _PNG_HEADER.unpack(start)
    if kind != b"IHDR" or length != 13:
        return None
    position = len(_PNG_SIGNATURE)
    while kind != b"IEND":
        position += 12 + length
        stream.seek(position)
        header = stream.read(8)
        if len(header) < 8:
            return None
        length, kind = struct.unpack(">I4s", header)
        if kind in (b"IHDR", b"eXIf") or (
            kind in _PNG_TEXTS and stream.read(_KEYWORD_BYTES).startswith(_ORIENTATION_KEYWORDS)
        ):
            return None
    return width, height
