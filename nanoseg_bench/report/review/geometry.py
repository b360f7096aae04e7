"""Outlines as people draw them: lists of corners, merged and split as the pixels that they hold.

An outline is a list of parts, a part a list of rings (the exterior, then its holes), a ring a list of [x, y] in pixels
of the micrograph, not closed: ``annotations.Polygon`` in JSON.
"""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.points import as_points
from nanoseg_bench.annotations.raster import mask_to_rle, polygons_to_rle, rle_to_mask
from nanoseg_bench.annotations.simplification import simplify
from nanoseg_bench.annotations.tracing import trace
from nanoseg_bench.errors import ReviewError

Ring = Sequence[Sequence[float]]
MultiPolygon = Sequence[Sequence[Ring]]
"""An outline in JSON."""

_CRUMB = 4
"""Pixels below which a piece that a line cuts off stays with its neighbour: lines graze corners."""

_REACH = 2.0
"""Pixels by which a line is drawn out at both ends, for hands that stop a little short of the edge."""

_NEAR = 7
"""Width in pixels of what is near a line, drawn through whole pixels: all that is within 1.5 px of it, and more."""

_MOST_PIXELS = 100_000_000
"""Of the box around an outline; no micrograph is that large."""

_NEIGHBOURS = tuple((down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if (down, across) != (0, 0))
_EXACT = 1e-9

_Points = NDArray[np.float64]


def polygons_of(outline: MultiPolygon, what: str = "the outline") -> tuple[Polygon, ...]:
    """An outline in JSON as polygons.

    Args:
        outline: Its parts.
        what: Of whom, for messages.

    Raises:
        ReviewError: It has no part, or a ring of fewer than three different corners, or one that is no place.
    """
    parts = tuple(_polygon(part, what) for part in outline)
    if not parts:
        raise ReviewError(f"{what} has no part; draw it again")
    return parts


def outline_of(region: tuple[Polygon, ...] | Rle) -> list[list[list[list[float]]]]:
    """A region as an outline that a person can edit; empty for a mask without a pixel.

    Polygons stay as they are. A mask becomes what LabelMe would get of it: corners within half a pixel of the pixels'
    edges and an IoU of 0.98 (``annotations.simplification``); parts with holes go along the pixels' edges.
    """
    if isinstance(region, Rle):
        found = simplify(Instance(None, region), region.height, region.width)
        parts = None if found is None else found.instance.region
        return outline_of(tuple(trace(region)) if parts is None or isinstance(parts, Rle) else parts)
    return [[ring.tolist() for ring in (part.exterior, *part.holes)] for part in region]


def merge(outlines: Sequence[MultiPolygon], width: int, height: int) -> list[list[list[list[float]]]]:
    """One outline around the pixels of several; those that do not touch become its parts.

    Args:
        outlines: At least one.
        width: Columns of the micrograph.
        height: Its rows.

    Raises:
        ReviewError: An outline is none, or none of them has a pixel in the micrograph.
    """
    parts = tuple(part for outline in outlines for part in polygons_of(outline))
    mask, left, top = _rasterised(parts, width, height)
    return _outline_at(mask, left, top)


def split(outline: MultiPolygon, line: Ring, width: int, height: int) -> list[list[list[list[list[float]]]]]:
    """The pieces of an outline that a line cuts, the largest first; each pixel of it belongs to one of them.

    Pixels are neighbours, also across corners, unless the line passes between their centres. Parts that are apart
    already become pieces of their own.

    Args:
        outline: What is cut.
        line: (N, 2) corners of an open line, N >= 2; its ends are drawn out by ``_REACH``.
        width: Columns of the micrograph.
        height: Its rows.

    Raises:
        ReviewError: The line is none, or does not cut the outline in two.
    """
    mask, left, top = _rasterised(polygons_of(outline), width, height)
    corners = _numbers(line, "the line")
    if len(np.unique(corners, axis=0)) < 2:
        raise ReviewError("the line is a point; draw it across the particle")
    pieces = _pieces(mask, _drawn_out(corners) - (left, top) - 0.5)
    if len(pieces) < 2:
        raise ReviewError("the line does not cut the particle in two; draw it across, from outside to outside")
    return [_outline_at(piece, left, top) for piece in pieces]


def _rasterised(parts: Sequence[Polygon], width: int, height: int) -> tuple[NDArray[np.bool_], int, int]:
    """The pixels of polygons in a window of the micrograph, and the window's first column and row."""
    corners = np.concatenate([part.exterior for part in parts])
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int).tolist()
    if right <= left or bottom <= top:
        raise ReviewError("the outline lies outside of the micrograph; draw it again")
    if (right - left) * (bottom - top) > _MOST_PIXELS:
        raise ReviewError(f"the outline is {right - left} x {bottom - top} px large, which is no particle")
    mask = rle_to_mask(polygons_to_rle([_moved(part, -left, -top) for part in parts], bottom - top, right - left))
    if not mask.any():
        raise ReviewError("the outline holds no pixel; draw it larger")
    return mask, left, top


def _outline_at(mask: NDArray[np.bool_], left: int, top: int) -> list[list[list[list[float]]]]:
    """The outline of a window's mask, in pixels of the micrograph."""
    outline = outline_of(mask_to_rle(mask))
    return [[[[x + left, y + top] for x, y in ring] for ring in part] for part in outline]


