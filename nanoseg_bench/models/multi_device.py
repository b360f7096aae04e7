"""One process for each device of a training that takes several; this one waits, and ends them all with the first.

Process 0 writes what a training writes. The one that waits computes nothing, so that it can always answer: where a
process dies, the others may hang in a message to it for half an hour.
"""

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nanoseg_bench.environment import isolate_libraries, share_of_cores
from nanoseg_bench.errors import NanosegError, TimeLimitReached, WorkerError, WorkerMemoryError
from nanoseg_bench.models import process_group
from nanoseg_bench.models.base import Deadline, FitContext, FitReport
from nanoseg_bench.models.recipe import Recipe
from nanoseg_bench.parallel import end_with_parent
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.verbosity import QUIET, verbosity

if TYPE_CHECKING:
    from nanoseg_bench.models.torch_model import TorchModel

_LOG = logging.getLogger(__name__)
_PACKAGE = "nanoseg_bench"
_SECONDS_TO_BLAME = 3.0
"""Where one process fails the others do, since they miss it: so long is waited for the one that was first."""

Result = TypeVar("Result")


def fit_on_devices(model: "TorchModel", prepared: PreparedSet, context: FitContext) -> FitReport:
    """Train a model as ``fit`` does, with a process for each of ``context.devices``; the weights' file is the result.

    Raises:
        TimeLimitReached, ModelError: As of ``Model.fit``.
        WorkerError: A process died; says on which device.
    """
    order = _Order(
        type(model),
        model.recipe,
        model.classes,
        model.max_instances,
        prepared.root,
        prepared.fold,
        replace(context, beside=()),
    )
    _LOG.info("%s: trains on %s together", model.recipe.model, ", ".join(context.devices))
    return run_in_group(_fit_share, context.devices, order)


def run_in_group(function: Callable[..., Result], devices: Sequence[str], *arguments: Any) -> Result:
    """Call a function in a process for each device, all of one ``process_group``.

    Args:
        function: At the top level of a module; it is given its torch device name and the arguments.
        devices: torch device names.
        arguments: Picklable.

    Returns:
        What it returned in process 0.

    Raises:
        NanosegError, RuntimeError, MemoryError: What it raised first in any of them.
        WorkerError: A process died; says on which device.
    """
    context = multiprocessing.get_context("spawn")
    members: list[_Member] = []
    with tempfile.TemporaryDirectory(prefix="nanoseg-bench-group-") as meeting:
        try:
            with _environment(share_of_cores(len(devices))):
                for rank, device in enumerate(devices):
                    ours, theirs = context.Pipe(duplex=False)
                    seat = _Seat(Path(meeting), rank, tuple(devices))
                    process = context.Process(
                        target=_take_part, args=(seat, theirs, function, arguments), name=f"{_PACKAGE} {device}"
                    )
                    process.start()
                    theirs.close()
                    members.append(_Member(seat, process, ours))
            result: Result = _wait_for(members)
            return result
        finally:
            for member in members:
                member.process.kill()
            for member in members:
                member.process.join()
                member.connection.close()


@dataclass(frozen=True, slots=True)
class _Order:
    """What each process needs to build the same training."""

    kind: "type[TorchModel]"
    recipe: Recipe
    classes: Sequence[str]
    max_instances: int
    root: Path
    fold: int | None
    context: FitContext


def _fit_share(device: str, order: _Order) -> FitReport:
    # Process 0 watches the time for all: their clocks differ by less than a step, but a step is enough.
    deadline = order.context.deadline if process_group.rank() == 0 else Deadline()
    context = replace(order.context, device=device, deadline=deadline)
    model = order.kind(order.recipe, order.classes, order.max_instances)
    return model.fit(PreparedSet(order.root, order.fold), context)


@dataclass(frozen=True, slots=True)
class _Seat:
    """A process' place in the group."""

    meeting: Path
    rank: int
    devices: tuple[str, ...]

    @property
    def device(self) -> str:
        return self.devices[self.rank]

    @property
    def name(self) -> str:
        return f"{self.device} (process {self.rank + 1} of {len(self.devices)})"


