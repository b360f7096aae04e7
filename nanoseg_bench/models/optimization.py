"""How weights move: optimizer, learning rate, and their moving average."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from nanoseg_bench.models.recipe import Recipe

_FINAL_RATE = 0.01  # of the peak rate, where the cosine ends
_SGD_MOMENTUM = 0.937  # as in Ultralytics
_EMA_DECAY = 0.9999
_EMA_TAU = 2000.0  # updates over which the average's memory grows, as in Ultralytics


@dataclass(frozen=True, eq=False, slots=True)
class FastParameters:
    """Parameters that learn at a rate of their own, without weight decay.

    Attributes:
        parameters: They may be none.
        factor: Their learning rate as a multiple of the network's.
    """

    parameters: Iterable[nn.Parameter] = ()
    factor: float = 1.0


class Optimizer:
    """The recipe's optimizer and schedule.

    Args:
        network: On its device; parameters that need no gradient are left out.
        recipe: Optimizer, peak rate, weight decay and warm-up.
        steps: Of the whole training.
        fast: Parameters with a rate of their own.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, steps: int, fast: FastParameters) -> None:
        self._recipe = recipe
        self._steps = steps
        special = {id(parameter) for parameter in fast.parameters}
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        common = [parameter for parameter in trained if id(parameter) not in special]
        # Biases, norms and lone scalars are not pulled towards zero.
        groups: list[dict[str, Any]] = [
            {"params": [p for p in common if p.ndim > 1], "weight_decay": recipe.weight_decay, "factor": 1.0},
            {"params": [p for p in common if p.ndim <= 1], "weight_decay": 0.0, "factor": 1.0},
            {"params": [p for p in trained if id(p) in special], "weight_decay": 0.0, "factor": fast.factor},
        ]
        groups = [group for group in groups if group["params"]]
        # One kernel for all parameters instead of several for each.
        fused = all(parameter.is_cuda for parameter in trained)
        if recipe.optimizer == "adamw":
            self._optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=fused)
        else:
            self._optimizer = torch.optim.SGD(
                groups, lr=recipe.learning_rate, momentum=_SGD_MOMENTUM, nesterov=True, fused=fused
            )

    def step(self, number: int) -> None:
        """Move the weights along their gradients at the rate of step ``number`` (from 0), and drop the gradients."""
        rate = learning_rate_at(number, self._steps, self._recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` takes."""
        return self._optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._optimizer.load_state_dict(state)


def learning_rate_at(step: int, steps: int, recipe: Recipe) -> float:
    """Learning rate of ``step`` (from 0) of ``steps``: linear warm-up, then a cosine down to 1 % of the peak."""
    warmup = round(recipe.warmup_fraction * steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(steps - warmup, 1)
    return recipe.learning_rate * (_FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * progress)) / 2)


class WeightAverage:
    """Exponential moving average of a network's parameters and of its buffers that are no counters.

    The decay rises as 0.9999 (1 - exp(-updates / 2000)): early weights are forgotten quickly.
    """

    def __init__(self, network: nn.Module) -> None:
        # These share memory with the network, now and after every step: listing them anew would take longer than the
        # average itself.
        self._current = {name: value for name, value in network.state_dict().items() if value.dtype.is_floating_point}
        self.values: dict[str, Tensor] = {name: value.clone() for name, value in self._current.items()}
        self.updates = 0

    def update(self) -> None:
        """Take in the weights after one optimizer step."""
        self.updates += 1
        decay = _EMA_DECAY * (1 - math.exp(-self.updates / _EMA_TAU))
        get_ema_multi_avg_fn(decay)(list(self.values.values()), list(self._current.values()), None)
