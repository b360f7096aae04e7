import json

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import area, bounding_box, iou_matrix, mask_to_rle, rle_to_mask
from nanoseg_bench.errors import PreparationError
from nanoseg_bench.preparation.augment import (
    MIN_VISIBLE,
    PADDING_GREY,
    augment_copy,
    augmentation_parameters,
    copies_per_image,
    copy_seed,
)

SIZE = 320
SEEDS = range(24)
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] + 0.5


def disc_mask(x, y, radius):
    return (COLUMNS - x) ** 2 + (ROWS - y) ** 2 < radius**2


def scene(*discs, label="a"):
    """Bright discs and their truth."""
    pixels = np.full((SIZE, SIZE), 30, dtype=np.uint8)
    instances = []
    for disc in discs:
        mask = disc_mask(*disc)
        pixels[mask] = 220
        instances.append(Instance(label, mask_to_rle(mask)))
    return pixels, instances


def touches_edge(rle):
    x, y, width, height = bounding_box(rle)
    return x < 1 or y < 1 or x + width > SIZE - 1 or y + height > SIZE - 1


@pytest.mark.parametrize("seed", SEEDS)
def test_truth_is_warped_exactly_like_the_image(seed):
    pixels, instances = scene((90, 80, 40), (220, 200, 45), (80, 240, 30))
    copy = augment_copy(pixels, instances, seed)
    truth = np.logical_or.reduce([rle_to_mask(each.region) for each in copy.instances])
    bright = copy.pixels > 167
    if not copy.dropped:
        assert (truth & bright).sum() / (truth | bright).sum() > 0.96
    for each in copy.instances:
        if not touches_edge(each.region):
            mask = rle_to_mask(each.region)
            x, y, width, height = (int(value) for value in bounding_box(each.region))
            window = np.s_[y - 1 : y + height + 1, x - 1 : x + width + 1]
            weight = np.where(copy.pixels[window] > 167, 1.0, 0.0)
            shift = [(weight * axis[window]).sum() / weight.sum() - axis[mask].mean() for axis in (ROWS, COLUMNS)]
            assert np.abs(shift).max() < 0.3, "half a pixel would be a wrong convention of pixel centres"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sphere_stays_a_sphere(seed):
    pixels, instances = scene((160, 160, 70))
    copy = augment_copy(pixels, instances, seed)
    (each,) = copy.instances
    if not touches_edge(each.region):
        _, _, width, height = bounding_box(each.region)
        assert width / height == pytest.approx(1, abs=0.03)


def test_there_are_spheres_that_stay_inside():
    pixels, instances = scene((160, 160, 70))
    inside = [not touches_edge(augment_copy(pixels, instances, seed).instances[0].region) for seed in SEEDS]
    assert sum(inside) > len(SEEDS) / 2


def test_all_kinds_of_flips_and_scales_occur():
    pixels, instances = scene((160, 160, 30))
    kinds, areas, angles = set(), [], []
    for seed in range(60):
        copy = augment_copy(pixels, instances, seed)
        names = [each["transform"] for each in copy.transforms]
        kinds.add(("HorizontalFlip" in names, "VerticalFlip" in names, "RandomResizedCrop" in names))
        angles.append(next(each["rotate"] for each in copy.transforms if each["transform"] == "Affine"))
        areas += [area(each.region) for each in copy.instances if not touches_edge(each.region)]
    assert len(kinds) == 8, "each transform is drawn on its own"
    assert min(areas) < 0.8 * area(instances[0].region)
    assert max(areas) > 1.5 * area(instances[0].region)
    assert min(angles) < -120
    assert max(angles) > 120


def test_overlapping_particles_survive():
    pixels, instances = scene((150, 160, 50), (180, 160, 50), (165, 190, 50))
    for seed in range(8):
        copy = augment_copy(pixels, instances, seed)
        assert len(copy.instances) == 3
        before = iou_matrix([instances[0].region], [instances[1].region])[0, 0]
        after = iou_matrix([copy.instances[0].region], [copy.instances[1].region])[0, 0]
        if not any(touches_edge(each.region) for each in copy.instances):
            assert after == pytest.approx(before, abs=0.02)


def test_holes_and_parts_survive():
    mask = (disc_mask(110, 160, 40) & ~disc_mask(110, 160, 20)) | disc_mask(210, 160, 20)
    copy = augment_copy(np.zeros((SIZE, SIZE), np.uint8), [Instance("a", mask_to_rle(mask))], 3)
    (each,) = copy.instances
    from scipy.ndimage import binary_fill_holes, label

    warped = rle_to_mask(each.region)
    assert label(warped)[1] == 2
    assert (binary_fill_holes(warped) & ~warped).sum() > 0.5 * disc_mask(0, 0, 20).sum()


