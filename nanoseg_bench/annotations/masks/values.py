"""The values of a mask image, exactly: no colour conversion, no halved bits, no first page of several."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.errors import AnnotationError, ImageError
from nanoseg_bench.images import image_errors, open_image
from nanoseg_bench.images.errors import check_size

_TIFF_SUFFIXES = (".tif", ".tiff")
_ONE_CHANNEL = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "F")
_SEVERAL_CHANNELS = ("LA", "PA", "RGB", "RGBA")
_MOST_TIFF_SAMPLES = 4
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def read_mask_values(
    path: Path, *, colours: bool = False, graded: bool = False, inverted: bool = False
) -> NDArray[Any]:
    """The (H, W) values of a mask: PNG, BMP, GIF or TIFF of 1 to 64 bits, or a palette image (the index counts).

    Several channels are taken where they are equal, an alpha channel where it is opaque. Of a TIFF whose zero is white,
    the values count as they are stored, as ImageJ means them.

    Args:
        path: The mask.
        colours: Take every colour for one value, red * 65536 + green * 256 + blue.
        graded: The values are compared with a threshold, not told apart: fractions and JPEG will do.
        inverted: Particles are what is 0, or below the threshold.

    Raises:
        ImageError: The file is missing, damaged, no image, or too large.
        AnnotationError: It is a JPEG, has several pages, transparency or different channels, or negative or broken
            values; or zero is white, and most of its border would be particles.
    """
    read = _read_tiff(path) if path.suffix.lower() in _TIFF_SUFFIXES else None
    pixels, zero_is_white = _read_with_pillow(path, graded, colours) if read is None else read
    values = _one_channel(pixels, path, colours)
    if graded and values.dtype == np.bool_:
        values = values * np.uint8(255)  # white, as in an image of 8 bits
    finite = values.dtype.kind != "f" or bool(np.isfinite(values).all())
    if not finite or values.min() < 0:
        raise AnnotationError(f"{path}: negative or broken values; an instance map numbers its particles 1, 2, ...")
    if not graded and values.dtype.kind == "f" and (values != np.floor(values)).any():
        raise AnnotationError(
            f"{path}: broken values, such as {values[values != np.floor(values)].flat[0]:g}; an instance map numbers "
            "its particles 1, 2, ... Where values say how likely a particle is, cut them: --threshold 0.5"
        )
    if zero_is_white:
        _refuse_unclear_zero(values, path, graded, inverted)
    return values


def _refuse_unclear_zero(values: NDArray[Any], path: Path, graded: bool, inverted: bool) -> None:
    """Some programs turn the values round where zero is white, and others do not: one of the two is background."""
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    bright = border > (values.max() / 2 if graded else 0)
    if (bright.mean() > 0.5) != inverted:
        raise AnnotationError(
            f"{path}: its PhotometricInterpretation is WhiteIsZero, and as its values are stored, particles fill most "
            "of its border: some programs turn such values round; save the mask as PNG, with a background of 0"
        )


def _read_tiff(path: Path) -> tuple[NDArray[Any], bool] | None:
    """(H, W) or (H, W, C), and whether zero is white; None where tifffile lacks the codec, or it is no TIFF at all."""
    import tifffile

    # What matters of its warnings about odd tags comes as an error.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with image_errors(path):
        try:
            with tifffile.TiffFile(path) as tiff:
                pages = len(tiff.pages)
                page = tiff.pages.first if pages else None
                if page is not None:
                    check_size(path, page.imagewidth, page.imagelength, page.samplesperpixel * page.bitspersample // 8)
                values, axes = (page.asarray(), page.axes) if page is not None and pages == 1 else (None, "")
                zero_is_white = page is not None and page.photometric == _WHITE_IS_ZERO
        except (tifffile.TiffFileError, ValueError):
            return None
    if pages > 1:
        raise _several_pages(path, pages)
    if values is None or axes not in ("YX", "YXS", "SYX") or values.ndim != len(axes):
        raise AnnotationError(f"{path}: not one image with axes Y and X, but {axes or 'none'}; save one page")
    return np.moveaxis(values, 0, -1) if axes == "SYX" else values, zero_is_white


def _read_with_pillow(path: Path, graded: bool, colours: bool) -> tuple[NDArray[Any], bool]:
    """(H, W) or (H, W, C), and whether zero is white."""
    with image_errors(path), open_image(path) as image:
        pages = getattr(image, "n_frames", 1)
        mode, is_jpeg = image.mode, _is_jpeg(image)
        halved = mode in _SEVERAL_CHANNELS and _has_16_bits(image)
        zero_is_white = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        if colours and mode == "P" and any((image.getpalette() or [])[:3]):
            # Its first colour, whose index is 0, is not black: by their indices, background would be a particle.
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        pixels = np.asarray(image)
    if is_jpeg and not graded:
        raise AnnotationError(
            f"{path}: JPEG changes the values of a mask; save it as PNG or TIFF from the original. Where it holds "
            "particles against background, it can be cut: --threshold 128"
        )
    if pages > 1:
        raise _several_pages(path, pages)
    if halved or mode not in _ONE_CHANNEL + _SEVERAL_CHANNELS:
        raise AnnotationError(f"{path}: a mask of several channels ({mode}); save it with one of 8 or 16 bits")
    if zero_is_white and mode in ("1", "L"):  # which Pillow turns round, and deeper ones not
        pixels = ~pixels
    return pixels, zero_is_white


def _is_jpeg(image: Image.Image) -> bool:
    """Whether its pixels are compressed as JPEG does it, which a TIFF may be, too."""
    return image.format in ("JPEG", "MPO") or image.info.get("compression") in ("jpeg", "tiff_jpeg")


def _has_16_bits(image: Image.Image) -> bool:
    """Whether Pillow would drop half of each sample; it says so only in what it is about to decode."""
    return any("16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _one_channel(pixels: NDArray[Any], path: Path, colours: bool) -> NDArray[Any]:
    if pixels.size == 0 or pixels.ndim not in (2, 3):
        raise ImageError(f"{path}: holds no pixels; the file may be damaged, copy it again")
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    if channels in (2, 4):
        alpha = pixels[..., -1]
        opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
        if (alpha != opaque).any():
            raise AnnotationError(f"{path}: a mask with transparency; save it with one opaque channel")
        pixels = pixels[..., :-1]
    if channels > _MOST_TIFF_SAMPLES:
        raise AnnotationError(f"{path}: {channels} channels; save the mask with one")
    if (pixels == pixels[..., :1]).all():
        return np.ascontiguousarray(pixels[..., 0])
    if colours and pixels.dtype == np.uint8:
        red, green, blue = np.moveaxis(pixels.astype(np.int32), 2, 0)
        return np.asarray(red * 65536 + green * 256 + blue)
    raise AnnotationError(
        f"{path}: a colour image; an instance map has one channel that numbers the particles. Save it so, or, where "
        "every colour is one particle on black, give --mask-kind colour"
    )


def _several_pages(path: Path, pages: int) -> AnnotationError:
    return AnnotationError(f"{path}: {pages} pages; a mask has one, save each as a file of its own")