def _polygon(part: Sequence[Ring], what: str) -> Polygon:
    rings = [_numbers(ring, what) for ring in part]
    if not rings:
        raise ReviewError(f"{what} has a part without corners; draw it again")
    for ring in rings:
        if len(np.unique(ring, axis=0)) < 3:
            raise ReviewError(f"{what} has {len(ring)} corners, at fewer than 3 places; draw it again")
    return Polygon(rings[0], tuple(rings[1:]))


def _numbers(ring: Ring, what: str) -> _Points:
    try:
        return as_points(ring)
    except ValueError as error:
        raise ReviewError(f"{what}: {error}; draw it again") from error


def _moved(part: Polygon, x: float, y: float) -> Polygon:
    step = np.array([x, y])
    return Polygon(part.exterior + step, tuple(hole + step for hole in part.holes))


def _drawn_out(line: _Points) -> _Points:
    longer = line.copy()
    for end, before in ((0, 1), (-1, -2)):
        along = line[end] - line[before]
        length = float(np.hypot(*along))
        if length > 0:
            longer[end] += along / length * _REACH
    return longer


def _pieces(mask: NDArray[np.bool_], line: _Points) -> list[NDArray[np.bool_]]:
    """Masks of the connected pieces, the largest first.

    Two neighbours can only be parted near the line. There each pixel is looked at; elsewhere, connected pixels are one.

    Args:
        mask: (h, w), with a pixel.
        line: (N, 2), where the centre of the first pixel is (0, 0).
    """
    from scipy import ndimage
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    near = np.zeros(mask.shape, dtype=np.uint8)
    cv2.polylines(near, [np.round(line).astype(np.int32)[:, None]], False, 1, _NEAR)
    close = mask & (near > 0)
    # Numbers of parts from 0 upwards, -1 outside: those far from the line, then each pixel near it.
    parts, far = ndimage.label(mask & ~close, structure=np.ones((3, 3), dtype=bool))
    parts = parts.astype(np.int64) - 1
    count = far + int(close.sum())
    parts[close] = np.arange(far, count)
    joined, cut = _neighbours(parts, close, line)
    graph = coo_array((np.ones(len(joined), dtype=bool), joined.T), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    labels = _without_crumbs(labels, np.bincount(parts[mask], minlength=count), cut)
    pieces = [mask & (labels[parts] == label) for label in np.unique(labels).tolist()]
    return sorted(pieces, key=lambda piece: -int(piece.sum()))


def _neighbours(
    parts: NDArray[np.int64], close: NDArray[np.bool_], line: _Points
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(J, 2) pairs of parts that have neighbours which stay joined, and (C, 2) of those that the line parts."""
    bordered = np.pad(parts, 1, constant_values=-1)
    rows, columns = np.nonzero(close)
    one = parts[rows, columns]
    starts = np.column_stack([columns, rows]).astype(np.float64)
    joined, cut = [], []
    for down, across in _NEIGHBOURS:
        other = bordered[rows + down + 1, columns + across + 1]
        inside = other >= 0
        ends = starts + np.array([across, down])
        parted = np.zeros(len(starts), dtype=bool)
        for first, last in pairwise(line):
            parted |= _crosses(starts, ends, first, last)
        joined.append(np.column_stack([one, other])[inside & ~parted])
        cut.append(np.column_stack([one, other])[inside & parted])
    return np.concatenate(joined), np.concatenate(cut)


def _crosses(starts: _Points, ends: _Points, first: _Points, last: _Points) -> NDArray[np.bool_]:
    """(N,) whether a stretch of line from ``first`` to ``last`` passes between two points; on it is on its one side."""
    along = last - first
    squared = float(along @ along)
    if squared == 0:
        return np.zeros(len(starts), dtype=bool)
    side_of_start, side_of_end = (
        along[0] * (points[:, 1] - first[1]) - along[1] * (points[:, 0] - first[0]) for points in (starts, ends)
    )
    parted = (side_of_start >= 0) != (side_of_end >= 0)
    share = np.divide(side_of_start, side_of_start - side_of_end, out=np.zeros(len(starts)), where=parted)
    place = (starts + share[:, None] * (ends - starts) - first) @ along / squared
    within: NDArray[np.bool_] = parted & (place >= -_EXACT) & (place <= 1 + _EXACT)
    return within


def _without_crumbs(labels: NDArray[np.int32], sizes: NDArray[np.int64], cut: NDArray[np.int64]) -> NDArray[np.int32]:
    """Labels of parts, where pieces of a few pixels belong to the neighbour that they have most cuts with.

    Args:
        labels: Of each part.
        sizes: Its pixels.
        cut: Pairs of parts that the line parts.
    """
    labels = labels.copy()
    for crumb in np.flatnonzero(np.bincount(labels, sizes) < _CRUMB).tolist():
        one, other = labels[cut[:, 0]], labels[cut[:, 1]]
        beyond = np.concatenate([other[one == crumb], one[other == crumb]])
        beyond = beyond[beyond != crumb]
        if len(beyond):
            labels[labels == crumb] = np.bincount(beyond).argmax()
    return labels
