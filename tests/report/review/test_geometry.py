import math
from itertools import pairwise

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import iou_matrix, mask_to_rle, polygons_to_rle, rle_to_mask
from nanoseg_bench.errors import AnnotationError, ReviewError
from nanoseg_bench.report.review.geometry import merge, outline_of, polygons_of, split

HEIGHT, WIDTH = 200, 260


def disc(x, y, radius, corners=256):
    angles = 2 * np.pi * np.arange(corners) / corners
    return [[np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)]).tolist()]]


def pixels(outline):
    return rle_to_mask(polygons_to_rle(polygons_of(outline), HEIGHT, WIDTH))


def segment_area(radius, distance):
    """Of the part of a disc beyond a chord at a distance from its centre."""
    return radius**2 * math.acos(distance / radius) - distance * math.sqrt(radius**2 - distance**2)


def test_the_merged_outline_holds_the_union_of_two_discs():
    one, other = disc(90, 100, 40), disc(140, 100, 40)
    merged = merge([one, other], WIDTH, HEIGHT)
    expected = 2 * math.pi * 40**2 - 2 * segment_area(40, 25)
    assert len(merged) == 1
    assert pixels(merged).sum() == pytest.approx(expected, rel=0.01)
    union = mask_to_rle(pixels(one) | pixels(other))
    assert iou_matrix([mask_to_rle(pixels(merged))], [union])[0, 0] >= 0.98


def test_discs_that_are_apart_become_parts_of_one_particle():
    merged = merge([disc(50, 50, 20), disc(200, 150, 30)], WIDTH, HEIGHT)
    assert len(merged) == 2
    assert pixels(merged).sum() == pytest.approx(math.pi * (20**2 + 30**2), rel=0.01)


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 117.3])
@pytest.mark.parametrize("distance", [0, 11.3])
def test_the_pieces_of_a_disc_have_the_areas_of_its_segments(angle, distance):
    radius, (x, y) = 60, (130.2, 99.7)
    along = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    middle = np.array([x, y]) + distance * np.array([-along[1], along[0]])
    line = [(middle - 80 * along).tolist(), (middle + 80 * along).tolist()]
    pieces = split(disc(x, y, radius), line, WIDTH, HEIGHT)
    small = segment_area(radius, distance)
    assert len(pieces) == 2
    areas = sorted(pixels(piece).sum() for piece in pieces)
    assert areas[0] == pytest.approx(small, rel=0.015)
    assert areas[1] == pytest.approx(math.pi * radius**2 - small, rel=0.015)


def test_each_pixel_belongs_to_one_piece_but_for_the_half_pixel_of_their_outlines():
    whole = disc(130, 100, 50)
    pieces = split(whole, [[60, 90], [125, 110], [200, 80]], WIDTH, HEIGHT)
    masks = [pixels(piece) for piece in pieces]
    inside = pixels(whole)
    assert (sum(map(np.int64, masks)) - inside).astype(bool).sum() < 0.02 * inside.sum()


def test_a_line_may_bend_and_need_not_reach_the_very_edge():
    bent = split(disc(130, 100, 50), [[100, 45], [100, 100], [180.5, 100]], WIDTH, HEIGHT)
    assert sorted(round(pixels(piece).sum(), -2) for piece in bent)[0] > 1000
    short = split(disc(130, 100, 50), [[81, 100], [179, 100]], WIDTH, HEIGHT)
    assert [pixels(piece).sum() for piece in short] == pytest.approx([math.pi * 50**2 / 2] * 2, rel=0.02)


def test_two_lines_in_one_cut_three_pieces():
    zigzag = [[100, 20], [100, 180], [160, 180], [160, 20]]
    pieces = split(disc(130, 100, 60), zigzag, WIDTH, HEIGHT)
    assert len(pieces) == 3
    assert sum(pixels(piece).sum() for piece in pieces) == pytest.approx(math.pi * 60**2, rel=0.01)


def test_the_pieces_of_a_ring_that_is_cut_through_its_hole():
    ring = [[disc(130, 100, 60)[0][0], disc(130, 100, 30)[0][0]]]
    pieces = split(ring, [[130, 20], [130, 180]], WIDTH, HEIGHT)
    assert [pixels(piece).sum() for piece in pieces] == pytest.approx([math.pi * (60**2 - 30**2) / 2] * 2, rel=0.02)
    with pytest.raises(ReviewError, match="does not cut"):
        split(ring, [[130, 20], [130, 100]], WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "line",
    [[[0, 0], [50, 0]], [[130, 20], [130, 100]], [[60, 50.2], [200, 50.2]], [[130, 100], [130, 100]], [[1, 1]]],
    ids=["beside", "half way", "a crumb", "a point", "one corner"],
)
def test_a_line_that_cuts_nothing_in_two_is_refused(line):
    with pytest.raises(ReviewError, match=r"does not cut|a point"):
        split(disc(130, 100, 50), line, WIDTH, HEIGHT)


