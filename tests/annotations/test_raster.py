import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.raster import (
    area,
    bounding_box,
    inside_share,
    intersection,
    iou_matrix,
    mask_to_rle,
    move_rle,
    polygons_to_rle,
    rle_to_mask,
    rle_to_window,
    to_mask,
    to_rle,
    union,
    window_to_rle,
)
from nanoseg_bench.errors import AnnotationError


def pixels_with_centre_inside(outline, height, width):
    """Even-odd rule at each pixel's centre, in plain Python."""
    mask = np.zeros((height, width), dtype=bool)
    for row in range(height):
        for column in range(width):
            x, y, inside = column + 0.5, row + 0.5, False
            for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
                if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
                    inside = not inside
            mask[row, column] = inside
    return mask


@pytest.mark.parametrize(("diameter", "tolerance"), [(8, 0.01), (20, 0.005), (60, 0.0025)])
def test_disc_keeps_its_equivalent_diameter(disc, diameter, tolerance):
    areas = [
        area(polygons_to_rle([disc(50 + dx, 50 + dy, diameter / 2)], 100, 100))
        for dx in np.arange(0, 1, 0.125)
        for dy in np.arange(0, 1, 0.125)
    ]
    equivalent = np.sqrt(4 * np.mean(areas) / np.pi)
    assert equivalent == pytest.approx(diameter, rel=tolerance)


def test_pixel_aligned_square_is_exact(square):
    mask = rle_to_mask(polygons_to_rle([Polygon(square(3, 5, 9, 12))], 20, 30))
    expected = np.zeros((20, 30), dtype=bool)
    expected[5:12, 3:9] = True
    assert (mask == expected).all()


