import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from nanoseg_bench.errors import ModelError
from nanoseg_bench.models.engine import TorchEngine
from nanoseg_bench.models.onnx_engine import OnnxEngine
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.yolo import YoloModel
from nanoseg_bench.nsyolo.export import export_onnx


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    recipe = load_recipe("nsyolo", "smoke").model_copy(update={"canvas": 64})
    model = YoloModel(recipe, ("disc", "square"), 10)
    model.adopt(model.build_network(), "cpu")
    return model


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "network.onnx"
    export_onnx(model.network, path, size=64)
    graph = onnx.load(path)
    helper.set_model_props(graph, {"classes": '["disc", "Würfel"]'})
    onnx.save(graph, path)
    return path


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 3)])
def test_both_engines_give_the_same(model, path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    output, prototypes = TorchEngine(model.network, "cpu").run(pixels)
    other, other_prototypes = OnnxEngine(path).run(pixels)
    assert output.shape == other.shape == (4 + 2 + 32, 8 * 8 + 4 * 4 + 2 * 2)
    assert prototypes.shape == other_prototypes.shape == (32, 16, 16)
    torch.testing.assert_close(other, output, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other_prototypes, prototypes, rtol=1e-4, atol=1e-4)


def test_a_model_runs_with_the_engine_it_is_given_until_it_gets_a_network(model, path):
    assert model.engine.name == "torch"
    model.run_with(OnnxEngine(path))
    assert model.engine.name == "onnx"
    model.adopt(model.network, "cpu")
    assert model.engine.name == "torch"


def test_metadata(path):
    assert OnnxEngine(path).metadata == {"classes": '["disc", "Würfel"]'}


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        OnnxEngine(tmp_path / "none.onnx")
    (tmp_path / "damaged.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"damaged\.onnx: not readable as ONNX"):
        OnnxEngine(tmp_path / "damaged.onnx")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", values[:1], values[1:])
    other = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(other, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="of another kind"):
        OnnxEngine(tmp_path / "other.onnx")
