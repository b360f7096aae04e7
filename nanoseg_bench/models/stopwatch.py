"""Where the time of a prediction goes: before the network, inside of it, and after it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stages:
    """Parts of one prediction, milliseconds."""

    pre_ms: float
    network_ms: float
    post_ms: float


@dataclass(frozen=True, slots=True)
class Lap:
    """One prediction, timed.

    Attributes:
        total_ms: Wall time, milliseconds.
        stages: Its parts, which add up to it; None for a model that marks no network.
    """

    total_ms: float
    stages: Stages | None


class Stopwatch:
    """Times a model that marks its network.

    As long as nobody times, a mark costs about a microsecond and waits for nothing.
    """

    def __init__(self) -> None:
        self._synchronise: Callable[[], object] | None = None
        self._entered: float | None = None
        self._inside = 0.0

    @contextmanager
    def network(self) -> Iterator[None]:
        """Mark the network; where a model runs it several times for one image, the times add up."""
        if self._synchronise is None:
            yield
            return
        self._synchronise()
        start = time.perf_counter()
        if self._entered is None:
            self._entered = start
        yield
        self._synchronise()
        self._inside += time.perf_counter() - start

    def time(self, predict: Callable[[], T], synchronise: Callable[[], object]) -> tuple[T, Lap]:
        """Run a prediction and time it.

        Args:
            predict: What is timed.
            synchronise: Waits until the device has done all that it was given.

        Returns:
            What ``predict`` returned, and how long it took.
        """
        self._synchronise, self._entered, self._inside = synchronise, None, 0.0
        try:
            synchronise()
            start = time.perf_counter()
            result = predict()
            synchronise()
            total = time.perf_counter() - start
        finally:
            self._synchronise = None
        if self._entered is None:
            return result, Lap(total * 1000, None)
        before = self._entered - start
        after = total - before - self._inside
        return result, Lap(total * 1000, Stages(before * 1000, self._inside * 1000, after * 1000))
