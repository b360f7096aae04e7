"""Carry out a plan: skip what is done, run the rest, keep the leaderboards up to date."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.models.base import Deadline
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.executors import run_in_process
from nanoseg_bench.runs.job import Job, Outcome, is_complete, record_failure
from nanoseg_bench.runs.plan import RunSpec
from nanoseg_bench.runs.record import read_record, record_path

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of a benchmark.

    Attributes:
        data: Prepared set.
        runs: Runs of this prepared set.
        leaderboards: Records and CSV files.
    """

    data: Path
    runs: Path
    leaderboards: Path


def run_plan(
    specs: Sequence[RunSpec], places: Places, device: str, deadline: Deadline, overwrite: str = "missing"
) -> dict[str, Outcome]:
    """Run every spec whose records are not there yet.

    Args:
        specs: The plan.
        places: Where to read and write.
        device: torch device name.
        deadline: Runs in progress stop here with a checkpoint; runs that did not start are skipped.
        overwrite: ``missing`` runs what is not there; ``always`` starts everything anew; ``never`` runs only what
            has no record at all, not even a failed one.

    Returns:
        The outcome of each run by its id.
    """
    prepared = PreparedSet(places.data)
    prepared.require_audit()
    outcomes: dict[str, Outcome] = {}
    for number, spec in enumerate(specs, start=1):
        job = Job(spec, places.data, places.runs / spec.run_id, places.leaderboards, device, deadline)
        _LOG.info("[%d/%d] %s", number, len(specs), spec.run_id)
        outcomes[spec.run_id] = outcome = _run_one(job, prepared, overwrite)
        if outcome.status != "ok":
            _LOG.warning("%s: %s: %s", spec.run_id, outcome.status, outcome.reason)
    return outcomes


def _run_one(job: Job, prepared: PreparedSet, overwrite: str) -> Outcome:
    record = record_path(job.leaderboards, prepared.name, job.spec.run_id, "test")
    if overwrite == "never" and record.is_file():
        _LOG.info("%s: has a record, kept (--overwrite never)", job.spec.run_id)
        kept = read_record(record)
        return Outcome(kept.status, kept.reason)
    if overwrite == "always":
        # Without its inputs the folder counts as another run's and is emptied by the job.
        (job.run_dir / "run.json").unlink(missing_ok=True)
    elif is_complete(job):
        _LOG.info("%s: up to date", job.spec.run_id)
        return Outcome("ok")
    if job.deadline.passed:
        limit = job.deadline.limit
        outcome = Outcome("skipped", f"time limit {limit} reached before it started; run the same command again")
        record_failure(job, outcome)
        return outcome
    return run_in_process(job)
