"""The processes that train one network, each on its share of every batch; usually there is one, and nothing is shared.

Every loss is that of the whole batch: sums go over all processes, and what is divided by is a sum, too. Each process
holds the same value of it and the gradient of its own share, and these gradients are added up. So several processes
take the step that one would take on the same batch, but for rounding, also where a loss is no mean over images.

Gradients are added by one message after the backward pass, not by ``DistributedDataParallel``: that divides by the
number of processes, stands between a model and its network, and fails on parameters that a step leaves out.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

_LONGEST_WAIT = timedelta(minutes=30)
"""For another process, which may be reading its images; one that died is noticed at once."""

_Value = TypeVar("_Value")


def join(meeting: Path, rank: int, size: int, device: str) -> None:
    """Belong to a group from now on, until this process ends.

    Args:
        meeting: An empty folder, the same for all.
        rank: This process' number, from 0.
        size: Number of processes.
        device: torch device name of this one.
    """
    loopback = "lo" if sys.platform == "linux" else "lo0" if sys.platform == "darwin" else None
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        if loopback is not None:  # all of them are on this machine, and nobody else is to reach them
            os.environ.setdefault(variable, loopback)
    backend = "gloo"
    if device.startswith("cuda"):
        torch.cuda.set_device(torch.device(device))
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(
        backend, init_method=(meeting / "meet").as_uri(), rank=rank, world_size=size, timeout=_LONGEST_WAIT
    )


def size() -> int:
    """Number of processes; 1 where there is no group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """This process' number, from 0."""
    return distributed.get_rank() if size() > 1 else 0


def share_of(batch: Sequence[int]) -> tuple[int, list[int]]:
    """This process' share of a batch: where it begins, and what is in it.

    Shares differ by one image at most; there are no empty ones where the batch has an image for each process.
    """
    first, end = (number * len(batch) // size() for number in (rank(), rank() + 1))
    return first, list(batch[first:end])


class _Sum(torch.autograd.Function):
    """The sum over all processes, differentiated by this one's addend: the gradients are added up later."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def summed(values: Tensor) -> Tensor:
    """The sum over all processes, the same in each; its gradient goes to this one's addend.

    All processes call it at the same place, with tensors of one shape.
    """
    return values if size() == 1 else _Sum.apply(values)  # type: ignore[no-untyped-call]


def mean_of_all(mean: Tensor, count: Tensor) -> Tensor:
    """The mean over what all processes have, from that over what this one has.

    Args:
        mean: A scalar; of nothing, it may be anything.
        count: How many values it is the mean of; a scalar.

    Returns:
        0 where there is nothing.
    """
    if size() == 1:
        return torch.where(count > 0, mean, 0.0)
    count = count.to(mean.dtype)
    total = torch.where(count > 0, mean * count, 0.0)
    return summed(total) / summed(count).clamp(min=1)


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Put the sum over all processes in place of every gradient; a parameter that none of them used keeps none."""
    if size() == 1:
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    used = torch.tensor([parameter.grad is not None for parameter in trained], dtype=torch.int32)
    distributed.all_reduce(used)  # by way of the CPU: a question to the GPU would wait for the step
    trained = [parameter for parameter, number in zip(trained, used.tolist(), strict=True) if number]
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    if not gradients:
        return
    message = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(message)
    parts = message.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of process 0."""
    if size() > 1:
        for tensor in tensors:
            value = tensor.detach().contiguous()
            distributed.broadcast(value, 0)
            tensor.detach().copy_(value)


def first_says(number: int) -> int:
    """What process 0 says, in all of them."""
    if size() == 1:
        return number
    said = torch.tensor(number, dtype=torch.int64)
    distributed.broadcast(said, 0)
    return int(said)


def total(number: float) -> float:
    """The sum of a number over all processes."""
    return float(summed(torch.tensor(number, dtype=torch.float64)))


def gather(value: _Value) -> list[_Value]:
    """What each process has, by its number; known to process 0 alone, empty in the others."""
    if size() == 1:
        return [value]
    found: list[Any] | None = [None] * size() if rank() == 0 else None
    distributed.gather_object(value, found)
    return found or []
