import itertools
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import (
    area,
    bounding_boxes,
    iou_matrix,
    mask_to_rle,
    rle_to_window,
    to_rle,
    window_to_rle,
)
from nanoseg_bench.inference.predictor import open_predictor
from nanoseg_bench.inference.tiles import OVERLAP, SMALL, combine, find_everywhere, find_in_tiles, lay_tiles
from nanoseg_bench.synthesis import scene
from nanoseg_bench.synthesis.specimen import draw_specimen

CANVAS = 320


def disc_field(width, height, diameters, seed=0, gap=4):
    """A field of bright discs that do not touch; returns it and one mask each."""
    rng = np.random.default_rng(seed)
    field, masks = np.full((height, width), 30, np.uint8), []
    for diameter in diameters:
        for _ in range(1000):
            x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
            with_gap, alone = np.zeros_like(field), np.zeros_like(field)
            cv2.circle(with_gap, (x, y), diameter // 2 + gap, 1, -1)
            if not (field[with_gap > 0] > 30).any():
                cv2.circle(alone, (x, y), diameter // 2, 1, -1)
                field[alone > 0] = 200
                masks.append(alone > 0)
                break
        else:
            raise AssertionError("no room")
    return field, masks


def threshold(pixels):
    """A finder that is exact: every connected bright region, surer the larger it is."""
    _, labels = cv2.connectedComponents((pixels > 100).astype(np.uint8))
    regions = [labels == number for number in range(1, labels.max() + 1)]
    found = [Instance("a", mask_to_rle(region), score=float(region.sum()) / 1e6) for region in regions]
    return sorted(found, key=lambda each: -each.score)


def seeing(least):
    """The same, blind for what is smaller on the canvas than ``least`` pixels."""

    def find(pixels):
        shrunk = max(pixels.shape) / CANVAS
        return [each for each in threshold(pixels) if diameter_of(each) / shrunk >= least]

    return find


def diameter_of(instance):
    return math.sqrt(4 * area(instance.region) / math.pi)


def same_masks(found, masks):
    """Each mask is found, pixel by pixel, and nothing else."""
    ious = iou_matrix([each.region for each in found], [mask_to_rle(mask) for mask in masks])
    return ious.shape == (len(masks), len(masks)) and bool(((ious == 1.0).sum(axis=0) == 1).all())


@pytest.mark.parametrize("size", [(100, 40), (640, 480), (1000, 333), (4096, 400), (513, 512)])
@pytest.mark.parametrize(("side", "overlap"), [(512, 128), (100, 0), (333, 332)])
def test_tiles_cover_the_micrograph_and_share_the_overlap(size, side, overlap):
    width, height = size
    tiles = lay_tiles(width, height, side, overlap)
    assert {(tile.width, tile.height) for tile in tiles} == {(min(side, width), min(side, height))}
    for length, starts in ((width, {tile.x for tile in tiles}), (height, {tile.y for tile in tiles})):
        ordered = sorted(starts)
        assert ordered[0] == 0
        assert ordered[-1] + min(side, length) == length
        assert all(last + side - next_ >= overlap for last, next_ in itertools.pairwise(ordered))
    assert len(tiles) == len({(tile.x, tile.y) for tile in tiles})


@pytest.mark.parametrize("magnification", [2.0, 3.3, 6.0])
def test_a_particle_up_to_the_overlap_is_found_once_wherever_the_seams_are(magnification):
    overlap = math.ceil(OVERLAP * 700 / magnification)
    diameters = [int(share * overlap) for share in (0.9, 0.8, *[0.5] * 8, *[0.2] * 40) if share * overlap > 6]
    field, masks = disc_field(700, 500, diameters)
    assert same_masks(find_in_tiles(threshold, field, magnification, CANVAS), masks)


def test_what_is_longer_than_the_overlap_is_left_to_the_whole():
    field, masks = disc_field(700, 500, [200, 20, 20, 20])
    assert same_masks(find_in_tiles(threshold, field, 4.0, CANVAS), masks[1:])
    assert same_masks(find_everywhere(threshold, field, CANVAS, tiles=4)[0], masks)


def test_particles_of_all_sizes_come_once_and_best_first():
    field, masks = disc_field(1100, 900, [300, 180, 120, 90, 70, 50, 40, *[20] * 60], seed=3)
    found, magnification = find_everywhere(seeing(6), field, CANVAS, tiles=8)
    assert magnification == 8
    assert same_masks(found, masks)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_auto_looks_closer_only_where_particles_are_small_on_the_canvas():
    small, large = int(0.7 * SMALL * 900 / CANVAS), int(1.4 * SMALL * 900 / CANVAS)
    for diameters, closer in (([large] * 20, False), ([small] * 20, True), ([*[large] * 19, small], False)):
        field, masks = disc_field(900, 900, diameters)
        found, magnification = find_everywhere(seeing(6), field, CANVAS)
        assert (magnification > 1) == closer
        assert same_masks(found, masks)


def test_auto_looks_closer_until_it_sees_what_is_there():
    field, masks = disc_field(1200, 1200, [14] * 50)
    find = seeing(5)
    assert find(field) == []
    found, magnification = find_everywhere(find, field, CANVAS)
    assert same_masks(found, masks)
    assert 2 < magnification <= 1200 / CANVAS


def test_off_and_small_images_are_looked_at_once():
    looks = []

    def find(pixels):
        looks.append(pixels.shape)
        return []

    assert find_everywhere(find, np.zeros((1200, 1200), np.uint8), CANVAS, tiles="off") == ([], 1.0)
    assert find_everywhere(find, np.zeros((90, CANVAS), np.uint8), CANVAS) == ([], 1.0)
    assert looks == [(1200, 1200), (90, CANVAS)]


@pytest.mark.parametrize("size", [(2, 2), (5, 3), (8, 1), (9, 9)])
def test_a_micrograph_of_fewer_pixels_than_tiles_keeps_what_the_whole_shows(size):
    """Tiles of one pixel shared one, and the way from one to the next was divided by nothing."""
    field = np.full(size, 200, np.uint8)
    found, magnification = find_everywhere(threshold, field, CANVAS, tiles=8)
    assert magnification == 8
    assert same_masks(found, [np.ones(size, bool)])


def square(x, y, side, score, size=200):
    mask = np.zeros((size, size), bool)
    mask[y : y + side, x : x + side] = True
    return Instance("a", mask_to_rle(mask), score=score)


@pytest.mark.parametrize(("surer", "expected"), [("the parts", 4), ("the whole", 1)])
def test_a_cluster_and_its_parts_are_not_both_counted(surer, expected):
    whole = square(40, 40, 80, 0.6)
    parts = [
        square(40 + 40 * column, 40 + 40 * row, 38, 0.9 if surer == "the parts" else 0.3)
        for row in range(2)
        for column in range(2)
    ]
    assert len(combine([whole], parts, overlap=40)) == expected


def test_small_particles_on_a_large_one_stay_with_it():
    whole, decoration = square(40, 40, 100, 0.9), [square(50, 50, 12, 0.5), square(90, 90, 12, 0.4)]
    assert combine([whole], decoration, overlap=60) == [whole, *decoration]


def rendered_field(monkeypatch, size, diameter):
    """A micrograph of round particles, rendered with its truth."""
    monkeypatch.setattr(scene, "_MOST_PARTICLES", 10_000)
    rng = np.random.default_rng(1)
    specimen = draw_specimen("field", ("nanosphere",), rng, modality="BF-TEM")
    specimen = replace(
        specimen, canvas=(size, size), diameter_px=diameter, coverage=0.12, dispersion=0.25, panel_letter=False
    )
    micrograph = scene.render_micrograph(specimen, ("nanosphere",), rng)
    truth = [to_rle(each, size, size) for each in micrograph.instances if not each.ignored]
    return micrograph.pixels[:size], truth


def found_among(particles, truth):
    """Pairs (particle, truth) of the same thing."""
    if not particles:
        return []
    ious = iou_matrix([each.region for each in particles], truth)
    best = ious.argmax(axis=0)
    return [(number, other) for other, number in enumerate(best) if ious[number, other] > 0.5]


def mean_bias(particles, truth, pairs):
    """Mean diameter of what was found over the true one."""
    found = [diameter_of(particles[number]) for number, _ in pairs]
    return np.mean(found) / np.mean([math.sqrt(4 * area(truth[other]) / math.pi) for _, other in pairs])


@pytest.mark.slow
def test_a_large_field_gives_what_its_parts_give_on_a_canvas_each(monkeypatch):
    """With the weights that ship: as many particles and the same diameters as of parts that fill a canvas."""
    size = 4096
    pixels, truth = rendered_field(monkeypatch, size, diameter=40)
    predictor = open_predictor(engine="torch")
    canvas = predictor.model.recipe.canvas
    assert len(found_among(predictor.find_particles(pixels, tiles="off").particles, truth)) < 0.5 * len(truth)
    there = predictor.find_particles(pixels)
    pairs = found_among(there.particles, truth)
    assert len({number for number, _ in pairs}) == len(pairs)

    boxes = bounding_boxes(truth)
    boxes[:, 2:] += boxes[:, :2]
    inside, recalled, biases = 0, 0, []
    for y in range(0, size - canvas + 1, canvas):
        for x in range(0, size - canvas + 1, canvas):
            within = ((boxes[:, :2] > (x, y)) & (boxes[:, 2:] < (x + canvas, y + canvas))).all(axis=1)
            windows = [rle_to_window(truth[number]) for number in np.flatnonzero(within)]
            masks = [window_to_rle(mask, left - x, top - y, canvas, canvas) for mask, left, top in windows]
            part = np.ascontiguousarray(pixels[y : y + canvas, x : x + canvas])
            particles = predictor.find_particles(part, tiles="off").particles
            matched = found_among(particles, masks)
            inside, recalled = inside + len(masks), recalled + len(matched)
            if matched:
                biases.append(mean_bias(particles, masks, matched))
    assert len(truth) > 500
    assert len(pairs) / len(truth) > recalled / inside - 0.01
    assert len(there.particles) - len(pairs) < 0.02 * len(truth)
    assert mean_bias(there.particles, truth, pairs) == pytest.approx(np.mean(biases), abs=0.01)
