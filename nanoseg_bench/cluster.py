"""The machines of a Ray cluster: functions that are carried out in processes of all of them.

Ray, an extra, starts the processes, gives each task its cores and its GPU, and tries a task again elsewhere whose
process or machine died. Here is only what the package needs of it. Files go through storage that all machines share:
a task works in the folder of the command that sent it, under the same path.
"""

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

from nanoseg_bench import __version__
from nanoseg_bench.environment import available_cores, cores_of_task, isolate_libraries
from nanoseg_bench.errors import ClusterError, UsageError, WorkerError, WorkerMemoryError
from nanoseg_bench.extras import require_packages
from nanoseg_bench.verbosity import inherited_level, start_logging
from nanoseg_bench.wording import counted

_LOG = logging.getLogger(__name__)

MOST_TRIES = 4
"""Machines and processes may die; a task that none of so many survived is given up."""

_SECONDS_BETWEEN_LOOKS = 0.3
_SECONDS_TO_END = 60.0
_SECONDS_TO_ANSWER = 5.0
_STORE_BYTES = 200_000_000
"""For what tasks take and give: names and numbers. Ray would take a third of the memory."""

Result = TypeVar("Result")


class Cluster:
    """A connection to Ray; a context manager, which ends what still runs when it is left.

    Args:
        address: ``HOST:PORT`` of a cluster, or ``auto`` for the one that this machine belongs to. None: as the
            environment variable ``RAY_ADDRESS`` says, else a Ray of this machine alone, for as long as the connection.

    Raises:
        MissingExtraError: Ray is not installed (on entering, as the other).
        ClusterError: There is no cluster.
    """

    def __init__(self, address: str | None = None) -> None:
        require_packages("--executor ray", "ray", otherwise="or leave --executor out, to stay on this machine")
        self._address = address or os.environ.get("RAY_ADDRESS") or None
        self._cores: list[int] = []
        self._gpus: list[int] = []
        self._left = ExitStack()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._running: set[_Task[Any]] = set()
        self._stopped = False

    def __enter__(self) -> Self:
        # Before Ray is imported. It counts its users otherwise, and asks for news.
        isolate_libraries()
        import ray

        with ExitStack() as stack:
            if threading.current_thread() is threading.main_thread():
                # Ray puts its own there.
                stack.callback(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)
            self._connect(stack)
            machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self._cores = [int(each.get("CPU", 0)) for each in machines]
            self._gpus = [int(each.get("GPU", 0)) for each in machines]
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=False
            )
            self._desk = ray.remote(_Desk).options(num_cpus=0, scheduling_strategy=here).remote()
            listener = threading.Thread(target=self._listen, daemon=True)
            listener.start()
            stack.callback(listener.join, _SECONDS_TO_END)
            stack.callback(self._ended.set)
            stack.callback(self.stop)
            self._left = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.close()

    def _connect(self, stack: ExitStack) -> None:
        import ray

        if self._address is not None and self._address != "auto":
            _require_answer(self._address)
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        own: dict[str, Any] = {}
        if self._address is None:
            # A folder of its own: /tmp/ray may be another user's, and keeps what nobody asked for.
            folder = tempfile.mkdtemp(prefix="ray-")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            own = {"num_cpus": available_cores(), "include_dashboard": False, "object_store_memory": _STORE_BYTES}
            own["_temp_dir"] = folder
        stack.callback(ray.shutdown)
        try:
            ray.init(address=self._address or "local", **own, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = "--executor ray" if self._address is None else f"--address {self._address}"
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ClusterError(
                f"{where}: no Ray there ({reason}); start one with `ray start --head`, and `ray start --address "
                "HOST:PORT` on the other machines"
            ) from error

    @property
    def cores(self) -> int:
        """Cores of all machines that there are now."""
        return max(1, sum(self._cores))

    @property
    def gpus(self) -> int:
        """GPUs of all machines that there are now."""
        return sum(self._gpus)

    def describe(self) -> str:
        """``2 machines, 16 cores, 2 GPUs``."""
        gpus = f", {counted(self.gpus, 'GPU')}" if self.gpus else ""
        return f"{counted(len(self._cores), 'machine')}, {counted(sum(self._cores), 'core')}{gpus}"

    def cores_each(self, at_once: int, gpus: int = 0) -> int:
        """Cores that each of several tasks can have at the same time, at least one.

        Args:
            at_once: How many tasks.
            gpus: That each of them needs: then its share of the cores of a machine that has some.
        """
        if gpus:
            shares = [cores * gpus // there for cores, there in zip(self._cores, self._gpus, strict=True) if there]
            return max(1, min(shares, default=1))
        return max(1, min(self.cores // at_once, max(self._cores, default=1)))

    def resolve_device(self, name: str) -> str:
        """``auto``, ``cpu`` or ``cuda`` to a torch device name, as a task sees it: Ray gives it one GPU.

        Raises:
            UsageError: It is none of these.
        """
        if name not in ("auto", "cpu", "cuda"):
            raise UsageError(f"--device {name}: Ray chooses the GPU; with --executor ray use auto, cpu or cuda")
        if name == "cuda" and not self.gpus:
            _LOG.warning("--device cuda: no machine of the cluster has a GPU now; waiting until one joins")
        return "cuda:0" if name == "cuda" or (name == "auto" and self.gpus) else "cpu"

    def open_pool(self, number: int, initializer: Callable[[], None] | None = None) -> Executor:
        """What ``parallel.Workers`` takes in place of processes of this machine.

        Args:
            number: Tasks at a time.
            initializer: Called once in each process that carries out some.
        """
        return _Pool(self, number, initializer)

    def call(
        self, function: Callable[..., Result], *arguments: Any, name: str, cores: int = 1, gpus: int = 0
    ) -> Result:
        """Carry out a function on some machine, and wait for its end; for threads that wait side by side.

        Args:
            function: At the top level of a module, and fit to be carried out again where its machine died meanwhile.
            arguments: Picklable.
            name: In messages.
            cores: That it takes, and that ``environment.available_cores`` tells it.
            gpus: That it takes.

        Raises:
            WorkerError: Its process or machine was lost too often.
            KeyboardInterrupt: ``stop`` was called.
        """
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            task = self.submit(function, *arguments, name=name, cores=cores, gpus=gpus)
            self._running.add(task)
        try:
            return task.result()
        finally:
            with self._lock:
                self._running.discard(task)

    def restart(self) -> None:
        """Let ``call`` send tasks, also after ``stop``."""
        with self._lock:
            self._stopped = False

    def stop(self) -> None:
        """End what ``call`` waits for, and send no more until ``restart``."""
        with self._lock:
            self._stopped = True
            for task in self._running:
                task.end()

    def submit(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        name: str,
        cores: int = 1,
        gpus: int = 0,
        initializer: Callable[[], None] | None = None,
    ) -> "_Task[Result]":
        """Send a task, as ``call`` does, and do not wait."""
        import ray

        order = _Order(Path.cwd(), __version__, {**inherited_level(), **cores_of_task(cores)}, initializer)
        remote = ray.remote(_carry_out).options(num_cpus=cores, num_gpus=gpus, max_retries=MOST_TRIES - 1, name=name)
        return _Task(remote.remote(order, self._desk, function, *arguments), name)

    def _listen(self) -> None:
        """Log what tasks told, until the connection ends."""
        import ray

        ended = False
        while not ended:
            ended = self._ended.wait(_SECONDS_BETWEEN_LOOKS)
            with suppress(ray.exceptions.RayError):
                for level, text in ray.get(self._desk.take.remote(), timeout=_SECONDS_TO_END):
                    _LOG.log(level, "%s", text)


def _require_answer(address: str) -> None:
    """Refuse an address where nothing answers: Ray would try for a quarter of an hour.

    Raises:
        UsageError: It is no address.
        ClusterError: Nothing answers there.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--address {address}: write HOST:PORT, or auto")
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"--address {address}: no Ray there ({error}); `ray start --head` starts one") from error


class _Task(Future[Result]):
    """A task under way: Ray's reference by the interface of the standard library.

    Its ``result`` raises what the function raised; ``WorkerError`` where its process or machine was lost too often; and
    ``KeyboardInterrupt`` where it was ended.
    """

    def __init__(self, reference: Any, name: str) -> None:
        super().__init__()
        self._reference = reference
        self._name = name
        self._is_ended = False
        reference.future().add_done_callback(self._take)

    def cancel(self) -> bool:
        """Drop it if it has not begun; else interrupt it, as Ctrl-C does."""
        import ray

        ray.cancel(self._reference)
        return True

    def end(self) -> None:
        """End it with its process."""
        import ray

        self._is_ended = True
        ray.cancel(self._reference, force=True)

    def _take(self, ray_future: Future[Result]) -> None:
        error = ray_future.exception()
        if error is None:
            self.set_result(ray_future.result())
        else:
            self.set_exception(self._translated(error))

    def _translated(self, error: BaseException) -> BaseException:
        from ray import exceptions

        if self._is_ended or isinstance(error, exceptions.TaskCancelledError):
            return KeyboardInterrupt()
        if isinstance(error, exceptions.RayTaskError) and isinstance(error.cause, Exception):
            return error.cause
        if isinstance(error, exceptions.OutOfMemoryError):
            return WorkerMemoryError(f"{self._name}: given up after {MOST_TRIES} tries: no memory left there")
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return WorkerError(
            f"{self._name}: given up after {MOST_TRIES} tries: its process or machine was lost each time, maybe for "
            f"memory ({reason})"
        )


class _Pool(Executor):
    """The cores of a cluster by the interface of the standard library, as ``parallel`` uses it."""

    def __init__(self, cluster: Cluster, number: int, initializer: Callable[[], None] | None) -> None:
        self._cluster = cluster
        self._number = number
        self._initializer = initializer
        self._under_way: set[_Task[Any]] = set()

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Send a task that takes one core."""
        return self._send(partial(fn, **kwargs), args, _name(fn))

    def map(
        self, fn: Callable[..., Result], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[Result]:
        """Results in order; no more tasks are under way at a time than the pool's number, so memory stays flat."""
        tasks = iter(zip(*iterables, strict=False))
        sent: deque[Future[list[Result]]] = deque()
        while chunk := list(islice(tasks, chunksize)):
            sent.append(self._send(_each, (fn, chunk), _name(fn)))
            if len(sent) >= self._number:
                yield from sent.popleft().result(timeout)
        while sent:
            yield from sent.popleft().result(timeout)

    def _send(self, function: Callable[..., Result], arguments: Sequence[Any], name: str) -> "_Task[Result]":
        task = self._cluster.submit(function, *arguments, name=name, initializer=self._initializer)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Drop what has not begun, and wait for the rest, which writes into folders that may be taken away then."""
        under_way = list(self._under_way)
        if cancel_futures:
            for task in under_way:
                task.cancel()
        if wait:
            wait_for(under_way, _SECONDS_TO_END)


def _name(function: Callable[..., Any]) -> str:
    if isinstance(function, partial):
        return _name(function.func)
    return str(getattr(function, "__name__", "a task")).strip("_").replace("_", " ")


def _each(function: Callable[..., Result], chunk: Sequence[tuple[Any, ...]]) -> list[Result]:
    return [function(*task) for task in chunk]


class _Desk:
    """A process beside the command, on its machine: takes what tasks say, and counts how often they begin."""

    def __init__(self) -> None:
        self._told: list[tuple[int, str]] = []
        self._tries: Counter[str] = Counter()

    def tell(self, level: int, text: str) -> None:
        self._told.append((level, text))

    def take(self) -> list[tuple[int, str]]:
        told, self._told = self._told, []
        return told

    def begin(self, name: str) -> int:
        self._tries[name] += 1
        return self._tries[name]


@dataclass(frozen=True, slots=True)
class _Order:
    """What a task is told beside its function.

    Attributes:
        folder: Current folder of the command.
        version: Of this package, there.
        environment: Variables to set.
        initializer: To be called once in a process.
    """

    folder: Path
    version: str
    environment: dict[str, str]
    initializer: Callable[[], None] | None


class _Process:
    """Of a process that carries out tasks: where it tells, whether it ends with Ray, and what was called in it."""

    desk: Any = None
    watched = False
    initialised: set[Callable[[], None] | None] = {None}  # noqa: RUF012, there is one of this class


class _ToDesk(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _Process.desk.tell.remote(record.levelno, self.format(record))


def _carry_out(order: _Order, desk: Any, function: Callable[..., Result], *arguments: Any) -> Result:
    """A task, in a process that Ray has started."""
    os.environ.update(order.environment)
    isolate_libraries()
    _end_with_ray()
    _talk_to(desk)
    if order.version != __version__:
        raise ClusterError(
            f"{socket.gethostname()}: has nanoseg-bench {__version__}, and the command is of {order.version}; install "
            "the same one on all machines"
        )
    try:
        os.chdir(order.folder)
    except OSError as error:
        raise ClusterError(
            f"{socket.gethostname()}: cannot go to {order.folder} ({error.strerror}); with --executor ray the current "
            "folder and all others that the command names lie on storage that every machine has under the same path"
        ) from error
    if order.initializer not in _Process.initialised:
        _Process.initialised.add(order.initializer)
        if order.initializer is not None:
            order.initializer()
    return function(*arguments)


def _talk_to(desk: Any) -> None:
    """Send what is logged to the command, at the level that it wants."""
    start_logging()
    if _Process.desk is None:
        logging.getLogger("nanoseg_bench").addHandler(_ToDesk())
    _Process.desk = desk


def _end_with_ray() -> None:
    """End this process when Ray's on its machine has died, which started it.

    A process that is busy would go on, and keep the lock of a run that is tried again elsewhere.
    """
    if _Process.watched:
        return
    _Process.watched = True
    threading.Thread(target=_exit_after, args=(os.getppid(),), daemon=True).start()


def _exit_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def count_try(task: str) -> int:
    """The number of this try of a task: 1, or more where its process or machine died.

    Args:
        task: A name that no other task of the command has.

    Raises:
        WorkerError: There were too many; Ray itself never gives up what needs more memory than there is.
    """
    # Not ray.get: a task that waits in it lends its cores to another one.
    number: int = _Process.desk.begin.remote(task).future().result()
    if number > MOST_TRIES:
        raise WorkerMemoryError(
            f"given up after {MOST_TRIES} tries: each time its process or machine was lost, most likely for lack of "
            "memory"
        )
    return number
