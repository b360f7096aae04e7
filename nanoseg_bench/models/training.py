"""One training loop for every torch network: the same budget, schedule, checkpoints and resume for all models.

A checkpoint (``state.pt``) is written after each epoch and holds all that the next epoch depends on, so a training that
was killed and went on ends with the weights of one that ran through. When it is done, the checkpoint gives way to
``weights.safetensors`` with its JSON.
"""

import csv
import io
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from nanoseg_bench.errors import ModelError
from nanoseg_bench.files import read_json, sha256_file, write_text
from nanoseg_bench.models.base import Complexity, FitContext, FitReport
from nanoseg_bench.models.budget import Budget, plan_budget
from nanoseg_bench.models.checkpoint import load_state, load_weights, restore_rng, rng_state, save_state, save_weights
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.progress import track

STATE_FILE = "state.pt"
WEIGHTS_FILE = "weights.safetensors"
HISTORY_FILE = "history.csv"
_WEIGHTS_FORMAT = "nanoseg-weights/1"

_LOG = logging.getLogger(__name__)
_FINAL_RATE = 0.01  # of the peak rate, where the cosine ends
_MAX_GRADIENT_NORM = 10.0
_SGD_MOMENTUM = 0.937  # as in Ultralytics
_EMA_DECAY = 0.9999
_EMA_TAU = 2000.0  # updates over which the average's memory grows, as in Ultralytics
_MAX_WORKERS = 8

LossStep = Callable[[nn.Module, Any], Mapping[str, Tensor]]
"""(network in training mode, batch on the device) -> named scalar losses; their sum is minimised."""


class Dataset(Protocol):
    """What is trained on: any indexable collection of samples without randomness of its own."""

    def __len__(self) -> int:
        """Number of training images."""

    def __getitem__(self, index: int) -> Any:
        """Sample ``index``, as ``collate`` takes it."""


def train(
    network: nn.Module,
    loss_step: LossStep,
    dataset: Dataset,
    collate: Callable[[list[Any]], Any],
    recipe: Recipe,
    context: FitContext,
    about: Mapping[str, Any],
    *,
    ema: bool = False,
) -> FitReport:
    """Train ``network`` in place, going on from the checkpoint in ``context.run_dir`` where there is one.

    The caller seeds the global generators (``checkpoint.seed_everything``) before it builds the network. Afterwards
    the network holds the weights that were written, in evaluation mode, on ``context.device``.

    Args:
        network: Built for this recipe; its parameters are overwritten by ``context.weights`` or a checkpoint.
        loss_step: Losses of one batch.
        dataset: Training images.
        collate: List of samples to a batch: tensors in any nesting of lists, tuples and dictionaries.
        recipe: Budget, batch size, optimizer and schedule.
        context: Run folder, seed, device, deadline, initial weights.
        about: What the weights are (model, classes, canvas, options): goes into the JSON beside them.
        ema: Keep an exponential moving average of the weights and publish that.

    Raises:
        TimeLimitReached: The deadline passed; a checkpoint is written.
        ModelError: The loss became infinite or NaN, there are no images, or the checkpoint is of another training.
    """
    if len(dataset) == 0:
        raise ModelError(f"{recipe.model}: the split 'train' holds no images; prepare the set with more")
    training = _Training(network, recipe, context, plan_budget(recipe, len(dataset)), about, ema)
    if (report := training.finished_report()) is not None:
        return report
    training.start()
    loader = _Loader(dataset, collate, recipe, context, training.budget)
    while training.epoch < training.budget.epochs:
        training.run_epoch(loader.batches(training.epoch), loader.steps, loss_step)
        training.save()
        if training.epoch < training.budget.epochs:
            context.deadline.check(f"epoch {training.epoch} of {training.budget.epochs}")
    return training.finish()


