"""Boxes and areas of many instances at once, without drawing them; and how a message says where one lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations import raster
from nanoseg_bench.annotations.instance import Instance, Rle


@dataclass(frozen=True, eq=False, slots=True)
class Extents:
    """How far instances reach.

    Attributes:
        boxes: (N, 4) left, top, right, bottom in pixels; zeros for an empty mask.
        areas: (N,) in square pixels; of polygons the sum of what their outlines enclose, holes not subtracted.
    """

    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]


def extents_of(instances: Sequence[Instance]) -> Extents:
    """Boxes and areas of instances.

    All points are put together: a call for each of an image's hundreds of outlines takes longer than all else.
    """
    boxes, areas = np.zeros((len(instances), 4)), np.zeros(len(instances))
    masks = [number for number, each in enumerate(instances) if isinstance(each.region, Rle)]
    if masks:
        regions = [each.region for each in instances if isinstance(each.region, Rle)]
        boxes[masks] = raster.bounding_boxes(regions)
        boxes[masks, 2:] += boxes[masks, :2]
        areas[masks] = raster.areas(regions)
    owners, outlines = [], []
    for number, each in enumerate(instances):
        if not isinstance(each.region, Rle):
            outlines += [part.exterior for part in each.region]
            owners += [number] * len(each.region)
    if not outlines:
        return Extents(boxes, areas)
    lengths = np.array([len(outline) for outline in outlines])
    starts = np.cumsum(lengths) - lengths
    points = np.concatenate(outlines)
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts
    x, y = points[:, 0], points[:, 1]
    # Relative to each outline's first point, so that nothing is lost far from the origin.
    u, v = x - np.repeat(x[starts], lengths), y - np.repeat(y[starts], lengths)
    twice = np.add.reduceat(u * v[following] - u[following] * v, starts)
    np.add.at(areas, owners, np.abs(twice) / 2)
    low = np.minimum.reduceat(points, starts, axis=0)
    high = np.maximum.reduceat(points, starts, axis=0)
    drawn = sorted(set(owners))
    boxes[drawn, :2], boxes[drawn, 2:] = np.inf, -np.inf
    np.minimum.at(boxes, (owners, 0), low[:, 0])
    np.minimum.at(boxes, (owners, 1), low[:, 1])
    np.maximum.at(boxes, (owners, 2), high[:, 0])
    np.maximum.at(boxes, (owners, 3), high[:, 1])
    return Extents(boxes, areas)


def place_of(instance: Instance) -> str:
    """``cube near (117, 52)``: the label, and the middle of the box in pixels."""
    left, top, right, bottom = extents_of([instance]).boxes[0].tolist()
    return f"{instance.label} near ({(left + right) / 2:.0f}, {(top + bottom) / 2:.0f})"


def boxes_near(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.intp]:
    """Numbers of the boxes (N, 4: x0, y0, x1, y1) that overlap one (4,)."""
    return np.flatnonzero((others[:, :2] < box[2:]).all(axis=1) & (others[:, 2:] > box[:2]).all(axis=1))
