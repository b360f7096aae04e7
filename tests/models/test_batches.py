"""Assembled canvases against a slow reference, pixel by pixel in float64, and against shapes whose size is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from nanoseg_bench.models.augmentation import Draw, Views, draw_views, plain_views
from nanoseg_bench.models.batches import InstanceBatch, assemble
from nanoseg_bench.models.data import Particle, Sample
from nanoseg_bench.models.packed_images import pack
from nanoseg_bench.models.recipe import Augmentation
from nanoseg_bench.preparation.augment import MIN_VISIBLE

GREY = 114


def draw(augmentation: Augmentation, images: int, size: int, number: int, seed: int = 0, crop=None) -> Views:
    return draw_views(augmentation, Draw([n % images for n in range(number)], 0, 1000), images, size, seed, crop=crop)


def packed_of(samples: list[Sample], ignored: bool = True):
    return pack(samples, range(len(samples)), len(samples), samples[0].pixels.shape[0], ignored=ignored)


def one_view(matrix, size: int, bounds=None) -> Views:
    """The first image on one canvas, moved by ``matrix``."""
    return replace(
        plain_views([0], size),
        matrix=np.array([matrix], dtype=np.float64),
        bounds=np.array([bounds or (0, 0, size, size)]),
        moved=True,
    )


def masks_of(batch: InstanceBatch) -> np.ndarray:
    masks = np.zeros((len(batch.label), batch.size, batch.size), dtype=int)
    np.add.at(masks, (batch.region_of.numpy(), batch.y.numpy(), batch.x.numpy()), 1)
    assert masks.max(initial=0) <= 1, "a pixel is listed twice"
    return masks.astype(bool)


# --- the reference


def bilinear(pixels: np.ndarray, x: float, y: float) -> np.ndarray:
    """Sample (S, S, C) at continuous coordinates; the padding's grey lies around it."""
    size, total = len(pixels), np.zeros(pixels.shape[2])
    column, row = math.floor(x - 0.5), math.floor(y - 0.5)
    for j in (row, row + 1):
        for i in (column, column + 1):
            weight = (1 - abs(x - 0.5 - i)) * (1 - abs(y - 0.5 - j))
            total += weight * (pixels[j, i] if 0 <= i < size and 0 <= j < size else GREY)
    return total


def literal(samples: list[Sample], views: Views, ignored: bool):
    """Canvases (B, S, S, C) before rounding, and (canvas, label, mask) of every region that is kept."""
    size, side = samples[0].pixels.shape[0], views.size
    canvases = np.full((len(views.contrast), side, side, 3), float(GREY))
    regions = []
    for view in range(len(views.image)):
        sample, canvas = samples[views.image[view]], views.canvas[view]
        pixels = np.broadcast_to(sample.pixels.reshape(size, size, -1), (size, size, 3))
        forward = np.vstack([views.matrix[view], [0, 0, 1]])
        x0, y0, x1, y1 = views.bounds[view]
        source = {}
        for v in range(y0, y1):
            for u in range(x0, x1):
                source[v, u] = np.linalg.solve(forward, [u + 0.5, v + 0.5, 1])[:2]
                canvases[canvas, v, u] = bilinear(pixels, *source[v, u])
        for part in (*(sample.ignored if ignored else ()), *sample.particles):
            whole = np.zeros((size, size), dtype=bool)
            whole[part.y : part.y + part.mask.shape[0], part.x : part.x + part.mask.shape[1]] = part.mask
            mask = np.zeros((side, side), dtype=bool)
            for (v, u), (x, y) in source.items():
                i, j = math.floor(x), math.floor(y)
                mask[v, u] = 0 <= i < size and 0 <= j < size and whole[j, i]
            magnification = abs(np.linalg.det(forward))
            if mask.any() and (part.class_index < 0 or mask.sum() >= MIN_VISIBLE * whole.sum() * magnification):
                regions.append((canvas, part.class_index, mask))
    contrast, brightness = (values[:, None, None, None] for values in (views.contrast, views.brightness))
    return ((canvases - GREY) * contrast + GREY + brightness).clip(0, 255), regions


