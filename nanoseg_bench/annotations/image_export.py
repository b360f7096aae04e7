"""Images for other tools: linked where every reader sees the same pixels, written anew where readers disagree.

Linked, or copied: PNG of 8-bit grey or RGB, JPEG of grey or RGB, BMP, and TIFF of one page with 8-bit grey or RGB, all
without transparency, palette and EXIF rotation. All else becomes a PNG of what ``read_image`` returns, since readers
differ in it: some apply the rotation and some do not, 16 bits are cut, scaled or refused, of several pages one takes
the first, transparency is black or white. So pixels and coordinates agree whatever reads them.
"""

import os
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from nanoseg_bench.images import open_image, read_with_notes
from nanoseg_bench.images.png_header import PNG_SIGNATURE, png_chunks
from nanoseg_bench.images.raster_formats import ORIENTATION

# Lossless at any level; a higher one costs more time than it saves space on noisy micrographs.
_PNG_LEVEL = 3
# Colour profiles and times change no pixel. Texts may hold a rotation; palettes, transparency and animation (PLTE of
# an RGB image is a hint only, but rare) are read differently.
_PNG_PLAIN_CHUNKS = frozenset(
    {b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tIME", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"tEXt"}
)
_PNG_PLAIN_COLOURS = (0, 2)  # grey, RGB
_PLAIN_MODES = ("L", "RGB")
_PHOTOMETRIC = 262
_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _UNSIGNED = 258, 339, 1
_BMP_15_AND_16_BITS = ("BGR;15", "BGR;16")  # widened to 8 bits per sample, by one reader so and by another so
_BLACK_IS_ZERO, _RGB = 1, 2
_FICLONE = 0x40049409


@dataclass(frozen=True, eq=False, slots=True)
class ExportedImage:
    """An image in its new place.

    Attributes:
        file: Its name.
        rewritten: Whether it was written anew.
        reading: What reading it decided (page, bits, contrast, rotation), where it was written anew.
    """

    file: str
    rewritten: bool = False
    reading: dict[str, Any] = field(default_factory=dict)


def export_image(source: Path, folder: Path, stem: str, *, link: bool = True) -> ExportedImage:
    """Put an image into a folder under a new stem; one that is there already stays.

    Args:
        source: The image.
        folder: Where it goes.
        stem: Its new name without suffix.
        link: Make a hard link where the file system can: no time, no space, but whoever changes the one file changes
            the other. A copy is made otherwise, shared block by block where the file system can.

    Raises:
        ImageError: It must be written anew and cannot be read.
        OSError: The folder cannot be written.
    """
    if is_plain(source):
        target = folder / f"{stem}{source.suffix.lower()}"
        if not target.exists():
            _link_or_copy(source, target, link)
        return ExportedImage(target.name)
    pixels, notes = read_with_notes(source)
    target = folder / f"{stem}.png"
    if not target.exists():
        Image.fromarray(pixels).save(target, compress_level=_PNG_LEVEL)
    return ExportedImage(target.name, rewritten=True, reading=notes.as_json())


def is_plain(path: Path) -> bool:
    """Whether all readers see the same in an image; False also where that cannot be told."""
    try:
        # Unbuffered: a few bytes here and there are wanted of a PNG, not the 8 kB around each.
        with path.open("rb", buffering=0) as stream:
            if stream.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE:
                return _is_plain_png(stream)
        with path.open("rb") as buffered, open_image(buffered) as image:
            return _is_plain_image(image)
    except Exception:
        # Whatever a broken header makes Pillow raise: reading the image tells it better.
        return False


def _is_plain_png(stream: BinaryIO) -> bool:
    """By the chunks' headers; Pillow decodes the whole image to find what follows the pixels."""
    kind = b""
    for kind, _, _ in png_chunks(stream, len(PNG_SIGNATURE)):
        if kind not in _PNG_PLAIN_CHUNKS:
            return False
        if kind == b"IHDR":
            bits, colour = struct.unpack(">8xBB", stream.read(10))
            if bits != 8 or colour not in _PNG_PLAIN_COLOURS:
                return False
        if kind == b"tEXt" and stream.read(16) == b"Raw profile type":
            return False
    return kind == b"IEND"


def _is_plain_image(image: Image.Image) -> bool:
    if image.mode not in _PLAIN_MODES or "transparency" in image.info or getattr(image, "n_frames", 1) != 1:
        return False
    if isinstance(image, TiffImageFile):
        tags = image.tag_v2
        # Pillow's mode does not tell: 16-bit colour opens as RGB, and 4-bit grey or signed 8 bits as L.
        eight_bits = all(bits == 8 for bits in tags.get(_BITS_PER_SAMPLE, (1,)))
        unsigned = all(kind == _UNSIGNED for kind in tags.get(_SAMPLE_FORMAT, (_UNSIGNED,)))
        upright = tags.get(ORIENTATION, 1) == 1
        return eight_bits and unsigned and upright and tags.get(_PHOTOMETRIC) in (_BLACK_IS_ZERO, _RGB)
    if image.format == "BMP" and any(rawmode in str(getattr(image, "tile", "")) for rawmode in _BMP_15_AND_16_BITS):
        return False
    return image.format in ("JPEG", "BMP") and image.getexif().get(ORIENTATION, 1) == 1


def _link_or_copy(source: Path, target: Path, link: bool) -> None:
    if link:
        try:
            os.link(source, target)
            return
        except OSError:
            pass  # another drive, or a file system without links
    if not _clone(source, target):
        shutil.copyfile(source, target)


def _clone(source: Path, target: Path) -> bool:
    """Share the blocks of a file until one of the two is changed; Linux on Btrfs, XFS and the like."""
    try:
        import fcntl

        with source.open("rb") as reader, target.open("wb") as writer:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
    except (ImportError, OSError):
        return False
    return True
