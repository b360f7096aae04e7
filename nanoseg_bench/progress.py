"""Progress of long work: a bar on a terminal, a plain log line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from nanoseg_bench.terminal import open_progress
from nanoseg_bench.verbosity import shows_progress

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 15.0

T = TypeVar("T")


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
        with open_progress() as progress:
            yield from progress.track(items, total=total, description=description)
        return
    last_line = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last_line > _SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            _LOG.info("%s: %d of %s", description, done, total if total is not None else "?")
