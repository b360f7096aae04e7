"""Progress of long work: a bar on a terminal, a plain log line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, TypeVar

from nanoseg_bench.terminal import open_progress
from nanoseg_bench.verbosity import shows_progress

if TYPE_CHECKING:
    from rich.progress import Progress

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 15.0

T = TypeVar("T")

_shown: list["Progress"] = []
"""The bars at the terminal; there can be one display at a time, and a part of a longer work gets a bar below its."""


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield ``items`` and show how far they are.

    Args:
        items: What to go through.
        description: What is being done: "train unet".
        total: Number of items; ``len(items)`` by default.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if not shows_progress():
        yield from items
        return
    if sys.stderr.isatty():
        yield from _track_at_terminal(items, description, total)
        return
    last_line = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last_line > _SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            _LOG.info("%s: %d of %s", description, done, total if total is not None else "?")


def _track_at_terminal(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    if _shown:
        task = _shown[0].add_task(description, total=total)
        try:
            yield from _shown[0].track(items, total=total, task_id=task)
        finally:
            _shown[0].remove_task(task)
        return
    with open_progress() as progress:
        _shown.append(progress)
        try:
            yield from progress.track(items, total=total, description=description)
        finally:
            _shown.remove(progress)
