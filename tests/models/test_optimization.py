import math
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from torch import nn

from nanoseg_bench.models.optimization import FastParameters, Optimizer, WeightAverage, learning_rate_at
from nanoseg_bench.models.recipe import Recipe


def recipe(**values) -> Recipe:
    return Recipe(**{"model": "unet", "title": "T", "preset": "smoke", "canvas": 32, "epochs": 4, **values})


def test_rate_rises_then_falls_to_one_percent():
    plan = recipe(learning_rate=1.0, warmup_fraction=0.1)
    rates = [learning_rate_at(step, 100, plan) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert rates[10] == 1.0
    assert all(first >= second for first, second in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.01, abs=0.001)


class Four(nn.Module):
    """A matrix, a bias, a special vector, a frozen matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.ones(2, 2))
        self.bias = nn.Parameter(torch.ones(2))
        self.special = nn.Parameter(torch.ones(3))
        self.frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)


def moved(network: Four, optimizer: Optimizer, step: int, gradient: float) -> dict[str, float]:
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, gradient)
    optimizer.step(step)
    return {name: (value - before[name]).mean().item() for name, value in network.named_parameters()}


def test_special_parameters_learn_faster_and_are_not_decayed():
    network = Four()
    plan = recipe(optimizer="sgd", learning_rate=0.1, weight_decay=0.5, warmup_fraction=0)
    optimizer = Optimizer(network, plan, 100, FastParameters([network.special], 10.0))
    changes = moved(network, optimizer, 0, gradient=1.0)
    nesterov = 1 + 0.937  # the first step of SGD with momentum
    assert changes["bias"] == pytest.approx(-0.1 * nesterov, rel=1e-5)
    assert changes["special"] == pytest.approx(-1.0 * nesterov, rel=1e-5)
    assert changes["matrix"] == pytest.approx(-0.1 * nesterov * 1.5, rel=1e-5)
    assert changes["frozen"] == 0
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_every_group_follows_the_schedule(name):
    network = Four()
    plan = recipe(optimizer=name, learning_rate=0.1, warmup_fraction=0.1)
    optimizer = Optimizer(network, plan, 50, FastParameters([network.special], 10.0))
    for step in (0, 5, 30, 49):
        moved(network, optimizer, step, gradient=0.1)
        rate = learning_rate_at(step, 50, plan)
        assert [group["lr"] for group in optimizer.state_dict()["param_groups"]] == [rate, rate, 10 * rate]


def test_a_restored_optimizer_goes_on_alike():
    networks, plan = [Four(), Four()], recipe(learning_rate=0.1)
    optimizers = [Optimizer(network, plan, 10, FastParameters([network.special], 3.0)) for network in networks]
    moved(networks[0], optimizers[0], 0, 1.0)
    networks[1].load_state_dict(networks[0].state_dict())
    optimizers[1].load_state_dict(deepcopy(optimizers[0].state_dict()))
    assert moved(networks[0], optimizers[0], 1, -0.5) == moved(networks[1], optimizers[1], 1, -0.5)


def test_a_network_without_special_parameters_has_two_groups():
    optimizer = Optimizer(Four(), recipe(), 10, FastParameters())
    assert len(optimizer.state_dict()["param_groups"]) == 2


def test_the_average_follows_its_formula():
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    nn.init.constant_(network[0].weight, 0.0)
    average = WeightAverage(network)
    expected = 0.0
    for update in range(1, 6):
        with torch.no_grad():
            network[0].weight.fill_(float(update))
        average.update()
        decay = 0.9999 * (1 - math.exp(-update / 2000))
        expected = decay * expected + (1 - decay) * update
    assert average.values["0.weight"].item() == pytest.approx(expected, rel=1e-5)
    assert not average.values["0.weight"].requires_grad
    assert "1.running_mean" in average.values
    assert "1.num_batches_tracked" not in average.values, "the mean of counters means nothing"


def test_the_average_sees_weights_that_were_loaded_after_it_was_made():
    network, other = nn.Linear(2, 2), nn.Linear(2, 2)
    average = WeightAverage(network)
    network.load_state_dict(other.state_dict())
    for _ in range(3):
        average.update()
    # The first updates have hardly any memory.
    assert torch.allclose(average.values["weight"], other.weight, atol=2e-3)
