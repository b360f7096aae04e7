"""Colours of particles: light and saturated, so that they are seen on grey micrographs, over a dark rim."""

import colorsys
from collections.abc import Sequence

import numpy as np

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import bounding_boxes

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

IGNORE_COLOUR: Colour = (200, 200, 200)
WHITE: Colour = (255, 255, 255)

PALETTE: tuple[Colour, ...] = (
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
_TOUCHING = 3.0  # px between bounding boxes below which two particles must not look alike


def css(colour: Colour) -> str:
    """``#rrggbb``, as pages, SVG and matplotlib take it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def class_colours(classes: Sequence[str]) -> dict[str, Colour]:
    """A colour per class, in their order; beyond the palette, hues by the golden ratio."""
    return {name: _colour(position) for position, name in enumerate(classes)}


def neighbour_colours(masks: Sequence[Rle]) -> list[Colour]:
    """A colour for each mask, so that masks whose bounding boxes touch differ wherever the palette allows it."""
    boxes = bounding_boxes(masks)
    first, last = boxes[:, :2] - _TOUCHING, boxes[:, :2] + boxes[:, 2:] + _TOUCHING
    chosen = np.empty(len(masks), dtype=np.intp)
    for number in range(len(masks)):
        touching = np.all((first[:number] < last[number]) & (first[number] < last[:number]), axis=1)
        taken = np.bincount(chosen[:number][touching], minlength=len(PALETTE))
        # Round the palette, so that all of it is used; of equally free colours, the next one.
        order = (np.arange(len(PALETTE)) + number) % len(PALETTE)
        chosen[number] = order[taken[order].argmin()]
    return [PALETTE[number] for number in chosen]


def _colour(position: int) -> Colour:
    if position < len(PALETTE):
        return PALETTE[position]
    red, green, blue = colorsys.hsv_to_rgb(position * _GOLDEN_RATIO % 1.0, 0.65, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)
