"""Batches of a training, in the budget's order, on the training device, whoever assembles them.

``loader: stock`` assembles on the CPU, in processes of its own where the network trains on a GPU. ``loader: gpu`` holds
the set on the training device and assembles there. Both run the same code on the same draws.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nanoseg_bench.environment import available_cores
from nanoseg_bench.errors import NanosegError
from nanoseg_bench.models import process_group
from nanoseg_bench.models.augmentation import Draw
from nanoseg_bench.models.base import FitContext
from nanoseg_bench.models.budget import Budget, batches_of
from nanoseg_bench.models.recipe import Recipe

_MAX_WORKERS = 8


class BatchSource(Protocol):
    """What a training draws its batches from."""

    def __len__(self) -> int:
        """Number of training images."""

    def load(self, images: Sequence[int], device: str) -> None:
        """Make ready to give batches of these images. One that reads them batch by batch sets ``streams``."""

    def __getitem__(self, draw: Draw) -> Any:
        """The batch: tensors in any nesting of lists, tuples and dictionaries. The same for the same draw."""


class Loader:
    """Batches of each epoch on the training device.

    Args:
        source: Loaded.
        recipe: Batch size and loader.
        context: Seed of the order, device.
        budget: Order and length of the epochs.
    """

    def __init__(self, source: BatchSource, recipe: Recipe, context: FitContext, budget: Budget) -> None:
        self._order = Order(budget, _common_seed(context.seed), recipe.batch)
        self._device = context.device
        self._streams = getattr(source, "streams", False)
        self._batches: Iterable[Any]
        if self._on_cuda and recipe.loader == "stock":
            workers = min(_MAX_WORKERS, max(available_cores(logical=True) - 1, 1))
            self._batches = worker_batches(source, self._order, workers, pinned=True)
        else:
            # On the CPU the cores belong to the network.
            self._batches = _Mapped(source, self._order)

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Any]:
        """Batches of ``epoch`` (from 0), from its step ``first_step`` on."""
        self._order.epoch, self._order.first_step = epoch, first_step
        batches = iter(self._batches)
        if self._on_cuda:
            return _ahead(batches, self._device)
        return _read_ahead(batches) if self._streams and _a_core_is_free() else batches

    @property
    def _on_cuda(self) -> bool:
        return self._device.startswith("cuda")


class Order:
    """The draws of the current epoch, from its current step on; of several processes, each has its share of each."""

    def __init__(self, budget: Budget, seed: int, batch: int) -> None:
        self._budget = budget
        self._seed = seed
        self._batch = batch
        self.epoch = 0
        self.first_step = 0

    def __iter__(self) -> Iterator[Draw]:
        position = self.epoch * self._budget.images_per_epoch
        batches = batches_of(self._budget.epoch_indices(self.epoch, self._seed), self._batch)
        for step, images in enumerate(batches):
            if step >= self.first_step:
                first, own = process_group.share_of(images)
                yield Draw(own, position + first, self._budget.images_seen)
            position += len(images)


def _common_seed(seed: int | None) -> int:
    """A seed of the order that all epochs and processes have: without one, each would shuffle by itself."""
    return process_group.first_says(secrets.randbits(32)) if seed is None else seed


def worker_batches(source: BatchSource, order: Order, workers: int, *, pinned: bool) -> Iterable[Any]:
    """The batches of ``order``, made by processes of their own, whose number changes nothing.

    The source's tensors are not copied for each process: forked ones share their parent's pages, and for others torch
    moves the tensors to shared memory.

    Args:
        source: Loaded.
        order: May change between two iterations.
        workers: Number of processes; they live as long as the result.
        pinned: Put batches where CUDA copies them from without the CPU's help.

    Raises:
        NanosegError: While it is iterated: what reading a batch raises.
    """
    loader: DataLoader[Any] = DataLoader(
        source,  # type: ignore[arg-type]
        sampler=order,
        batch_size=None,  # the source makes whole batches
        num_workers=workers,
        persistent_workers=True,
        pin_memory=pinned,
        # Its own generator: the loader must not draw from the one that the network draws from.
        generator=torch.Generator().manual_seed(0),
    )
    return _ToldInWords(loader)


class _ToldInWords:
    """Batches of worker processes, whose errors come without the traceback that torch puts into their messages."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._batches
        except NanosegError as error:
            kind = type(error)
            raise kind(str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].strip()) from error


class _Mapped:
    """The batches of an order, made one by one in this process."""

    def __init__(self, source: BatchSource, order: Order) -> None:
        self._source = source
        self._order = order

    def __iter__(self) -> Iterator[Any]:
        return map(self._source.__getitem__, self._order)


def _read_ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """Yield ``batches``; each is read, by a thread, while the one before is trained on."""
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, batches, None)
        while (batch := waiting.result()) is not None:
            waiting = reader.submit(next, batches, None)
            yield batch


def _a_core_is_free() -> bool:
    """Whether the network leaves one; on its own cores a reader would make its threads wait for each other."""
    return torch.get_num_threads() < available_cores()


def to_device(batch: Any, device: str) -> Any:
    """The batch with every tensor on ``device``; lists, tuples and dictionaries keep their shape."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(value, device) for value in batch)
    return batch


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, dict | list | tuple):
        for part in batch.values() if isinstance(batch, dict) else batch:
            yield from _tensors(part)


def _ahead(batches: Iterator[Any], device: str) -> Iterator[Any]:
    """Yield ``batches`` on a CUDA device; each is copied or assembled there while the one before is trained on.

    A stream of its own, because assembling asks the device how many particles are left, and on the stream that trains
    the answer would wait for the whole step.
    """
    stream = torch.cuda.Stream(device)
    # What the set's tensors were copied with must be done before the first batch reads them.
    stream.wait_stream(torch.cuda.current_stream(device))
    while True:
        with torch.cuda.stream(stream):
            batch = next(batches, None)
            batch = to_device(batch, device)
        if batch is None:
            return
        training = torch.cuda.current_stream(device)
        training.wait_stream(stream)
        for tensor in _tensors(batch):
            # Its memory belongs to the other stream, which must not use it again before training is done with it.
            tensor.record_stream(training)
        # The caller queues its step and comes back for the next batch, long before the device is done.
        yield batch
