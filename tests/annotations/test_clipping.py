import numpy as np
import pytest

from nanoseg_bench.annotations.clipping import clip_outline


def shoelace(outline):
    total = 0.0
    for (x0, y0), (x1, y1) in zip(outline, [*outline[1:], outline[0]], strict=True):
        total += x0 * y1 - x1 * y0
    return abs(total) / 2


def test_inside_is_unchanged(square):
    outline = square(1, 2, 5, 6)
    assert (clip_outline(outline, 0, 0, 10, 10) == outline).all()


def test_overlap_of_two_squares(square):
    clipped = clip_outline(square(-5, -5, 4, 3), 0, 0, 10, 10)
    assert shoelace(clipped) == pytest.approx(12)
    assert clipped.min() >= 0


def test_triangle_cut_at_a_corner():
    # x + y < 8 cut to the square of side 5: the square less the corner beyond the line.
    clipped = clip_outline(np.array([(0, 0), (8, 0), (0, 8)], dtype=float), 0, 0, 5, 5)
    assert shoelace(clipped) == pytest.approx(25 - 2)


def test_concave_outline_keeps_its_area():
    comb = np.array([(0, 0), (10, 0), (10, 10), (8, 10), (8, 2), (2, 2), (2, 10), (0, 10)], dtype=float)
    assert shoelace(clip_outline(comb, -1, 5, 11, 20)) == pytest.approx(2 * 5 * 2)


def test_outside_is_empty(square):
    assert clip_outline(square(20, 20, 30, 30), 0, 0, 10, 10).shape == (0, 2)
