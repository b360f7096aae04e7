"""The thread of the web process that gives the worker its tasks, and does not lose one when the worker is lost."""

import contextlib
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from nanoseg_bench.webapp.folders import Folders
from nanoseg_bench.webapp.settings import SECONDS_PER_DAY, Settings
from nanoseg_bench.webapp.store import Entry, Store
from nanoseg_bench.webapp.worker import Done, Failed, Ready, Task, Trouble, work

_SECONDS_TO_OPEN = 300.0
"""That a worker may take to open the model; a network is exported for ONNX Runtime on its first use."""

_SECONDS_TO_END = 5.0
"""That a process may take to be gone whose end of the pipe is closed."""

_SECONDS_IDLE = 60.0
"""After which the thread looks around although nothing calls it."""

_SECONDS_BETWEEN_CLEANINGS = 3600.0
_MOST_BETWEEN_CLEANINGS = 2 * _SECONDS_BETWEEN_CLEANINGS
"""Seconds on the clock; where there are more, the computer was off, or its clock was set."""
_SECONDS_BETWEEN_STARTS = 30.0
_STARTS = 3
"""Workers that may end before they have opened the model, one after the other, before the waiting are told."""

_LOG = logging.getLogger(__name__)


class Supervisor:
    """Analyses what waits, one after the other, in a process of its own that is started anew when it ends.

    Args:
        store: Of the server.
        folders: Of the server.
        settings: Model, limits and days.
        target: What the process runs.
    """

    def __init__(self, store: Store, folders: Folders, settings: Settings, target: Callable[..., None] = work) -> None:
        self.model: dict[str, Any] | None = None
        self.trouble: str | None = None
        self._store = store
        self._folders = folders
        self._settings = settings
        self._target = target
        self._context = multiprocessing.get_context("spawn")
        self._ours, self._calls = self._context.Pipe(duplex=False)
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._running: str | None = None
        self._stops = False
        self._failed_starts = 0
        self._next_start = float("-inf")
        self._is_called = False
        self._cleaned = float("-inf")
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Take up what an earlier server left, and go on with the queue."""
        self._put_back()
        if self._store.is_new and not self._store.ids() and (place := self._folders.set_aside()) is not None:
            _LOG.warning("%s: holds what was uploaded before; the page's list of it is gone", place)
        self._folders.tidy(self._store.ids())
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the worker; what it is at is begun again by the next server."""
        self._stops = True
        self.wake()
        while self._thread.is_alive():
            with self._lock:
                if self._process is not None:
                    self._process.kill()
            self._thread.join(0.1)

    def wake(self) -> None:
        """There is something to do."""
        with self._lock:
            if not self._is_called:
                self._calls.send(None)
                self._is_called = True

    def interrupt(self, id: str) -> None:
        """Stop the analysis of one that is not wanted any more, if it is this that runs."""
        with self._lock:
            if self._running == id and self._process is not None:
                self._process.kill()

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, for whoever watches it."""
        with self._lock:  # else it may be closed in between
            return None if self._process is None else self._process.pid

    def _run(self) -> None:
        while not self._stops:
            try:
                self._clean()
                self._go_on()
            except Exception:
                # Whatever it is (the disk is full, say), the queue must go on when it is over.
                _LOG.exception("the queue")
                time.sleep(1)
                with contextlib.suppress(Exception):
                    self._put_back()
        self._end_worker()

    def _go_on(self) -> None:
        if not self._has_worker() and time.monotonic() >= self._next_start:
            self._start_worker()
        if not self._has_worker() and self.trouble is None:
            return  # it ended at once, and is tried again
        entry = self._store.begin_next()
        if entry is None:
            self._listen(_SECONDS_IDLE)
        else:
            self._analyse(entry)

    def _has_worker(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def _start_worker(self) -> None:
        self._end_worker()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=self._target, args=(theirs, self._settings.model, self._settings.limits), daemon=True
        )
        process.start()
        theirs.close()
        with self._lock:
            self._process, self._pipe = process, ours
        answer = self._answer(_SECONDS_TO_OPEN)
        if self._stops:
            return
        if isinstance(answer, Ready):
            self.model, self.trouble, self._failed_starts = answer.model, None, 0
            return
        self._failed_starts += 1
        if isinstance(answer, Trouble):
            self._tell(answer.reason)
        elif self._failed_starts >= _STARTS or process.is_alive():
            self._tell(f"the process that analyses could not open the model ({_ending(process)})")
        self._end_worker()

    def _tell(self, reason: str) -> None:
        """Nothing can be analysed for now: what waits is told so, and does not wait for ever."""
        self._next_start = time.monotonic() + _SECONDS_BETWEEN_STARTS
        if reason != self.trouble:
            _LOG.error("%s", reason)
        self.trouble = reason

    def _analyse(self, entry: Entry) -> None:
        if self.trouble is not None and not self._has_worker():
            self._store.fail(entry.id, f"nothing can be analysed: {self.trouble}")
            return
        pipe, process = self._pipe, self._process
        assert pipe is not None and process is not None and self.model is not None  # noqa: S101
        with self._lock:
            self._running = entry.id
        model = self.model
        try:
            pipe.send(Task(entry.id, self._folders.original(entry.id, entry.suffix), entry.name, entry.stem))
            answer = self._answer(self._settings.limits.seconds)
        except OSError:
            process.join(_SECONDS_TO_END)
            answer = None
        finally:
            with self._lock:
                self._running = None
        if self._stops and answer is None:
            self._store.release(entry.id)
        elif isinstance(answer, Done):
            if not self._store.finish(entry.id, answer.overview, model):
                self._forget(entry)
        elif isinstance(answer, Failed):
            self._store.fail(entry.id, answer.reason)
        elif process.is_alive():
            limit = self._settings.limits.seconds
            reason = f"not done after {limit:.0f} s, and stopped; cut it into fields, or save it smaller"
            self._store.fail(entry.id, reason)
            self._end_worker()
        else:
            self._put_back(process)
            _LOG.warning("the worker ended (%s); it is started again", _ending(process))

    def _put_back(self, process: BaseProcess | None = None) -> None:
        """What ran waits again, or is told that it was begun too often."""
        most = self._settings.limits.attempts
        how = "" if process is None else f" ({_ending(process)})"
        reason = (
            f"the process that analysed it was stopped {most} times{how}, perhaps for want of memory; try again, or "
            "cut the micrograph into fields"
        )
        self._store.put_back(most, reason)

    def _answer(self, seconds: float) -> object | None:
        """What the worker sends; None where it ends or the time does. Calls are left for later."""
        pipe, process = self._pipe, self._process
        assert pipe is not None and process is not None  # noqa: S101
        if process.sentinel in wait([pipe, process.sentinel], seconds):
            # Its end of the pipe may close a moment later; what it sent before can be read all the same.
            process.join(_SECONDS_TO_END)
        try:
            return pipe.recv() if pipe.poll() else None
        except (EOFError, OSError):
            process.join(_SECONDS_TO_END)
            return None

    def _listen(self, seconds: float) -> None:
        """Wait for a call, or the end of the worker."""
        process = self._process
        wait([self._ours, *([] if process is None else [process.sentinel])], seconds)
        with self._lock:
            if self._is_called:
                self._ours.recv()
                self._is_called = False

    def _end_worker(self) -> None:
        with self._lock:
            process, pipe = self._process, self._pipe
            self._process = self._pipe = None
        if process is not None:
            process.kill()
            process.join()
            process.close()
        if pipe is not None:
            pipe.close()

    def _forget(self, entry: Entry) -> None:
        """Results of what was deleted while it was analysed."""
        if self._store.find(entry.id, entry.owner) is None:
            self._folders.delete(entry.id)

    def _clean(self) -> None:
        """Delete what is older than the days that it is kept, unless the clock may be wrong.

        A clock that was set ahead by years, as of a computer whose battery is empty, would make everything old. So a
        look that comes later than it should deletes nothing; the next one does, an hour later.
        """
        if time.monotonic() - self._cleaned < _SECONDS_BETWEEN_CLEANINGS:
            return
        self._cleaned = time.monotonic()
        now = time.time()
        since = self._store.seconds_since_look(now)
        if since is not None and since > _MOST_BETWEEN_CLEANINGS:
            return
        for id_ in self._store.delete_before(now - self._settings.keep_days * SECONDS_PER_DAY):
            self._folders.delete(id_)


def _ending(process: BaseProcess) -> str:
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
