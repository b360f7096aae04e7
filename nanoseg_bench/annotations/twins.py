"""Particles that are outlined twice: two outlines that cover nearly the same pixels are one particle, counted twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nanoseg_bench.annotations.extents import measure
from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import area, iou_matrix, to_rle

SAME_PARTICLE = 0.95
"""IoU beyond which two outlines are those of one particle: neighbours never share so much."""

# Outlines of one particle have nearly one box, so only such are drawn and compared.
_LEAST_BOX_IOU = 0.5
_PAIRS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Twins:
    """Two outlines of one particle.

    Attributes:
        first: Position of the one that comes first.
        second: Position of the other.
        iou: Of what they cover.
    """

    first: int
    second: int
    iou: float


def find_twins(instances: Sequence[Instance], height: int, width: int) -> list[Twins]:
    """Pairs of instances with an IoU above ``SAME_PARTICLE``, by the positions of the first, then of the second.

    Args:
        instances: Of one image, whatever their labels.
        height: Rows of the image.
        width: Columns.
    """
    masks: dict[int, Rle] = {}
    found = []
    for first, second in _like_boxes(instances):
        for number in (first, second):
            if number not in masks:
                masks[number] = to_rle(instances[number], height, width)
        if not area(masks[first]) or not area(masks[second]):
            continue
        iou = float(iou_matrix([masks[first]], [masks[second]])[0, 0])
        if iou > SAME_PARTICLE:
            found.append(Twins(first, second, iou))
    return found


def _like_boxes(instances: Sequence[Instance]) -> Iterator[tuple[int, int]]:
    """Pairs whose boxes nearly agree, in bounded portions."""
    boxes = measure(instances).boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides[:, 0] * sides[:, 1]
    rows = max(_PAIRS_AT_ONCE // max(len(boxes), 1), 1)
    for start in range(0, len(boxes), rows):
        block = boxes[start : start + rows]
        low = np.maximum(block[:, None, :2], boxes[None, :, :2])
        high = np.minimum(block[:, None, 2:], boxes[None, :, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=2)
        union = areas[start : start + rows, None] + areas[None, :] - shared
        for row, column in np.argwhere((shared > _LEAST_BOX_IOU * union) & (shared > 0)).tolist():
            if start + row < column:
                yield start + row, column
