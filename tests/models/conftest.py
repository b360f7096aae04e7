"""The pieces that tests of models share."""

from collections.abc import Callable

import pytest
import torch

from nanoseg_bench.models.augmentation import plain_views
from nanoseg_bench.models.batches import InstanceBatch, assemble
from nanoseg_bench.models.data import Sample
from nanoseg_bench.models.packed_images import pack


@pytest.fixture(autouse=True)
def one_thread():
    """Training must be repeatable and polite to other tests on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def batch_of() -> Callable[..., InstanceBatch]:
    """A function: samples of one size, as they are, to a batch."""

    def make(*samples: Sample, ignored: bool = False) -> InstanceBatch:
        size, numbers = samples[0].pixels.shape[0], list(range(len(samples)))
        return assemble(pack(samples, numbers, len(samples), size, ignored=ignored), plain_views(numbers, size))

    return make
