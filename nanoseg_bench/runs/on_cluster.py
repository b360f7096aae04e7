"""Runs as tasks of a cluster, each on a machine that has the cores and the GPU for it free.

What a run reads and writes lies on storage that all machines share. Where its process or its machine dies, Ray tries it
again elsewhere, and it goes on from the checkpoint in its folder. The lock of that folder ends with the process that
held it; where a machine is cut off that may take a while, and the next try waits for it. So no run has two writers.
"""

import logging
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from nanoseg_bench.cluster import Cluster, count_try
from nanoseg_bench.errors import WorkerError, WorkerMemoryError
from nanoseg_bench.models.base import Deadline
from nanoseg_bench.runs.executors import run_in_time
from nanoseg_bench.runs.failure import Outcome, record_failure
from nanoseg_bench.runs.job import job_from_json, job_to_json
from nanoseg_bench.runs.plan import Job
from nanoseg_bench.runs.side_by_side import Children

_LOG = logging.getLogger(__name__)


class OnCluster:
    """An executor, as ``side_by_side.Executor`` says.

    Args:
        cluster: The connection.
        most: Runs at a time; None for as many as there is room for.
    """

    is_here = False

    def __init__(self, cluster: Cluster, most: int | None = None) -> None:
        self._cluster = cluster
        self._most = most
        self._at_once = 1

    def start(self, number: int) -> int:
        """Share out the cores among so many jobs."""
        self._cluster.restart()
        self._at_once = min(self._most or number, number)
        _LOG.info("Ray: %s", self._cluster.describe())
        return self._at_once

    def run(self, job: Job, anew: bool) -> Outcome:
        """Carry out a job somewhere."""
        name = job.spec.run_id
        gpus = int(job.device.startswith("cuda"))
        cores = self._cluster.cores_each(self._at_once, gpus)
        left = job.deadline.seconds_left
        ends = None if left is None else time.time() + left
        try:
            return self._cluster.call(
                _run, uuid4().hex, job_to_json(job), ends, left, anew, name=name, cores=cores, gpus=gpus
            )
        except WorkerError as error:
            outcome = Outcome("oom" if isinstance(error, WorkerMemoryError) else "failed", str(error))
            record_failure(job, outcome)
            return outcome

    def stop(self) -> None:
        """End all jobs; their last checkpoints stay."""
        self._cluster.stop()


def _run(task: str, values: Mapping[str, Any], ends: float | None, left: float | None, anew: bool) -> Outcome:
    """A job in a process of a cluster, which starts one for it.

    Args:
        task: Of which no other has the name.
        values: From ``job_to_json``.
        ends: ``time.time()`` value at which its time is up, by the clocks of all machines: its task may have waited for
            its turn, and a monotonic clock is that of one machine. None for never.
        left: Seconds that it had when it was handed over: a clock that is behind gives no more.
        anew: Forget what earlier calls have done.
    """
    job = job_from_json(values)
    if ends is not None and left is not None:
        job = replace(job, deadline=Deadline.after(min(ends - time.time(), left), job.deadline.limit))
    number = count_try(task)
    again = f", try {number}: the process or the machine before was lost" if number > 1 else ""
    _LOG.info("%s: on %s%s", job.spec.run_id, socket.gethostname(), again)
    # What an earlier try of this call has done is not forgotten.
    return run_in_time(job, anew and number == 1, Children(1), wait=True)
