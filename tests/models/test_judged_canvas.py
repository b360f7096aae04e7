"""Networks judged at another size than that of the canvas: what they find lies in the image as before."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn
from torchvision.models.detection.roi_heads import project_masks_on_boxes

from nanoseg_bench.annotations.raster import iou_matrix, mask_to_rle
from nanoseg_bench.errors import RecipeError
from nanoseg_bench.inference.predictor import Predictor
from nanoseg_bench.models.base import MIN_SCORE, CanvasImage
from nanoseg_bench.models.checkpoint import seed_everything
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.preparation.letterbox import Letterbox

CANVAS = 128
HEIGHT, WIDTH = 150, 190
MODELS = ("yolo11n", "nsyolo", "unet", "deeplabv3plus", "mask-rcnn")


def make(name, judged=None):
    recipe = load_recipe(name, "smoke").model_copy(update={"canvas": CANVAS, "judged_canvas": judged})
    return build(recipe, ("disc",), 20)


@pytest.fixture(scope="module")
def micrograph():
    """(pixels, masks) of bright discs on a dark ground; none touches another."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    discs = [(30, 40, 18), (95, 35, 22), (150, 60, 15), (60, 110, 25), (140, 115, 20)]
    masks = [(xs - x) ** 2 + (ys - y) ** 2 < radius**2 for x, y, radius in discs]
    return np.where(np.logical_or.reduce(masks), 210, 20).astype(np.uint8), masks


def canvas_of(pixels):
    return CanvasImage.of_micrograph(pixels, CANVAS)


def blobs(plane):
    """Label of each bright blob of a plane (H, W) that a network was given, and their windows."""
    labels, _ = ndimage.label(plane.numpy())
    return labels, ndimage.find_objects(labels)


class BrightPixels(nn.Module):
    """Says of each pixel whether it is bright, as a semantic network does."""

    def forward(self, inputs):
        bright = 20 * inputs[:, :1]  # normalised: positive above the mean
        return torch.cat([-bright, bright], dim=1)


class BrightBoxes(nn.Module):
    """Detects bright blobs as Mask R-CNN does: loose boxes, each with a mask of 28 x 28, as torchvision teaches it."""

    def forward(self, inputs):
        labels, windows = blobs(inputs[0, 0] > 0)
        boxes = torch.tensor([[x.start - 2, y.start - 2, x.stop + 2, y.stop + 2] for y, x in windows]).float()
        masks = torch.from_numpy(np.stack([labels == number for number in range(1, len(boxes) + 1)]))
        return [
            {
                "boxes": boxes,
                "masks": project_masks_on_boxes(masks, boxes, torch.arange(len(boxes)), 28)[:, None],
                "labels": torch.ones(len(boxes), dtype=torch.int64),
                "scores": torch.linspace(0.9, 0.5, len(boxes)),
            }
        ]


class BrightAnchors:
    """Detects bright blobs as a YOLO network does: boxes and coefficients of one prototype, brightness at stride 4."""

    name = "torch"

    def run(self, pixels):
        self.seen = pixels.shape[:2]
        plane = torch.from_numpy(pixels[:, :, 0].astype(np.float32))
        _, windows = blobs(plane > 115)
        columns = []
        for number, (rows, across) in enumerate(windows):
            middle = [(across.start + across.stop) / 2, (rows.start + rows.stop) / 2]
            columns.append([*middle, across.stop - across.start, rows.stop - rows.start, 0.9 - 0.01 * number, 1.0])
        prototypes = nn.functional.avg_pool2d(plane[None, None], 4)[0] - 115
        return torch.tensor(columns, dtype=torch.float32).T, prototypes


def with_bright_network(name, judged):
    model = make(name, judged)
    if model.exports_onnx:
        model.run_with(BrightAnchors())
    else:
        model.adopt(BrightBoxes() if name == "mask-rcnn" else BrightPixels(), "cpu")
    return model


@pytest.mark.parametrize("judged", [None, 96, 160, 256])
@pytest.mark.parametrize("name", ["yolo11n", "unet", "mask-rcnn"])
def test_what_is_found_lies_where_it_is(name, judged, micrograph):
    pixels, masks = micrograph
    model = with_bright_network(name, judged)
    found = model.find_particles([canvas_of(pixels)])[0]
    assert len(found) == len(masks)
    iou = iou_matrix([each.region for each in found], [mask_to_rle(mask) for mask in masks])
    assert (iou.max(axis=0) > 0.9).all(), iou.max(axis=0)
    # A micrograph of no prepared set goes the same way.
    again = Predictor(model).predict(pixels, MIN_SCORE)
    assert [(each.region, each.score) for each in again] == [(each.region, each.score) for each in found]


@pytest.mark.parametrize(("judged", "seen"), [(None, (128, 128)), (160, (128, 160)), (256, (224, 256))])
def test_the_network_sees_the_judged_canvas_without_needless_padding(judged, seen, micrograph):
    model = with_bright_network("yolo11n", judged)
    model.predict([canvas_of(micrograph[0])])
    assert model.engine.seen == seen


@pytest.mark.parametrize("name", MODELS)
def test_the_size_of_the_canvas_changes_nothing_and_another_one_stays_in_the_image(name, micrograph):
    def found(judged):
        seed_everything(0)
        model = make(name, judged)
        model.adopt(model.build_network(), "cpu")
        return model.predict([canvas_of(micrograph[0])])[0]

    def seen(particles):
        return [(each.label, each.score, each.region) for each in particles]

    plain, other = found(None), found(192)
    assert seen(found(CANVAS)) == seen(plain)
    assert seen(other) != seen(plain)
    assert {(each.region.height, each.region.width) for each in other} == {(HEIGHT, WIDTH)}


def test_a_size_that_no_network_takes_is_refused():
    with pytest.raises(RecipeError, match="judged_canvas 100 must be a multiple of 32"):
        make("unet", 100)
    with pytest.raises(RecipeError, match=r"otsu.*judged_canvas 160.*leave it out"):
        make("otsu", 160)


def test_letterboxes_are_of_the_judged_canvas():
    model = make("nsyolo", 160)
    assert (model.letterbox(WIDTH, HEIGHT), model.recipe.input_canvas) == (Letterbox(WIDTH, HEIGHT, 160, 32), 160)
    assert make("nsyolo").recipe.input_canvas == CANVAS
