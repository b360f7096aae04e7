"""Instance maps: images whose pixel value says which particle a pixel belongs to (0 is background)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy import ndimage

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import from_coco
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.imageio import image_errors, open_image

_MOST_WINDOWS = 65535


def read_instance_map(path: Path, label: str | None) -> list[Instance]:
    """Read an instance map: PNG or TIFF of 1, 8, 16 or 32 bits, or a palette image (the index counts).

    Every value but 0 is one particle, in several parts where its pixels do not hang together.

    Args:
        path: The map.
        label: Class name of its particles; None where the classes are not known.

    Returns:
        Masks in the order of their values.

    Raises:
        ImageError: The file is missing or truncated.
        AnnotationError: The image has colour channels, fractions or negative values.
    """
    values = _read_values(path)
    if values.min() < 0 or not np.isfinite(values).all() or (values != np.floor(values)).any():
        raise AnnotationError(f"{path}: negative or broken values; an instance map numbers its particles 1, 2, ...")
    if values.max() > _MOST_WINDOWS:
        # The windows come as a list as long as the highest number: count the numbers that occur instead.
        found, numbers = np.unique(values, return_inverse=True)
        values = numbers.reshape(values.shape) + int(found[0] != 0)
    values = values.astype(np.int32)
    height, width = values.shape
    return [
        Instance(label, _window_to_rle(values[window] == number, window, height, width))
        for number, window in enumerate(ndimage.find_objects(values), start=1)
        if window is not None
    ]


def _read_values(path: Path) -> NDArray[Any]:
    with image_errors(path), open_image(path) as image:
        values = np.asarray(image)
    if values.ndim != 2:
        raise AnnotationError(f"{path}: a colour image; an instance map has one channel that numbers the particles")
    return values


def _window_to_rle(window: NDArray[np.bool_], place: tuple[slice, slice], height: int, width: int) -> Rle:
    """Encode a window of an otherwise empty mask, without touching the rest of the image."""
    top, left = place[0].start, place[1].start
    columns, rows = np.nonzero(window.T)
    inside = (columns + left) * height + rows + top
    first = np.flatnonzero(np.diff(inside, prepend=-2) != 1)
    starts = inside[first]
    ends = inside[np.append(first[1:] - 1, len(inside) - 1)] + 1
    edges = np.stack((starts, ends), axis=1).reshape(-1)
    runs = np.diff(edges, prepend=0, append=height * width).tolist()
    # The format is outside, inside, outside, ...: a mask that reaches the last pixel ends with its inside run.
    uncompressed = {"size": [height, width], "counts": runs if runs[-1] else runs[:-1]}
    return from_coco(coco_mask.frPyObjects(uncompressed, height, width))
