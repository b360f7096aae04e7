"""One writer at a time of a stored folder: numbers that only one can take, signs of life, and who came after."""

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson

from nanoseg_bench.files import parse_json
from nanoseg_bench.storage import StoredFolder, named, this_machine

_LOG = logging.getLogger(__name__)

LEASE, BEAT = 60.0, 15.0
"""Seconds without a sign of life after which a writer counts as gone, and between two signs of life."""

_WRITER = "writer-"


class Writer:
    """Whoever writes a stored folder: the holder of the highest number of ``writer-N.json`` in it.

    A writer gives signs of life. One that gave none for ``LEASE`` seconds is taken the folder from by the next number;
    should it live after all, it sees that and stops writing.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: StoredFolder) -> None:
        self._folder = folder
        self.token = secrets.token_hex(8)
        self._number = 0
        self._is_released = False
        self._lock = threading.Lock()
        self.before = ""
        """Token of the writer before; empty where there was none."""

    def take(self) -> str:
        """Become the writer; waits where it is not known whether the one before is alive.

        Returns:
            Empty; or who writes, where somebody else does.
        """
        while True:
            number, holder = last_writer(self._folder)
            # Where the file says nothing it is damaged, or is being written: on a mounted folder that takes a moment.
            if number and not holder.get("released"):
                # The clock of either machine may be wrong by years, so it shortens the wait and never takes its place.
                now = self._watch(number, holder, 2 * BEAT if _is_long_gone(holder) else LEASE)
                if now is not None and now[0] == number and not now[1].get("released"):
                    return named(now[1])
                if now is not None:
                    continue
            if self._folder.put_if_absent(self._name(number + 1), self._sign()) or self._is_signed(number + 1):
                self._number, self.before = number + 1, str(holder.get("token", ""))
                self._folder.delete([self._name(earlier) for earlier in range(max(1, number - 3), number + 1)])
                return ""

    def _is_signed(self, number: int) -> bool:
        """Whether this writer has taken a number and did not hear of it: the answer was lost, and the try repeated."""
        last, holder = last_writer(self._folder)
        return last == number and holder.get("token") == self.token

    def is_mine(self) -> str:
        """Empty where this is still the writer; else who is."""
        number, holder = last_writer(self._folder)
        return "" if number == self._number else named(holder)

    def beat(self) -> None:
        """Give a sign of life, unless others may write already."""
        with self._lock:
            if not self._is_released:
                self._folder.write(self._name(self._number), self._sign())

    def release(self) -> None:
        """Let others write; the token stays, by which one knows whose work lies there."""
        with self._lock:
            self._is_released = True
            self._folder.write(self._name(self._number), self._sign(released=True))

    def _watch(self, number: int, holder: Mapping[str, Any], seconds: float) -> tuple[int, dict[str, Any]] | None:
        """What became of a writer; None where it gave no sign of life for so long."""
        _LOG.info("%s: was last written by %s; looking whether that is still at work", self._folder.url, named(holder))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(BEAT / 3)
            now = last_writer(self._folder)
            if now[1] and now != (number, holder):
                return now
        return None

    def _sign(self, **more: object) -> bytes:
        return orjson.dumps({**this_machine(), "token": self.token, "beat": secrets.token_hex(4), **more})

    def _name(self, number: int) -> str:
        return f"{_WRITER}{number}.json"


def _is_long_gone(holder: Mapping[str, Any]) -> bool:
    """By the clocks, which mostly differ by less."""
    with suppress(ValueError, TypeError):
        return (datetime.now(UTC) - datetime.fromisoformat(str(holder.get("at")))).total_seconds() > 10 * LEASE
    return False


def last_writer(folder: StoredFolder) -> tuple[int, dict[str, Any]]:
    """Number and content of the last ``writer-N.json``; 0 and nothing where nobody has written yet."""
    numbers = [int(name[len(_WRITER) : -5]) for name in folder.list() if is_writer(name)]
    if not numbers:
        return 0, {}
    with suppress(ValueError):
        document = parse_json(folder.read(f"{_WRITER}{max(numbers)}.json") or b"")
        return max(numbers), document if isinstance(document, dict) else {}
    return max(numbers), {}


def is_writer(name: str) -> bool:
    """Whether a file says who writes."""
    return name.startswith(_WRITER) and name.endswith(".json") and name[len(_WRITER) : -5].isdigit()
