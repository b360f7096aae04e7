"""Where a run is carried out: in a process of its own, alone or with others of this machine.

A process keeps one model's memory, random state and crash away from the next: the operating system may kill it for
memory and the others still run.
"""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from nanoseg_bench.environment import kept_memory
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.locks import hold
from nanoseg_bench.runs.claim import clear_folder
from nanoseg_bench.runs.failure import Outcome, record_failure
from nanoseg_bench.runs.folder import LOG_FILE, OUTCOME_FILE, RunFolder
from nanoseg_bench.runs.job import UNWRITABLE, job_to_json
from nanoseg_bench.runs.plan import Job
from nanoseg_bench.runs.side_by_side import Children


class OnThisMachine:
    """An executor, as ``side_by_side.Executor`` says: processes that share the cores, or the GPU.

    Args:
        most: Runs at a time.
    """

    is_here = True

    def __init__(self, most: int) -> None:
        self._most = most
        self._children = Children(most)

    def start(self, number: int) -> int:
        """Share out the cores among so many jobs."""
        at_once = min(self._most, number)
        self._children = Children(at_once)
        return at_once

    def run(self, job: Job, anew: bool) -> Outcome:
        """Carry out a job in a process beside the others."""
        return run_in_time(job, anew, self._children)

    def stop(self) -> None:
        """End all processes."""
        self._children.stop()


def run_in_time(job: Job, anew: bool, beside: Children | None = None, *, wait: bool = False) -> Outcome:
    """Carry out a job as ``run_in_process`` does, unless its time is up: then it is skipped, and its row says so.

    Args and what is raised as of ``run_in_process``.
    """
    if job.deadline.passed:
        limit = job.deadline.limit
        outcome = Outcome("skipped", f"time limit {limit} reached before it started; run the same command again")
        record_failure(job, outcome)
        return outcome
    return run_in_process(job, anew, beside, wait=wait)


def run_in_process(job: Job, anew: bool = False, beside: Children | None = None, *, wait: bool = False) -> Outcome:
    """Carry out a job in a new Python process and wait for it.

    Args:
        job: What to run.
        anew: Forget what earlier calls have done.
        beside: The processes that run at the same time; None where it has the machine, and the terminal, to itself.
        wait: Where another call is working on the same run, wait for its end.

    Raises:
        BusyError: Another call is working on the same run, and ``wait`` is false.
        KeyboardInterrupt: Ctrl-C, or the others were stopped; the run's last checkpoint stays.
    """
    job.run_dir.mkdir(parents=True, exist_ok=True)
    with hold(job.run_dir, wait=wait):
        if anew:
            clear_folder(RunFolder(job.run_dir))
            job = replace(job, anew=True)
        return _run_locked(job, beside)


def _run_locked(job: Job, beside: Children | None) -> Outcome:
    job_file = job.run_dir / "job.json"
    outcome_file = job.run_dir / OUTCOME_FILE
    outcome_file.unlink(missing_ok=True)
    write_json(job_file, job_to_json(job))
    code = beside.run(_command(job_file), job.spec.run_id) if beside is not None else _run_alone(job_file)
    if code == 130:
        raise KeyboardInterrupt
    if code == 0 and outcome_file.is_file():
        return Outcome(**read_json(outcome_file))
    outcome = _outcome_of_death(code, job)
    record_failure(job, outcome)
    return outcome


def _command(job_file: Path) -> list[str]:
    return [sys.executable, "-m", "nanoseg_bench.runs.job", str(job_file)]


def _run_alone(job_file: Path) -> int:
    environment = {**os.environ, **kept_memory()}
    with subprocess.Popen(_command(job_file), stdin=subprocess.PIPE, env=environment) as process:  # noqa: S603
        return process.wait()


def _outcome_of_death(code: int, job: Job) -> Outcome:
    log = job.run_dir / LOG_FILE
    if code == UNWRITABLE:
        way_out = "make room, or give another --runs; the same command goes on"
        return Outcome("failed", f"{job.run_dir}: cannot be written; {way_out}")
    if code == -signal.SIGTERM:
        return Outcome("failed", f"the process was terminated (SIGTERM); the same command goes on; see {log}")
    if code < 0:
        name = signal.Signals(-code).name
        if name == "SIGKILL":
            return Outcome("oom", f"the process was killed (SIGKILL), most likely for lack of memory; see {log}")
        return Outcome("failed", f"the process died of {name}; see {log}")
    return Outcome("failed", f"the process ended with exit code {code} and no result; see {log}")
