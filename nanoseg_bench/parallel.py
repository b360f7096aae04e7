"""The same function for many tasks, in as many processes as pay off: of this machine, or of a cluster's."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Self, TypeVar

from nanoseg_bench.environment import available_cores
from nanoseg_bench.errors import WorkerError
from nanoseg_bench.progress import track

_DEFAULT_MAX_WORKERS = 8
# Starting a worker costs as much as some dozen images.
_MIN_TASKS_PER_WORKER = 8

OpenPool = Callable[[int, Callable[[], None] | None], Executor]
"""Starts so many processes, with what each of them calls first. The pool's ``map`` gives results in the order of the
tasks, and its ``shutdown`` drops tasks that are not begun."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def open_processes(number: int, initializer: Callable[[], None] | None = None) -> Executor:
    """Processes of this machine; they end with this one, however it ends."""
    return ProcessPoolExecutor(
        number, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(initializer,)
    )


def default_workers() -> int:
    """Processes to use unless told otherwise: the cores that this process may use, at most 8."""
    return min(available_cores(logical=True), _DEFAULT_MAX_WORKERS)


def end_with_parent() -> None:
    """End this process when the one that started it is gone, however it went; nothing where none did.

    It would write on into a folder that the next call is making, or hold a GPU.
    """
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.join,), daemon=True).start()


class Workers:
    """Processes that several passes over the data share: each costs a second or two to start.

    A context manager; on leaving, tasks that are not begun are dropped and those that run are waited for.

    Args:
        most: Largest number of processes.
        initializer: Called once in each worker, and not in this process.
        open_pool: Where they are.
    """

    def __init__(
        self, most: int, initializer: Callable[[], None] | None = None, open_pool: OpenPool = open_processes
    ) -> None:
        self._most = most
        self._initializer = initializer
        self._open_pool = open_pool
        self._pool: Executor | None = None
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def each(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        description: str,
        *,
        at_once: int = 1,
        ahead: int | None = None,
        least_per_worker: int = _MIN_TASKS_PER_WORKER,
    ) -> Generator[Result, None, None]:
        """Results in the order of the tasks, with a progress bar.

        The first call with tasks enough starts the processes, as many as these pay for; until then tasks are done in
        this process.

        Args:
            function: At the top level of a module: the processes are started by ``spawn``, as Windows and macOS do.
            tasks: Picklable.
            description: For the progress bar.
            at_once: Tasks that are sent to a worker together; more than one where a task takes milliseconds.
            ahead: Tasks for each process that are begun before an earlier result is taken, where results are large;
                None begins all as processes are free. Not together with ``at_once``.
            least_per_worker: Tasks that pay for the start of one more worker.

        Raises:
            WorkerError: A worker was killed from outside, as the system does when memory runs out.
        """
        pool = self._open(len(tasks) // least_per_worker)
        if pool is None:
            yield from track(map(function, tasks), description, len(tasks))
            return
        try:
            # Here, too: a worker may be killed while tasks are still handed over.
            if ahead is None:
                results = pool.map(function, tasks, chunksize=at_once)
            else:
                results = _few_ahead(pool, function, tasks, ahead * self._started)
            yield from track(results, description, len(tasks))
        except BrokenProcessPool as error:
            raise WorkerError(
                f"{description}: a worker process was killed, maybe for memory; try again with --workers 1"
            ) from error

    def _open(self, worthwhile: int) -> Executor | None:
        number = min(self._most, worthwhile)
        if self._pool is None and number > 1:
            self._pool, self._started = self._open_pool(number, self._initializer), number
        return self._pool


def each(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int,
    description: str,
    *,
    at_once: int = 1,
    least_per_worker: int = _MIN_TASKS_PER_WORKER,
    initializer: Callable[[], None] | None = None,
    open_pool: OpenPool = open_processes,
) -> Generator[Result, None, None]:
    """One pass in processes of its own; see ``Workers.each``.

    Where the caller may stop early, it wraps this in ``contextlib.closing``, so that no worker writes on.
    """
    with Workers(workers, initializer, open_pool) as started:
        yield from started.each(function, tasks, description, at_once=at_once, least_per_worker=least_per_worker)


def _few_ahead(
    pool: Executor, function: Callable[[Task], Result], tasks: Sequence[Task], most: int
) -> Iterator[Result]:
    """As ``pool.map``, but at most so many results are computed or wait to be taken."""
    begun: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            begun.append(pool.submit(function, task))
            if len(begun) >= most:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


def _start_worker(initializer: Callable[[], None] | None) -> None:
    end_with_parent()
    if initializer is not None:
        initializer()


def _exit_after(wait: Callable[[], None]) -> None:
    wait()
    os._exit(1)
