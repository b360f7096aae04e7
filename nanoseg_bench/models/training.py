"""One training loop for every torch network: the same budget, schedule, checkpoints and resume for all models.

A checkpoint (``state.pt``) is written after each epoch, every minute within one, and where the time limit ends. It
holds all that the next step depends on, so a training that was stopped or killed and then went on ends with the weights
of one that ran through; without a seed it goes on in another order. When it is done, the checkpoint gives way to
``weights.safetensors`` with its JSON: parameters in half precision, and it is these that predict and are judged.

Several processes may share every batch (``process_group``). All of them carry this loop out, step by step; process 0
alone looks at the clock and writes.
"""

import csv
import io
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from enum import Flag, auto
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nanoseg_bench.changes import MISSING, Change, list_changes
from nanoseg_bench.environment import available_cores, processor_seconds, threads_are_given
from nanoseg_bench.errors import ModelError, TimeLimitReached
from nanoseg_bench.files import sha256_file, write_text
from nanoseg_bench.models import process_group, threads
from nanoseg_bench.models.base import FitContext, FitReport
from nanoseg_bench.models.budget import Budget, batches_of, plan_budget
from nanoseg_bench.models.checkpoint import (
    load_state,
    load_weights,
    restore_rng,
    rng_state,
    round_parameters,
    save_state,
    save_weights,
    seed_everything,
)
from nanoseg_bench.models.compilation import compile_errors, compiled
from nanoseg_bench.models.identity import recipe_changes
from nanoseg_bench.models.initial_weights import Adaptation, load_initial_weights
from nanoseg_bench.models.loading import BatchSource, Loader
from nanoseg_bench.models.optimization import FastParameters, Optimizer, WeightAverage, learning_rate_at
from nanoseg_bench.models.precision import Precision, resolve_precision
from nanoseg_bench.models.recipe import Recipe, Side
from nanoseg_bench.models.run_files import HISTORY_FILE, STATE_FILE, WEIGHTS_FILE
from nanoseg_bench.progress import track

_LOG = logging.getLogger(__name__)
_MAX_GRADIENT_NORM = 10.0
_SECONDS_BETWEEN_CHECKS = 5.0
_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_LARGEST_SHARE_OF_SAVING = 0.05
"""Of the time: a large network on a slow disk is saved less often than every minute."""

LossStep = Callable[[nn.Module, Any], Mapping[str, Tensor]]
"""(network in training mode, batch on the device) -> named scalar losses; their sum is minimised."""


def train(
    network: nn.Module,
    loss_step: LossStep,
    source: BatchSource,
    recipe: Recipe,
    context: FitContext,
    about: Mapping[str, Any],
    *,
    ema: bool = False,
    fast: FastParameters | None = None,
    adapt: Adaptation | None = None,
    class_layer: Sequence[str] = (),
) -> FitReport:
    """Train ``network`` in place, going on from the checkpoint in ``context.run_dir`` where there is one.

    The caller seeds the global generators (``checkpoint.seed_everything``) before it builds the network. Afterwards
    the network holds the weights that were written, in evaluation mode, on ``context.device``.

    Args:
        network: Built for this recipe; its parameters are overwritten by ``context.weights`` or a checkpoint.
        loss_step: Losses of one batch.
        source: Training images in batches.
        recipe: Budget, batch size, optimizer and schedule.
        context: Run folder, seed, device, deadline, initial weights.
        about: What the weights are (model, classes, canvas, options): goes into the JSON beside them.
        ema: Keep an exponential moving average of the weights and publish that.
        fast: Parameters with a learning rate of their own.
        adapt: Applied to initial weights before they are taken up.
        class_layer: Names of the tensors that tell classes apart; drawn anew where initial weights know other classes.

    Raises:
        TimeLimitReached: The deadline passed; a checkpoint is written.
        ModelError: The loss became infinite or NaN, there are no images, the checkpoint is of another training, or
            ``compile`` is wanted where nothing can be compiled.
    """
    if len(source) == 0:
        raise ModelError(f"{recipe.model}: the split 'train' holds no images; prepare the set with more")
    budget = plan_budget(recipe, len(source))
    _require_shares(network, recipe, context, budget)
    training = _Training(network, recipe, context, budget, about, ema)
    if (report := training.finished_report()) is not None:
        return report
    training.start(fast or FastParameters(), adapt, class_layer)
    source.load(training.budget.images(context.seed), context.device)
    loader = Loader(source, recipe, context, training.budget)
    with training.threads(loader, loss_step):
        while not training.done:
            training.run_epoch(loader, loss_step)
            training.save()
            if not training.done:
                training.check_deadline()
    return training.finish()


