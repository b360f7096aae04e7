import numpy as np
import pytest
import torch
from scipy import ndimage

from nanoseg_bench.annotations.raster import rle_to_mask
from nanoseg_bench.models.depth import depth_map
from nanoseg_bench.models.pixels import (
    PostProcessing,
    depth_fit,
    distance_to_background,
    fill_small_holes,
    instances_from_probability,
    restore_instances,
    split_at_middles,
    split_touching,
)
from nanoseg_bench.preparation.letterbox import Letterbox

SIZE = 160
SQUARE = Letterbox(SIZE, SIZE, SIZE)


def disc(x: float, y: float, radius: float, size: int = SIZE) -> np.ndarray:
    ys, xs = np.mgrid[:size, :size] + 0.5
    return (xs - x) ** 2 + (ys - y) ** 2 < radius**2


def as_probability(mask: np.ndarray, inside: float = 0.9, outside: float = 0.1) -> np.ndarray:
    return np.where(mask, inside, outside).astype(np.float32)


@pytest.mark.parametrize("radius", [7, 15, 30])
def test_two_touching_discs_of_any_size_become_two(radius):
    left, right = disc(80 - 0.9 * radius, 80, radius), disc(80 + 0.9 * radius, 80, radius)
    found = instances_from_probability(as_probability(left | right), SQUARE)
    assert len(found) == 2
    for particle in found:
        height, width = particle.mask.shape
        truth = (left if particle.x + width / 2 < 80 else right)[
            particle.y : particle.y + height, particle.x : particle.x + width
        ]
        assert (particle.mask & truth).sum() / (particle.mask | truth).sum() > 0.9


def test_one_disc_one_bar_and_one_ellipse_stay_whole():
    ys, xs = np.mgrid[:SIZE, :SIZE] + 0.5
    bar = (abs(xs - 80) < 60) & (abs(ys - 30) < 6)
    ellipse = ((xs - 60) / 40) ** 2 + ((ys - 110) / 15) ** 2 < 1
    assert len(instances_from_probability(as_probability(bar | ellipse | disc(130, 120, 12)), SQUARE)) == 3


def test_a_rough_outline_does_not_cut_a_disc():
    rng = np.random.default_rng(0)
    ys, xs = np.mgrid[:SIZE, :SIZE] + 0.5
    angle = np.arctan2(ys - 80, xs - 80)
    radius = 40 + sum(rng.uniform(0.3, 1.0) * np.sin(k * angle + rng.uniform(0, 6)) for k in range(5, 15))
    assert len(instances_from_probability(as_probability(np.hypot(ys - 80, xs - 80) < radius), SQUARE)) == 1


def test_score_is_the_mean_probability_and_class_the_best_mean():
    first, second = disc(40, 40, 12), disc(110, 110, 12)
    foreground = as_probability(first, 0.8, 0.0) + as_probability(second, 0.6, 0.0)
    classes = np.stack([as_probability(second, 0.5, 0.1), as_probability(first, 0.7, 0.1)])
    found = sorted(instances_from_probability(foreground, SQUARE, classes), key=lambda particle: particle.x)
    assert [particle.class_index for particle in found] == [1, 0]
    assert [particle.score for particle in found] == pytest.approx([0.8, 0.6], abs=1e-6)
    restored = restore_instances(found, SQUARE, ("rod", "cube"), max_detections=1)
    assert [(instance.label, round(instance.score, 3)) for instance in restored] == [("cube", 0.8)]
    assert (rle_to_mask(restored[0].region) == first).mean() > 0.999


def test_padding_is_background():
    letterbox = Letterbox(160, 80, SIZE)
    everything = np.ones((SIZE, SIZE), dtype=np.float32)
    (particle,) = instances_from_probability(everything, letterbox)
    assert (particle.x, particle.y) == letterbox.padding
    assert particle.mask.shape == (80, 160)


def test_restores_area_in_original_pixels():
    letterbox = Letterbox(320, 320, SIZE)
    found = instances_from_probability(as_probability(disc(70, 90, 20)), letterbox)
    (instance,) = restore_instances(found, letterbox, ("disc",), 10)
    assert rle_to_mask(instance.region).sum() == pytest.approx(np.pi * 40**2, rel=0.02)


def test_small_holes_are_filled_and_enclosed_background_is_not():
    with_hole = disc(80, 80, 30) & ~disc(80, 80, 6)
    assert fill_small_holes(with_hole, 0.5).sum() == disc(80, 80, 30).sum()
    ring = disc(80, 80, 60) & ~disc(80, 80, 55)
    assert (fill_small_holes(ring, 0.5) == ring).all()


