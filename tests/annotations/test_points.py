"""One bound and one reason, whatever door the points came through."""

import numpy as np
import pytest

from nanoseg_bench.annotations.json_values import FARTHEST
from nanoseg_bench.annotations.labelme.shapes import plain_polygons, shape_region
from nanoseg_bench.annotations.points import as_points
from nanoseg_bench.errors import AnnotationError, ReviewError
from nanoseg_bench.report.review.geometry import polygons_of

WRONG = {
    "point 2 is [1]": [[0, 0], [1], [2, 2]],
    "point 1 is [nan, 0]": [[float("nan"), 0], [1, 1], [2, 0]],
    "point 3 is ['x', 0]": [[0, 0], [1, 1], ["x", 0]],
    "point 1 is 7": [7],
    "'points' is None, and no list": None,
    "points must be a list of [x, y]": [],
    "a point lies 1e+06 px away, outside of any micrograph": [[0, 0], [FARTHEST + 1, 0], [5, 5]],
    "a point lies 1e+308 px away": [[0, 0], [-1e308, 0], [5, 5]],
}
"""By the reason."""
GOOD = [[0, 0], [FARTHEST, 0.5], [-FARTHEST, 5]]


@pytest.mark.parametrize("reason", WRONG)
def test_every_door_says_the_same(reason):
    value = WRONG[reason]
    doors = {
        ValueError: lambda: as_points(value),
        AnnotationError: lambda: shape_region({"points": value}, 9, 9, "shape 3"),
        ReviewError: lambda: polygons_of([[value]]),
    }
    for error, door in doors.items():
        with pytest.raises(error) as raised:
            door()
        assert reason in str(raised.value)


def test_every_door_takes_what_lies_within_the_bound():
    assert as_points(GOOD).dtype == np.float64
    assert plain_polygons([{"points": GOOD}])[0] is not None
    assert plain_polygons([{"points": WRONG["a point lies 1e+06 px away, outside of any micrograph"]}]) == [None]
    assert (shape_region({"points": GOOD}, 9, 9, "").exterior == polygons_of([[GOOD]])[0].exterior).all()