def learning_rate_at(step: int, steps: int, recipe: Recipe) -> float:
    """Learning rate of ``step`` (from 0) of ``steps``: linear warm-up, then a cosine down to 1 % of the peak."""
    warmup = round(recipe.warmup_fraction * steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(steps - warmup, 1)
    return recipe.learning_rate * (_FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * progress)) / 2)


def load_initial_weights(network: nn.Module, path: Path) -> int:
    """Copy the tensors of a .safetensors file that agree with the network in name and shape; return their number.

    Raises:
        ModelError: The file cannot be read, or fewer than half of the network's tensors are in it.
    """
    try:
        given = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not readable as initial weights ({error}); give a .safetensors file") from error
    own = network.state_dict()
    matching = {name: given[name] for name, value in own.items() if name in given and given[name].shape == value.shape}
    if 2 * len(matching) < len(own):
        raise ModelError(
            f"{path}: only {len(matching)} of the network's {len(own)} tensors agree in name and shape; "
            "these weights are of another model"
        )
    network.load_state_dict(matching, strict=False)
    _LOG.info("%s: %d of %d tensors taken", path, len(matching), len(own))
    return len(matching)


def to_device(batch: Any, device: str) -> Any:
    """The batch with every tensor on ``device``; lists, tuples and dictionaries keep their shape."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(value, device) for value in batch)
    return batch


def batches_of(indices: Sequence[int], size: int) -> list[list[int]]:
    """Cut an epoch into batches; a last batch of one joins the one before it.

    Batch normalisation cannot train on a single image, and dropping it would show this model fewer images than others.
    """
    batches = [list(indices[start : start + size]) for start in range(0, len(indices), size)]
    if len(batches) > 1 and len(batches[-1]) == 1 < size:
        batches[-2:] = [batches[-2] + batches[-1]]
    return batches


def describe(recipe: Recipe, classes: Sequence[str]) -> dict[str, Any]:
    """What a weights file must agree with to be loaded, and what its reader wants to know."""
    return {
        "format": _WEIGHTS_FORMAT,
        "model": recipe.model,
        "classes": list(classes),
        "canvas": recipe.canvas,
        "preset": recipe.preset,
        "options": recipe.options,
    }


def load_trained(
    network: nn.Module, checkpoint: Path | None, recipe: Recipe, classes: Sequence[str], device: str
) -> nn.Module:
    """The network with the weights of a finished training, in evaluation mode, on ``device``.

    Raises:
        ModelError: The file is missing, damaged, or of another model, other classes or another version.
    """
    if checkpoint is None:
        raise ModelError(
            f"{recipe.model}: needs a checkpoint; train it with `nanoseg-bench run --models {recipe.model}`"
        )
    weights, about = load_weights(checkpoint)
    expected = describe(recipe, classes)
    for key in ("format", "model", "classes"):
        if about.get(key) != expected[key]:
            raise ModelError(f"{checkpoint}: {key} is {about.get(key)!r}, expected {expected[key]!r}; train it again")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"{checkpoint}: does not fit the network of {recipe.model} ({error}); train it again"
        ) from error
    return network.to(device).eval()


def measure_complexity(network: nn.Module, canvas: int) -> Complexity:
    """Parameters, and GFLOPs of one (3, canvas, canvas) image as torch's flop counter sees them."""
    network.eval()
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network(torch.zeros(1, 3, canvas, canvas))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Complexity(parameters, counter.get_total_flops() / 1e9)


class WeightAverage:
    """Exponential moving average of a network's parameters and buffers.

    The decay rises as 0.9999 (1 - exp(-updates / 2000)): early weights are forgotten quickly.
    """

    def __init__(self, network: nn.Module) -> None:
        self.values = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.updates = 0

    def update(self, network: nn.Module) -> None:
        """Take in the weights after one optimizer step."""
        self.updates += 1
        decay = _EMA_DECAY * (1 - math.exp(-self.updates / _EMA_TAU))
        for name, value in network.state_dict().items():  # detached, so nothing here is differentiated
            if value.dtype.is_floating_point:
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name].copy_(value)


