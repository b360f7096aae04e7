import numpy as np
import pytest

from nanoseg_bench.models.augmentation import Draw, Views, draw_views, plain_views
from nanoseg_bench.models.recipe import Augmentation

SIZE = 96
IMAGES = 50
STILL = {"mosaic": 0, "flip": 0, "turn": 0, "rotate": 0, "scale": (1, 1), "brightness": 0, "contrast": 0}


def test_a_crop_shows_windows_and_whole_images_and_its_tiles_fill_it():
    crop = 48
    draw = Draw([n % IMAGES for n in range(400)], 0, 10_000)
    views = draw_views(Augmentation(mosaic=0.3, rotate=0, scale=(0.4, 1.25)), draw, IMAGES, SIZE, 0, crop=crop)
    assert views.size == crop
    tiles = np.bincount(views.canvas)
    for canvas in range(len(tiles)):
        painted = np.zeros((crop, crop), dtype=int)
        for x0, y0, x1, y1 in views.bounds[views.canvas == canvas]:
            painted[y0:y1, x0:x1] += 1
        assert (painted == 1).all()
    magnification = np.sqrt(np.abs(np.linalg.det(views.matrix[:, :, :2])))
    assert 0.4 <= magnification.min() < 0.45
    assert 1.15 < magnification.max() <= 1.25
    # Where the image is larger than its tile, it covers it; where it is smaller, it lies within.
    corners = np.array([[0, 0], [SIZE, 0], [0, SIZE], [SIZE, SIZE]], dtype=float)
    placed = np.einsum("vij,cj->vci", views.matrix[:, :, :2], corners) + views.matrix[:, None, :, 2]
    low, high = placed.min(axis=1), placed.max(axis=1)
    for axis in (0, 1):
        start, end = views.bounds[:, axis], views.bounds[:, axis + 2]
        larger = magnification * SIZE >= end - start
        assert ((low[:, axis] <= start + 1e-9) & (high[:, axis] >= end - 1e-9))[larger].all()
        assert ((low[:, axis] >= start - 1e-9) & (high[:, axis] <= end + 1e-9))[~larger].all()
        assert larger.any() and (~larger).any()


def drawn(augmentation: Augmentation, number: int = 400, seed: int | None = 0, position: int = 0) -> Views:
    images = [n % IMAGES for n in range(position, position + number)]
    return draw_views(augmentation, Draw(images, position, 10_000), IMAGES, SIZE, seed)


def fields(views: Views) -> list[np.ndarray]:
    return [getattr(views, name) for name in Views.__slots__ if name != "moved"]


def same(first: Views, second: Views) -> bool:
    return all(np.array_equal(one, two) for one, two in zip(fields(first), fields(second), strict=True))


def test_the_same_draw_gives_the_same_views_and_another_seed_others():
    augmentation = Augmentation()
    assert same(drawn(augmentation), drawn(augmentation))
    assert not same(drawn(augmentation), drawn(augmentation, seed=1))
    assert not same(drawn(augmentation), drawn(augmentation, position=1))
    assert not same(drawn(augmentation, seed=None), drawn(augmentation, seed=None))


def test_what_is_drawn_does_not_depend_on_the_batch_size():
    """Otherwise Mask R-CNN, whose batches are smaller, would see other canvases than the YOLO networks."""
    together = drawn(Augmentation(), number=12)
    parts = [drawn(Augmentation(), number=4, position=position) for position in (0, 4, 8)]
    np.testing.assert_array_equal(together.image, np.concatenate([part.image for part in parts]))
    np.testing.assert_array_equal(together.matrix, np.concatenate([part.matrix for part in parts]))
    np.testing.assert_array_equal(together.bounds, np.concatenate([part.bounds for part in parts]))
    np.testing.assert_array_equal(together.contrast, np.concatenate([part.contrast for part in parts]))


def test_without_any_probability_nothing_moves():
    views = drawn(Augmentation(**STILL), number=20)
    plain = plain_views([n % IMAGES for n in range(20)], SIZE)
    assert same(views, plain)


