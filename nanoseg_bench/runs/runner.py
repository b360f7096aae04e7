"""Carry out a plan: skip what is done, run the rest, keep the leaderboards up to date."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import DatasetError, NanosegError, RecordError, UsageError
from nanoseg_bench.evaluation.robustness import ROBUSTNESS
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.files import require_writable
from nanoseg_bench.models.base import Deadline
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.claim import differences
from nanoseg_bench.runs.cross_validation import FoldRuns, FoldTruth, score_folds
from nanoseg_bench.runs.executors import run_in_process
from nanoseg_bench.runs.failure import Outcome, record_failure, record_row_failure
from nanoseg_bench.runs.job import Job, is_complete
from nanoseg_bench.runs.plan import RunSpec
from nanoseg_bench.runs.record import Status, read_record, record_path
from nanoseg_bench.runs.scored import scored_sets
from nanoseg_bench.wording import counted

_LOG = logging.getLogger(__name__)

_GRAVEST_FIRST: tuple[Status, ...] = ("oom", "failed", "timeout", "skipped")


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
    _require_folds(specs, places, prepared)
    outcomes: dict[str, Outcome] = {}
    of_row: dict[int, Outcome] = {}
    for number, spec in enumerate(specs, start=1):
        run_dir = places.runs / spec.run_id
        job = Job(spec, places.data, run_dir, places.leaderboards, device, deadline, robust_images)
        _LOG.info("[%d/%d] %s", number, len(specs), spec.run_id)
        outcomes[spec.run_id] = outcome = _run_one(job, prepared, overwrite)
        if outcome.status != "ok":
            _LOG.warning("%s: %s: %s", spec.run_id, outcome.status, outcome.reason)
        if spec.fold is not None:
            of_row[spec.fold] = outcome
            if number < len(specs) and specs[number].row_id == spec.row_id:
                continue  # its row takes all folds
            if not (overwrite == "never" and _record_of(job, prepared).is_file()):
                outcomes[spec.run_id] = _score_row(job, prepared, of_row)
            of_row = {}
        after_each()
    return outcomes


def _score_row(job: Job, prepared: PreparedSet, outcomes: Mapping[int, Outcome]) -> Outcome:
    """Make the row of all folds of a model, or the one that says what is missing.

    Args:
        job: Of the last fold.
        prepared: The prepared set, as a whole.
        outcomes: Of the folds in this call.

    Returns:
        How the last fold ended, or why its row could not be made.
    """
    row = FoldRuns(job.run_dir.parent, job.spec.row_id, tuple(prepared.folds))
    missing = row.missing(prepared)
    if missing:
        ended = {fold: outcomes[fold] for fold in missing if fold in outcomes}
        found = {each.status for each in ended.values()}
        status: Status = next((each for each in _GRAVEST_FIRST if each in found), "failed")
        outcome = Outcome(status, _why_missing(missing, ended))
        record_row_failure(job.spec, job.data, job.leaderboards, job.device, outcome)
        _LOG.warning("%s: no row of %d folds: %s", row.row_id, len(row.folds), outcome.reason)
        return outcomes[job.spec.fold or 0]
    try:
        score_folds(row, FoldTruth(prepared), job.leaderboards, only_missing=True)
    except NanosegError as error:
        outcome = Outcome("failed", str(error))
        record_row_failure(job.spec, job.data, job.leaderboards, job.device, outcome)
        _LOG.warning("%s: %s: %s", row.row_id, outcome.status, outcome.reason)
        return outcome
    return outcomes[job.spec.fold or 0]


def _why_missing(missing: Sequence[int], outcomes: Mapping[int, Outcome]) -> str:
    """``fold 2: the reason; folds 4, 5: another one``."""
    by_reason: dict[str, list[int]] = {}
    for fold in missing:
        by_reason.setdefault(outcomes[fold].reason if fold in outcomes else "not run", []).append(fold)
    return "; ".join(f"{_named(folds)}: {reason or 'no predictions'}" for reason, folds in by_reason.items())


def _require_folds(specs: Sequence[RunSpec], places: Places, prepared: PreparedSet) -> None:
    """Refuse a training on everything whose operating point no fold has chosen.

    Raises:
        UsageError: Some folds are missing, or were run with another recipe; says of which models.
    """
    lacking: dict[str, Sequence[int]] = {}
    complete = []
    for spec in specs:
        if not spec.final:
            continue
        row = FoldRuns(places.runs, spec.row_id, tuple(prepared.folds))
        missing = set(row.missing(prepared))
        for fold in row.folds:
            found = differences(row.run(fold), dataclasses.replace(spec, final=False, **_of_fold(prepared, fold)))
            if found is None or found.training or found.prediction:
                missing.add(fold)
        if missing:
            lacking[spec.row_id] = sorted(missing)
        else:
            complete.append(spec.recipe.model)
    if lacking:
        told = "; ".join(f"{row_id} lacks {_named(folds)}" for row_id, folds in lacking.items())
        way = f", or give --models {' '.join(dict.fromkeys(complete))}" if complete else ""
        raise UsageError(
            f"--final: trains at the operating points of all {len(prepared.folds)} folds, and {told}; run the same "
            f"command without --final first{way}"
        )


def _of_fold(prepared: PreparedSet, fold: int) -> dict[str, Any]:
    return {"fold": fold, "set_hash": prepared.of_fold(fold).content_hash}


def _named(folds: Sequence[int]) -> str:
    return f"{'fold' if len(folds) == 1 else 'folds'} {', '.join(map(str, folds))}"


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
    record = _record_of(job, prepared)
    if overwrite == "never" and record.is_file() and not job.spec.final:
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


def _record_of(job: Job, prepared: PreparedSet) -> Path:
    return record_path(job.leaderboards, prepared.name, job.spec.row_id, "test")


def _require_splits(prepared: PreparedSet) -> None:
    for view in map(prepared.of_fold, prepared.folds):
        _require_splits_of(view)
    if not prepared.folds:
        _require_splits_of(prepared)


def _require_splits_of(prepared: PreparedSet) -> None:
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
    planned = {record_path(leaderboards, prepared.name, spec.row_id, name) for spec in specs for name in names}
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