class _Loader:
    """Batches of each epoch in the budget's order, whatever the number of worker processes."""

    def __init__(
        self,
        dataset: Dataset,
        collate: Callable[[list[Any]], Any],
        recipe: Recipe,
        context: FitContext,
        budget: Budget,
    ) -> None:
        self._order = _Order(budget, context.seed, recipe.batch)
        self.steps = _steps_per_epoch(budget, recipe.batch)
        cuda = context.device.startswith("cuda")
        # On the CPU the cores belong to the network, and samples come out of a cache.
        workers = min(_MAX_WORKERS, max((os.cpu_count() or 2) - 1, 1)) if cuda else 0
        self._loader = DataLoader(
            dataset,  # type: ignore[arg-type]
            batch_sampler=self._order,
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=cuda,
            # Its own generator: the loader must not draw from the one that the network draws from.
            generator=torch.Generator().manual_seed(0),
        )

    def batches(self, epoch: int) -> Iterator[Any]:
        """Batches of ``epoch`` on the CPU."""
        self._order.epoch = epoch
        return iter(self._loader)


class _Order:
    """Batch sampler: indices of the current epoch."""

    def __init__(self, budget: Budget, seed: int | None, batch: int) -> None:
        self._budget = budget
        self._seed = seed
        self._batch = batch
        self.epoch = 0

    def __iter__(self) -> Iterator[list[int]]:
        return iter(batches_of(self._budget.epoch_indices(self.epoch, self._seed), self._batch))

    def __len__(self) -> int:
        return _steps_per_epoch(self._budget, self._batch)


@dataclass
class _Counters:
    """What a checkpoint counts."""

    epochs: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    resumes: int = 0


