import numpy as np
import pytest
import torch

from nanoseg_bench.annotations.raster import rle_to_mask
from nanoseg_bench.errors import ModelError, RecipeError, TimeLimitReached
from nanoseg_bench.models.base import MIN_SCORE, Deadline, FitContext
from nanoseg_bench.models.data import Particle, Sample
from nanoseg_bench.models.otsu import Otsu
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.semantic import SemanticModel, class_map, dice_loss, owners

CASES = [("unet", {}), ("unet", {"distance": True}), ("deeplabv3plus", {"distance": True, "score": "fit"})]
"""Both networks, and what they learn in both ways."""
PASSED = Deadline(at=0.0, limit="1s")
SHORT = {"canvas": 64, "images_seen": 8, "images_per_epoch": 4}


def make(name: str, prepared, **changes) -> SemanticModel:
    recipe = load_recipe(name, "smoke").model_copy(update=changes)
    return SemanticModel(recipe, prepared.classes, prepared.max_instances)


def pixel_iou(predicted, truth) -> float:
    shape = (truth[0].region.height, truth[0].region.width)
    ours, theirs = (
        np.logical_or.reduce([np.zeros(shape, dtype=bool)] + [rle_to_mask(instance.region) for instance in found])
        for found in (predicted, truth)
    )
    return float((ours & theirs).sum() / (ours | theirs).sum())


@pytest.mark.parametrize(("name", "options"), CASES)
def test_fit_predict_load(name, options, prepared_set, test_images, tmp_path):
    model = make(name, prepared_set, options=options, **SHORT)
    report = model.fit(prepared_set, FitContext(tmp_path))
    assert report.images_seen == 8
    predictions = model.predict(test_images)
    assert len(predictions) == len(test_images)
    fresh = make(name, prepared_set, options=options, **SHORT)
    fresh.load(report.checkpoint, "cpu")
    for ours, theirs, image in zip(predictions, fresh.predict(test_images), test_images, strict=True):
        assert [(i.label, i.score, i.region) for i in ours] == [(i.label, i.score, i.region) for i in theirs]
        assert [i.score for i in ours] == sorted((i.score for i in ours), reverse=True)
        for instance in ours:
            assert instance.label in prepared_set.classes
            assert MIN_SCORE <= instance.score <= 1
            assert (instance.region.width, instance.region.height) == (image.letterbox.width, image.letterbox.height)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), CASES)
def test_learns_to_find_particles_and_their_classes(name, options, prepared_set, test_images, tmp_path):
    model = make(name, prepared_set, images_seen=240, images_per_epoch=240, options=options)
    model.fit(prepared_set, FitContext(tmp_path))
    (found,) = model.predict(test_images)
    truth = prepared_set.truth("test")[test_images[0].name]
    assert pixel_iou(found, truth) > 0.8
    assert len(found) == len(truth)


def test_an_interrupted_training_ends_with_the_same_weights(prepared_set, tmp_path):
    whole, parts, again = (make("unet", prepared_set, **SHORT) for _ in range(3))
    whole.fit(prepared_set, FitContext(tmp_path / "whole"))
    with pytest.raises(TimeLimitReached, match="epoch 1 of 2"):
        parts.fit(prepared_set, FitContext(tmp_path / "parts", deadline=PASSED))
    assert again.fit(prepared_set, FitContext(tmp_path / "parts")).resumes == 1
    expected = whole._network.state_dict()
    for name, value in again._network.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_batch_normalisation_needs_two_images(prepared_set, tmp_path):
    with pytest.raises(ModelError, match=r"at least two images at a time \(batch 1"):
        make("deeplabv3plus", prepared_set, batch=1).fit(prepared_set, FitContext(tmp_path))


def test_a_canvas_that_the_encoder_cannot_halve_is_refused(prepared_set):
    with pytest.raises(RecipeError, match="canvas 100 must be a multiple of 32"):
        make("unet", prepared_set, canvas=100)


def test_a_fit_without_a_depth_is_refused(prepared_set):
    with pytest.raises(RecipeError, match=r"unet.*score: fit is that of the learnt depth; set distance: true"):
        make("unet", prepared_set, options={"score": "fit"})


def test_predict_needs_weights(prepared_set, test_images):
    with pytest.raises(ModelError, match="before fit or load"):
        make("unet", prepared_set).predict(test_images)


def test_complexity(prepared_set):
    small, large = (make("unet", prepared_set, canvas=canvas).complexity() for canvas in (64, 128))
    assert small.parameters == large.parameters == pytest.approx(24.4e6, rel=0.01)
    assert large.gflops == pytest.approx(4 * small.gflops)
    # ResNet-34 alone is 3.67 G multiply-adds at 224 px.
    assert large.gflops > 2 * 3.67 * (128 / 224) ** 2


def test_class_map_holds_classes_and_ignored_pixels(batch_of):
    ones = np.ones((2, 2), dtype=bool)
    sample = Sample(
        np.zeros((8, 8), dtype=np.uint8),
        (Particle(0, ones, 1, 1), Particle(1, ones, 4, 5), Particle(0, ones, 5, 6)),
        (Particle(-1, np.ones((3, 3), dtype=bool), 2, 2),),
    )
    batch = batch_of(sample, Sample(sample.pixels, (), ()), ignored=True)
    target = class_map(batch, owners(batch))
    expected = np.zeros((8, 8), dtype=int)
    expected[2:5, 2:5] = 255
    expected[1:3, 1:3] = 1
    expected[5:7, 4:6] = 2
    expected[6:8, 5:7] = 1  # the later particle lies above
    assert (target[0].numpy() == expected).all()
    assert not target[1].any()


def test_dice_against_its_definition():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 6, 6, generator=generator)
    target = torch.randint(0, 3, (2, 6, 6), generator=generator)
    target[0, 0] = 255
    probability = logits.softmax(dim=1)
    coefficients = []
    for c in (1, 2):
        overlap = predicted = true = 0.0
        for n in range(2):
            for y in range(6):
                for x in range(6):
                    if target[n, y, x] == 255:
                        continue
                    p, t = float(probability[n, c, y, x]), float(target[n, y, x] == c)
                    overlap, predicted, true = overlap + p * t, predicted + p, true + t
        coefficients.append((2 * overlap + 1) / (predicted + true + 1))
    assert dice_loss(logits, target).item() == pytest.approx(1 - np.mean(coefficients), rel=1e-5)


def test_dice_of_an_empty_batch_is_zero_and_differentiable():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = dice_loss(logits, torch.zeros(1, 4, 4, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0


def test_shares_post_processing_with_otsu(prepared_set, test_images):
    truth = prepared_set.truth("test")[test_images[0].name]
    (found,) = Otsu(load_recipe("otsu", "smoke"), prepared_set.classes, 6).predict(test_images)
    assert pixel_iou(found, truth) > 0.85


@pytest.mark.parametrize("distance", [False, True])
def test_a_batch_of_which_nothing_counts_teaches_nothing(distance, prepared_set, batch_of):
    """Views may lie within a region that is to be ignored: the loss was NaN, and the training "diverged"."""
    model = make("unet", prepared_set, options={"distance": distance})
    region = Particle(-1, np.ones((8, 8), dtype=bool), 0, 0)
    batch = model.targets(batch_of(Sample(np.zeros((8, 8), dtype=np.uint8), (), (region,)), ignored=True))
    logits = torch.randn(1, model.channels, 8, 8, requires_grad=True)
    total = sum(model.losses(lambda _: logits, batch).values())
    total.backward()
    assert total.item() == 0 and not logits.grad.any()
