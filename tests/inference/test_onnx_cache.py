from pathlib import Path

import pytest
import torch

from nanoseg_bench.errors import ModelError
from nanoseg_bench.inference.onnx_cache import OnnxCache
from nanoseg_bench.models.checkpoint import describe, save_weights
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.trained import open_trained
from nanoseg_bench.models.yolo import YoloModel


@pytest.fixture
def cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nanoseg-bench" / "onnx"


@pytest.fixture
def weights(tmp_path):
    def write(seed=0, max_instances=5):
        torch.manual_seed(seed)
        recipe = load_recipe("yolo11n", "smoke").model_copy(update={"canvas": 64})
        network = YoloModel(recipe, ("disc",), max_instances).build_network()
        path = tmp_path / "mine" / "weights.safetensors"
        save_weights(path, network.state_dict(), describe(recipe, ("disc",), max_instances))
        return path

    return write


def exported(folder):
    return sorted(folder.glob("*.onnx")) if folder.is_dir() else []


def test_a_network_is_exported_once_and_again_when_its_weights_change(weights, cache_home):
    path = weights()
    assert OnnxCache(path).open() is None
    made = OnnxCache(path).export(open_trained(path))
    assert made.engine.name == "onnx"
    (file,) = exported(path.parent)
    written = file.stat().st_mtime_ns
    kept = OnnxCache(path).open()
    assert kept is not None and kept.classes == ("disc",) and kept.max_instances == 5
    assert file.stat().st_mtime_ns == written and not exported(cache_home)
    for changed in ({"seed": 1}, {"max_instances": 6}):
        assert OnnxCache(weights(**changed)).open() is None


def test_beside_weights_that_allow_no_file_the_users_cache_is_taken(weights, cache_home):
    path = weights()
    cache = OnnxCache(path)
    blocked, other = cache._places
    (blocked / "in the way").mkdir(parents=True)
    cache.export(open_trained(path))
    assert exported(cache_home) == [other]
    assert OnnxCache(path).open() is not None


def test_without_any_place_the_reason_is_told(weights, cache_home):
    path = weights()
    cache = OnnxCache(path)
    for place in cache._places:
        (place / "in the way").mkdir(parents=True)
    with pytest.raises(ModelError, match="nowhere to keep the exported network"):
        cache.export(open_trained(path))


def test_a_damaged_file_is_made_again(weights, cache_home, caplog):
    path = weights()
    OnnxCache(path).export(open_trained(path))
    (file,) = exported(path.parent)
    file.write_bytes(file.read_bytes()[:1000])
    assert OnnxCache(path).open() is None
    assert str(file) in caplog.text
    OnnxCache(path).export(open_trained(path))
    assert OnnxCache(path).open() is not None


def test_a_user_without_a_home_has_no_cache_and_is_told_where_there_is_no_other_place(weights, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    path = weights()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert OnnxCache(path).open() is None
    monkeypatch.setattr("nanoseg_bench.inference.onnx_cache.is_shipped", lambda weights: True)
    with pytest.raises(
        ModelError, match=r"nowhere to keep the exported network \(this user has no home folder; set XDG"
    ):
        OnnxCache(path).export(open_trained(path))