def test_border_is_grey():
    copy = next(
        copy
        for copy in (augment_copy(np.zeros((SIZE, SIZE), np.uint8), [], seed) for seed in range(40))
        if 20 < abs(copy.transforms[-1].get("rotate", 0)) < 70
    )
    assert copy.pixels[0, 0] == PADDING_GREY
    assert copy.pixels[SIZE // 2, SIZE // 2] == 0


def test_particles_that_are_cut_away_are_counted():
    pixels, instances = scene(*((x, y, 12) for x in range(15, 320, 29) for y in range(15, 320, 29)))
    seen_drop = False
    for seed in range(12):
        copy = augment_copy(pixels, instances, seed)
        assert len(copy.instances) + copy.dropped == len(instances)
        seen_drop |= copy.dropped > 0
        areas = np.array([area(each.region) for each in copy.instances])
        full = np.median([area(each.region) for each in copy.instances if not touches_edge(each.region)])
        assert areas.min() >= 0.8 * MIN_VISIBLE * full
    assert seen_drop


def test_ignore_regions_ride_along_uncounted():
    whole = Instance("ignore", mask_to_rle(np.ones((SIZE, SIZE), bool)))
    corner = Instance("a", mask_to_rle(disc_mask(0, 0, 20)), crowd=True)
    pixels, instances = scene((160, 160, 30))
    for seed in range(10):
        copy = augment_copy(pixels, [whole, corner, *instances], seed)
        assert copy.dropped == 0
        assert next(each.label for each in copy.instances if each.ignored) == "ignore"
        assert sum(not each.ignored for each in copy.instances) == 1


def test_colour_and_empty_images():
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    copy = augment_copy(pixels, [], 0)
    assert copy.pixels.shape == (SIZE, SIZE, 3)
    assert copy.instances == []


def test_same_seed_same_copy_and_parameters_are_json():
    pixels, instances = scene((90, 80, 40), (220, 200, 45))
    first, second = augment_copy(pixels, instances, 11), augment_copy(pixels, instances, 11)
    assert (first.pixels == second.pixels).all()
    assert [each.region for each in first.instances] == [each.region for each in second.instances]
    assert json.loads(json.dumps(first.transforms)) == second.transforms
    assert (augment_copy(pixels, instances, 12).pixels != first.pixels).any()
    json.dumps(augmentation_parameters())


def test_five_hundred_particles():
    rng = np.random.default_rng(0)
    pixels, instances = scene(*((*rng.uniform(5, 315, 2), 6) for _ in range(500)))
    copy = augment_copy(pixels, instances, 1)
    assert len(copy.instances) + copy.dropped == 500
    assert len(copy.instances) > 200


def test_copies_are_those_of_the_paper_and_spread_evenly():
    train = [f"image-{number}" for number in range(577)]
    copies = copies_per_image(train, 721, seed=0)
    assert sum(copies.values()) + 721 == 4226
    assert set(copies.values()) == {6, 7}
    assert copies == copies_per_image(train[::-1], 721, seed=0)
    assert copies != copies_per_image(train, 721, seed=1)


def test_asked_numbers_of_copies():
    assert copies_per_image(["a", "b"], 4, 0, augment_copies=3) == {"a": 3, "b": 3}
    assert copies_per_image(["a", "b"], 4, 0, augment_copies=0) == {"a": 0, "b": 0}
    assert sum(copies_per_image(["a", "b"], 4, 0, augment_to=9).values()) == 5
    assert sum(copies_per_image(["a", "b"], 4, 0, augment_to=4).values()) == 0
    with pytest.raises(PreparationError, match="--augment-to 3: there are 4 originals"):
        copies_per_image(["a", "b"], 4, 0, augment_to=3)
    with pytest.raises(PreparationError, match="--augment-copies -1"):
        copies_per_image(["a", "b"], 4, 0, augment_copies=-1)


def test_seeds_of_copies_differ():
    seeds = {copy_seed(0, "a", 1), copy_seed(0, "a", 2), copy_seed(0, "b", 1), copy_seed(1, "a", 1)}
    assert len(seeds) == 4
    assert copy_seed(0, "a", 1) == copy_seed(0, "a", 1)
