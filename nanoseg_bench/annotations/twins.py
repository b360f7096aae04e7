"""Particles that are outlined twice: two outlines that cover nearly the same pixels are one particle, counted twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.extents import extents_of
from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import area, iou_matrix, to_rle
from nanoseg_bench.errors import AnnotationError

SAME_PARTICLE = 0.95
"""IoU beyond which two outlines are those of one particle: neighbours never share so much."""

# Outlines of one particle have nearly one box, so only such are drawn and compared.
_LEAST_BOX_IOU = 0.5
_PAIRS_AT_ONCE = 1_000_000
_MOST_PAIRS = 100_000  # 100 000 particles that are outlined twice; of 10 000 outlines in one place there are 50 million


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


def find_twins(
    instances: Sequence[Instance], height: int, width: int, boxes: NDArray[np.float64] | None = None
) -> list[Twins]:
    """Pairs of instances with an IoU above ``SAME_PARTICLE``, by the positions of the first, then of the second.

    Args:
        instances: Of one image, whatever their labels.
        height: Rows of the image.
        width: Columns.
        boxes: Of the instances, as ``extents_of`` gives them, where they are known.

    Raises:
        AnnotationError: So many lie one on the other that to compare them would take hours.
    """
    masks: dict[int, Rle] = {}
    found = []
    for first, second in _like_boxes(extents_of(instances).boxes if boxes is None else boxes):
        for number in (first, second):
            if number not in masks:
                masks[number] = to_rle(instances[number], height, width)
        if not area(masks[first]) or not area(masks[second]):
            continue
        iou = float(iou_matrix([masks[first]], [masks[second]])[0, 0])
        if iou > SAME_PARTICLE:
            found.append(Twins(first, second, iou))
    return found


def _like_boxes(boxes: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of positions whose boxes nearly agree, sorted."""
    order = np.argsort(boxes[:, 0], kind="stable")
    left, top, right, bottom = boxes[order].T
    # Boxes of such an IoU overlap by more than half of the left one's width: only few follow each in the order.
    reach = np.searchsorted(left, left + (1 - _LEAST_BOX_IOU) * (right - left), side="right")
    followers = np.maximum(reach - np.arange(len(order)) - 1, 0)
    pairs: list[tuple[int, int]] = []
    ends = np.cumsum(followers)
    cuts = np.unique(np.append(np.searchsorted(ends, np.arange(0, followers.sum(), _PAIRS_AT_ONCE)), len(order)))
    for begin, end in pairwise(cuts.tolist()):
        numbers = followers[begin:end]
        first = np.repeat(np.arange(begin, end), numbers)
        second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
        width = np.minimum(right[first], right[second]) - np.maximum(left[first], left[second])
        height = np.minimum(bottom[first], bottom[second]) - np.maximum(top[first], top[second])
        shared = np.clip(width, 0, None) * np.clip(height, 0, None)
        areas = (right - left) * (bottom - top)
        alike = shared > _LEAST_BOX_IOU * (areas[first] + areas[second] - shared)
        found = np.sort(np.stack((order[first[alike]], order[second[alike]]), axis=1), axis=1)
        if len(pairs) + len(found) > _MOST_PAIRS:
            raise AnnotationError(
                f"more than {_MOST_PAIRS} times two outlines lie in nearly the same place, as if a program had written "
                "each particle hundreds of times; export the annotation again"
            )
        pairs += [(one, other) for one, other in found.tolist()]
    return sorted(pairs)
