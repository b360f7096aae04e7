"""Masks as polygons that a person can edit: few vertices, and hardly another particle.

An outline along the pixels' edges has a vertex at every step of its stairs. A vertex may be left out where the chord
that replaces it stays within half a pixel of the outline, both ways, and where the rasteriser still gives the mask
back with an IoU of 0.98. What can keep neither is written along the pixels' edges, which is exact.

The chords are those of the cone intersection method (Williams, Comput. Graph. Image Process. 8, 1978; Sklansky &
Gonzalez, Pattern Recognit. 12, 1980): from a vertex, as far as one line can go. Douglas and Peucker's method takes the
points that lie farthest away as its vertices, on stairs their outermost corners; measured on EMPS' 11,535 particles,
within the same half pixel, that leaves half as many vertices again.
"""

from collections import Counter
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.raster import iou_matrix, polygons_to_rle
from nanoseg_bench.annotations.tracing import trace

LARGEST_DISTANCE = 0.5
"""Pixels between the written outline and the pixels' edges; no point of either is farther from the other."""

LEAST_IOU = 0.98
"""Between the particle as it is read again, and its pixels."""

# Half a pixel is tried first. A chord along a diagonal lies 0.354 px from the corners of its stairs, so less than that
# joins nothing but what is straight.
_DISTANCES = (LARGEST_DISTANCE, 0.45, 0.4, 0.36)
# The rasteriser rounds to fifths of a pixel: this moves no pixel.
_OPENING = 0.05
_PAIRS_AT_ONCE = 200_000

_Outline = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Simplified:
    """A mask as polygons.

    Attributes:
        instance: The particle; a part with holes keeps them and every pixel.
        iou: Between it and the mask, both rasterised.
        steps: Vertices of the mask's outlines along the pixels' edges.
        points: Vertices of the polygons; those of parts with holes are not counted in either.
    """

    instance: Instance
    iou: float
    steps: int
    points: int


def simplify(instance: Instance, height: int, width: int, least_iou: float = LEAST_IOU) -> Simplified | None:
    """Outline a mask with few vertices.

    Args:
        instance: The particle.
        height: Rows of its image.
        width: Columns.
        least_iou: Between every part as it is read again, and its pixels.

    Returns:
        None where nothing can be gained: it is no mask, or a part of it has holes and there is no other.
    """
    mask = instance.region
    if not isinstance(mask, Rle):
        return None
    traced = trace(mask)
    steps = sum(len(part.exterior) for part in traced if not part.holes)
    if not steps:
        return None
    alone = mask if len(traced) == 1 else None
    parts = tuple(part if part.holes else _simplified_part(part, alone, height, width, least_iou) for part in traced)
    iou = float(iou_matrix([polygons_to_rle(parts, height, width)], [mask])[0, 0])
    points = sum(len(part.exterior) for part in parts if not part.holes)
    return Simplified(replace(instance, region=parts), iou, steps, points)


def simplify_outline(outline: _Outline, distance: float) -> _Outline | None:
    """Leave out vertices of an outline along the pixels' edges.

    Args:
        outline: (N, 2), whole numbers, a corner at every point, as ``trace`` gives it.
        distance: No point of either outline is farther from the other, in pixels.

    Returns:
        (M, 2) with 3 <= M < N, whose edges meet in their common vertices only; None where there is no such outline.
    """
    points, may_be_vertex = _places(outline)
    kept = _chords(points, may_be_vertex, distance)
    if not 3 <= len(kept) < len(outline):
        return None
    simplified: _Outline = points[kept]
    return None if crosses_itself(simplified) else simplified


def open_corners(outline: _Outline) -> _Outline:
    """Move an outline that passes a point twice apart there, by less than the rasteriser can see.

    Pixels that touch at a corner are one part. Along their edges its outline touches itself there, which editors and
    geometry libraries take for a fault.

    Args:
        outline: (N, 2), as ``trace`` gives it.
    """
    twice = _passed_twice(outline)
    if not twice.any():
        return outline
    before, after = np.roll(outline, 1, axis=0), np.roll(outline, -1, axis=0)
    # Both passages turn around a pixel of the background: the short cut through it makes room between them.
    opened: _Outline = outline + twice[:, None] * _OPENING * (np.sign(before - outline) + np.sign(after - outline))
    return opened