def random_sample(rng: np.random.Generator, size: int, colour: bool) -> Sample:
    def region(label: int) -> Particle:
        height, width = rng.integers(2, size // 2, 2)
        mask = rng.random((height, width)) < 0.8
        mask[0, 0] = True
        return Particle(label, mask, int(rng.integers(0, size - width + 1)), int(rng.integers(0, size - height + 1)))

    pixels = rng.integers(0, 256, (size, size, 3) if colour else (size, size), dtype=np.uint8)
    return Sample(pixels, tuple(region(n % 3) for n in range(rng.integers(0, 5))), (region(-1),))


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(),
        Augmentation(mosaic=1, scale=(0.4, 0.8)),
        Augmentation(mosaic=0, rotate=1, scale=(1.5, 3)),
        Augmentation(mosaic=0, rotate=0, scale=(1, 1), brightness=0, contrast=0),
    ],
)
@pytest.mark.parametrize(("ignored", "crop"), [(True, None), (False, None), (True, 12)])
def test_canvases_and_regions_agree_with_the_slow_reference(augmentation, ignored, crop):
    rng, size = np.random.default_rng(3), 20
    samples = [random_sample(rng, size, colour=number == 1) for number in range(4)]
    views = draw(augmentation, images=4, size=size, number=6, crop=crop)
    batch = assemble(packed_of(samples, ignored), views)
    assert batch.size == (crop or size)
    canvases, regions = literal(samples, views, ignored)
    difference = np.abs(batch.pixels.numpy().transpose(0, 2, 3, 1) - canvases)
    assert difference.max() <= 0.5 + 1e-3, "more than rounding"
    assert batch.canvas_of.tolist() == [canvas for canvas, _, _ in regions]
    assert batch.label.tolist() == [label for _, label, _ in regions]
    assert len(regions) >= 5
    for ours, box, (_, _, mask) in zip(masks_of(batch), batch.boxes.tolist(), regions, strict=True):
        assert (ours == mask).all()
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert box == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_nothing_moves_in_plain_views():
    rng, size = np.random.default_rng(4), 20
    samples = [random_sample(rng, size, colour=False) for _ in range(4)]
    plain = plain_views([2, 0, 2], size)
    batch, moved = (assemble(packed_of(samples), views) for views in (plain, replace(plain, moved=True)))
    canvases, regions = literal(samples, plain, ignored=True)
    assert (batch.pixels.numpy()[:, 0] == canvases[..., 0]).all()
    assert batch.label.tolist() == [label for _, label, _ in regions]
    assert (masks_of(batch) == np.stack([mask for _, _, mask in regions])).all()
    # The short way for what does not move, and the way for what moves, by nothing.
    for name in InstanceBatch.__slots__:
        assert torch.equal(getattr(batch, name), getattr(moved, name)), name


def test_symmetries_of_the_square_are_exact():
    rng, size = np.random.default_rng(5), 32
    sample = random_sample(rng, size, colour=False)
    sample = replace(sample, particles=(Particle(0, rng.random((9, 14)) < 0.6, 5, 20),))
    augmentation = Augmentation(mosaic=0, flip=0.5, turn=1, rotate=0, scale=(1, 1), brightness=0, contrast=0)
    batch = assemble(packed_of([sample], ignored=False), draw(augmentation, images=1, size=size, number=40))
    whole = np.zeros((size, size), dtype=bool)
    whole[20:29, 5:19] = sample.particles[0].mask
    variants = [
        (np.rot90(flipped(sample.pixels), turns), np.rot90(flipped(whole), turns))
        for turns in range(4)
        for flipped in (np.asarray, np.fliplr)
    ]
    found = set()
    for pixels, mask in zip(batch.pixels[:, 0].numpy(), masks_of(batch), strict=True):
        (number,) = [n for n, (expected, _) in enumerate(variants) if (pixels == expected).all()]
        assert (mask == variants[number][1]).all()
        found.add(number)
    assert found == set(range(8))


def disc_sample(radius: float, x: float, y: float, size: int) -> Sample:
    rows, columns = np.mgrid[:size, :size] + 0.5
    inside = np.hypot(columns - x, rows - y) < radius
    return Sample(np.where(inside, 220, 40).astype(np.uint8), (Particle(0, inside, 0, 0),), ())


