"""What is drawn of particles and ignore regions, whatever it is drawn on: outlines with holes, a colour, a filling.

Coordinates are those of ``Instance``: pixels of the micrograph, (0, 0) the outer corner of the first one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.tracing import to_outlines
from nanoseg_bench.drawing.colours import IGNORE_COLOUR, Colour

Size = tuple[int, int]
"""(width, height) in pixels."""

Fill = Literal["none", "tint", "hatch"]

DASHES = (4.0, 3.0)
"""Line and gap of a dashed outline, in widths of its line."""

TINT = 0.32
"""Opacity of a tint."""


@dataclass(frozen=True, eq=False, slots=True)
class Outline:
    """A particle or a region, ready to be drawn.

    Attributes:
        parts: Its parts with their holes; none for an empty mask.
        colour: Of the line, and of the filling.
        fill: What lies inside the line: nothing, a tint of the colour, or hatching.
        thin: Whether the line is half as wide, for what is shown and does not count.
        number: In a table beside the picture.
        title: What SVG says of it under the pointer.
        dashed: Whether the line is, for what a person outlined or changed.
    """

    parts: tuple[Polygon, ...]
    colour: Colour
    fill: Fill = "none"
    thin: bool = False
    number: int | None = None
    title: str = ""
    dashed: bool = False

    @property
    def rings(self) -> list[NDArray[np.float64]]:
        """Closed lines, (N, 2) x and y without the first point again; holes run the other way round than parts.

        So holes stay open under the rule of winding numbers, which matplotlib and SVG fill by.
        """
        return [
            ring
            for part in self.parts
            for ring in (
                _turned(part.exterior, clockwise=True),
                *(_turned(hole, clockwise=False) for hole in part.holes),
            )
        ]


def outline_of(
    region: tuple[Polygon, ...] | Rle,
    size: Size,
    colour: Colour,
    fill: Fill = "none",
    *,
    thin: bool = False,
    number: int | None = None,
    title: str = "",
    dashed: bool = False,
) -> Outline:
    """The outline of a region: masks along the edges of their pixels, polygons cut at the edge of the micrograph.

    Args:
        region: Of an ``Instance``, in pixels of the micrograph.
        size: (width, height) of it.
        colour: As of ``Outline``, like all that follow.
        fill: What lies inside.
        thin: Whether the line is half as wide.
        number: In a table beside the picture.
        title: What SVG says of it.
        dashed: Whether the line is.
    """
    width, height = size
    parts = tuple(to_outlines(Instance(None, region), height, width))
    return Outline(parts, colour, fill, thin, number, title, dashed)


def class_outlines(instances: Iterable[Instance], size: Size, colours: Mapping[str, Colour]) -> list[Outline]:
    """Instances in the colours of their labels; what is ignored is grey, hatched and thin.

    Args:
        instances: In pixels of an image of ``size``.
        size: (width, height) of it.
        colours: By label; labels without a colour are grey.
    """
    return [
        outline_of(each.region, size, IGNORE_COLOUR, "hatch", thin=True)
        if each.ignored
        else outline_of(each.region, size, colours.get(str(each.label), IGNORE_COLOUR))
        for each in instances
    ]


def _turned(ring: NDArray[np.float64], *, clockwise: bool) -> NDArray[np.float64]:
    x, y = ring.T
    # The shoelace formula; y points down, so the area of what looks clockwise is positive.
    area = float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    return ring if (area > 0) == clockwise else ring[::-1]