def test_half_of_the_canvases_are_mosaics_whose_tiles_fill_them():
    views = drawn(Augmentation(mosaic=0.5))
    tiles = np.bincount(views.canvas)
    assert set(tiles) == {1, 4}
    assert (tiles == 4).mean() == pytest.approx(0.5, abs=0.08)
    for canvas in range(20):
        painted = np.zeros((SIZE, SIZE), dtype=int)
        for x0, y0, x1, y1 in views.bounds[views.canvas == canvas]:
            painted[y0:y1, x0:x1] += 1
            assert min(x1 - x0, y1 - y0) >= SIZE / 4
        assert (painted == 1).all()
    # The first tile is the image that was drawn; the others come from the whole set.
    assert (views.image[views.tile == 0] == np.arange(400) % IMAGES).all()
    assert set(views.image[views.tile > 0]) == set(range(IMAGES))


def test_mosaics_end_before_the_training_does():
    augmentation = Augmentation(mosaic=1, mosaic_until=0.9)
    before, after = (drawn(augmentation, number=10, position=position) for position in (8990, 9000))
    assert (np.bincount(before.canvas) == 4).all()
    assert (np.bincount(after.canvas) == 1).all()


def test_magnifications_stay_in_range_and_keep_the_aspect_ratio():
    views = drawn(Augmentation(scale=(0.5, 2.0), mosaic=0))
    linear = views.matrix[:, :, :2]
    scale = np.sqrt(np.abs(np.linalg.det(linear)))
    assert scale.min() > 0.5 and scale.max() < 2
    # As likely to shrink as to grow.
    assert (scale < 1).mean() == pytest.approx(0.5, abs=0.08)
    np.testing.assert_allclose(
        linear @ linear.transpose(0, 2, 1), scale[:, None, None] ** 2 * np.eye(2)[None], atol=1e-9
    )


def test_orientations_are_all_there_and_exact():
    """Flips and quarter turns are the eight symmetries of the square, without rounding."""
    views = drawn(Augmentation(**{**STILL, "flip": 0.5, "turn": 1}))
    seen = {tuple(map(tuple, linear)) for linear in views.matrix[:, :, :2]}
    units = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))
    assert seen == {(first, second) for first in units for second in units if np.dot(first, second) == 0}
    middle = views.matrix[:, :, :2] @ np.full(2, SIZE / 2) + views.matrix[:, :, 2]
    np.testing.assert_array_equal(middle, SIZE / 2)


def test_free_rotations_go_all_the_way_round():
    views = drawn(Augmentation(**{**STILL, "rotate": 1}))
    angles = np.arctan2(views.matrix[:, 1, 0], views.matrix[:, 0, 0])
    counts, _ = np.histogram(angles, bins=8, range=(-np.pi, np.pi))
    assert counts.min() > 25


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.25, 1.5])
def test_an_image_covers_its_tile_or_lies_within_it(scale):
    views = drawn(Augmentation(**{**STILL, "turn": 1, "flip": 0.5, "mosaic": 0.5, "scale": (scale, scale)}))
    corners = np.array([[0, SIZE], [0, SIZE]])
    ends = views.matrix[:, :, :2] @ corners + views.matrix[:, :, 2:]
    low, high = ends.min(axis=2), ends.max(axis=2)
    tile_low, tile_high = views.bounds[:, :2], views.bounds[:, 2:]
    covers = (low <= tile_low + 1e-9) & (high >= tile_high - 1e-9)
    within = (low >= tile_low - 1e-9) & (high <= tile_high + 1e-9)
    assert (covers | within).all()
    if scale > 1:
        assert covers.all()


def test_grey_levels_change_within_their_limits():
    views = drawn(Augmentation(brightness=0.2, contrast=0.3))
    assert np.abs(views.brightness).max() <= 51
    assert np.abs(views.brightness).max() > 45
    assert 0.7 <= views.contrast.min() < 0.75
    assert 1.25 < views.contrast.max() <= 1.3
