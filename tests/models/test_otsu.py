import numpy as np
import pytest

from nanoseg_bench.annotations.raster import iou_matrix, mask_to_rle
from nanoseg_bench.models.base import CanvasImage, FitContext
from nanoseg_bench.models.otsu import Otsu
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.preparation.letterbox import Letterbox

CENTRES = ((50.0, 40.0, 20.0), (150.0, 60.0, 25.0), (90.0, 110.0, 12.0))


def discs(width: int = 200, height: int = 150, circles=CENTRES) -> list[np.ndarray]:
    ys, xs = np.mgrid[:height, :width] + 0.5
    return [(xs - x) ** 2 + (ys - y) ** 2 < r**2 for x, y, r in circles]


def picture(masks: list[np.ndarray], inside: int, outside: int) -> np.ndarray:
    pixels = np.random.default_rng(0).normal(outside, 8, masks[0].shape)
    pixels[np.logical_or.reduce(masks)] += inside - outside
    return pixels.clip(0, 255).astype(np.uint8)


def predict(pixels: np.ndarray, canvas: int = 320):
    letterbox = Letterbox(pixels.shape[1], pixels.shape[0], canvas)
    model = Otsu(load_recipe("otsu", "smoke"), ("particle",), 10)
    model.load(None, "cpu")
    rgb = np.repeat(letterbox.apply(pixels)[:, :, None], 3, axis=2)
    return model.predict([CanvasImage("image", rgb, letterbox)])[0]


@pytest.mark.parametrize(("inside", "outside"), [(60, 170), (170, 60)], ids=["dark on bright", "bright on dark"])
def test_finds_discs_of_either_polarity(inside, outside):
    masks = discs()
    found = predict(picture(masks, inside, outside))
    assert len(found) == 3
    ious = iou_matrix([instance.region for instance in found], [mask_to_rle(mask) for mask in masks])
    assert ious.max(axis=0).min() > 0.9
    assert all(instance.label is None and 0 < instance.score <= 1 for instance in found)
    assert [i.score for i in found] == sorted((i.score for i in found), reverse=True)


def test_splits_a_touching_pair():
    masks = discs(circles=((70.0, 75.0, 24.0), (114.0, 75.0, 24.0)))
    found = predict(picture(masks, 180, 60))
    ious = iou_matrix([instance.region for instance in found], [mask_to_rle(mask) for mask in masks])
    assert len(found) == 2
    assert ious.max(axis=0).min() > 0.9


def test_the_padding_has_no_say_in_the_threshold():
    masks = discs(600, 150)
    # Both greys lie above the padding's 114: a threshold over the whole canvas would fall between padding and image.
    found = predict(picture(masks, 240, 180), canvas=600)
    assert len(found) == 3


def test_a_flat_image_has_no_particles():
    assert predict(np.full((100, 100), 77, dtype=np.uint8)) == []


def test_needs_no_training(prepared_set, tmp_path):
    model = Otsu(load_recipe("otsu", "quick"), prepared_set.classes, prepared_set.max_instances)
    assert model.fit(prepared_set, FitContext(tmp_path)).checkpoint is None
    assert model.complexity() is None
    assert not model.knows_classes
    assert list(tmp_path.iterdir()) == []
