"""What is made of several looks at one text."""

import pytest

from nanoseg_bench.measure.scale.line import Line
from nanoseg_bench.measure.scale.written import with_readings

LARGE = Line("1000m", 0.76, 80, 401, 511, 511)
"""As a detector takes the ground around "100 nm" for a part of the line."""
TIGHT = Line("100 nm", 0.97, 404, 444, 506, 482)
ELSEWHERE = Line("5.0 kV", 0.9, 10, 444, 60, 482)


@pytest.mark.parametrize(
    ("known", "new", "kept"),
    [
        ([LARGE], [TIGHT], [TIGHT]),
        ([ELSEWHERE, LARGE], [TIGHT], [ELSEWHERE, TIGHT]),
        ([TIGHT], [LARGE], [TIGHT]),
        ([TIGHT], [Line("200 nm", 0.99, 404, 444, 506, 482)], [TIGHT]),
        ([LARGE], [Line("l000m", 0.99, 404, 444, 506, 482)], [LARGE]),
        ([], [LARGE, TIGHT], [TIGHT]),
        ([ELSEWHERE], [TIGHT], [ELSEWHERE, TIGHT]),
    ],
)
def test_a_length_that_is_read_later_takes_the_place_of_what_was_none(known, new, kept):
    assert with_readings(known, new) == kept
