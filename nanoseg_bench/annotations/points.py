"""Positions that other programs and people give, as outlines: all readers have one bound, one reason and one circle."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.json_values import FARTHEST, first_wrong_point

CURVE_DEVIATION = 0.01
"""Pixels between a circle or ellipse and its outline, at most."""

_FEWEST_CURVE_POINTS, _MOST_CURVE_POINTS = 16, 8192


def as_points(value: Any) -> NDArray[np.float64]:
    """A list of [x, y] as (N, 2) in pixels.

    Args:
        value: What stands in a file or came from a page.

    Raises:
        ValueError: It is none, or a position is further away than any micrograph reaches; the words say which, and
            whoever knows where it stands adds that and the way out.
    """
    try:
        points = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(_reason(value)) from error
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(_reason(value))
    farthest = float(np.abs(points).max(initial=0.0))
    if farthest > FARTHEST:
        raise ValueError(f"a point lies {farthest:.3g} px away, outside of any micrograph")
    return points


def as_outline(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points as an outline: (N, 2) in pixels, without the point that closes it where there is one.

    Raises:
        ValueError: There are fewer than three different points; to be completed as that of ``as_points``.
    """
    different = len(np.unique(points, axis=0))
    if different < 3:
        raise ValueError(f"an outline needs at least 3 different points, this one has {different}")
    return points[:-1] if (points[0] == points[-1]).all() else points


def ellipse_outline(x: float, y: float, radius_x: float, radius_y: float, theta: float = 0.0) -> NDArray[np.float64]:
    """The outline of an ellipse, (N, 2) in pixels, within ``CURVE_DEVIATION`` of it where 8192 points are enough.

    A chord over the angle 2a lies r (1 - cos a) inside a circle; squeezing the circle brings it nearer.

    Args:
        x: Of the centre, px.
        y: Likewise.
        radius_x: Along the row where it is not turned, px, above 0.
        radius_y: Along the column.
        theta: By which it is turned, in radians, clockwise as seen.
    """
    half_angle = math.acos(1 - min(CURVE_DEVIATION / max(radius_x, radius_y), 0.5))
    number = min(max(math.ceil(math.pi / half_angle), _FEWEST_CURVE_POINTS), _MOST_CURVE_POINTS)
    angles = 2 * np.pi * np.arange(number) / number
    along, across = radius_x * np.cos(angles), radius_y * np.sin(angles)
    cosine, sine = math.cos(theta), math.sin(theta)
    return np.stack((x + along * cosine - across * sine, y + along * sine + across * cosine), axis=1)


def _reason(value: Any) -> str:
    expected = "points must be a list of [x, y], numbers in pixels"
    wrong = first_wrong_point(value)
    return f"{wrong}; {expected}" if wrong else expected
