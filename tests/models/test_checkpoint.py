import random

import numpy as np
import pytest
import torch

from nanoseg_bench.errors import ModelError
from nanoseg_bench.models.checkpoint import (
    load_state,
    load_weights,
    restore_rng,
    rng_state,
    save_state,
    save_weights,
    seed_everything,
)


def draws() -> tuple[float, float, float]:
    return float(torch.rand(())), float(np.random.rand()), random.random()


def test_a_state_comes_back_with_its_generators(tmp_path):
    seed_everything(3)
    draws()
    np.random.standard_normal()  # leaves half of a pair behind, which is state as well
    save_state(tmp_path / "state.pt", {"epoch": 2, "tensor": torch.arange(3), "rng": rng_state()})
    expected = [draws(), float(np.random.standard_normal())]
    state = load_state(tmp_path / "state.pt")
    restore_rng(state["rng"])
    assert [draws(), float(np.random.standard_normal())] == expected
    assert state["epoch"] == 2
    assert state["tensor"].tolist() == [0, 1, 2]


def test_seed_zero_is_a_seed_and_none_is_not():
    seed_everything(0)
    first = draws()
    seed_everything(0)
    assert draws() == first
    seed_everything(0)
    seed_everything(None)
    assert draws() == first


def test_no_state_yet(tmp_path):
    assert load_state(tmp_path / "state.pt") is None


@pytest.mark.parametrize("damage", ["truncated", "foreign", "empty"])
def test_a_damaged_state_is_named(tmp_path, damage):
    path = tmp_path / "state.pt"
    save_state(path, {"tensor": torch.zeros(1000)})
    data = path.read_bytes()
    path.write_bytes({"truncated": data[: len(data) // 2], "foreign": b"not a checkpoint", "empty": b""}[damage])
    with pytest.raises(ModelError, match=r"state\.pt: not a readable checkpoint"):
        load_state(path)


def test_tied_weights_are_written_and_read(tmp_path):
    tensor = torch.randn(4, 5)
    path = tmp_path / "weights.safetensors"
    save_weights(path, {"a": tensor, "b": tensor, "c": tensor.t()}, {"model": "unet"})
    weights, about = load_weights(path)
    assert torch.equal(weights["a"], tensor)
    assert torch.equal(weights["b"], tensor)
    assert torch.equal(weights["c"], tensor.t())
    assert about == {"model": "unet"}


def test_missing_and_damaged_weights_are_named(tmp_path):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(ModelError, match=r"no such weights"):
        load_weights(path)
    save_weights(path, {"a": torch.zeros(1000)}, {})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"weights\.safetensors: not readable as weights"):
        load_weights(path)
    save_weights(path, {"a": torch.zeros(10)}, {})
    path.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"weights\.json: no such weights"):
        load_weights(path)