def test_an_outline_that_would_fill_the_memory_of_the_server_is_refused():
    """What one request may hold: a ring of 20000 corners, on a micrograph of 8192 pixels a side."""
    corners = np.random.default_rng(0).uniform(0, 8192, (20_000, 2)).tolist()
    with pytest.raises(AnnotationError, match="that outlines no particle: draw it again"):
        merge([[[corners]]], 8192, 8192)


def test_outlines_at_and_beyond_the_edge_of_the_micrograph():
    beyond = disc(0, 0, 40)
    assert pixels(merge([beyond], WIDTH, HEIGHT)).sum() == pytest.approx(math.pi * 40**2 / 4, rel=0.02)
    with pytest.raises(ReviewError, match="outside"):
        merge([disc(-500, 50, 40)], WIDTH, HEIGHT)
    with pytest.raises(ReviewError, match="no pixel"):
        merge([[[[[10.1, 10.1], [10.2, 10.1], [10.2, 10.2]]]]], WIDTH, HEIGHT)


def test_the_outline_of_a_mask_is_what_labelme_would_get():
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for _ in range(12):
        x, y = rng.uniform(60, 180), rng.uniform(60, 140)
        mask = ((columns - x) / rng.uniform(8, 50)) ** 2 + ((rows - y) / rng.uniform(8, 50)) ** 2 < 1
        outline = outline_of(mask_to_rle(mask))
        steps = outline_of_steps(mask)
        assert iou_matrix([mask_to_rle(pixels(outline))], [mask_to_rle(mask)])[0, 0] >= 0.98
        assert len(outline[0][0]) < 0.6 * steps


def outline_of_steps(mask):
    """Corners of a mask's outline along the edges of its pixels."""
    padded = np.pad(mask, 1).astype(int)
    corners = padded[:-1, :-1] + padded[:-1, 1:] + padded[1:, :-1] + padded[1:, 1:]
    return int(np.isin(corners, (1, 3)).sum())


def test_holes_are_kept_and_drawn_outlines_stay_as_they_are():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = np.hypot(columns - 100, rows - 100)
    ring = (distance < 40) & (distance > 20)
    outline = outline_of(mask_to_rle(ring))
    assert len(outline) == 1
    assert len(outline[0]) == 2
    assert (pixels(outline) == ring).all()
    drawn = [[[[1.25, 2.0], [30.5, 2.0], [30.5, 40.125]]]]
    assert outline_of(polygons_of(drawn)) == drawn
    assert outline_of(mask_to_rle(np.zeros((HEIGHT, WIDTH)))) == []
    assert Instance(None, polygons_of(drawn)).region[0].exterior.shape == (3, 2)


def test_a_large_particle_is_cut_as_a_small_one_is():
    side = 3000
    pieces = split([[[[0, 0], [side, 0], [side, side], [0, side]]]], [[-5, 700], [side + 5, 700]], side, side)
    assert [[part[0] for part in piece] for piece in pieces] == [
        [[[0, 700], [side, 700], [side, side], [0, side]]],
        [[[0, 0], [side, 0], [side, 700], [0, 700]]],
    ]
    with pytest.raises(ReviewError, match="no particle"):
        merge([[[[[0, 0], [90_000, 0], [90_000, 90_000]]]]], 100_000, 100_000)


def test_every_neighbour_pair_is_cut_where_the_line_passes_between():
    """Against a flood fill that never steps over the line, on a blob with many edges."""
    rng = np.random.default_rng(5)
    for _ in range(6):
        centres = rng.uniform(40, 80, (5, 2))
        rows, columns = np.mgrid[:120, :120] + 0.5
        blob = np.any([np.hypot(columns - x, rows - y) < rng.uniform(12, 25) for x, y in centres], axis=0)
        line = np.array([[rng.uniform(0, 120), -5], rng.uniform(40, 80, 2), [rng.uniform(0, 120), 125]])
        whole = outline_of(mask_to_rle(blob))
        inside = rle_to_mask(polygons_to_rle(polygons_of(whole), 120, 120))
        expected = sorted(flood(inside, line))
        found = split(whole, line.tolist(), 120, 120)
        areas = sorted(int(rle_to_mask(polygons_to_rle(polygons_of(each), 120, 120)).sum()) for each in found)
        assert areas == pytest.approx(expected, rel=0.03, abs=6)


def flood(mask, line):
    """Sizes of the pieces of more than a crumb."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    sizes = []
    while left:
        todo = [left.pop()]
        size = 0
        while todo:
            y, x = todo.pop()
            size += 1
            for step in [(y + down, x + across) for down in (-1, 0, 1) for across in (-1, 0, 1)]:
                if step in left and not stepped_over((x + 0.5, y + 0.5), (step[1] + 0.5, step[0] + 0.5), line):
                    left.remove(step)
                    todo.append(step)
        sizes.append(size)
    return [size for size in sizes if size >= 4]


def stepped_over(one, other, line):
    """Whether two points lie on both sides of a stretch of the line, and its ends on both sides of them."""

    def side(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    return any(
        side(a, b, one) * side(a, b, other) < 0 and side(one, other, a) * side(one, other, b) < 0
        for a, b in pairwise(line)
    )
