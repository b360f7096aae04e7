"""What a model supports is said by the model, and nothing asks whether it is of the YOLO family."""

import numpy as np
import pytest
import torch

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.errors import ModelError
from nanoseg_bench.explanation.explanation import explain
from nanoseg_bench.models import registry
from nanoseg_bench.models.base import MIN_SCORE, CanvasImage, FitReport, Model
from nanoseg_bench.models.onnx_engine import OnnxEngine
from nanoseg_bench.models.onnx_file import write_onnx
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.yolo import YoloModel

CLASSES = ("disc", "square")


class Scored(Model):
    """A model as docs/plug-ins.md asks for it, with the four methods and no more: particles of known scores."""

    scores = (0.9, 0.5, None, 0.2)

    def fit(self, prepared, context):
        return FitReport(None)

    def load(self, checkpoint, device):
        pass

    def predict(self, images):
        return [[self.one(image, score) for score in self.scores] for image in images]

    def complexity(self):
        return None

    def one(self, image, score):
        mask = np.zeros((image.letterbox.height, image.letterbox.width), dtype=bool)
        mask[2:5, 2:5] = mask[8:10, 8:10] = True  # a large part and a small one
        return Instance(None, mask_to_rle(mask), score)


class Housed(Scored):
    """A model that is no ``YoloModel`` and has one inside: all that it supports, it says by the interface."""

    exports_onnx = True

    def __init__(self, recipe, classes, max_instances):
        super().__init__(recipe, classes, max_instances)
        self.inner = YoloModel(load_recipe("yolo11n", "smoke").model_copy(update={"canvas": 64}), classes, 9)
        torch.manual_seed(0)
        network = self.inner.build_network()
        with torch.no_grad():
            head = network.model[-1]
            for boxes, scores, masks in zip(head.cv2, head.cv3, head.cv4, strict=True):
                boxes[-1].bias.copy_(-2.0 * torch.arange(head.reg_max).repeat(4))  # small boxes, so that many stay
                scores[-1].bias.zero_()
                masks[-1].bias.fill_(1.0)
            head.proto.cv3.bn.bias.fill_(1.0)
        self.inner.adopt(network, "cpu")

    @property
    def engine_name(self):
        return self.inner.engine_name

    def exported_network(self):
        return self.inner.exported_network()

    def run_with(self, engine):
        self.inner.run_with(engine)

    def predict(self, images):
        return self.inner.predict(images)

    def probe(self, image, min_score):
        return self.inner.probe(image, min_score)


class Wrong(Scored):
    """A model whose author has not read on: the region is what ``region`` makes of the canvas."""

    def __init__(self, region, answers=1):
        super().__init__(otsu_recipe(), CLASSES, 9)
        self.region, self.answers = region, answers

    def predict(self, images):
        return [[Instance(None, self.region(image.pixels[..., 0] > 9), 0.5)] for image in images] * self.answers


@pytest.mark.parametrize(
    ("region", "answers", "message"),
    [
        (lambda mask: mask, 1, "region of a particle in 'a' is of type ndarray; make it with restore_instances"),
        (mask_to_rle, 1, "a mask of 64x64 px for 'a', which has 40x30 px; bring it .* with restore_instances"),
        (lambda mask: ([[1, 1], [9, 1], [9, 9]],), 1, "is of type tuple; .*a tuple of Polygons"),
        (mask_to_rle, 2, "gave 2 answers for 1 images; each image needs a list"),
    ],
)
def test_what_is_no_particle_is_refused_with_the_way_out(region, answers, message):
    image = CanvasImage.of_micrograph(np.full((30, 40), 99, dtype=np.uint8), 64, "a")
    with pytest.raises(ModelError, match=f"model 'otsu': .*{message}"):
        Wrong(region, answers).find_particles([image])


def otsu_recipe(**changes):
    return load_recipe("otsu", "smoke").model_copy(update={"canvas": 64, **changes})


@pytest.fixture
def canvas():
    return CanvasImage.of_micrograph(np.random.default_rng(0).integers(0, 255, (30, 40), dtype=np.uint8), 64)


def test_of_a_model_that_only_predicts_the_rest_follows(canvas):
    model = Scored(otsu_recipe(mask_cleaning="largest-filled"), CLASSES, 3)
    assert [[each.score for each in found] for found in model.predict_confident([canvas, canvas], 0.5)] == [
        [0.9, 0.5, None]
    ] * 2
    (every,), (confident,) = model.find_particles([canvas]), model.find_particles([canvas], 0.6)
    assert [each.score for each in every] == list(model.scores)
    assert [each.score for each in confident] == [0.9, None]
    assert all(isinstance(each.region, Rle) for each in confident)
    assert {each.region for each in confident} == {every[0].region} != {model.predict([canvas])[0][0].region}
    assert model.engine_name == "torch" and not model.exports_onnx


def test_what_a_model_does_not_support_it_says(canvas, tmp_path):
    model = Scored(otsu_recipe(), CLASSES, 3)
    with pytest.raises(ModelError, match="otsu cannot be explained"):
        explain(model, np.zeros((30, 40), dtype=np.uint8), 0.5)
    with pytest.raises(ModelError, match="otsu cannot be exported to ONNX"):
        write_onnx(model, tmp_path / "model.onnx", "0" * 64)
    with pytest.raises(ModelError, match="otsu runs in PyTorch only"):
        model.run_with(None)
    assert list(tmp_path.iterdir()) == []


def test_another_model_may_support_all_that_a_yolo_network_does(canvas, tmp_path):
    model = Housed(otsu_recipe(), CLASSES, 3)
    (before,) = model.predict([canvas])
    assert len(before) > 5
    explanation = explain(model, np.zeros((30, 40), dtype=np.uint8), MIN_SCORE)
    assert explanation.confidence.shape == (30, 40) and explanation.instances
    assert write_onnx(model, tmp_path / "model.onnx", "0" * 64).passed
    model.run_with(OnnxEngine(tmp_path / "model.onnx"))
    assert model.engine_name == "onnx"
    (after,) = model.predict([canvas])
    assert [each.score for each in after] == pytest.approx([each.score for each in before], abs=1e-4)


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_what_says_that_it_exports_can(name):
    kind = registry.model_class(name)
    for method in ("exported_network", "run_with"):
        assert (getattr(kind, method) is not getattr(Model, method)) == kind.exports_onnx
    assert kind.exports_onnx == (registry.BUILT_IN[name].endswith(":YoloModel"))


def test_a_network_is_known_without_building_it(monkeypatch):
    recipes = {name: load_recipe(name, "smoke") for name in ("otsu", "unet", "yolo11n")}
    models = {name: registry.build(recipe, CLASSES, 10) for name, recipe in recipes.items()}
    for model in models.values():
        if model.recipe.model != "otsu":
            monkeypatch.setattr(model, "build_network", lambda: pytest.fail("built"))
    assert {name: model.has_network for name, model in models.items()} == {"otsu": False, "unet": True, "yolo11n": True}
