"""Outlines of masks along the edges of their pixels.

An outline through pixel centres, or half-way between them, takes an area from every particle that small ones cannot
spare. Along the pixel edges the outline encloses exactly the mask's pixels, and the rasteriser gives the mask back.
"""

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.clipping import clip_outline
from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.raster import rle_to_window

_Outline = NDArray[np.float64]


def trace(rle: Rle) -> list[Polygon]:
    """One Polygon per part of a mask, with its holes, in pixels of the image.

    Pixels that touch at a corner are one part; the outline then passes that corner twice.
    """
    window, left, top = rle_to_window(rle)
    if window.size == 0:
        return []
    exteriors, holes = _outlines(window, left, top)
    if len(exteriors) == 1:
        return [Polygon(exteriors[0], tuple(holes))]
    return _trace_parts(window, left, top)


def to_outlines(instance: Instance, height: int, width: int) -> list[Polygon]:
    """Outlines of an instance, inside an image of ``height`` x ``width`` pixels.

    Polygons stay as they are, cut at the image's edge. Masks are traced along the edges of their pixels: the outline
    encloses exactly the mask's area, and rasterises to exactly its pixels.
    """
    if isinstance(instance.region, Rle):
        return trace(instance.region)
    return [clipped for part in instance.region if (clipped := _clip(part, height, width)) is not None]


def _trace_parts(window: NDArray[np.bool_], left: int, top: int) -> list[Polygon]:
    from scipy import ndimage

    numbers, _ = ndimage.label(window, structure=np.ones((3, 3), dtype=bool))
    polygons = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbers), start=1):
        part = numbers[rows, columns] == number
        (exterior,), holes = _outlines(part, left + columns.start, top + rows.start)
        polygons.append(Polygon(exterior, tuple(holes)))
    return polygons


def _clip(polygon: Polygon, height: int, width: int) -> Polygon | None:
    if (polygon.exterior >= 0).all() and (polygon.exterior <= (width, height)).all():
        return polygon
    exterior = clip_outline(polygon.exterior, 0, 0, width, height)
    if len(exterior) < 3:
        return None
    holes = (clip_outline(hole, 0, 0, width, height) for hole in polygon.holes)
    return Polygon(exterior, tuple(hole for hole in holes if len(hole) >= 3))


def _outlines(mask: NDArray[np.bool_], left: int, top: int) -> tuple[list[_Outline], list[_Outline]]:
    """Outer and inner outlines (x, y) of a mask that lies at ``left``, ``top`` of its image.

    The corners of outlines are the grid points whose four pixels hold one or three of the mask, or two that touch
    there only: such a point is two corners. On each grid line, the first corner is joined to the second, the third
    to the fourth, and so on.
    """
    padded = np.pad(mask, 1)
    upper_left, upper_right, lower_left, lower_right = (
        padded[:-1, :-1],
        padded[:-1, 1:],
        padded[1:, :-1],
        padded[1:, 1:],
    )
    odd = upper_left ^ upper_right ^ lower_left ^ lower_right
    touching = (upper_left == lower_right) & (upper_right == lower_left) & (upper_left != upper_right)
    y, x = np.nonzero(odd | touching)
    twice = touching[y, x]
    y, x = np.repeat(y, 1 + twice), np.repeat(x, 1 + twice)
    second = np.zeros(len(x), dtype=bool)
    second[1:] = (y[1:] == y[:-1]) & (x[1:] == x[:-1])
    # Of a point's two corners, the first has the edge to the left. It also has the edge upwards where the pixels
    # touch from lower left to upper right, and the second has it in the other case: so the pixels stay together.
    downwards = second ^ (touching[y, x] & upper_left[y, x])
    along_columns = np.lexsort((downwards, y, x))
    neighbour = np.arange(len(x)) ^ 1
    below = np.empty_like(neighbour)
    below[along_columns] = along_columns[neighbour]
    exteriors: list[_Outline] = []
    holes: list[_Outline] = []
    for loop in _follow(neighbour.tolist(), below.tolist()):
        outline = np.stack((x[loop] + float(left), y[loop] + float(top)), axis=1)
        # A loop starts at its upper left corner.
        (exteriors if lower_right[y[loop[0]], x[loop[0]]] else holes).append(outline)
    return exteriors, holes


def _follow(beside: list[int], below: list[int]) -> list[list[int]]:
    """Closed loops of corners, by turns along a row and along a column."""
    loops = []
    left = [True] * len(beside)
    for start in range(len(beside)):
        if not left[start]:
            continue
        loop = []
        corner = start
        while left[corner]:
            following = beside[corner]
            left[corner] = left[following] = False
            loop += [corner, following]
            corner = below[following]
        loops.append(loop)
    return loops
