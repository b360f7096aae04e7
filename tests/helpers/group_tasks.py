"""What the processes of a group do in tests; a process of its own imports it from here."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from nanoseg_bench.errors import ModelError, TimeLimitReached
from nanoseg_bench.models import process_group
from nanoseg_bench.models.augmentation import Draw
from nanoseg_bench.models.base import Deadline, FitContext
from nanoseg_bench.models.budget import plan_budget
from nanoseg_bench.models.checkpoint import seed_everything
from nanoseg_bench.models.loading import Loader
from nanoseg_bench.models.semantic import SemanticModel
from nanoseg_bench.models.training_batches import TrainingBatches
from nanoseg_bench.preparation.prepared_set import PreparedSet

PASSED = Deadline(at=0.0, limit="1s")


class SmallNet(SemanticModel):
    """Convolutions with GroupNorm, dropout where ``dropout`` is set, and a layer that no step uses."""

    dropout = 0.0

    def build_network(self):
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.GroupNorm(2, 8),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Conv2d(8, self.channels, 3, padding=1),
        )
        network.register_parameter("unused", nn.Parameter(torch.ones(3)))
        return network


class DroppingNet(SmallNet):
    """Draws by chance in every step, as each process does for itself."""

    dropout = 0.5


def losses_and_gradients(device, model, root, images, first=0):
    """(losses, gradients by parameter) of one batch, of which this process takes its share."""
    torch.set_num_threads(1)
    seed_everything(0)
    network = model.build_network().train()
    for module in network.modules():
        # Batch normalisation takes its means over a share, which GPUs alone exchange; dropout draws by chance.
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.Dropout):
            module.eval()
    source = TrainingBatches(PreparedSet(root), model.recipe, 0, model.targets, ignored=model.uses_ignored)
    source.load(range(len(source)), device)
    begin, own = process_group.share_of(images)
    losses = model.losses(network, source[Draw(own, first + begin, 100)])
    torch.stack([loss.float() for loss in losses.values()]).sum().backward()
    process_group.sum_gradients(network.parameters())
    gradients = {name: each.grad.numpy() for name, each in network.named_parameters() if each.grad is not None}
    return {name: float(loss.detach()) for name, loss in losses.items()}, gradients


def train(device, kind, recipe, classes, root, run_dir, *, parts=False):
    """The weights of a training in this process, or of this group; in parts, it is stopped after every step."""
    torch.set_num_threads(1)
    context = FitContext(run_dir, 0, device)
    while True:
        model = kind(recipe, classes, 10)
        try:
            model.fit(PreparedSet(root), replace(context, deadline=PASSED) if parts else context)
        except TimeLimitReached:
            continue
        return {name: value.numpy() for name, value in model.network.state_dict().items()}


def train_in_many_ways(device, model, root, images, run_dir):
    """What ``losses_and_gradients`` and ``train`` give, whole, in parts and gone on with, by their names."""
    arguments = model.recipe, model.classes, root
    alone = run_dir / "begun alone"
    return {
        "step": losses_and_gradients(device, model, root, images),
        "whole": train(device, SmallNet, *arguments, run_dir / "whole"),
        "begun alone": train(device, SmallNet, *arguments, alone),
        "dropping": train(device, DroppingNet, *arguments, run_dir / "dropping"),
        "dropping in parts": train(device, DroppingNet, *arguments, run_dir / "parts", parts=True),
        "without a seed": draws_without_seed(model.recipe),
    }


class Draws:
    """A source whose batches are what was drawn."""

    def __len__(self):
        return 8

    def load(self, images, device):
        pass

    def __getitem__(self, draw):
        return draw


def draws_without_seed(recipe):
    """By process, the images of each step of an epoch."""
    source = Draws()
    loader = Loader(source, recipe, FitContext(Path(), None), plan_budget(recipe, len(source)))
    return process_group.gather([draw.images for draw in loader.batches(0)])


def miss_one(device, how):
    """Process 1 dies, or fails, while process 0 waits for it."""
    if process_group.rank() == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "refuses":
            raise ModelError("something.yaml: is not right")
        raise RuntimeError("CUDA out of memory: tried to allocate 2 GB")
    return process_group.total(1.0)


def wait_for_ever(device, told: Path):
    """Say who this is, then wait for a process that never answers."""
    (told / str(os.getpid())).touch()
    if process_group.rank() == 0:
        process_group.total(1.0)
    signal.pause()
