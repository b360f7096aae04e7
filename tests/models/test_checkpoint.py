import random

import numpy as np
import pytest
import torch
from torch import nn

from nanoseg_bench.errors import ModelError
from nanoseg_bench.models.checkpoint import (
    describe,
    load_into,
    load_state,
    load_weights,
    read_description,
    read_trained,
    restore_rng,
    rng_state,
    round_parameters,
    save_state,
    save_weights,
    seed_everything,
)
from nanoseg_bench.models.recipe import load_recipe


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


@pytest.mark.parametrize("error", [MemoryError("no room"), PermissionError(13, "Permission denied", "state.pt")])
def test_a_state_that_cannot_be_read_here_is_not_called_damaged(tmp_path, monkeypatch, error):
    """Whoever was short of memory was told to delete it, and with it hours of training."""
    save_state(tmp_path / "state.pt", {"tensor": torch.zeros(10)})

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(type(error)) as raised:
        load_state(tmp_path / "state.pt")
    assert raised.value is error


def test_a_bit_that_is_another_one_is_found_wherever_it_lies(tmp_path):
    """torch.load reads nearly all of these states without a word."""
    path, chance = tmp_path / "state.pt", random.Random(0)
    tensor = torch.randn(500, generator=torch.Generator().manual_seed(0))
    save_state(path, {"epoch": 2, "tensor": tensor, "rng": rng_state()})
    whole, found = path.read_bytes(), 0
    for _ in range(60):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            state = load_state(path)
        except ModelError as error:
            assert "state.pt: not a readable checkpoint" in str(error)
            found += 1
        else:  # a bit between two tensors says nothing
            assert state["epoch"] == 2 and torch.equal(state["tensor"], tensor)
    assert found > 50


def test_weights_come_back_with_their_description(tmp_path):
    path, recipe = tmp_path / "weights.safetensors", load_recipe("unet", "smoke")
    tensor = torch.randn(4, 5)
    save_weights(path, {"a": tensor, "b": tensor}, describe(recipe, ("disc", "rod"), 70))
    weights, about = load_weights(path)
    assert torch.equal(weights["a"], tensor) and torch.equal(weights["b"], tensor)
    assert (about["model"], about["classes"], about["max_instances"]) == ("unet", ["disc", "rod"], 70)
    assert (about["canvas"], about["options"]) == (recipe.canvas, recipe.options)
    assert read_description(path) == about


def test_missing_and_damaged_weights_are_named(tmp_path):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(ModelError, match=r"no such weights"):
        load_weights(path)
    save_weights(path, {"a": torch.zeros(1000)}, {})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"weights\.safetensors: not readable as weights"):
        load_weights(path)
    path.with_suffix(".json").unlink()
    for read in (load_weights, read_description):
        with pytest.raises(ModelError, match=r"weights\.json: missing"):
            read(path)


def test_weights_of_another_model_or_other_classes_are_refused(tmp_path):
    path, recipe = tmp_path / "weights.safetensors", load_recipe("unet", "smoke")
    save_weights(path, nn.Linear(2, 3).state_dict(), describe(recipe, ("a",), 7))
    assert read_trained(path, recipe, ("a",)).keys() == {"weight", "bias"}
    with pytest.raises(ModelError, match=r"classes is \['a'\], expected \['a', 'b'\]"):
        read_trained(path, recipe, ("a", "b"))
    with pytest.raises(ModelError, match="model is 'unet', expected 'deeplabv3plus'"):
        read_trained(path, load_recipe("deeplabv3plus", "smoke"), ("a",))


def test_tensors_of_another_network_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"w: 2 of 2 tensors are of another size"):
        load_into(nn.Linear(2, 3), nn.Linear(2, 4).state_dict(), tmp_path / "w")


def test_parameters_are_rounded_where_half_precision_holds_them():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1 / 3, -7e4], [0.0, 1.0], [2.0, 3.0]]))
        network[0].bias.copy_(torch.tensor([1 / 3, 1e-9, -2.5]))
        network[1].running_var.copy_(torch.tensor([1e6, 1e-9, 1 / 3]))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tensors = round_parameters(network)
    assert tensors["0.bias"].dtype == torch.float16
    assert network[0].bias.tolist() == [float(np.float16(1 / 3)), 0.0, -2.5]
    assert torch.equal(network[0].weight, before["0.weight"]), "70,000 is beyond half precision"
    assert torch.equal(tensors["1.running_var"], before["1.running_var"])
    for name, value in network.state_dict().items():
        assert torch.equal(tensors[name].to(value.dtype), value)