def test_specks_are_dropped():
    for size in (160, 320):  # what a speck is does not depend on the canvas
        speck, canvas = as_probability(disc(30, 30, 3 * size / 160, size)), Letterbox(size, size, size)
        area = np.pi * 3**2 / 160**2
        above, below = PostProcessing(min_area=1.2 * area), PostProcessing(min_area=0.8 * area)
        assert instances_from_probability(speck, canvas, parameters=above) == []
        assert len(instances_from_probability(speck, canvas, parameters=below)) == 1


def test_empty_mask_has_no_labels():
    assert split_touching(np.zeros((20, 20), dtype=bool)).max() == 0


def test_every_foreground_pixel_belongs_to_one_particle():
    rng = np.random.default_rng(3)
    mask = np.logical_or.reduce([disc(*rng.uniform(10, 150, 2), rng.uniform(2, 15)) for _ in range(25)])
    labels = split_touching(mask)
    assert ((labels > 0) == mask).all()


def test_distances_are_exact_wherever_the_mask_lies_in_memory():
    waves = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((200, 200)), 6)
    mask = waves > 0
    exact = ndimage.distance_transform_edt(mask).astype(np.float32)
    blocks = []
    for size in range(1, 60_000, 3_000):
        blocks.append(np.empty(size, dtype=np.uint8))  # moves what is allocated next
        assert np.array_equal(distance_to_background(mask), exact)


def test_without_background_all_pixels_are_equally_far_from_it():
    """On Intel's processors they were infinitely far, and a view within one particle gave a loss that is no number."""
    distance = distance_to_background(np.ones((30, 40), dtype=bool))
    assert distance.dtype == np.float32 and (distance == 50).all()


def test_a_depth_fits_the_particle_that_it_was_learnt_of_and_no_other():
    owner = np.zeros((160, 160), dtype=np.int64)
    owner[disc(60, 80, 25)] = 1
    owner[disc(90, 80, 25) & (owner == 0)] = 2  # touches the first
    owner[disc(80, 2, 12)] = 3  # cut by the canvas
    labels = owner.astype(np.int32)
    windows = ndimage.find_objects(labels)
    depth = depth_map(torch.from_numpy(owner)[None])[0].numpy()
    for number, window in enumerate(windows, start=1):
        assert depth_fit(labels, number, window, depth) == pytest.approx(1, abs=1e-6)
        assert depth_fit(labels, number, window, 0.5 * depth) == pytest.approx(0.5, abs=1e-6)
        assert depth_fit(labels, number, window, 0 * depth) == 0
    both = np.where(labels == 2, 1, labels)  # two particles taken for one
    assert depth_fit(both, 1, ndimage.find_objects(both)[0], depth) < 0.8
    half = np.where(np.arange(160) < 60, labels, 0)  # half a particle taken for one
    assert depth_fit(half, 1, ndimage.find_objects(half)[0], depth) < 0.7
    everything = np.ones((20, 30), dtype=np.int32)
    assert depth_fit(everything, 1, np.s_[0:20, 0:30], np.full((20, 30), 0.25, dtype=np.float32)) == 0.25


def test_a_particle_is_as_sure_as_its_pixels_and_its_depth_allow():
    foreground = as_probability(disc(60, 80, 25))
    depth = depth_map(torch.from_numpy(disc(60, 80, 25).astype(np.int64))[None])[0].numpy()
    (plain,) = instances_from_probability(foreground, SQUARE)
    (rated,) = instances_from_probability(foreground, SQUARE, depth=0.5 * depth)
    assert rated.score == pytest.approx(0.5 * plain.score) and np.array_equal(rated.mask, plain.mask)


def test_middles_cut_what_the_outline_does_not():
    """A bar of two squares side by side has no neck; what has no middle of its own stays whole."""
    mask = np.zeros((60, 100), dtype=bool)
    mask[10:30, 10:50] = mask[40:50, 60:90] = True
    depth = np.zeros(mask.shape, dtype=np.float32)
    for left in (10, 30):
        ys, xs = np.mgrid[10:30, left : left + 20] + 0.5
        depth[10:30, left : left + 20] = 1 - np.maximum(abs(ys - 20), abs(xs - left - 10)) / 10
    labels = split_at_middles(mask, depth, 0.5)
    assert len(np.unique(labels)) == 1 + 3 and ((labels > 0) == mask).all()
    left, right = (labels == labels[20, x] for x in (20, 40))
    assert left.sum() == right.sum() == 400 and not (left & right).any()
    assert (labels[40:50, 60:90] == labels[45, 75]).all()
    assert not split_at_middles(np.zeros_like(mask), depth, 0.5).any()
    ripples = (depth * (1 + 0.1 * np.sin(np.arange(100)))).clip(0, 1).astype(np.float32)
    assert len(np.unique(split_at_middles(mask, ripples, 0.5))) == 1 + 3
    assert len(np.unique(split_at_middles(mask, 0.45 * depth, 0.5))) == 1 + 2, "no middle is deep enough"
