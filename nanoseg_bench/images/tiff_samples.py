"""The samples of a TIFF page, decoded without loss.

By tifffile, since Pillow halves 16-bit colour and takes unsigned 32-bit values for signed ones. What tifffile has no
codec for (LZW, ...) is decoded by libtiff, through Pillow where it is grey and through OpenCV where it is in colour.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ImageOps

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images.pixels import turned
from nanoseg_bench.images.raster_formats import EIGHT_BIT_MODES, ORIENTATION, open_image

SIGNED, FLOAT = 2, 3  # of tifffile's SAMPLEFORMAT
_NO_COMPRESSION, _DEFLATE, _PACKBITS = 1, (8, 32946), 32773
# No encoder makes data smaller than this, so that fewer bytes cannot hold the image.
_BEST_RATIO = {_NO_COMPRESSION: 1, _DEFLATE[0]: 1100, _DEFLATE[1]: 1100, _PACKBITS: 128}


def upright_samples(path: Path, page: tifffile.TiffPage, orientation: int) -> NDArray[Any]:
    """The stored samples of a page, upright: (H, W) or (H, W, S).

    Raises:
        ImageError: Part of them is missing, or no library at hand decodes them without loss.
    """
    if tifffile_decodes(page):
        return turned(_by_tifffile(path, page), orientation)
    if page.samplesperpixel == 1:
        return _grey_by_libtiff(path, page)
    return _colour_by_libtiff(path, page, orientation)


def stored_bits_of(page: tifffile.TiffPage) -> int:
    """Bits per sample, of the deepest where they differ."""
    bits: Any = page.bitspersample
    return int(max(bits) if isinstance(bits, tuple) else bits)


def tifffile_decodes(page: tifffile.TiffPage) -> bool:
    """Whether tifffile has what it takes, without the codecs that it would borrow from imagecodecs."""
    if page.dtype is None or page.compression not in (_NO_COMPRESSION, *_DEFLATE, _PACKBITS):
        return False
    whole_bytes = stored_bits_of(page) in (8, 16, 32, 64) and not isinstance(page.bitspersample, tuple)
    return whole_bytes and page.predictor in (1, 2) and page.fillorder == 1


def _by_tifffile(path: Path, page: tifffile.TiffPage) -> NDArray[Any]:
    _require_data(path, page)
    stored = page.asarray(squeeze=False, maxworkers=1)  # planes, depth, rows, columns, samples
    if stored.ndim != 5 or stored.dtype.kind not in "iuf":
        raise ImageError(f"{path}: samples of type {stored.dtype} are no grey and no colour; export it as 16 bit")
    values = stored[:, 0]
    return np.moveaxis(values[..., 0], 0, -1) if len(values) > 1 else values[0]


def _require_data(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse a page whose data are not all in the file, which tifffile would fill with zeros."""
    end = page.parent.filehandle.size
    offsets, counts = page.dataoffsets, page.databytecounts
    cut = len(offsets) != len(counts) or any(
        count < 1 or offset < 1 or offset + count > end for offset, count in zip(offsets, counts, strict=False)
    )
    if cut or page.nbytes > sum(counts) * _BEST_RATIO[page.compression]:
        raise ImageError(f"{path}: truncated, part of its pixels is missing; copy or export it again")
    if page.compression in _DEFLATE:
        _refuse_inflation(path, page)


def _refuse_inflation(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse a strip or tile that unpacks to more than a whole one, before tifffile unpacks it in one go."""
    tile = page.tilewidth * page.tilelength * page.samplesperpixel * stored_bits_of(page) // 8
    most = max(page.nbytes, tile)
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if count * _BEST_RATIO[_DEFLATE[0]] <= most:
            continue
        page.parent.filehandle.seek(offset)
        inflator = zlib.decompressobj()
        inflator.decompress(page.parent.filehandle.read(count), most + 1)
        if inflator.unconsumed_tail:
            raise ImageError(f"{path}: its compressed pixels are more than its header says; export it again")


def _grey_by_libtiff(path: Path, page: tifffile.TiffPage) -> NDArray[Any]:
    with path.open("rb") as stream, open_image(stream) as opened:
        opened.seek(page.index)
        opened.load()
        values = np.asarray(ImageOps.exif_transpose(opened))
    if opened.mode in EIGHT_BIT_MODES or values.ndim != 2:
        raise ImageError(f"{path}: samples that cannot be read without loss; export it uncompressed, or as PNG")
    unsigned = page.sampleformat not in (SIGNED, FLOAT)
    return values.view(np.uint32) if values.dtype == np.int32 and stored_bits_of(page) == 32 and unsigned else values


def _colour_by_libtiff(path: Path, page: tifffile.TiffPage, orientation: int) -> NDArray[Any]:
    import cv2

    found, decoded = cv2.imdecodemulti(
        np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED, range=(page.index, page.index + 1)
    )
    if not found or not decoded:
        raise ImageError(
            f"{path}: this compression of {stored_bits_of(page)}-bit colour cannot be read; export it uncompressed"
        )
    # OpenCV turns by the tag, even where it is told to change nothing, and knows nothing of XMP.
    values = decoded[0] if page.tags.valueof(ORIENTATION) is not None else turned(decoded[0], orientation)
    if values.ndim == 2 or values.itemsize * 8 != stored_bits_of(page):
        raise ImageError(f"{path}: samples that cannot be read without loss; export it uncompressed, or as PNG")
    return np.concatenate((values[..., 2::-1], values[..., 3:]), axis=2)