class _Training:
    """State of one training: network, optimizer, counters, history."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        context: FitContext,
        budget: Budget,
        about: Mapping[str, Any],
        ema: bool,
    ) -> None:
        self.budget = budget
        self._network = network.to(context.device)
        self._recipe = recipe
        self._context = context
        self._about = about
        self._ema = ema
        self._signature = {
            "recipe": recipe.model_dump(mode="json"),
            "seed": context.seed,
            "training_images": budget.training_images,
            "initial_weights": sha256_file(context.weights) if context.weights and context.weights.is_file() else None,
        }
        self._state_path = context.run_dir / STATE_FILE
        self._weights_path = context.run_dir / WEIGHTS_FILE
        self._counters = _Counters()
        self._history: list[dict[str, float]] = []
        self._steps = _steps_per_epoch(budget, recipe.batch)

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self._counters.epochs

    def finished_report(self) -> FitReport | None:
        """The report of this very training if its weights are already there; they are loaded then."""
        about_path = self._weights_path.with_suffix(".json")
        if not (self._weights_path.is_file() and about_path.is_file()):
            return None
        training = read_json(about_path).get("training", {})
        if training.get("signature") != self._signature:
            return None
        try:
            self._network.load_state_dict(load_file(self._weights_path))
        except (SafetensorError, OSError, RuntimeError):
            return None
        self._network.eval()
        self._state_path.unlink(missing_ok=True)
        return self._report(_Counters(**training["report"]))

    def start(self) -> None:
        """Build the optimizer and take up the checkpoint, or the initial weights."""
        state = load_state(self._state_path)
        if state is None and self._context.weights is not None:
            load_initial_weights(self._network, self._context.weights)
        self._average = WeightAverage(self._network) if self._ema else None
        self._optimizer = _make_optimizer(self._network, self._recipe)
        if state is not None:
            self._resume(state)
        self._began = time.monotonic() - self._counters.seconds

    def run_epoch(self, batches: Iterator[Any], steps: int, loss_step: LossStep) -> None:
        """Train one epoch and add a line to the history."""
        epoch = self._counters.epochs + 1
        self._network.train()
        sums: dict[str, float] = {}
        description = f"train {self._recipe.model}, epoch {epoch} of {self.budget.epochs}"
        for position, batch in enumerate(track(batches, description, total=steps)):
            step = (epoch - 1) * self._steps + position
            for name, value in self._step(batch, step, epoch, loss_step).items():
                sums[name] = sums.get(name, 0.0) + value
        self._counters.epochs = epoch
        self._counters.images_seen += self.budget.images_per_epoch
        self._counters.seconds = time.monotonic() - self._began
        means = {name: value / self._steps for name, value in sums.items()}
        rate = learning_rate_at(epoch * self._steps - 1, self.budget.epochs * self._steps, self._recipe)
        self._history.append(
            {
                "epoch": epoch,
                "images_seen": self._counters.images_seen,
                "learning_rate": rate,
                **means,
                "seconds": round(self._counters.seconds, 3),
            }
        )
        _LOG.info("%s: loss %.4f after %d images", description, means["loss"], self._counters.images_seen)

    def save(self) -> None:
        """Write the checkpoint, then the history."""
        state: dict[str, Any] = {
            "signature": self._signature,
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rng": rng_state(),
            "counters": vars(self._counters).copy(),
            "history": self._history,
        }
        if self._average is not None:
            state["average"] = {"values": self._average.values, "updates": self._average.updates}
        save_state(self._state_path, state)
        write_history(self._context.run_dir / HISTORY_FILE, self._history)

    def finish(self) -> FitReport:
        """Write the final weights, drop the checkpoint, and leave the network ready to predict."""
        if self._average is not None:
            self._network.load_state_dict(self._average.values)
        self._network.eval()
        counters = self._counters
        about = {**self._about, "training": {"signature": self._signature, "report": vars(counters)}}
        save_weights(self._weights_path, self._network.state_dict(), about)
        # The optimizer's moments are twice the size of the weights and of no further use.
        self._state_path.unlink(missing_ok=True)
        return self._report(counters)

    def _report(self, counters: _Counters) -> FitReport:
        return FitReport(self._weights_path, counters.epochs, counters.images_seen, counters.seconds, counters.resumes)

    def _step(self, batch: Any, step: int, epoch: int, loss_step: LossStep) -> dict[str, float]:
        device = self._context.device
        rate = learning_rate_at(step, self.budget.epochs * self._steps, self._recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.startswith("cuda")):
            losses = loss_step(self._network, to_device(batch, device))
            total = torch.stack([loss.float() for loss in losses.values()]).sum()
        if not torch.isfinite(total):
            parts = ", ".join(f"{name} {loss.item():.4g}" for name, loss in losses.items())
            raise ModelError(
                f"{self._recipe.model}: diverged at epoch {epoch}, step {step} ({parts}); "
                f"lower learning_rate ({self._recipe.learning_rate}) in its recipe"
            )
        total.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), _MAX_GRADIENT_NORM)
        self._optimizer.step()
        if self._average is not None:
            self._average.update(self._network)
        return {"loss": total.item(), **{name: loss.item() for name, loss in losses.items()}}

    def _resume(self, state: dict[str, Any]) -> None:
        if state.get("signature") != self._signature:
            raise ModelError(
                f"{self._state_path}: checkpoint of another training (recipe, seed, training set or initial weights "
                "differ); delete it to start anew"
            )
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None:
            for name, value in state["average"]["values"].items():
                self._average.values[name].copy_(value)
            self._average.updates = state["average"]["updates"]
        self._counters = _Counters(**state["counters"])
        self._counters.resumes += 1
        self._history = list(state["history"])
        restore_rng(state["rng"])
        _LOG.info("%s: going on after epoch %d of %d", self._recipe.model, self.epoch, self.budget.epochs)


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write one CSV row per epoch, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


def _steps_per_epoch(budget: Budget, batch: int) -> int:
    return len(batches_of(range(budget.images_per_epoch), batch))


def _make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": recipe.weight_decay},
        # Biases, norms and lone scalars are not pulled towards zero.
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate)
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=_SGD_MOMENTUM, nesterov=True)