def crosses_itself(outline: _Outline) -> bool:
    """Whether two edges meet elsewhere than in the vertex that they share; touching counts.

    Args:
        outline: (N, 2), N >= 3, not closed.
    """
    count = len(outline)
    starts, ends = outline, np.roll(outline, -1, axis=0)
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    at_once = max(_PAIRS_AT_ONCE // count, 1)
    for first in range(0, count, at_once):
        some = np.arange(first, min(first + at_once, count))
        near = ((low[some, None] <= high) & (low <= high[some, None])).all(axis=2)
        one, other = np.nonzero(near)
        one = some[one]
        apart = np.abs(one - other)
        pairs = (one < other) & (apart != 1) & (apart != count - 1)
        one, other = one[pairs], other[pairs]
        a, b, c, d = starts[one], ends[one], starts[other], ends[other]
        parted = (_turn(a, b, c) * _turn(a, b, d) > 0) | (_turn(c, d, a) * _turn(c, d, b) > 0)
        if not parted.all():
            return True
    return _folds_back(outline)


def _simplified_part(part: Polygon, mask: Rle | None, height: int, width: int, least_iou: float) -> Polygon:
    """The part with as few vertices as the limits allow; ``mask`` is given where it is the whole particle."""
    truth = polygons_to_rle([part], height, width) if mask is None else mask
    for distance in _DISTANCES:
        outline = simplify_outline(part.exterior, distance)
        if outline is None:
            continue
        seen = polygons_to_rle([Polygon(outline)], height, width)
        if iou_matrix([seen], [truth])[0, 0] >= least_iou:
            return Polygon(outline)
    return Polygon(open_corners(part.exterior))


def _places(outline: _Outline) -> tuple[_Outline, NDArray[np.bool_]]:
    """The points that chords are measured by, along the outline; and which of them may be vertices.

    These are the corners, and the middle of every pixel's edge. Where a straight line was rasterised, the middles lie
    beside it and the corners on both sides of it; and at every corner, one of the two edges is one pixel long. So a
    corner of two longer edges is one of the particle, and may be a vertex; all others may not, and all middles may.
    """
    following = np.roll(outline, -1, axis=0) - outline
    lengths = np.abs(following).sum(axis=1).astype(np.intp)
    firsts = np.cumsum(lengths) - lengths
    edge = np.repeat(np.arange(len(outline)), lengths)
    along = np.arange(len(edge)) - firsts[edge] + 0.5
    middles = outline[edge] + np.sign(following)[edge] * along[:, None]
    sharp = (lengths > 1) & (np.roll(lengths, 1) > 1) & ~_passed_twice(outline)
    points: _Outline = np.insert(middles, firsts, outline, axis=0)
    may_be_vertex = np.ones(len(points), dtype=bool)
    may_be_vertex[firsts + np.arange(len(outline))] = sharp
    # The outline is closed: it begins, and ends, with a vertex.
    start = int(np.argmax(may_be_vertex))
    return np.roll(points, -start, axis=0), np.roll(may_be_vertex, -start)


def _chords(points: _Outline, may_be_vertex: NDArray[np.bool_], distance: float) -> list[int]:
    """Indices of the vertices; empty where a chord has nowhere to go.

    Every point that has been passed, and is farther than ``distance`` from the vertex, allows the directions that pass
    it within ``distance``. The chord ends at the last vertex that lies in all of them, and no nearer than any point on
    the way, so that all those lie beside the chord and not beyond its end.
    """
    # A particle has a few hundred points: plain numbers are faster than arrays here.
    xs, ys = [*points[:, 0].tolist(), float(points[0, 0])], [*points[:, 1].tolist(), float(points[0, 1])]
    allowed = [*may_be_vertex.tolist(), True]
    closing = len(points)
    squared = distance * distance
    kept: list[int] = []
    vertex = 0
    while vertex < closing:
        kept.append(vertex)
        x0, y0 = xs[vertex], ys[vertex]
        farthest = 0.0
        end = -1
        left_x = left_y = right_x = right_y = 0.0
        bounded = False
        for place in range(vertex + 1, closing + 1):
            x, y = xs[place] - x0, ys[place] - y0
            far = x * x + y * y
            if far >= farthest:
                farthest = far
                inside = not bounded or (right_x * y >= right_y * x and left_x * y <= left_y * x)
                if inside and allowed[place]:
                    end = place
            if far <= squared:
                continue
            tangent = sqrt(far - squared)
            new_left_x, new_left_y = x * tangent - y * distance, y * tangent + x * distance
            new_right_x, new_right_y = x * tangent + y * distance, y * tangent - x * distance
            if not bounded or left_x * new_left_y <= left_y * new_left_x:
                left_x, left_y = new_left_x, new_left_y
            if not bounded or right_x * new_right_y >= right_y * new_right_x:
                right_x, right_y = new_right_x, new_right_y
            bounded = True
            if right_x * left_y <= right_y * left_x:
                break
        if end < 0:
            return []
        vertex = end
    return kept


def _passed_twice(outline: _Outline) -> NDArray[np.bool_]:
    points = list(map(tuple, outline.tolist()))
    if len(set(points)) == len(points):  # nearly always
        return np.zeros(len(points), dtype=bool)
    times = Counter(points)
    return np.array([times[point] > 1 for point in points])


def _folds_back(outline: _Outline) -> bool:
    """Whether an edge lies on the one before it."""
    edges = np.roll(outline, -1, axis=0) - outline
    before = np.roll(edges, 1, axis=0)
    cross = before[:, 0] * edges[:, 1] - before[:, 1] * edges[:, 0]
    return bool(((cross == 0) & ((before * edges).sum(axis=1) <= 0)).any())


def _turn(a: _Outline, b: _Outline, c: _Outline) -> NDArray[np.float64]:
    """Positive where ``c`` lies on one side of the line from ``a`` to ``b``, negative on the other, 0 on it."""
    turned: NDArray[np.float64] = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return turned
