"""The picture of a micrograph with the outlines of what was found in it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.annotations.yolo import to_outlines
from nanoseg_bench.files import atomic_path, unwritable
from nanoseg_bench.imageio import as_rgb
from nanoseg_bench.inference.particles import Particles
from nanoseg_bench.preparation.overlays import IGNORE_COLOUR, class_colours

_SUBPIXEL_BITS = 4
_HATCH_PERIOD = 6  # px


def write_overlay(path: Path, image: Particles, pixels: NDArray[np.uint8], classes: Sequence[str]) -> None:
    """Write the micrograph with the outlines of its particles, in a colour per class, as PNG.

    What lies on marks is hatched.

    Args:
        path: The file.
        image: The particles.
        pixels: (H, W) or (H, W, 3).
        classes: Class names in their order.

    Raises:
        NanosegError: The file cannot be written.
    """
    colours = class_colours(classes)
    picture = np.array(as_rgb(pixels))
    for instance in image.instances:
        parts = to_outlines(instance, image.height, image.width)
        outlines = [outline for part in parts for outline in (part.exterior, *part.holes)]
        # cv2's pixel centres are whole numbers.
        lines = [np.round((outline - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32) for outline in outlines]
        if instance.on_mark:
            _hatch(picture, to_mask(instance, image.height, image.width))
        own = IGNORE_COLOUR if instance.on_mark else colours[str(instance.label)]
        for colour, thickness in (((0, 0, 0), 3 if instance.on_mark else 4), (own, 1 if instance.on_mark else 2)):
            cv2.polylines(picture, lines, True, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    try:
        with atomic_path(path) as temporary:
            Image.fromarray(picture).save(temporary)
    except OSError as error:
        raise unwritable(path, error, "--out") from error


def _hatch(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    rows, columns = np.nonzero(mask)
    stripe = (rows + columns) % _HATCH_PERIOD < 2
    picture[rows[stripe], columns[stripe]] = IGNORE_COLOUR
