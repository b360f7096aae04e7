"""Particles that are longer than what a network was trained on, with a finder that cuts them as networks do."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from finished_runs import write_otsu_run
from PIL import Image, ImageDraw, ImageFont

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import mask_to_rle, to_mask
from nanoseg_bench.cli import main
from nanoseg_bench.inference.far import longest_whole, look_from_afar, may_be_cut
from nanoseg_bench.inference.predictor import Predictor, open_predictor
from nanoseg_bench.models.base import FitReport, Model
from nanoseg_bench.models.recipe import load_recipe

CANVAS, VIEW = 320, 160


class Finder:
    """Every bright region; what is longer on the canvas than a view comes in pieces of that length."""

    def __init__(self, canvas=CANVAS):
        self.calls = 0
        self.canvas = canvas

    def __call__(self, pixels):
        self.calls += 1
        most = VIEW * max(pixels.shape) // self.canvas
        _, labels, boxes, _ = cv2.connectedComponentsWithStats((pixels > 150).astype(np.uint8))
        found = []
        for number, (left, top, across, down, _) in enumerate(boxes[1:].tolist(), start=1):
            for y in range(top, top + down, most):
                for x in range(left, left + across, most):
                    piece = np.zeros(labels.shape, dtype=bool)
                    piece[y : y + most, x : x + most] = labels[y : y + most, x : x + most] == number
                    if piece.any():
                        found.append(Instance("a", mask_to_rle(piece), score=0.9 - 0.01 * len(found)))
        return found


def field(*discs, height=480, width=640):
    image = np.full((height, width), 60, np.uint8)
    for x, y, radius in discs:
        cv2.circle(image, (x, y), radius, 200, -1)
    return image


def look(image, finder):
    found = finder(image)
    return look_from_afar(finder, image, found, longest_whole(VIEW, CANVAS, *image.shape))


@pytest.mark.parametrize("transposed", [False, True])
def test_a_large_disc_comes_whole(transposed):
    image = field((320, 320, 300), (40, 40, 30), height=640, width=660)
    image = np.ascontiguousarray(image.T) if transposed else image
    finder = Finder()
    assert len(finder(image)) > 2, "it is cut"
    found, cut = look(image, finder)
    assert sorted(to_mask(each, *image.shape).sum() for each in found) == [area_of(30), area_of(300)]
    assert not cut


def area_of(radius):
    return int((field((320, 320, radius), height=640) > 150).sum())


def test_what_is_cut_from_afar_too_is_told():
    """Views of a quarter of the canvas, and a bar as long as four of them."""
    finder, image = Finder(2 * CANVAS), field(height=640)
    image[:, 160:480] = 200
    limit = longest_whole(VIEW, 2 * CANVAS, *image.shape)
    found, cut = look_from_afar(finder, image, finder(image), limit)
    assert len(found) == len(cut) == 2, "halves"
    assert {id(each) for each in cut} == {id(each) for each in found}


class JudgedLarger(Model):
    """Finds as ``Finder`` does at the size that its recipe is judged at."""

    judged_at_any_size = True

    def fit(self, prepared, context):
        return FitReport(None)

    def load(self, checkpoint, device):
        pass

    def complexity(self):
        return None

    def predict(self, images):
        find = Finder(self.recipe.input_canvas)
        return [
            [
                replace(each, region=image.letterbox.restore_mask(to_mask(each, CANVAS, CANVAS)))
                for each in find(image.pixels[:, :, 0])
            ]
            for image in images
        ]


def test_a_view_is_as_long_as_the_network_sees_it():
    recipe = load_recipe("unet", "smoke").model_copy(
        update={"canvas": CANVAS, "crop": VIEW, "judged_canvas": 2 * CANVAS, "options": {}}
    )
    image = field((160, 160, 70), height=CANVAS, width=CANVAS)
    predictor = Predictor(JudgedLarger(recipe, ["a"], 9), confidence=0.3)
    assert len(predictor.predict(image, 0.3)) == 4, "it is cut"
    found = predictor.find_particles(image, keep_marks=True)
    assert [mask.sum() for mask in found.masks()] == [pytest.approx((image > 150).sum(), rel=0.02)]
    assert not found.cut


def test_ordinary_fields_are_looked_at_once():
    finder = Finder()
    image = field(*((x, y, 50) for x in range(60, 640, 110) for y in range(60, 480, 110)))
    found, cut = look(image, finder)
    assert finder.calls == 1 and not cut
    assert [each.region for each in found] == [each.region for each in finder(image)]


def test_what_is_whole_and_as_long_as_a_view_stays_as_it_was_seen_from_near():
    image = field((240, 240, 155))
    finder = Finder()
    found, cut = look(image, finder)
    assert finder.calls == 2 and not cut
    assert may_be_cut(found, longest_whole(VIEW, CANVAS, *image.shape)).all()


def test_what_is_not_seen_from_afar_may_be_a_piece():
    image = field((160, 240, 155))
    found, cut = look(image, Finder())
    assert len(found) == 1 and not cut
    image[:, 315:] = 60

    def only_near(pixels):
        return Finder()(pixels) if pixels.shape == image.shape else []

    found, cut = look(image, only_near)
    assert len(found) == 1 and cut == found


def test_what_lies_on_a_large_particle_is_no_piece():
    image = field((320, 320, 300), height=640, width=660)
    on_it = np.zeros(image.shape, np.uint8)
    cv2.circle(on_it, (240, 240), 20, 1, -1)
    small = Instance("a", mask_to_rle(on_it > 0), score=0.95)
    finder = Finder()
    found, cut = look_from_afar(finder, image, [*finder(image), small], longest_whole(VIEW, CANVAS, *image.shape))
    assert len(found) == 2 and small in found and not cut


def test_what_is_written_on_a_micrograph_is_no_piece(tmp_path):
    """A scale bar that Otsu outlines, and that is longer than the views it was trained on, if it were."""
    predictor = open_predictor(write_otsu_run(tmp_path))
    recipe = predictor.model.recipe
    predictor.model.recipe = recipe.model_copy(update={"crop": 100 * recipe.canvas // 640})
    image = field((120, 120, 26), (300, 200, 26))
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).text((460, 355), "300 nm", 255, ImageFont.load_default(size=32))
    ImageDraw.Draw(picture).rectangle((440, 400, 569, 409), 255)
    found = predictor.find_particles(np.asarray(picture), tiles="off")
    assert len(found.particles) == 2 and found.on_marks and not found.cut
    (bar,) = predictor.find_particles(np.asarray(picture), tiles="off", keep_marks=True).cut
    assert to_mask(bar, *image.shape).sum() == pytest.approx(1300, rel=0.05), "it counts where that is asked for"


@pytest.mark.slow
@pytest.mark.parametrize("texture", [6, 14])
def test_the_shipped_network_sees_large_discs_whole_and_ordinary_ones_as_before(texture):
    predictor = open_predictor(None)
    rng = np.random.default_rng(0)

    def rendered(*discs):
        noise = cv2.GaussianBlur(rng.normal(size=(960, 1280)), (0, 0), 1.2)
        image = cv2.GaussianBlur(field(*discs, height=960, width=1280).astype(np.float64), (0, 0), 1.5)
        return (image + texture * noise / noise.std()).clip(0, 255).astype(np.uint8)

    large = predictor.find_particles(rendered((640, 480, 440)))
    diameters = [2 * (to_mask(each, 960, 1280).sum() / np.pi) ** 0.5 for each in large.particles]
    assert diameters == pytest.approx([880], rel=0.04) and not large.cut
    assert predictor.find_particles(rendered((640, 480, 440)), tiles="off").cut
    discs = [(x, y, 70) for x in range(90, 1200, 180) for y in range(90, 900, 180)]
    ordinary = predictor.find_particles(rendered(*discs))
    assert len(ordinary.particles) == len(discs) and not ordinary.cut


@pytest.mark.slow
def test_predict_warns_of_pieces(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "large.png"), cv2.GaussianBlur(field((320, 240, 220)), (0, 0), 1.5))
    command = ["predict", str(tmp_path / "large.png"), "--to", "coco", "--out"]
    assert main([*command, str(tmp_path / "near"), "--tiles", "off"]) == 0
    near = " ".join(capsys.readouterr().out.split())
    assert "warning: " in near and "may be pieces of larger particles" in near and "--tiles auto" in near
    assert main([*command, str(tmp_path / "far")]) == 0
    assert "may be pieces" not in capsys.readouterr().out
