"""The particles of a micrograph as an image of their numbers, which ImageJ and others measure in nanometres."""

import io
from collections.abc import Sequence

import numpy as np
import tifffile
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import rle_to_window, to_rle
from nanoseg_bench.errors import NanosegError

_MOST = 2**16 - 1


def label_image(instances: Sequence[tuple[int, Instance]], height: int, width: int) -> NDArray[np.uint16]:
    """(H, W) numbers of particles; 0 is background, and of an overlap each pixel is its first particle's.

    Args:
        instances: Number in the table of particles, and the particle.
        height: Rows of the micrograph.
        width: Columns.

    Raises:
        NanosegError: A number is too large for 16 bits.
    """
    labels = np.zeros((height, width), dtype=np.uint16)
    for number, instance in instances:
        if not 0 < number <= _MOST:
            raise NanosegError(f"particle {number}: a label image numbers particles from 1 to {_MOST}")
        window, x, y = rle_to_window(to_rle(instance, height, width))
        part = labels[y : y + window.shape[0], x : x + window.shape[1]]
        part[window & (part == 0)] = number
    return labels


def as_tiff(labels: NDArray[np.uint16], nm_per_px: float | None) -> bytes:
    """A TIFF as ImageJ writes it, with the scale in its metadata where it is known."""
    stream = io.BytesIO()
    if nm_per_px is None:
        tifffile.imwrite(stream, labels, imagej=True)
    else:
        per_nm = 1 / nm_per_px
        tifffile.imwrite(stream, labels, imagej=True, resolution=(per_nm, per_nm), metadata={"unit": "nm"})
    return stream.getvalue()
