"""The same function for many tasks, in as many processes as pay off."""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

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
    """Results in the order of the tasks, with a progress bar.

    Where the caller may stop early, it wraps this in ``contextlib.closing``, so that no worker writes on.

    Args:
        function: At the top level of a module: the processes are started by ``spawn``, as Windows and macOS do.
        tasks: Picklable.
        workers: Largest number of processes; few tasks are done in this one.
        description: For the progress bar.
        at_once: Tasks that are sent to a worker together; more than one where a task takes milliseconds.
        least_per_worker: Tasks that pay for the start of one more worker.
        initializer: Called once in each worker, and not in this process.

    Raises:
        PreparationError: A worker was killed from outside, as the system does when memory runs out.
    """
    workers = min(workers, max(len(tasks) // least_per_worker, 1))
    if workers <= 1:
        yield from track(map(function, tasks), description, len(tasks))
        return
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(initializer,)
    )
    try:
        yield from track(pool.map(function, tasks, chunksize=at_once), description, len(tasks))
    except BrokenProcessPool as error:
        raise PreparationError(
            f"{description}: a worker process was killed, maybe for memory; try again with --workers 1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


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
