"""Clip an outline to a rectangle (Sutherland and Hodgman, 1974)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance, Rle


def clip_outline(
    outline: NDArray[np.float64], left: float, top: float, right: float, bottom: float
) -> NDArray[np.float64]:
    """The part of an outline inside a rectangle, without closing point.

    A concave outline that leaves the rectangle and comes back stays one outline, its pieces joined along the edge;
    the area is exact all the same.

    Args:
        outline: (N, 2) x, y.
        left: Smallest x.
        top: Smallest y.
        right: Largest x.
        bottom: Largest y.

    Returns:
        (M, 2) x, y; M is 0 when nothing is inside.
    """
    for axis, limit, sign in ((0, left, 1.0), (0, right, -1.0), (1, top, 1.0), (1, bottom, -1.0)):
        outline = _clip_half_plane(outline, axis, limit, sign)
    return outline


def points_outside(instances: Sequence[Instance], height: int, width: int) -> list[int]:
    """How many points of each instance's outlines lie outside an image; 0 for masks.

    Args:
        instances: In pixels of the image.
        height: Rows of the image.
        width: Columns.
    """
    # All points at once: a call for each of hundreds of outlines takes longer than all else.
    exteriors = [[] if isinstance(each.region, Rle) else [part.exterior for part in each.region] for each in instances]
    counts = [sum(map(len, parts)) for parts in exteriors]
    points = np.concatenate([np.zeros((0, 2)), *(outline for parts in exteriors for outline in parts)])
    if points.min(initial=0) >= 0 and (points.max(axis=0, initial=0) <= (width, height)).all():
        return [0] * len(instances)
    outside = ((points < 0) | (points > (width, height))).any(axis=1)
    before = np.concatenate(([0], np.cumsum(outside)))
    ends = np.cumsum(counts)
    numbers: list[int] = (before[ends] - before[ends - counts]).tolist()
    return numbers


def _clip_half_plane(outline: NDArray[np.float64], axis: int, limit: float, sign: float) -> NDArray[np.float64]:
    if len(outline) == 0:
        return outline
    following = np.roll(outline, -1, axis=0)
    depth = (outline[:, axis] - limit) * sign
    depth_following = np.roll(depth, -1)
    inside = depth >= 0
    crossing = inside != (depth_following >= 0)
    share = np.divide(depth, depth - depth_following, out=np.zeros_like(depth), where=crossing)
    cuts = outline + share[:, None] * (following - outline)
    cuts[:, axis] = limit
    # Each edge contributes its start, when inside, and then its cut, when it crosses the limit.
    candidates = np.stack((outline, cuts), axis=1).reshape(-1, 2)
    return np.asarray(candidates[np.stack((inside, crossing), axis=1).reshape(-1)], dtype=np.float64)