@dataclass(slots=True)
class _Member:
    """A process, as the one that waits sees it."""

    seat: _Seat
    process: SpawnProcess
    connection: Connection
    error: Exception | None = None
    is_done: bool = False
    result: Any = None

    def hear(self) -> None:
        """Take what it says until it says no more for now."""
        with suppress(EOFError, OSError):
            while self.connection.poll():
                kind, value = self.connection.recv()
                if kind == "log":
                    _to_own_handlers(value)
                elif kind == "error":
                    self.error = value
                else:
                    self.is_done, self.result = True, value

    def failure(self) -> Exception | None:
        """Why it gives no result; None while it may."""
        if not self.process.is_alive():
            self.hear()  # its last words
        if self.error is not None or self.is_done or self.process.is_alive():
            return self.error
        code = self.process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else ""
        if how == "SIGKILL":
            return WorkerMemoryError(
                f"{self.seat.name}: its process was killed (SIGKILL), most likely for lack of memory; the same command "
                "goes on from the last checkpoint"
            )
        ended = f"died of {how}" if how else f"ended with exit code {code} and no result"
        return WorkerError(f"{self.seat.name}: its process {ended}; the same command goes on from the last checkpoint")


def _wait_for(members: Sequence[_Member]) -> Any:
    first = members[0]
    while True:
        ends = [member.process.sentinel for member in members if member.process.is_alive()]
        talks = [member.connection for member in members if member.process.is_alive()]
        wait([*ends, *talks], timeout=1.0)
        for member in members:
            member.hear()
        if isinstance(first.error, TimeLimitReached):  # the checkpoint is written
            raise first.error
        if any(member.failure() is not None for member in members):
            raise _cause(members)
        if all(member.is_done for member in members):
            return first.result


def _cause(members: Sequence[_Member]) -> Exception:
    """The failure that the others followed from."""
    seen: list[Exception] = []
    until = time.monotonic() + _SECONDS_TO_BLAME
    while True:
        for member in members:
            member.hear()
            if (failure := member.failure()) is not None and not any(str(failure) == str(each) for each in seen):
                seen.append(failure)
        if any(isinstance(each, WorkerMemoryError) for each in seen) or time.monotonic() > until:
            return min(seen, key=_gravity)  # of equal ones, the first that was seen
        if all(member.is_done or member.failure() is not None for member in members):
            until = 0.0  # nothing more can come
        time.sleep(0.05)


def _gravity(error: Exception) -> int:
    """0 for what nothing else in the group can have caused."""
    if isinstance(error, WorkerMemoryError):
        return 0
    if isinstance(error, NanosegError) and not isinstance(error, WorkerError | TimeLimitReached):
        return 1
    # A process that misses another one says that a connection was closed, or aborts.
    if not isinstance(error, WorkerError):
        return 3
    return 4 if "SIGABRT" in str(error) else 2


def _to_own_handlers(record: logging.LogRecord) -> None:
    """Into a run's log file; what goes to the terminal its own process has written, which draws the progress bar."""
    for handler in logging.getLogger(_PACKAGE).handlers:
        if record.levelno >= handler.level:
            handler.handle(record)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for child processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _ToParent(logging.Handler):
    """Sends what is logged to the process that waits."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        plain = logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, text, None, None)
        with suppress(OSError, ValueError):
            self._connection.send(("log", plain))


def _take_part(seat: _Seat, connection: Connection, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """A process of the group, from its start to its end."""
    # Ctrl-C reaches all processes of a terminal; the one that waits ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    isolate_libraries()
    with verbosity(QUIET if seat.rank else None):  # process 0 says the same
        package = logging.getLogger(_PACKAGE)
        if seat.rank == 0:
            package.setLevel(logging.DEBUG)
            package.addHandler(_ToParent(connection))
        else:
            package.setLevel(logging.ERROR)
        try:
            process_group.join(seat.meeting, seat.rank, len(seat.devices), seat.device)
            result = function(seat.device, *arguments)
            connection.send(("result", result if seat.rank == 0 else None))
        except TimeLimitReached as error:
            # The others stop because process 0 does, which is still to say how far it came.
            connection.send(("error", error) if seat.rank == 0 else ("result", None))
        except Exception as error:
            _LOG.debug("%s", traceback.format_exc())
            connection.send(("error", _portable(error, seat)))
    sys.stdout.flush()
    # Until it is ended: a neighbour may still be reading what this one has sent, and takes its end for a failure.
    threading.Event().wait()


def _portable(error: Exception, seat: _Seat) -> Exception:
    """An exception that another process can be sent."""
    if isinstance(error, NanosegError):
        return error
    text = f"{seat.name}: {type(error).__name__}: {error}"
    return MemoryError(text) if isinstance(error, MemoryError) else RuntimeError(text)
