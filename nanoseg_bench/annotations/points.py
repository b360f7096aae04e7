"""Lists of positions that other programs and people give, as arrays: all doors have one bound and one reason."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.json_values import FARTHEST, first_wrong_point


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


def _reason(value: Any) -> str:
    expected = "points must be a list of [x, y], numbers in pixels"
    wrong = first_wrong_point(value)
    return f"{wrong}; {expected}" if wrong else expected
