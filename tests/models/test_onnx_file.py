import pytest
import torch

from nanoseg_bench.errors import ModelError
from nanoseg_bench.models import parity
from nanoseg_bench.models.onnx_file import OnnxAbout, open_onnx, write_onnx
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.yolo import YoloModel
from nanoseg_bench.nsyolo.export import export_onnx


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    recipe = load_recipe("nsyolo", "smoke").model_copy(update={"canvas": 64})
    model = YoloModel(recipe, ("Würfel", "rod"), 7)
    model.adopt(model.build_network(), "cpu")
    return model


def test_a_file_says_all_that_is_needed(model, tmp_path):
    path = tmp_path / "Größe.onnx"
    found = write_onnx(model, path, "0" * 64, confidence=0.123456789)
    assert found.passed
    opened, about = open_onnx(path)
    assert about == OnnxAbout(model.recipe, ("Würfel", "rod"), 7, "0" * 64, 0.123456789)
    assert (opened.recipe, opened.classes, opened.max_instances) == (model.recipe, model.classes, 7)
    assert opened.engine.name == "onnx"
    with pytest.raises(ModelError, match="before fit or load"):
        opened.network  # noqa: B018
    write_onnx(model, path, "0" * 64)
    assert open_onnx(path)[1].confidence is None


def test_a_file_that_differs_is_not_written(model, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"earlier")
    monkeypatch.setattr(parity, "MAX_BOX", 0.0)
    with pytest.raises(ModelError, match="ONNX Runtime and PyTorch differ: boxes differ by at most"):
        write_onnx(model, path, "0" * 64)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_bytes() == b"earlier"


def test_metadata_that_cannot_be_used(model, tmp_path):
    about = OnnxAbout(model.recipe, model.classes, 7, "0" * 64).as_metadata()
    for change, message in (
        ({"format": "nanoseg-onnx/0"}, "format 'nanoseg-onnx/0'"),
        ({"max_instances": "many"}, "many"),
        ({"recipe": "{}"}, "model"),
        ({"classes": "disc"}, "metadata cannot be read"),
    ):
        with pytest.raises(ModelError, match=message):
            OnnxAbout.from_metadata(about | change, tmp_path / "model.onnx")
    export_onnx(model.network, tmp_path / "bare.onnx", size=64)
    with pytest.raises(ModelError, match="format None"):
        open_onnx(tmp_path / "bare.onnx")
