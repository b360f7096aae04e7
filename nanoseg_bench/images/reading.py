"""What can be asked of an image file, passed on to whoever knows its format."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.files import require_path
from nanoseg_bench.images.em import EM_SUFFIXES, em_size, read_em, read_em_scale
from nanoseg_bench.images.errors import image_errors
from nanoseg_bench.images.notes import ImageNotes
from nanoseg_bench.images.raster_formats import raster_orientation, raster_size, read_raster, read_raster_stream
from nanoseg_bench.images.scale import Scale
from nanoseg_bench.images.sidecars import read_sidecar

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", *EM_SUFFIXES)
"""What a micrograph's file name ends with, in lower case."""

UNREAD_SUFFIXES = (
    *(".gif", ".jp2", ".j2k", ".jxl", ".heic", ".heif", ".avif", ".svg", ".pdf", ".eps", ".psd"),
    *(".mrc", ".ser", ".czi", ".lif", ".nd2", ".oib", ".raw", ".dng"),
)
"""Images and micrographs of formats that are not read: a file of one is named instead of called missing."""
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_image(path: Path | str) -> NDArray[np.uint8]:
    """Read an image as (H, W) grey, or (H, W, 3) RGB where the channels differ.

    EXIF rotation is applied, transparency is laid on white, and more than 8 bits are mapped by the
    0.1 and 99.9 percentiles. Of several pages, the largest grey one is read.

    Args:
        path: Of the image: PNG, JPEG, BMP, WebP or TIFF; with the extra ``em`` also DM3, DM4 and EMD.

    Returns:
        uint8.

    Raises:
        ImageError: The file is missing, truncated, no image, or too large.
        UsageError: It is no path.
    """
    require_path(path, "path")
    return read_with_notes(Path(path))[0]


def read_with_notes(path: Path) -> tuple[NDArray[np.uint8], ImageNotes]:
    """Read an image as ``read_image`` does, and say what was chosen, mapped and turned, and how it was taken.

    What the file says of scale and microscope goes before the text that a microscope put beside it. FEI (Thermo
    Fisher), Zeiss and TESCAN TIFFs, DM3, DM4 and EMD files, and texts of JEOL, Hitachi and TESCAN tell how a
    micrograph was taken.

    Raises:
        ImageError: The file is missing, truncated, no image, or too large.
    """
    with image_errors(path):
        pixels, notes = _read(path)
    beside = read_sidecar(path)
    if beside is None:
        return pixels, notes
    notes = replace(notes, acquisition=notes.acquisition.or_else(beside.acquisition))
    return pixels, notes if notes.states_scale else notes.with_scale(beside.scale_at(pixels.shape[1]))


def _read(path: Path) -> tuple[NDArray[np.uint8], ImageNotes]:
    if _is_em(path):
        return read_em(path)
    if _is_tiff(path):
        from nanoseg_bench.images.tiff import read_tiff

        return read_tiff(path)
    return read_raster(path)


def read_image_bytes(data: bytes, path: Path) -> NDArray[np.uint8]:
    """Read a PNG, JPEG, BMP or WebP that lies inside another file, as ``read_image`` reads one of its own.

    Args:
        data: The image's bytes.
        path: The file that holds it, for messages.

    Raises:
        ImageError: It is truncated, no image, or too large.
    """
    with image_errors(path):
        return read_raster_stream(io.BytesIO(data))[0]


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) as ``read_image`` returns them, from the headers alone wherever they tell.

    Raises:
        ImageError: The file is missing, no image, or too large; damage behind the headers may go unnoticed.
    """
    with image_errors(path):
        if _is_em(path):
            return em_size(path)
        if _is_tiff(path):
            from nanoseg_bench.images.tiff import tiff_size

            return tiff_size(path)
        return raster_size(path)


def image_orientation(path: Path) -> int:
    """EXIF's number of the stored image, 1 to 8, as ``read_image`` applies it; 1 is upright. No pixel is decoded.

    Raises:
        ImageError: The file is missing, or no image; damage behind the headers goes unnoticed.
    """
    with image_errors(path):
        if _is_em(path):
            return 1
        if _is_tiff(path):
            from nanoseg_bench.images.tiff import tiff_orientation

            return tiff_orientation(path)
        return raster_orientation(path)


def read_scale(path: Path) -> Scale | None:
    """The extent of a pixel that the file states, or the text that a microscope put beside it; None where none does.

    ImageJ, FEI/Thermo, Zeiss, TESCAN, OME, Olympus SIS and TVIPS TIFFs, and the axes of DM3, DM4 and EMD files; texts
    of JEOL, Hitachi and TESCAN, where the image has the width that they state. A print resolution (dpi) is no scale.
    The pixels are not decoded.

    Raises:
        ImageError: The file is missing, no image, or too large.
    """
    with image_errors(path):
        found = None
        if _is_em(path):
            found = read_em_scale(path)
        elif _is_tiff(path):
            from nanoseg_bench.images.tiff import read_tiff_scale

            found = read_tiff_scale(path)
        if found is not None:
            return found
        width, beside = image_size(path)[0], read_sidecar(path)
        return None if beside is None else beside.scale_at(width)


def _is_em(path: Path) -> bool:
    return path.suffix.lower() in EM_SUFFIXES


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in _TIFF_MAGIC