def _require_shares(network: nn.Module, recipe: Recipe, context: FitContext, budget: Budget) -> None:
    """Refuse what several processes cannot share.

    Raises:
        ModelError: A batch has fewer images than there are processes, or each would normalise by its own images.
    """
    processes = process_group.size()
    if processes == 1:
        return
    smallest = min(map(len, batches_of(range(budget.images_per_epoch), recipe.batch)), default=processes)
    if smallest < processes:
        raise ModelError(
            f"{recipe.model}: {processes} devices cannot share a batch of {smallest}, which an epoch of "
            f"{budget.images_per_epoch} images in batches of {recipe.batch} has; give fewer devices, or another batch "
            "in the recipe"
        )
    if not context.device.startswith("cuda") and any(isinstance(each, _BatchNorm) for each in network.modules()):
        raise ModelError(
            f"{recipe.model}: has batch normalisation, whose means PyTorch shares between GPUs alone; give one CPU"
        )


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write one CSV row per epoch, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


class LossSums:
    """Sums of named losses over an epoch; they stay on the device, because reading one would wait for the step."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sums: Tensor | None = None

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Count the losses of one step."""
        values = torch.stack([loss.detach().double() for loss in losses.values()])
        self._names = list(losses)
        self._sums = values if self._sums is None else self._sums + values

    def read(self) -> dict[str, float]:
        """The sums so far."""
        return dict(zip(self._names, self._sums.tolist(), strict=True)) if self._sums is not None else {}

    def restore(self, sums: Mapping[str, float], device: str) -> None:
        """Go on from what ``read`` gave."""
        self._names = list(sums)
        self._sums = torch.tensor(list(sums.values()), dtype=torch.float64, device=device) if sums else None


class _Due(Flag):
    """What is to be done between two steps."""

    CHECK = auto()
    STOP = auto()
    SAVE = auto()


