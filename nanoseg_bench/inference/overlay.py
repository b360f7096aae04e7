"""The picture of a micrograph with the outlines of what was found in it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.drawing.colours import class_colours
from nanoseg_bench.drawing.outlines import class_outlines
from nanoseg_bench.drawing.picture import draw_outlines
from nanoseg_bench.files import atomic_path, unwritable
from nanoseg_bench.inference.particles import Particles


def write_overlay(path: Path, image: Particles, pixels: NDArray[np.uint8], classes: Sequence[str]) -> None:
    """Write the micrograph with the outlines of its particles, in a colour per class, as PNG.

    What lies on marks is grey and hatched.

    Args:
        path: The file.
        image: The particles.
        pixels: (H, W) or (H, W, 3).
        classes: Class names in their order.

    Raises:
        NanosegError: The file cannot be written.
    """
    outlines = class_outlines(image.instances, (image.width, image.height), class_colours(classes))
    try:
        with atomic_path(path) as temporary:
            Image.fromarray(draw_outlines(pixels, outlines)).save(temporary)
    except OSError as error:
        raise unwritable(path, error, "--out") from error
