"""Analysed micrographs as people left them; those that were asked for last stay in memory."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from nanoseg_bench.files import read_json
from nanoseg_bench.webapp.errors import RequestError
from nanoseg_bench.webapp.folders import OUTLINES, STATE, Folders
from nanoseg_bench.webapp.store import DONE, Entry

if TYPE_CHECKING:
    from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph

_LOG = logging.getLogger(__name__)

_MOST = 64
"""Micrographs whose outlines are kept as they are sent: one of 500 particles takes two or three megabytes."""

_MOST_OUTLINES = 100_000
"""In all micrographs that are kept. Each step of a slider goes through a whole sample, of which nothing would be kept
that is asked for again if it did not fit. An outline takes 2 kB as it was analysed and 1 kB as it was changed."""

_BESIDE = 20
"""What a micrograph takes beside its outlines, in outlines."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a person decided about a micrograph, as it is kept.

    Attributes:
        edits: Of ``report.review.edits``; empty where there are none.
        scale: Of ``report.review.scale``; empty where nothing was decided.
    """

    edits: Mapping[str, Any]
    scale: Mapping[str, Any]


@contextmanager
def _whole_files() -> Iterator[None]:
    """Say so where a file is not as the worker wrote it: of a failing disk nobody else knows."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        _LOG.error("%s", error)
        raise RequestError(
            "what was found in this micrograph cannot be read any more: its file is damaged; delete the micrograph, "
            "and add it again",
            500,
        ) from error


class _Recent:
    """Micrographs that were asked for last, by what they are made from.

    Args:
        make: Called with that, where one is not kept.
    """

    def __init__(self, make: Callable[..., "AnalysedMicrograph"]) -> None:
        self._make = make
        self._kept: OrderedDict[tuple[Any, ...], AnalysedMicrograph] = OrderedDict()
        self._outlines = 0
        self._lock = threading.Lock()

    def __call__(self, *source: Any) -> "AnalysedMicrograph":
        with self._lock:
            if source in self._kept:
                self._kept.move_to_end(source)
                return self._kept[source]
        made = self._make(*source)
        with self._lock:
            if source not in self._kept:  # no other request made it meanwhile
                self._kept[source] = made
                self._outlines += _outlines_in(made)
            while self._outlines > _MOST_OUTLINES and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._outlines -= _outlines_in(oldest)
        return made


def _outlines_in(analysed: "AnalysedMicrograph") -> int:
    return _BESIDE + len(analysed.image.instances)


class Loaded:
    """Reads what the worker wrote, and puts the person's changes on it.

    Args:
        folders: Of the server.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._as_analysed = _Recent(self._read)
        self._outlines = lru_cache(_MOST)(self._read_outlines)
        self._as_changed = _Recent(self._change)

    def get(self, entry: Entry, change: Change | None = None) -> "AnalysedMicrograph":
        """A micrograph that is done, with its changes, or with others.

        Args:
            entry: The micrograph.
            change: In place of what is kept.

        Raises:
            RequestError: It is not done.
            NanosegError: The change cannot be carried out.
        """
        if entry.status != DONE:
            raise RequestError(f"{entry.name} is {entry.status}; wait until it is done", 409)
        change = change or Change(entry.edits, entry.scale)
        original = self._folders.original(entry.id, entry.suffix)
        name = entry.name.rpartition("/")[2]
        return self._as_changed(original, name, orjson.dumps(change.edits), orjson.dumps(change.scale))

    def outlines(self, entry: Entry) -> list[Any]:
        """The outlines as the model left them, for ``report.review.view.detail_of``."""
        return self._outlines(entry.id)

    def _read_outlines(self, id: str) -> list[Any]:
        with _whole_files():
            kept: list[Any] = read_json(self._folders.of(id) / OUTLINES)
        return kept

    def _read(self, original: Path, name: str) -> "AnalysedMicrograph":
        from nanoseg_bench.report.analysis.micrograph import judged
        from nanoseg_bench.report.analysis.state import read_state

        with _whole_files():
            analysed = read_state(original.with_name(STATE))
        # Where the file lies now, since the server's folder may have been moved; and what people know it by. Measured
        # here, once: an edit measures what it changes, and a filter nothing.
        return judged(analysed, image=replace(analysed.image, path=original, file_name=name))

    def _change(self, original: Path, name: str, edits: bytes, scale: bytes) -> "AnalysedMicrograph":
        from nanoseg_bench.report.review.edits import Edits, apply_edits
        from nanoseg_bench.report.review.scale import ScaleChoice, rescale

        edited = apply_edits(self._as_analysed(original, name), Edits.from_json(orjson.loads(edits)))
        return rescale(edited, ScaleChoice.from_json(orjson.loads(scale)))
