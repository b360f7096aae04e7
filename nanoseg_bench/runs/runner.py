"""Carry out a plan: skip what is done, run the rest, keep the leaderboards up to date."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.errors import DatasetError, RecordError
from nanoseg_bench.evaluation.robustness import ROBUSTNESS
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.files import require_writable
from nanoseg_bench.models.base import Deadline
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.executors import run_in_process
from nanoseg_bench.runs.failure import Outcome, record_failure
from nanoseg_bench.runs.job import Job, is_complete
from nanoseg_bench.runs.plan import RunSpec
from nanoseg_bench.runs.record import read_record, record_path
from nanoseg_bench.runs.scored import scored_sets
from nanoseg_bench.wording import counted

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
    specs: Sequence[RunSpec],
    places: Places,
    device: str,
    deadline: Deadline,
    overwrite: str = "missing",
    after_each: Callable[[], object] = lambda: None,
    robust_images: int = 0,
) -> dict[str, Outcome]:
    """Run every spec whose records are not there yet.

    Args:
        specs: The plan.
        places: Where to read and write.
        device: torch device name.
        deadline: Runs in progress stop here with a checkpoint; runs that did not start are skipped.
        overwrite: ``missing`` runs what is not there; ``always`` starts everything anew; ``never`` runs only what
            has no record at all, not even a failed one.
        after_each: Called after each run, when its records are written.
        robust_images: Test images on which each model is judged under every corruption too.

    Returns:
        The outcome of each run by its id.

    Raises:
        AuditError, DatasetError, RecordError, NanosegError: Nothing can be run on this set, or nothing written.
    """
    prepared = open_set(places.data)
    require_writable(places.runs, "--runs")
    require_writable(places.leaderboards, "--leaderboards")
    _clear_stale_records(specs, places.leaderboards, prepared)
    outcomes: dict[str, Outcome] = {}
    for number, spec in enumerate(specs, start=1):
        run_dir = places.runs / spec.run_id
        job = Job(spec, places.data, run_dir, places.leaderboards, device, deadline, robust_images)
        _LOG.info("[%d/%d] %s", number, len(specs), spec.run_id)
        outcomes[spec.run_id] = outcome = _run_one(job, prepared, overwrite)
        if outcome.status != "ok":
            _LOG.warning("%s: %s: %s", spec.run_id, outcome.status, outcome.reason)
        after_each()
    return outcomes


def open_set(data: Path) -> PreparedSet:
    """The prepared set, if models can be run on it.

    Raises:
        AuditError, DatasetError: They cannot.
    """
    prepared = PreparedSet(data)
    prepared.require_audit()
    _require_splits(prepared)
    return prepared


def _run_one(job: Job, prepared: PreparedSet, overwrite: str) -> Outcome:
    record = record_path(job.leaderboards, prepared.name, job.spec.run_id, "test")
    if overwrite == "never" and record.is_file():
        _LOG.info("%s: has a record, kept (--overwrite never)", job.spec.run_id)
        kept = read_record(record)
        return Outcome(kept.status, kept.reason)
    if overwrite != "always" and is_complete(job):
        _LOG.info("%s: up to date", job.spec.run_id)
        return Outcome("ok")
    if job.deadline.passed:
        limit = job.deadline.limit
        outcome = Outcome("skipped", f"time limit {limit} reached before it started; run the same command again")
        record_failure(job.spec, job.data, job.leaderboards, job.device, outcome)
        return outcome
    return run_in_process(job, anew=overwrite == "always")


def _require_splits(prepared: PreparedSet) -> None:
    for split, purpose in (("train", "training"), ("val", "the operating point"), ("test", "the leaderboard")):
        if not prepared.has(split):
            raise DatasetError(
                f"{prepared.root}: has no split {split!r}, which {purpose} needs; prepare it with all three, "
                "e.g. --split 8:1:1"
            )


def _clear_stale_records(specs: Sequence[RunSpec], leaderboards: Path, prepared: PreparedSet) -> None:
    """Remove records that this plan replaces and that are of another set or evaluator; refuse if others remain.

    One table never mixes them, and that is better known before training than after.
    """
    names = (*scored_sets(prepared), ROBUSTNESS)
    planned = {record_path(leaderboards, prepared.name, spec.run_id, name) for spec in specs for name in names}
    others = []
    for path in sorted((leaderboards / "records" / prepared.name).glob("[!.]*.json")):
        if _belongs_with(path, prepared):
            continue
        if path in planned:
            path.unlink()
        else:
            others.append(path)
    if others:
        raise RecordError(
            f"{others[0]}: {counted(len(others), 'record')} here of another prepared set or evaluator than "
            f"{prepared.root}, and one table cannot hold both; `nanoseg-bench score --data {prepared.root}` makes them "
            "anew where their runs are kept; else run those models too, move their records away, or prepare the set "
            "under another --name"
        )


def _belongs_with(path: Path, prepared: PreparedSet) -> bool:
    try:
        record = read_record(path)
    except RecordError:  # of an earlier format
        return False
    return (record.set_hash, record.evaluator) == (prepared.content_hash, EVALUATOR_VERSION)
