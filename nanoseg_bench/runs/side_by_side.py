"""Several jobs at a time: each in its own process, with its share of the cores, on this machine or elsewhere.

Each is started and waited for by a thread; nothing is forked. What their processes print comes out line by line behind
the name of the run, since several progress bars on one terminal would write over each other.
"""

import logging
import os
import subprocess
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Protocol

from nanoseg_bench.environment import kept_memory, share_of_cores
from nanoseg_bench.runs.failure import Outcome
from nanoseg_bench.runs.plan import Job

_LOG = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 0.5
"""Windows hears of Ctrl-C only between two waits."""


class Children:
    """Processes that run side by side and are stopped together.

    Args:
        at_once: How many share the cores.
    """

    def __init__(self, at_once: int) -> None:
        encoding = {"PYTHONIOENCODING": "utf-8:backslashreplace"}
        self._environment = {**os.environ, **share_of_cores(at_once), **kept_memory(), **encoding}
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, command: Sequence[str], name: str) -> int:
        """Start a process, pass on what it prints, and wait for its end.

        Args:
            command: Its standard input is a pipe; the process ends when that is closed.
            name: Before each line that it prints.

        Returns:
            Its exit code.

        Raises:
            KeyboardInterrupt: All were stopped, before or meanwhile.
        """
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env=self._environment,
            )
            self._running.add(process)
        with process:
            for line in process.stdout or ():
                if line.strip():
                    _LOG.info("%s: %s", name, line.rstrip())
            code = process.wait()
        with self._lock:
            self._running.discard(process)
            if self._stopped:
                raise KeyboardInterrupt
        return code

    def stop(self) -> None:
        """End all of them, and start no more; what they have not written is lost, their last checkpoints stay."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                if process.stdin is not None:
                    with suppress(OSError):
                        process.stdin.close()


class Executor(Protocol):
    """Where jobs are carried out at the same time.

    Attributes:
        is_here: Whether on this machine, where latency can be measured when all have ended.
    """

    is_here: bool

    def start(self, number: int) -> int:
        """Make ready for so many jobs.

        Returns:
            How many are to run at a time.
        """

    def run(self, job: Job, anew: bool) -> Outcome:
        """Carry out a job and wait for its end; called by a thread for each.

        Args:
            job: What to run.
            anew: Forget what earlier calls have done.

        Raises:
            KeyboardInterrupt: It was interrupted, or all were stopped; its last checkpoint stays.
        """

    def stop(self) -> None:
        """End what runs, and start no more."""


def run_side_by_side(
    jobs: Sequence[Job], executor: Executor, at_once: int, anew: bool
) -> Generator[tuple[Job, Outcome], None, None]:
    """Carry out jobs, so many at a time, and yield each when it ends.

    Where the caller may stop early, it wraps this in ``contextlib.closing``: the jobs that run then end.

    Args:
        jobs: In the order in which they are started.
        executor: Carries them out; made ready.
        at_once: How many run at a time.
        anew: Forget what earlier calls have done.

    Raises:
        KeyboardInterrupt: Ctrl-C, here or in a job; the others were stopped.
        Exception: The first that a job raised, after the other jobs have ended.
    """
    error: BaseException | None = None
    with ThreadPoolExecutor(at_once) as pool:
        of_future: dict[Future[Outcome], Job] = {pool.submit(executor.run, job, anew): job for job in jobs}
        try:
            waiting = set(of_future)
            while waiting:
                done, waiting = wait(waiting, _SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
                # In the order in which they were started, so that the same ends give the same text.
                for future in (each for each in of_future if each in done):
                    raised = future.exception()
                    if raised is None:
                        yield of_future[future], future.result()
                    elif isinstance(raised, Exception):
                        _LOG.error("%s: %s", of_future[future].spec.run_id, raised)
                        error = error or raised
                    else:
                        raise raised
        finally:
            executor.stop()
            pool.shutdown(wait=True, cancel_futures=True)
    if error is not None:
        raise error
