"""The same function for many tasks, in as many processes as pay off."""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Self, TypeVar

from nanoseg_bench.errors import PreparationError
from nanoseg_bench.progress import track

_DEFAULT_MAX_WORKERS = 8
# Starting a worker costs as much as some dozen images.
_MIN_TASKS_PER_WORKER = 8

Task = TypeVar("Task")
Result = TypeVar("Result")


def default_workers() -> int:
    """Processes to use unless told otherwise: the cores, at most 8."""
    return min(os.cpu_count() or 1, _DEFAULT_MAX_WORKERS)


class Workers:
    """Processes that several passes over the data share: each costs a second or two to start.

    A context manager; on leaving, tasks that are not begun are dropped and those that run are waited for.

    Args:
        most: Largest number of processes.
        initializer: Called once in each worker, and not in this process.
    """

    def __init__(self, most: int, initializer: Callable[[], None] | None = None) -> None:
        self._most = most
        self._initializer = initializer
        self._pool: ProcessPoolExecutor | None = None

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
            least_per_worker: Tasks that pay for the start of one more worker.

        Raises:
            PreparationError: A worker was killed from outside, as the system does when memory runs out.
        """
        pool = self._started(len(tasks) // least_per_worker)
        if pool is None:
            yield from track(map(function, tasks), description, len(tasks))
            return
        try:
            yield from track(pool.map(function, tasks, chunksize=at_once), description, len(tasks))
        except BrokenProcessPool as error:
            raise PreparationError(
                f"{description}: a worker process was killed, maybe for memory; try again with --workers 1"
            ) from error

    def _started(self, worthwhile: int) -> ProcessPoolExecutor | None:
        number = min(self._most, worthwhile)
        if self._pool is None and number > 1:
            self._pool = ProcessPoolExecutor(
                number, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(self._initializer,)
            )
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
) -> Generator[Result, None, None]:
    """One pass in processes of its own; see ``Workers.each``.

    Where the caller may stop early, it wraps this in ``contextlib.closing``, so that no worker writes on.
    """
    with Workers(workers, initializer) as started:
        yield from started.each(function, tasks, description, at_once=at_once, least_per_worker=least_per_worker)


def _start_worker(initializer: Callable[[], None] | None) -> None:
    _die_with_parent()
    if initializer is not None:
        initializer()


def _die_with_parent() -> None:
    """End this worker when the parent is killed: it would write on into a folder that the next call is making."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.join,), daemon=True).start()


def _exit_after(wait: Callable[[], None]) -> None:
    wait()
    os._exit(1)