@pytest.mark.parametrize("radius", [8.0, 20.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_disc_stays_a_disc_of_known_area_place_and_box(radius, seed):
    """Area within 3 % (radius 8 px) and 1.5 % (20 px), box within 1.25 px, centres of image and mask within 0.25 px."""
    size, x, y = 160, 70.3, 84.8
    augmentation = Augmentation(mosaic=0, rotate=1, scale=(0.7, 1.3), brightness=0, contrast=0)
    views = draw(augmentation, images=1, size=size, number=6, seed=seed)
    batch = assemble(packed_of([disc_sample(radius, x, y, size)]), views)
    centres = views.matrix[:, :, :2] @ np.array([x, y]) + views.matrix[:, :, 2]
    scales = np.sqrt(np.abs(np.linalg.det(views.matrix[:, :, :2])))
    rows, columns = np.mgrid[:size, :size] + 0.5
    checked = 0
    for canvas, box, mask in zip(batch.canvas_of, batch.boxes.numpy(), masks_of(batch), strict=True):
        (cx, cy), r = centres[canvas], radius * scales[canvas]
        if min(cx, cy) < r + 1 or max(cx, cy) > size - r - 1:
            continue  # cut by the frame
        checked += 1
        assert mask.sum() == pytest.approx(math.pi * r**2, rel=0.03 if radius < 10 else 0.015)
        np.testing.assert_allclose(box, [cx - r, cy - r, cx + r, cy + r], atol=1.25)
        bright = (batch.pixels[canvas, 0].numpy().astype(float) - 40) / 180
        # The disc alone: outside of the image lies grey, which is brighter than the ground.
        bright = np.where(np.hypot(columns - cx, rows - cy) < r + 2, bright, 0)
        for axis, centre in ((columns, cx), (rows, cy)):
            of_mask, of_image = (axis * mask).sum() / mask.sum(), (axis * bright).sum() / bright.sum()
            assert of_mask == pytest.approx(centre, abs=0.25)
            assert of_image == pytest.approx(centre, abs=0.25)
    assert checked >= 2


def test_a_crop_keeps_the_magnification_of_the_canvas():
    """At scale 1 a particle has the same pixels in the crop, wherever the crop lies, and the crop is a plain window."""
    size, crop = 160, 64
    augmentation = Augmentation(mosaic=0, turn=0, flip=0, rotate=0, scale=(1, 1), brightness=0, contrast=0)
    sample = disc_sample(9, 80.5, 80.5, size)
    views = draw(augmentation, images=1, size=size, number=60, crop=crop)
    assert ((views.matrix[:, 0, 2] <= 0) & (views.matrix[:, 0, 2] >= crop - size)).all()
    views = replace(views, matrix=np.round(views.matrix))  # whole pixels: nothing is interpolated
    batch = assemble(packed_of([sample]), views)
    whole = 0
    for canvas, (x0, y0, x1, y1), mask in zip(batch.canvas_of, batch.boxes.tolist(), masks_of(batch), strict=True):
        if min(x0, y0) > 0 and max(x1, y1) < crop:
            whole += 1
            assert (mask[y0:y1, x0:x1] == sample.particles[0].mask[72:89, 72:89]).all()
        left, top = -views.matrix[canvas, :, 2].astype(int)
        assert (batch.pixels[canvas, 0].numpy() == sample.pixels[top : top + crop, left : left + crop]).all()
    assert whole >= 5


def test_image_and_mask_of_a_disc_have_their_edge_at_the_same_place():
    size = 160
    views = draw(Augmentation(mosaic=0, rotate=1, brightness=0, contrast=0), images=1, size=size, number=8)
    batch = assemble(packed_of([disc_sample(30, 80, 80, size)]), views)
    assert len(batch.label) == 8
    for canvas, mask in zip(batch.canvas_of, masks_of(batch), strict=True):
        bright = batch.pixels[canvas, 0].numpy() > (220 + 40) / 2
        assert (bright & mask).sum() / (bright | mask).sum() > 0.98


@pytest.mark.parametrize(("columns", "kept"), [(1, False), (2, True), (3, True)])
def test_a_particle_is_dropped_when_less_than_a_fifth_of_it_is_left(columns, kept):
    size = 40
    sample = Sample(np.zeros((size, size), dtype=np.uint8), (Particle(1, np.ones((6, 10), dtype=bool), 20, 15),), ())
    batch = assemble(packed_of([sample]), one_view([[1, 0, size - 20 - columns], [0, 1, 0]], size))
    assert batch.label.tolist() == ([1] if kept else [])
    if kept:
        assert batch.boxes.tolist() == [[size - columns, 15, size, 21]]
        assert masks_of(batch).sum() == 6 * columns
    else:
        assert len(batch.region_of) == len(batch.x) == len(batch.y) == 0
        assert batch.boxes.shape == (0, 4)


def test_visibility_counts_the_magnification():
    """Half of a particle on a canvas at half the size is half of it, not an eighth."""
    size = 40
    sample = Sample(np.zeros((size, size), dtype=np.uint8), (Particle(0, np.ones((8, 8), dtype=bool), 16, 16),), ())
    batch = assemble(packed_of([sample]), one_view([[0.5, 0, -10], [0, 0.5, 0]], size))
    assert batch.boxes.tolist() == [[0, 8, 2, 12]]


def test_what_is_to_be_ignored_is_never_dropped():
    size = 40
    region = Particle(-1, np.ones((6, 10), dtype=bool), 20, 15)
    sample = Sample(np.zeros((size, size), dtype=np.uint8), (), (region,))
    batch = assemble(packed_of([sample]), one_view([[1, 0, size - 21], [0, 1, 0]], size))
    assert batch.label.tolist() == [-1]
    assert masks_of(batch).sum() == 6


def test_overlapping_particles_keep_all_of_their_pixels():
    size = 48
    square = np.ones((16, 16), dtype=bool)
    parts = (Particle(0, square, 12, 12), Particle(1, square, 20, 20))
    sample = Sample(np.zeros((size, size), dtype=np.uint8), parts, ())
    turned = one_view([[0, -1, size], [1, 0, 0]], size)
    batch = assemble(packed_of([sample]), turned)
    first, second = masks_of(batch)
    assert first.sum() == second.sum() == 256
    assert (first & second).sum() == 64


def test_a_mosaic_of_whole_images_holds_all_of_their_particles():
    """At a quarter of their size, images fit into the smallest tile."""
    rng, size = np.random.default_rng(6), 96
    dot = np.ones((12, 12), dtype=bool)
    samples = [
        Sample(
            np.full((size, size), 30 * n, dtype=np.uint8),
            tuple(Particle(n, dot, *map(int, rng.integers(0, size - 12, 2))) for _ in range(n)),
            (),
        )
        for n in range(6)
    ]
    augmentation = Augmentation(mosaic=1, scale=(0.25, 0.25), rotate=0)
    views = draw(augmentation, images=6, size=size, number=10)
    batch = assemble(packed_of(samples), views)
    for canvas in range(10):
        shown = views.image[views.canvas == canvas]
        assert len(shown) == 4
        assert sorted(batch.label[batch.canvas_of == canvas].tolist()) == sorted(n for n in shown for _ in range(n))


def test_nothing_crosses_the_border_of_a_tile():
    size, ones = 40, np.ones((40, 40), dtype=bool)
    sample = Sample(np.full((size, size), 200, dtype=np.uint8), (Particle(0, ones, 0, 0),), ())
    batch = assemble(packed_of([sample]), one_view(np.eye(2, 3), size, bounds=(0, 0, 25, 30)))
    assert batch.boxes.tolist() == [[0, 0, 25, 30]]
    assert (batch.pixels[0, 0, :30, :25] == 200).all()
    assert (batch.pixels[0, 0, 30:] == GREY).all() and (batch.pixels[0, 0, :, 25:] == GREY).all()


def test_outside_of_the_image_lies_the_grey_of_the_padding():
    size = 32
    sample = Sample(np.full((size, size), 250, dtype=np.uint8), (), ())
    far = assemble(packed_of([sample]), one_view([[1, 0, 100], [0, 1, 0]], size))
    assert (far.pixels == GREY).all()
    assert far.label.shape == (0,)


def test_batches_without_regions():
    blank = Sample(np.zeros((16, 16), dtype=np.uint8), (), ())
    for views in (plain_views([0, 0], 16), draw(Augmentation(), images=1, size=16, number=2)):
        batch = assemble(packed_of([blank]), views)
        assert batch.pixels.shape == (2, 1, 16, 16)
        assert batch.boxes.shape == (0, 4)
        assert len(batch.canvas_of) == len(batch.region_of) == 0
