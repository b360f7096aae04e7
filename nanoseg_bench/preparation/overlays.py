"""Canvases as pictures for reading: outlines of the instances in a colour per class, ignore regions hatched."""

import colorsys
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.annotations.yolo import to_outlines
from nanoseg_bench.imageio import as_rgb, read_image
from nanoseg_bench.preparation.prepared_set import PreparedImage

Colour = tuple[int, int, int]

IGNORE_COLOUR: Colour = (200, 200, 200)

# Light and saturated: they are seen on grey micrographs, over a dark rim.
_PALETTE: tuple[Colour, ...] = (
    (0, 229, 255),
    (255, 170, 0),
    (255, 92, 214),
    (140, 255, 60),
    (255, 245, 80),
    (150, 160, 255),
    (255, 105, 90),
    (60, 255, 190),
)
_GOLDEN_RATIO = 0.6180339887
_SUBPIXEL_BITS = 4
_HATCH_PERIOD = 10  # px of the picture


def class_colours(classes: Sequence[str]) -> dict[str, Colour]:
    """A colour per class, in their order; beyond the palette, hues by the golden ratio."""
    return {name: _colour(position) for position, name in enumerate(classes)}


def read_canvas(image: PreparedImage) -> NDArray[np.uint8]:
    """(S, S, 3) pixels of a canvas.

    Raises:
        ImageError: The file is missing or cannot be read.
    """
    return as_rgb(read_image(image.image_path))


def draw_instances(
    canvas: NDArray[np.uint8], instances: Sequence[Instance], colours: Mapping[str, Colour], side: int
) -> NDArray[np.uint8]:
    """Resize a canvas to ``side`` and draw its instances.

    Args:
        canvas: (S, S, 3) uint8.
        instances: On the canvas.
        colours: By label.
        side: Of the picture in pixels.

    Returns:
        (side, side, 3) uint8.
    """
    size = canvas.shape[0]
    # Pillow's filter widens with the scale, so that shrinking does not alias.
    picture = np.array(Image.fromarray(canvas).resize((side, side), Image.Resampling.BICUBIC))
    for instance in instances:
        if instance.ignored:
            _hatch(picture, to_mask(instance, size, size))
    outlines = [(_lines(each, size, side / size), _colour_of(each, colours)) for each in instances]
    for lines, _ in outlines:
        cv2.polylines(picture, lines, True, (0, 0, 0), 4, cv2.LINE_AA, _SUBPIXEL_BITS)
    for lines, colour in outlines:
        cv2.polylines(picture, lines, True, colour, 2, cv2.LINE_AA, _SUBPIXEL_BITS)
    return picture


def _colour(position: int) -> Colour:
    if position < len(_PALETTE):
        return _PALETTE[position]
    red, green, blue = colorsys.hsv_to_rgb(position * _GOLDEN_RATIO % 1.0, 0.65, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _colour_of(instance: Instance, colours: Mapping[str, Colour]) -> Colour:
    if instance.ignored or instance.label is None:
        return IGNORE_COLOUR
    return colours.get(instance.label, IGNORE_COLOUR)


def _lines(instance: Instance, size: int, zoom: float) -> list[NDArray[np.int32]]:
    """Outlines and holes in the fixed-point coordinates of cv2, whose pixel centres are whole numbers."""
    parts = to_outlines(instance, size, size)
    outlines = [outline for part in parts for outline in (part.exterior, *part.holes)]
    return [np.round((each * zoom - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)[:, None] for each in outlines]


def _hatch(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    side = picture.shape[0]
    region = np.asarray(Image.fromarray(mask).resize((side, side), Image.Resampling.NEAREST))
    rows, columns = np.indices((side, side))
    light = region & ((rows + columns) % _HATCH_PERIOD < _HATCH_PERIOD // 2)
    picture[region] = picture[region] // 2 + 64
    picture[light] = picture[light] // 2 + np.uint8(90)
