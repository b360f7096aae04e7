"""TIFF: tifffile lists the pages, Pillow decodes 8 bits, ``tiff_samples`` all else."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ImageOps

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images.acquisition import Acquisition, tiff_acquisition
from nanoseg_bench.images.errors import check_size
from nanoseg_bench.images.notes import ImageNotes
from nanoseg_bench.images.pixels import deep_to_8_bits, drop_equal_channels, shown_size
from nanoseg_bench.images.raster_formats import EIGHT_BIT_MODES, ORIENTATION, open_image, to_8_bits, valid_orientation
from nanoseg_bench.images.scale import Scale, tiff_scale
from nanoseg_bench.images.tiff_samples import FLOAT, SIGNED, stored_bits_of, tifffile_decodes, upright_samples

_LOG = logging.getLogger(__name__)
# What matters of its warnings about odd tags comes as an ImageError.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_XMP = 700
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE = 0, 1, 2, 3
_PREMULTIPLIED, _ALPHA = 1, 2  # of tifffile's EXTRASAMPLE
_THUMBNAIL_SHARE = 0.25  # of the largest page's area
_MOST_PAGES = 50_000  # each is looked at, and takes 4 kB of memory, whatever its size in the file


@dataclass(frozen=True, eq=False, slots=True)
class _Choice:
    """The page that is read."""

    page: tifffile.TiffPage
    index: int
    pages: int
    alike: int
    orientation: int
    scale: Scale | None

    @property
    def size(self) -> tuple[int, int]:
        return shown_size(self.page.imagewidth, self.page.imagelength, self.orientation)

    @property
    def notes(self) -> ImageNotes:
        notes = ImageNotes(
            self.index,
            self.pages,
            stored_bits_of(self.page),
            orientation=self.orientation,
            alike=self.alike,
            acquisition=self.acquisition,
        )
        return notes.with_scale(self.scale)

    @property
    def acquisition(self) -> Acquisition:
        found = tiff_acquisition(self.page)
        first = self.page.parent.pages.first
        return found.or_else(tiff_acquisition(first)) if isinstance(first, tifffile.TiffPage) else found


def read_tiff(path: Path) -> tuple[NDArray[np.uint8], ImageNotes]:
    """Read the largest grey page: (H, W) grey or (H, W, 3) RGB.

    The page flagged as a thumbnail, or of less than a quarter of the largest page's area, loses to all others; grey
    goes before colour, then the larger area, then the earlier page.

    Raises:
        ImageError: The data are damaged, or of a kind that no library here decodes.
    """
    with _chosen(path) as choice:
        if choice.pages > 1:
            _LOG.info(
                "%s: page %d of %d is read (%d × %d, %s), the largest grey one if there is any",
                path,
                choice.index + 1,
                choice.pages,
                choice.page.imagewidth,
                choice.page.imagelength,
                "grey" if _is_grey(choice.page) else "colour",
            )
        pixels, notes = _decoded(path, choice)
    if (pixels.shape[1], pixels.shape[0]) != choice.size:
        raise ImageError(f"{path}: its header contradicts itself about size or orientation; export it again")
    return pixels, notes


def tiff_size(path: Path) -> tuple[int, int]:
    """(width, height) as ``read_tiff`` returns them, from the tags."""
    with _chosen(path) as choice:
        return choice.size


def tiff_orientation(path: Path) -> int:
    """EXIF's number of the page that ``read_tiff`` reads, 1 to 8, from the tags."""
    with _chosen(path) as choice:
        return choice.orientation


def read_tiff_scale(path: Path) -> Scale | None:
    """The scale of the page that ``read_tiff`` reads, and who wrote it, from the tags."""
    with _chosen(path) as choice:
        return choice.scale


