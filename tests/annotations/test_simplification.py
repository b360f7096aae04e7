from itertools import combinations

import numpy as np
import pytest
from scipy import ndimage

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle, polygons_to_rle, rle_to_mask, to_mask
from nanoseg_bench.annotations.simplification import (
    LARGEST_DISTANCE,
    LEAST_IOU,
    crosses_itself,
    open_corners,
    simplify,
    simplify_outline,
)
from nanoseg_bench.annotations.tracing import trace


def simplified(mask, least_iou=LEAST_IOU):
    return simplify(Instance("cube", mask_to_rle(mask)), *mask.shape, least_iou)


def walk(outline, step=0.05):
    """Points along a closed outline, no two neighbours farther apart than ``step``."""
    ends = np.roll(outline, -1, axis=0)
    pieces = []
    for start, end in zip(outline, ends, strict=True):
        number = max(int(np.ceil(np.hypot(*(end - start)) / step)), 1)
        pieces.append(start + (end - start) * np.arange(number)[:, None] / number)
    return np.concatenate(pieces)


def distance(outline, other):
    """Largest distance of a point of one outline to the other one, both ways."""
    return max(farthest(walk(outline), other), farthest(walk(other), outline))


def farthest(points, outline):
    starts, ends = outline, np.roll(outline, -1, axis=0)
    edges = ends - starts
    along = ((points[:, None] - starts) * edges).sum(axis=2) / (edges**2).sum(axis=1)
    nearest = starts + np.clip(along, 0, 1)[..., None] * edges
    return np.hypot(*np.moveaxis(points[:, None] - nearest, 2, 0)).min(axis=1).max()


def is_simple(outline):
    """By the definition, in whole numbers: 20 units to a pixel."""
    corners = [tuple(round(20 * number) for number in point) for point in outline.tolist()]
    assert np.abs(20 * outline - corners).max() < 1e-6
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    for one, other in combinations(edges, 2):
        shared = set(one) & set(other)
        if not meet(*one, *other):
            continue
        if len(shared) != 1:
            return False
        (corner,) = shared
        ends = [next(end for end in edge if end != corner) for edge in (one, other)]
        if on(corner, ends[0], ends[1]) or on(corner, ends[1], ends[0]):
            return False
    return len(set(corners)) == len(corners)


def meet(a, b, c, d):
    turns = turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    return on(a, b, c) or on(a, b, d) or on(c, d, a) or on(c, d, b)


def turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def on(a, b, c):
    between = min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])
    return turn(a, b, c) == 0 and between


def check(mask):
    """Both limits hold for every part, edges meet in their vertices only, and parts with holes are as they were."""
    found = simplified(mask)
    traced = trace(mask_to_rle(mask))
    if found is None:
        assert all(part.holes for part in traced)
        return
    assert len(found.instance.region) == len(traced)
    for part, outline in zip(found.instance.region, traced, strict=True):
        if outline.holes:
            assert part is not None and (part.exterior == outline.exterior).all()
            assert len(part.holes) == len(outline.holes)
            continue
        assert is_simple(part.exterior)
        assert not crosses_itself(part.exterior)
        assert len(part.exterior) <= len(outline.exterior)
        assert distance(part.exterior, outline.exterior) <= LARGEST_DISTANCE + 1e-9
        seen, truth = (rle_to_mask(polygons_to_rle([each], *mask.shape)) for each in (part, outline))
        assert (seen & truth).sum() / (seen | truth).sum() >= LEAST_IOU
    seen = to_mask(found.instance, *mask.shape)
    assert found.iou == pytest.approx((seen & mask).sum() / (seen | mask).sum())
    assert found.steps == sum(len(part.exterior) for part in traced if not part.holes)
    assert found.points == sum(len(part.exterior) for part in found.instance.region if not part.holes)


def disc(radius, centre=(0.3, 0.1)):
    side = 2 * radius + 5
    y, x = np.mgrid[:side, :side]
    return np.hypot(x - side / 2 - centre[0], y - side / 2 - centre[1]) < radius


def test_every_3x3_mask():
    for number in range(1, 512):
        mask = np.zeros((5, 5), dtype=bool)
        mask[1:4, 1:4] = np.array([number >> bit & 1 for bit in range(9)], dtype=bool).reshape(3, 3)
        check(mask)
        check(mask[1:4, 1:4])


@pytest.mark.parametrize("smoothness", [0.7, 1.5, 4])
def test_random_masks(smoothness):
    rng = np.random.default_rng(int(10 * smoothness))
    for _ in range(12):
        height, width = rng.integers(2, 70, 2)
        noise = ndimage.gaussian_filter(rng.random((height, width)), smoothness)
        check(noise > np.quantile(noise, 0.6))


