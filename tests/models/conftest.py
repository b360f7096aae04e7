"""The pieces that tests of models share."""

from collections.abc import Callable

import pytest
from one_thread import one_thread

from nanoseg_bench.models.augmentation import plain_views
from nanoseg_bench.models.batches import InstanceBatch, assemble
from nanoseg_bench.models.data import Sample
from nanoseg_bench.models.packed_images import pack

__all__ = ["one_thread"]


@pytest.fixture
def batch_of() -> Callable[..., InstanceBatch]:
    """A function: samples of one size, as they are, to a batch."""

    def make(*samples: Sample, ignored: bool = False) -> InstanceBatch:
        size, numbers = samples[0].pixels.shape[0], list(range(len(samples)))
        return assemble(pack(samples, numbers, len(samples), size, ignored=ignored), plain_views(numbers, size))

    return make
