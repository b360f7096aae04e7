"""How many threads a training on the CPU computes with.

OpenMP's threads wait for each other at the end of every operation, and spin while they wait. Where another program
keeps a core busy, two threads are many times slower than one: measured on two cores, 4 s for a training image of 320 px
instead of 0.07 s. So the number is tried out before it is used.
"""

import time
from collections.abc import Callable

import torch

_REPEATS = 2
_WORTH = 0.8
"""More threads are taken where they need less than this share of the time: they take cores from others."""


def quickest_threads(step: Callable[[], object], most: int) -> int:
    """The number of threads from 1 to ``most`` with which ``step`` is done soonest.

    Halves of ``most`` are tried, each for the least of a few repeats. Fewer threads win unless more are clearly
    quicker.

    Args:
        step: A typical piece of work; its result is thrown away.
        most: The most threads to try.
    """
    before = torch.get_num_threads()
    best, least = 1, float("inf")
    try:
        for threads in _halves(most):
            seconds = _seconds(step, threads)
            if seconds < _WORTH * least:
                best, least = threads, seconds
    finally:
        torch.set_num_threads(before)
    return best


def _halves(most: int) -> list[int]:
    """1, ..., most / 4, most / 2, most."""
    tried = {1}
    while most > 1:
        tried.add(most)
        most //= 2
    return sorted(tried)


def _seconds(step: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    step()
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return min(times)