@pytest.mark.parametrize("angle", [0, 7, 18, 30, 45])
def test_thin_rods(angle):
    y, x = np.mgrid[:80, :80] - 40
    turned = np.deg2rad(angle)
    along, across = x * np.cos(turned) + y * np.sin(turned), y * np.cos(turned) - x * np.sin(turned)
    for thickness in (0.8, 1.5, 3):
        check((np.abs(along) < 30) & (np.abs(across) < thickness))


@pytest.mark.parametrize("radius", [8, 16, 32, 64])
def test_a_disc_keeps_its_size_with_a_fraction_of_its_steps(radius):
    mask = disc(radius)
    found = simplified(mask)
    assert found.points < 0.45 * found.steps
    seen = to_mask(found.instance, *mask.shape)
    assert np.sqrt(seen.sum() / mask.sum()) == pytest.approx(1, abs=0.006)  # its diameter
    check(mask)


def test_a_rectangle_is_its_four_corners():
    mask = np.zeros((20, 30), dtype=bool)
    mask[3:9, 7:20] = True
    (part,) = simplified(mask).instance.region
    assert sorted(map(tuple, part.exterior.tolist())) == [(7, 3), (7, 9), (20, 3), (20, 9)]


def test_pixels_that_touch_at_a_corner_stay_together_and_apart():
    mask = np.zeros((12, 14), dtype=bool)
    mask[2:6, 2:6] = mask[6:10, 6:11] = True
    (traced,) = trace(mask_to_rle(mask))
    assert crosses_itself(traced.exterior)
    opened = open_corners(traced.exterior)
    assert is_simple(opened)
    assert np.abs(opened - traced.exterior).max() == pytest.approx(0.05)
    assert (rle_to_mask(polygons_to_rle([Polygon(opened)], 12, 14)) == mask).all()
    check(mask)


def test_what_the_limits_forbid_is_exact():
    mask = disc(8)
    assert 0.98 <= simplified(mask).iou < 1
    found = simplified(mask, least_iou=1)
    assert found.iou == 1
    assert (to_mask(found.instance, *mask.shape) == mask).all()
    speck = np.zeros((4, 4), dtype=bool)
    speck[1, 2] = True
    (part,) = simplified(speck).instance.region
    assert sorted(map(tuple, part.exterior.tolist())) == [(2, 1), (2, 2), (3, 1), (3, 2)]


def test_holes_are_kept_and_other_parts_are_simplified():
    ring = disc(20) & ~np.pad(disc(8), 12)
    mask = np.hstack([ring, disc(20)])
    found = simplified(mask)
    assert sorted(len(part.holes) for part in found.instance.region) == [0, 1]
    check(mask)
    assert simplified(ring) is None
    outlined = Instance("cube", (Polygon(np.array([[1.0, 1], [5, 1], [5, 6]])),))
    assert simplify(outlined, 20, 20) is None


def test_a_comb_does_not_cross_itself():
    """Teeth and gaps of one pixel: half a pixel from both sides meets in the middle."""
    for tooth in (1, 2):
        mask = np.zeros((40, 60), dtype=bool)
        mask[4:8, 4:56] = True
        for column in range(4, 56 - tooth, 2 * tooth):
            mask[8:30, column : column + tooth] = True
        check(mask)
        check(mask & (np.add.outer(np.arange(40), np.arange(60)) % 7 != 0))


@pytest.mark.parametrize(
    ("outline", "expected"),
    [
        ([(0, 0), (4, 0), (4, 4), (0, 4)], False),
        ([(0, 0), (4, 4), (4, 0), (0, 4)], True),
        ([(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)], True),  # touches an edge
        ([(0, 0), (4, 0), (2, 0), (2, 3)], True),  # goes back on itself
        ([(0, 0), (6, 0), (6, 2), (4, 2), (4, 1), (2, 1), (2, 2), (0, 2)], False),  # edges in one line
        ([(0, 0), (3, 3), (6, 0), (6, 6), (3, 3), (0, 6)], True),  # passes a point twice
    ],
)
def test_crossing(outline, expected):
    outline = np.array(outline, dtype=float)
    assert crosses_itself(outline) is expected
    assert is_simple(outline) is not expected


def test_crossing_of_many_points():
    """More pairs than are looked at at once."""
    angle = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    circle = 500 * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    assert not crosses_itself(circle)
    circle[2990] = circle[1000] * 1.01
    assert crosses_itself(circle)


def test_an_outline_without_anything_to_leave_out_gives_none():
    (square,) = trace(mask_to_rle(np.ones((3, 3), dtype=bool)))
    assert simplify_outline(square.exterior, LARGEST_DISTANCE) is None