def test_agrees_with_point_in_polygon_up_to_the_outline():
    rng = np.random.default_rng(3)
    for _ in range(5):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radii = rng.uniform(6, 14, 9)
        outline = np.stack((20 + radii * np.cos(angles), 16 + radii * np.sin(angles)), axis=1)
        expected = pixels_with_centre_inside(outline, 32, 40)
        found = rle_to_mask(polygons_to_rle([Polygon(outline)], 32, 40))
        # Pixels may differ only where the outline runs: none of them has a 3x3 neighbourhood all alike.
        for row, column in np.argwhere(found != expected):
            neighbourhood = expected[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            assert neighbourhood.any() and not neighbourhood.all()
        assert abs(int(found.sum()) - int(expected.sum())) <= 0.05 * expected.sum() + 3


def test_hole_is_cut_out_and_parts_are_united(square):
    ring = Polygon(square(2, 2, 12, 12), (square(5, 5, 9, 9),))
    island = Polygon(square(20, 2, 24, 6))
    overlapping = Polygon(square(22, 4, 26, 8))
    mask = to_mask(Instance("a", (ring, island, overlapping)), 20, 30)
    assert mask.sum() == 100 - 16 + 16 + 16 - 4
    assert not mask[5:9, 5:9].any()


def test_hole_of_one_part_does_not_cut_another(square):
    ring = Polygon(square(2, 2, 12, 12), (square(5, 5, 9, 9),))
    core = Polygon(square(6, 6, 8, 8))
    assert to_mask(Instance("a", (ring, core)), 20, 20).sum() == 100 - 16 + 4


@pytest.mark.parametrize("reach", [5, 300, 1e5, 1e9, 1e30])
def test_what_lies_outside_is_clipped_however_far_it_reaches(square, reach):
    mask = to_mask(Instance("a", (Polygon(square(-reach, -reach, 7, 4)),)), 20, 30)
    assert mask.sum() == 28 and mask[:4, :7].all()
    mask = to_mask(Instance("a", (Polygon(square(25, 16, 25 + reach, 16 + reach)),)), 20, 30)
    assert mask.sum() == 20 and mask[16:, 25:].all()
    mask = to_mask(Instance("a", (Polygon(square(-reach, -reach, reach + 30, reach + 20)),)), 20, 30)
    assert mask.all()


def test_wholly_outside_is_empty(square):
    for outline in (square(-50, -50, -40, -40), square(100, 3, 120, 9), square(1e9, 1e9, 2e9, 2e9)):
        assert area(polygons_to_rle([Polygon(outline)], 20, 30)) == 0
    assert area(polygons_to_rle([], 20, 30)) == 0


def test_clipping_far_points_leaves_the_inside_alone(disc):
    far = disc(-200, 40, 230)
    near = np.clip(far.exterior, -15, None)
    expected = rle_to_mask(polygons_to_rle([Polygon(near)], 80, 60))
    found = rle_to_mask(polygons_to_rle([far], 80, 60))
    assert found.sum() > 0
    assert (found == expected).all()


def test_rle_of_another_size_is_refused():
    with pytest.raises(ValueError, match="4x3 px on an image of 5x3"):
        to_rle(Instance("a", mask_to_rle(np.ones((3, 4)))), 3, 5)


def test_rle_round_trip_box_and_area():
    mask = np.random.default_rng(0).random((23, 31)) > 0.7
    rle = mask_to_rle(mask)
    rows, columns = np.nonzero(mask)
    assert isinstance(rle, Rle) and (rle_to_mask(rle) == mask).all()
    assert area(rle) == mask.sum()
    left, top = columns.min(), rows.min()
    assert bounding_box(rle) == (left, top, columns.max() - left + 1, rows.max() - top + 1)


def test_iou_matrix_against_numpy_and_crowd():
    rng = np.random.default_rng(1)
    masks = rng.random((5, 12, 14)) > 0.5
    rles = [mask_to_rle(mask) for mask in masks]
    crowd = [False, True, False]
    found = iou_matrix(rles[:2], rles[2:], crowd)
    for i, predicted in enumerate(masks[:2]):
        for j, truth in enumerate(masks[2:]):
            union = predicted if crowd[j] else predicted | truth
            assert found[i, j] == pytest.approx((predicted & truth).sum() / union.sum())
    assert iou_matrix([], rles).shape == (0, 5)


def test_a_window_encodes_like_the_whole_image():
    rng = np.random.default_rng(0)
    for _ in range(500):
        height, width = rng.integers(1, 9, 2)
        rows, columns = rng.integers(0, height + 1), rng.integers(0, width + 1)
        y, x = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        window = rng.random((rows, columns)) < rng.choice([0, 0.3, 0.7, 1])
        whole = np.zeros((height, width), dtype=bool)
        whole[y : y + rows, x : x + columns] = window
        assert window_to_rle(window, int(x), int(y), int(height), int(width)) == mask_to_rle(whole)


@pytest.mark.parametrize("seed", range(40))
def test_a_window_is_the_masks_bounding_box(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 60, 2)
    mask = rng.random((height, width)) < rng.choice([0.02, 0.5, 0.98])
    if seed % 3 == 0:
        mask[:, rng.integers(0, width) :] = True  # runs over several columns, to the last pixel
    window, x, y = rle_to_window(mask_to_rle(mask))
    pasted = np.zeros_like(mask)
    pasted[y : y + window.shape[0], x : x + window.shape[1]] = window
    assert (pasted == mask).all()
    if mask.any():
        assert window.any(axis=0)[[0, -1]].all()
        assert window.any(axis=1)[[0, -1]].all()


def test_the_window_of_an_empty_mask_is_empty():
    window, _, _ = rle_to_window(mask_to_rle(np.zeros((9, 7))))
    assert window.shape == (0, 0)


@pytest.mark.parametrize("seed", range(40))
def test_a_moved_mask_is_what_of_it_lies_on_the_other_image(seed):
    rng = np.random.default_rng(seed)
    (height, width), (rows, columns) = rng.integers(1, 20, (2, 2))
    y, x = rng.integers(-20, 20, 2)
    mask = rng.random((height, width)) < rng.choice([0, 0.1, 0.5, 1])
    wide = np.zeros((100, 100), dtype=bool)  # the other image begins at row and column 40
    wide[40 + y : 40 + y + height, 40 + x : 40 + x + width] = mask
    expected = mask_to_rle(wide[40 : 40 + rows, 40 : 40 + columns])
    assert move_rle(mask_to_rle(mask), int(x), int(y), int(rows), int(columns)) == expected


def test_union_and_intersection_are_those_of_the_pixels():
    rng = np.random.default_rng(5)
    masks = rng.random((3, 40, 30)) < 0.3
    regions = [mask_to_rle(mask) for mask in masks]
    assert (rle_to_mask(union(regions)) == masks.any(axis=0)).all()
    assert (rle_to_mask(intersection(*regions[:2])) == masks[:2].all(axis=0)).all()


def test_the_share_inside_a_region_is_of_each_masks_own_area():
    rng = np.random.default_rng(6)
    masks, region = rng.random((3, 40, 30)) < 0.3, rng.random((40, 30)) < 0.5
    expected = [mask[region].sum() / mask.sum() for mask in masks]
    assert inside_share([mask_to_rle(mask) for mask in masks], mask_to_rle(region)) == pytest.approx(expected)
    assert inside_share([], mask_to_rle(region)).shape == (0,)


def test_an_outline_that_would_fill_the_memory_is_refused():
    """20000 corners anywhere on a camera's image: drawing them takes 10 GB, and their file half a megabyte."""
    outline = np.random.default_rng(0).uniform(0, 8000, (20_000, 2))
    with pytest.raises(
        AnnotationError, match=r"its 20000 corners are joined by edges of 7\.\de\+07 px in all, on an im"
    ):
        polygons_to_rle([Polygon(outline)], 8000, 8000)


def test_an_outline_of_many_corners_is_drawn():
    """A million of them around a disc, and as many far outside, where the image cuts them off."""
    angles = np.linspace(0, 2 * np.pi, 10**6, endpoint=False)
    circle = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    assert area(polygons_to_rle([Polygon(50 + 40 * circle)], 100, 100)) == pytest.approx(np.pi * 40**2, rel=0.001)
    assert area(polygons_to_rle([Polygon(50 + 1e7 * circle)], 100, 100)) == 100 * 100
