"""Marks in files: what was written comes back, anything else is no mark."""

import pytest

from nanoseg_bench.marks.mark import Mark, marks_as_json, marks_from_json


def test_marks_come_back():
    marks = (Mark("text", 1, 2, 30, 40), Mark("banner", 0, 0, 100, 9))
    assert marks_from_json(marks_as_json(marks)) == marks


@pytest.mark.parametrize("end", [float("inf"), float("nan"), "x"])
def test_a_mark_without_an_end_is_none(end):
    with pytest.raises(ValueError):
        marks_from_json([["text", 0, 0, end, 9]])
