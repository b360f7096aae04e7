"""Boundary IoU (Cheng et al., CVPR 2021): the IoU of two outlines with a certain thickness."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import rle_to_window
from nanoseg_bench.metrics.matching import ImageOverlap, match

DISTANCE_SHARE = 0.005
"""Thickness of an outline as a share of the image's diagonal.

The 0.02 that the authors use for COCO are 16 px on the median test image of EMPS (diagonal 783 px), which is more than
the radius of three in ten of its particles: their boundary IoU would just be their IoU. 0.005 are 4 px.
"""


def boundary_distance(width: int, height: int) -> int:
    """Thickness of the outlines on an image of this size, px; at least 1."""
    return max(1, round(DISTANCE_SHARE * math.hypot(width, height)))


def boundary_iou(first: Rle, second: Rle, distance: int) -> float:
    """|F_d ∩ S_d| / |F_d ∪ S_d|, where X_d are the pixels of X at most ``distance`` from its outside.

    Distances are Chebyshev's, which is what eroding ``distance`` times with 3x3 pixels amounts to; beyond the image's
    edge is outside. Only the masks' bounding boxes are decoded.

    Returns:
        A fraction; 0 where neither mask has a pixel.
    """
    band, x, y = _band(first, distance)
    other, other_x, other_y = _band(second, distance)
    left, right = max(x, other_x), min(x + band.shape[1], other_x + other.shape[1])
    top, bottom = max(y, other_y), min(y + band.shape[0], other_y + other.shape[0])
    both = 0
    if left < right and top < bottom:
        common = band[top - y : bottom - y, left - x : right - x]
        both = int((common & other[top - other_y : bottom - other_y, left - other_x : right - other_x]).sum())
    either = int(band.sum()) + int(other.sum()) - both
    return both / either if either else 0.0


def matched_boundary_iou(overlaps: Iterable[ImageOverlap]) -> float | None:
    """Mean boundary IoU of the pairs at IoU > 0.5, pooled over all images: ``iou_matched`` for outlines.

    Args:
        overlaps: One per image, from ``overlap.keep(confidence)``.

    Returns:
        A fraction; None without a pair.
    """
    values: list[float] = []
    for overlap in overlaps:
        distance = boundary_distance(overlap.width, overlap.height)
        rows, columns = match(overlap.iou)
        values += [
            boundary_iou(overlap.predicted[row], overlap.truth[column], distance)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        ]
    return sum(values) / len(values) if values else None


def _band(region: Rle, distance: int) -> tuple[NDArray[np.bool_], int, int]:
    window, x, y = rle_to_window(region)
    depth = distance_transform_cdt(np.pad(window, 1), metric="chessboard")[1:-1, 1:-1]
    return window & (depth <= distance), x, y