@dataclass
class _Counters:
    """What a checkpoint counts, and the report tells."""

    epochs: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0
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
        if process_group.size() > 1:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        self._network = network.to(context.device)
        self._recipe = recipe
        self._context = context
        self._about = about
        self._ema = ema
        self._signature: dict[str, Any] = {
            "recipe": recipe.model_dump(mode="json"),
            "seed": context.seed,
            "training_images": budget.training_images,
            "initial_weights": sha256_file(context.weights) if context.weights and context.weights.is_file() else None,
        }
        self._state_path = context.run_dir / STATE_FILE
        self._weights_path = context.run_dir / WEIGHTS_FILE
        self._counters = _Counters()
        self._history: list[dict[str, float]] = []
        self._steps = len(batches_of(range(budget.images_per_epoch), recipe.batch))
        self._step = 0  # of the epoch that is being trained
        self._sums = LossSums()
        # A training that goes on elsewhere keeps the precision that it began with.
        self._precision: Precision = resolve_precision(recipe.precision, context.device)
        self._threads: int | None = None  # not chosen yet

    @property
    def done(self) -> bool:
        """Whether all epochs are trained."""
        return self._counters.epochs >= self.budget.epochs

    @property
    def progress(self) -> str:
        """Where the training stands, for messages."""
        if self._step == 0:
            return f"epoch {self._counters.epochs} of {self.budget.epochs}"
        return f"step {self._step} of {self._steps} in epoch {self._counters.epochs + 1} of {self.budget.epochs}"

    def finished_report(self) -> FitReport | None:
        """The report of this very training if its weights are already there; they are loaded then."""
        try:
            tensors, about = load_weights(self._weights_path)
        except ModelError:  # missing, or not those that the training ended with
            return None
        training = about.get("training", {})
        if self._changes(training.get("signature")):
            return None
        try:
            self._network.load_state_dict(tensors)
        except RuntimeError:
            return None
        self._network.eval()
        self._state_path.unlink(missing_ok=True)
        self._precision = training["precision"]
        return self._report(_Counters(**training["report"]))

    def start(self, fast: FastParameters, adapt: Adaptation | None = None, class_layer: Sequence[str] = ()) -> None:
        """Build the optimizer and take up the checkpoint, or the initial weights."""
        state = load_state(self._state_path)
        if state is None and self._context.weights is not None:
            classes = self._about.get("classes", ())
            load_initial_weights(self._network, self._context.weights, adapt, classes, class_layer)
        if self._on_cuda:
            self._network.to(memory_format=torch.channels_last)  # the layout that tensor cores want
        process_group.copy_from_first(self._network.state_dict().values())
        self._average = WeightAverage(self._network) if self._ema and self._writes else None
        self._optimizer = Optimizer(self._network, self._recipe, self.budget.epochs * self._steps, fast)
        # The compiler does not know what batch normalisation says to the other processes.
        wanted = self._recipe.compile if process_group.size() == 1 else False
        self._trained = compiled(self._network, self._context.device, wanted)
        if state is not None:
            self._resume(state)
        else:
            self._draw_apart()
        self._began = time.monotonic() - self._counters.seconds
        self._cores_began = processor_seconds() - (self._counters.core_seconds if self._writes else 0.0)
        self._next_checkpoint = time.monotonic() + _SECONDS_BETWEEN_CHECKPOINTS

    @contextmanager
    def threads(self, loader: Loader, loss_step: LossStep) -> Iterator[None]:
        """On a CPU, compute with as many threads as are quickest, those that the training began with where it goes on.

        Sums are rounded in another order by another number of threads: a training that goes on exactly keeps its own.
        """
        before = torch.get_num_threads()
        if self._threads is None:
            self._threads = before
            alone = process_group.size() == 1
            if alone and before > 1 and not self._on_cuda and not threads_are_given() and not self.done:
                self._threads = self._quickest_threads(loader, loss_step)
                _LOG.info("%s: trained with %d of %d cores", self._recipe.model, self._threads, before)
        torch.set_num_threads(min(self._threads, available_cores()))
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _quickest_threads(self, loader: Loader, loss_step: LossStep) -> int:
        """Try the first step out, and forget what it did."""
        batch = next(iter(loader.batches(0)))
        kept, random = deepcopy(self._network.state_dict()), rng_state()

        def step() -> None:
            self._losses(batch, loss_step)[1].backward()
            self._network.zero_grad(set_to_none=True)

        self._trained.train()
        chosen = threads.quickest_threads(step, torch.get_num_threads())
        self._network.load_state_dict(kept)
        restore_rng(random)
        return chosen

    def run_epoch(self, loader: Loader, loss_step: LossStep) -> None:
        """Train to the end of the epoch, or to the step in which the deadline passes."""
        epoch = self._counters.epochs + 1
        self._trained.train()
        description = f"train {self._recipe.model}, epoch {epoch} of {self.budget.epochs}"
        batches = loader.batches(epoch - 1, self._step)
        checked = time.monotonic()
        for batch in track(batches, description, total=self._steps - self._step):
            self._take_step(batch, loss_step)
            self._step += 1
            due = self._due(checked)
            if _Due.CHECK in due:
                self._mean_losses()  # a lost training is not carried on for hours
                checked = time.monotonic()
            if _Due.STOP in due:
                break
            if _Due.SAVE in due:
                self.save()
        means = self._mean_losses()
        if self._step == self._steps:
            self._close_epoch(means)
            _LOG.info("%s: loss %.4f after %d images", description, means["loss"], self._counters.images_seen)

    def _due(self, checked: float) -> "_Due":
        """What is to be done between two steps, by the clock of process 0."""
        due = _Due(0)
        if self._writes:
            if time.monotonic() - checked > _SECONDS_BETWEEN_CHECKS:
                due |= _Due.CHECK
            if self._context.deadline.passed:
                due |= _Due.STOP
            elif time.monotonic() > self._next_checkpoint and self._step < self._steps:
                due |= _Due.SAVE
        return _Due(process_group.first_says(due.value))

    def check_deadline(self) -> None:
        """Raise ``TimeLimitReached`` in all processes when the time of process 0 is up."""
        try:
            self._context.deadline.check(self.progress)
        except TimeLimitReached:
            process_group.first_says(True)
            raise
        if process_group.first_says(False):
            raise TimeLimitReached(f"time limit reached at {self.progress}")

    def save(self) -> None:
        """Write the checkpoint, then the history."""
        began = time.monotonic()
        self._mean_losses()  # a lost training is not kept
        self._read_clocks()
        random, *others = process_group.gather(rng_state()) or [{}]
        if not self._writes:
            return
        state: dict[str, Any] = {
            "signature": self._signature,
            "precision": self._precision,
            "threads": self._threads,
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rng": random,
            "counters": vars(self._counters).copy(),
            "within_epoch": {"step": self._step, "sums": self._sums.read()},
            "history": self._history,
        }
        if others:
            state["rng_of_others"] = others
        if self._average is not None:
            state["average"] = {"values": self._average.values, "updates": self._average.updates}
        save_state(self._state_path, state)
        if self._history:
            write_history(self._context.run_dir / HISTORY_FILE, self._history)
        pause = max(_SECONDS_BETWEEN_CHECKPOINTS, (time.monotonic() - began) / _LARGEST_SHARE_OF_SAVING)
        self._next_checkpoint = time.monotonic() + pause

    def finish(self) -> FitReport:
        """Write the final weights, drop the checkpoint, and leave the network ready to predict with the very same."""
        if self._average is not None:
            self._network.load_state_dict(self._average.values, strict=False)
        self._network.eval()
        counters = self._counters
        if not self._writes:
            return self._report(counters)
        training = {"signature": self._signature, "precision": self._precision, "report": vars(counters)}
        about = {**self._about, "training": training}
        save_weights(self._weights_path, round_parameters(self._network), about)
        # The optimizer's moments are twice the size of the weights and of no further use.
        self._state_path.unlink(missing_ok=True)
        return self._report(counters)

    @property
    def _writes(self) -> bool:
        return process_group.rank() == 0

    @property
    def _on_cuda(self) -> bool:
        return self._context.device.startswith("cuda")

    def _report(self, counters: _Counters) -> FitReport:
        return FitReport(self._weights_path, **vars(counters), precision=self._precision)

    def _read_clocks(self) -> None:
        self._counters.seconds = time.monotonic() - self._began
        self._counters.core_seconds = process_group.total(processor_seconds() - self._cores_began)

    def _take_step(self, batch: Any, loss_step: LossStep) -> None:
        """Train on one batch; nothing here waits for the device."""
        losses, total = self._losses(batch, loss_step)
        with compile_errors(self._recipe.model):
            total.backward()
        process_group.sum_gradients(self._network.parameters())
        nn.utils.clip_grad_norm_(self._network.parameters(), _MAX_GRADIENT_NORM)
        self._optimizer.step(self._counters.epochs * self._steps + self._step)
        if self._average is not None:
            self._average.update()
        self._sums.add({"loss": total, **losses})

    def _losses(self, batch: Any, loss_step: LossStep) -> tuple[Mapping[str, Tensor], Tensor]:
        """The named losses of a batch, and their sum."""
        device = "cuda" if self._on_cuda else "cpu"
        with (
            compile_errors(self._recipe.model),
            torch.autocast(device, dtype=torch.bfloat16, enabled=self._precision == "bfloat16"),
        ):
            losses = loss_step(self._trained, batch)
            return losses, torch.stack([loss.float() for loss in losses.values()]).sum()

    def _mean_losses(self) -> dict[str, float]:
        """Mean losses of the epoch so far; none before its first step.

        Raises:
            ModelError: One is infinite or NaN.
        """
        means = {name: value / self._step for name, value in self._sums.read().items()}
        if not all(map(math.isfinite, means.values())):
            parts = ", ".join(f"{name} {value:.4g}" for name, value in means.items() if name != "loss")
            raise ModelError(
                f"{self._recipe.model}: diverged at epoch {self._counters.epochs + 1} (mean losses: {parts}); "
                f"lower learning_rate ({self._recipe.learning_rate}) in its recipe"
            )
        return means

    def _close_epoch(self, means: Mapping[str, float]) -> None:
        """Count the epoch and add a line to the history."""
        self._read_clocks()
        counters = self._counters
        counters.epochs += 1
        counters.images_seen += self.budget.images_per_epoch
        steps = self.budget.epochs * self._steps
        self._history.append(
            {
                "epoch": counters.epochs,
                "images_seen": counters.images_seen,
                "learning_rate": learning_rate_at(counters.epochs * self._steps - 1, steps, self._recipe),
                **means,
                "seconds": round(counters.seconds, 3),
            }
        )
        self._step, self._sums = 0, LossSums()

    def _draw_apart(self) -> None:
        """Let each process but the first draw its own: two would drop the same parts of a network for their images."""
        seed = self._context.seed
        if seed is not None and not self._writes:
            words = np.random.SeedSequence([seed, process_group.rank(), self._counters.epochs, self._step])
            seed_everything(int(words.generate_state(1)[0]))

    def _changes(self, other: Any) -> list[Change]:
        """In what another training's signature differs: recipe, seed, training set or initial weights."""
        if not isinstance(other, Mapping) or "recipe" not in other:
            return [Change("signature", MISSING, "this one")]
        changes = recipe_changes(other["recipe"], self._signature["recipe"])[Side.TRAINING]
        named = {key: (other.get(key), value) for key, value in self._signature.items() if key != "recipe"}
        return [*changes, *(Change(key, old, new) for key, (old, new) in named.items() if old != new)]

    def _resume(self, state: dict[str, Any]) -> None:
        if changes := self._changes(state.get("signature")):
            raise ModelError(
                f"{self._state_path}: checkpoint of another training ({list_changes(changes)}); delete it to start anew"
            )
        try:
            self._network.load_state_dict(state["network"])
        except RuntimeError as error:
            difference = str(error).splitlines()[-1].strip()
            raise ModelError(
                f"{self._state_path}: checkpoint of other classes, or of another version of {self._recipe.model} "
                f"({difference}); delete it to start anew"
            ) from error
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None:
            for name, value in state["average"]["values"].items():
                self._average.values[name].copy_(value)
            self._average.updates = state["average"]["updates"]
        self._precision = state["precision"]
        self._threads = state["threads"]
        self._counters = _Counters(**state["counters"])
        self._counters.resumes += 1
        self._step = state["within_epoch"]["step"]
        self._sums.restore(state["within_epoch"]["sums"], self._context.device)
        self._history = list(state["history"])
        states = [state["rng"], *state.get("rng_of_others", [])]
        if process_group.size() > 1 and len(states) != process_group.size():
            _LOG.info(
                "%s: goes on with %d processes, and went with %d before: the same steps, but for rounding and what "
                "each draws by chance",
                self._recipe.model,
                process_group.size(),
                len(states),
            )
        if process_group.rank() < len(states):
            restore_rng(states[process_group.rank()])
        else:
            self._draw_apart()
        _LOG.info("%s: going on after %s", self._recipe.model, self.progress)
