"""A micrograph looked at from several sides: each comes back where it belongs, and the vote is the one described."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import iou_matrix, mask_to_rle, rle_to_mask, to_mask
from nanoseg_bench.errors import RecipeError, UsageError
from nanoseg_bench.inference.predictor import open_predictor
from nanoseg_bench.models.base import CanvasImage
from nanoseg_bench.models.checkpoint import seed_everything
from nanoseg_bench.models.judged_views import LEAST_SCORE, SIDES, find_from_sides, vote
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.report.analysis.method import method_of

HEIGHT, WIDTH, CANVAS = 90, 130, 128
YS, XS = np.mgrid[:HEIGHT, :WIDTH] + 0.5
EXACT = 1e-12


def disc(x, y, radius):
    return (XS - x) ** 2 + (YS - y) ** 2 < radius**2


def particle(mask, score=0.9, label="disc"):
    return Instance(label, mask_to_rle(mask), score)


def noise(seed=0, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("side", SIDES)
def test_what_is_found_from_a_side_comes_back_where_it_lies(side):
    mask = disc(40, 30, 11) | disc(52, 25, 6)
    found = particle(side.of(mask.astype(np.uint8)) > 0)
    assert (to_mask(side.back(found, HEIGHT, WIDTH), HEIGHT, WIDTH) == mask).all()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("size", [(90, 130), (130, 90), (77, 77)])
def test_the_canvas_of_a_side_is_that_of_the_turned_micrograph(side, size):
    pixels = noise(1, *size)
    seen = side.of_canvas(CanvasImage.of_micrograph(pixels, CANVAS))
    turned = CanvasImage.of_micrograph(np.ascontiguousarray(side.of(pixels)), CANVAS)
    assert seen.letterbox == turned.letterbox
    # Pillow resizes rows first: the last digit of a sum depends on the side.
    assert np.abs(seen.pixels.astype(int) - turned.pixels).max() <= 1


def test_all_sides_are_different():
    pixels = noise(2, 8, 8)
    assert len({side.of(pixels).tobytes() for side in SIDES}) == len(SIDES) == 8


def test_the_vote_is_by_score_and_counts_sides_that_see_nothing():
    truth = disc(60, 45, 20)
    moved = [disc(60 + dx, 45 + dy, 20) for dx, dy in ((2, 0), (-2, 0), (0, 2))]
    scores = [0.9, 0.6, 0.5]
    found = [[particle(mask, score)] for mask, score in zip(moved, scores, strict=True)]
    (elected,) = vote([*found, []], HEIGHT, WIDTH)
    assert elected.score == pytest.approx(sum(scores) / 4, abs=EXACT)
    literal = sum(score * mask for score, mask in zip(scores, moved, strict=True)) > sum(scores) / 2
    assert (rle_to_mask(elected.region) == literal).all()
    closer = iou_matrix([elected.region], [mask_to_rle(truth)])[0, 0]
    assert closer > max(iou_matrix([mask_to_rle(mask) for mask in moved], [mask_to_rle(truth)])[:, 0])


def test_a_side_votes_once_and_others_stay_apart():
    left, right = disc(40, 45, 14), disc(90, 45, 14)
    # The second outline of the left one votes for nobody: that side has voted with its surer one.
    twice = [particle(left, 0.9), particle(disc(41, 45, 14), 0.4), particle(right, 0.7)]
    found = vote([twice, [particle(left, 0.8)]], HEIGHT, WIDTH)
    assert [round(each.score, 6) for each in found] == [0.85, 0.35]
    assert [round(float(np.nonzero(to_mask(each, HEIGHT, WIDTH))[1].mean())) for each in found] == [40, 90]


def test_the_class_is_that_with_the_highest_sum():
    mask = disc(60, 45, 20)
    sides = [[particle(mask, 0.5, "rod")], [particle(mask, 0.4, "cube")], [particle(mask, 0.3, "cube")]]
    (elected,) = vote(sides, HEIGHT, WIDTH)
    assert elected.label == "cube" and elected.score == pytest.approx(0.4, abs=EXACT)


def test_nothing_found_is_nothing():
    assert vote([[], []], HEIGHT, WIDTH) == []
    image = CanvasImage.of_micrograph(noise(), CANVAS)
    weak = particle(disc(30, 30, 9), LEAST_SCORE / 2)
    assert find_from_sides(lambda each: [weak], image, 4) == []


def network(name, views):
    seed_everything(0)
    recipe = load_recipe(name, "smoke").model_copy(update={"canvas": CANVAS, "judged_views": views})
    model = build(recipe, ("disc",), 20)
    built = model.build_network()
    if name == "nsyolo":  # an untrained one is sure of nothing
        with torch.no_grad():
            for branch in built.model[-1].cv3:
                branch[-1].bias.fill_(-1.0)
    model.adopt(built.eval(), "cpu")
    return model


def seen(found):
    return {(round(each.score, 5), each.region) for each in found}


def shifted(image):
    """Bright discs, each found 2 px to the right of where it lies."""
    box = image.letterbox
    labels, number = ndimage.label(box.content(image.pixels)[:, :, 0] > 128)
    found = []
    for label in range(1, number + 1):
        mask = np.roll(labels == label, 2, axis=1)
        found.append(
            Instance("disc", box.restore_mask(mask.astype(np.float32), box.padding), 0.9 - 0.1 * label / number)
        )
    return found


def test_an_error_of_direction_cancels_and_a_turned_micrograph_gives_the_turned_particles():
    masks = [disc(40, 30, 17), disc(90, 55, 22)]
    pixels = np.where(masks[0] | masks[1], 230, 20).astype(np.uint8)
    image = CanvasImage.of_micrograph(pixels, CANVAS)
    truth = [mask_to_rle(mask) for mask in masks]

    def closeness(found):
        assert len(found) == 2
        return iou_matrix([each.region for each in found], truth).max(axis=0).min()

    found = find_from_sides(shifted, image, 8)
    assert closeness(shifted(image)) < 0.9 < 0.93 < closeness(found)
    for side in SIDES:
        turned = CanvasImage.of_micrograph(np.ascontiguousarray(side.of(pixels)), CANVAS)
        again = [side.back(each, HEIGHT, WIDTH) for each in find_from_sides(shifted, turned, 8)]
        assert closeness(again) > 0.93


@pytest.mark.parametrize("name", ["nsyolo", "unet"])
def test_networks_look_from_all_sides(name):
    image = CanvasImage.of_micrograph(noise(3, 96, 128), CANVAS)
    model, once = network(name, 8), network(name, 1)
    found = model.find_particles([image])[0]
    assert found and seen(found) != seen(once.find_particles([image])[0])
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True) and len(found) <= model.max_detections
    assert {(each.region.height, each.region.width) for each in found} == {(96, 128)}


def test_what_counts_is_what_the_benchmark_finds():
    model = network("nsyolo", 4)
    image = CanvasImage.of_micrograph(noise(4), CANVAS)
    every, sure = model.find_particles([image])[0], model.find_particles([image], 0.2)[0]
    assert sure and seen(sure) == seen(each for each in every if each.score >= 0.2)


def test_a_model_without_confidence_cannot_vote():
    with pytest.raises(RecipeError, match=r"otsu.*judged_views 4: its scores are no confidences"):
        build(load_recipe("otsu", "smoke").model_copy(update={"judged_views": 4}), ("disc",), 20)


def test_only_whole_sets_of_sides(tmp_path):
    recipe = load_recipe("nsyolo", "smoke").model_dump()
    with pytest.raises(ValueError, match="Input should be 1, 4 or 8"):
        type(load_recipe("nsyolo", "smoke"))(**{**recipe, "judged_views": 2})


def test_a_predictor_takes_other_views_than_its_model_was_judged_with(rendered_set, tmp_path):
    from nanoseg_bench.cli import main

    command = ["run", str(rendered_set.root), "--models", "otsu", "--preset", "smoke"]
    assert main([*command, "--runs", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "boards")]) == 0
    (otsu,) = (tmp_path / "runs").glob("otsu-*")
    assert open_predictor(otsu, views=1).views == 1
    with pytest.raises(UsageError, match=r"^views 8: Otsu.* no confidences"):
        open_predictor(otsu, views=8)
    once, four = open_predictor("nsyolo"), open_predictor("nsyolo", views=4)
    assert (once.views, four.views) == (1, 4)
    # What reports and the page say of the model.
    told = [method_of(predictor).model for predictor in (once, four)]
    assert "sides" not in told[0] and told[1].endswith("each micrograph looked at from 4 sides")