@contextmanager
def _chosen(path: Path) -> Iterator[_Choice]:
    with tifffile.TiffFile(path) as tiff:
        if len(tiff.pages) > _MOST_PAGES:
            raise ImageError(f"{path}: a stack of more than {_MOST_PAGES} pages; save the image itself")
        pages = _readable_pages(tiff)
        if not pages:
            raise ImageError(f"{path}: a TIFF without an image; export it again")
        index = _best(pages)
        page, first = pages[index], pages[min(pages)]
        bytes_per_pixel = max(1, stored_bits_of(page) * page.samplesperpixel // 8)
        check_size(path, page.imagewidth, page.imagelength, bytes_per_pixel)
        if page.is_tiled:  # a tile is decoded as a whole, and may be larger than its image
            check_size(path, page.tilewidth, page.tilelength, bytes_per_pixel)
        same_size = (first.imagewidth, first.imagelength) == (page.imagewidth, page.imagelength)
        scale = tiff_scale(page) or (tiff_scale(first) if same_size else None)
        alike = sum(_is_alike(page, other) for number, other in pages.items() if number != index)
        yield _Choice(page, index, max(pages) + 1, alike, _orientation(page), scale)


def _readable_pages(tiff: tifffile.TiffFile) -> dict[int, tifffile.TiffPage]:
    pages = {}
    for index in range(len(tiff.pages)):
        page = tiff.pages[index]
        if isinstance(page, tifffile.TiffPage) and page.imagewidth > 0 and page.imagelength > 0:
            pages[index] = page
    return pages


def _best(pages: dict[int, tifffile.TiffPage]) -> int:
    largest = max((_area(page) for page in pages.values() if not _is_flagged(page)), default=0)

    def rank(item: tuple[int, tifffile.TiffPage]) -> tuple[bool, bool, int, int]:
        index, page = item
        thumbnail = _is_flagged(page) or _area(page) < _THUMBNAIL_SHARE * largest
        return thumbnail, not _is_grey(page), -_area(page), index

    return min(pages.items(), key=rank)[0]


def _is_alike(page: tifffile.TiffPage, other: tifffile.TiffPage) -> bool:
    """Whether another page is as large, and no mask."""
    same_size = (page.imagewidth, page.imagelength) == (other.imagewidth, other.imagelength)
    return same_size and not _is_flagged(other)


def _area(page: tifffile.TiffPage) -> int:
    return page.imagewidth * page.imagelength


def _is_flagged(page: tifffile.TiffPage) -> bool:
    return bool(page.is_reduced or page.is_mask)


def _is_grey(page: tifffile.TiffPage) -> bool:
    if page.photometric == _PALETTE:
        colours = page.colormap
        return colours is not None and bool((colours == colours[:1]).all())
    return _colours(page) < 3


def _colours(page: tifffile.TiffPage) -> int:
    """Samples per pixel that are neither alpha nor of unknown meaning."""
    return max(1, page.samplesperpixel - len(page.extrasamples))


def _orientation(page: tifffile.TiffPage) -> int:
    stored = page.tags.valueof(ORIENTATION)
    if stored is not None:
        return valid_orientation(stored)
    xmp = page.tags.valueof(_XMP)
    found = _XMP_ORIENTATION.search(xmp) if isinstance(xmp, bytes) else None
    return valid_orientation(int(found[1])) if found else 1


def _decoded(path: Path, choice: _Choice) -> tuple[NDArray[np.uint8], ImageNotes]:
    page = choice.page
    if not _is_deep(page):
        try:
            return _by_pillow(path, choice)
        except Exception:
            if not tifffile_decodes(page):
                raise
    values = upright_samples(path, page, choice.orientation)
    colours, alpha = _parts(page, values)
    if alpha is not None and _PREMULTIPLIED in page.extrasamples:
        colours = _divided(colours, alpha)
    zero_is_white = page.photometric == _WHITE_IS_ZERO
    if values.dtype == np.int8:
        colours = (colours.astype(np.int16) + 128).astype(np.uint8)
    if colours.dtype == np.uint8 and alpha is None:
        return drop_equal_channels(np.ascontiguousarray(255 - colours if zero_is_white else colours)), choice.notes
    return deep_to_8_bits(colours, choice.notes, alpha, zero_is_white)


def _is_deep(page: tifffile.TiffPage) -> bool:
    """Whether Pillow would lose something; palettes, CMYK, YCbCr and Lab are its own business."""
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        return False
    return stored_bits_of(page) > 8 or page.sampleformat in (SIGNED, FLOAT)


def _by_pillow(path: Path, choice: _Choice) -> tuple[NDArray[np.uint8], ImageNotes]:
    # From a stream: by its path, Pillow maps an uncompressed TIFF into memory and garbles one that is to be turned.
    with path.open("rb") as stream, open_image(stream) as opened:
        opened.seek(choice.index)
        opened.load()
        if opened.mode not in EIGHT_BIT_MODES:
            raise ValueError(f"not the 8 bits that its header promises, but {opened.mode}")
        ImageOps.exif_transpose(opened, in_place=True)
        return to_8_bits(opened, choice.notes)


def _parts(page: tifffile.TiffPage, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """(H, W) or (H, W, 3) samples of the image, and its alpha if there is one."""
    if values.ndim == 2:
        return values, None
    wanted = 3 if _colours(page) >= 3 and values.shape[2] >= 3 else 1
    kinds = tuple(page.extrasamples)
    place = next((_colours(page) + at for at, kind in enumerate(kinds) if kind in (_PREMULTIPLIED, _ALPHA)), None)
    colours = values[..., :3] if wanted == 3 else values[..., 0]
    if place is None or place >= values.shape[2]:
        return colours, None
    return colours, values[..., place]


def _divided(colours: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float32]:
    """Colours that are stored multiplied by their alpha, as they were."""
    opaque = float(np.iinfo(alpha.dtype).max) if alpha.dtype.kind in "iu" else 1.0
    share = alpha.astype(np.float32) / opaque
    share = share[..., None] if colours.ndim == 3 else share
    divided = np.zeros(colours.shape, dtype=np.float32)
    np.divide(colours, share, out=divided, where=share > 0)
    return divided
