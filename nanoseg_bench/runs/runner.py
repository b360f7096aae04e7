"""Carry out a plan: skip what is done, run the rest, keep the leaderboards up to date."""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nanoseg_bench.errors import (
    BusyError,
    DatasetError,
    NanosegError,
    OutOfReachError,
    RecordError,
    StorageError,
    UsageError,
)
from nanoseg_bench.evaluation.robustness import ROBUSTNESS
from nanoseg_bench.files import require_writable
from nanoseg_bench.locks import hold
from nanoseg_bench.models.base import Deadline
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.claim import differences
from nanoseg_bench.runs.cross_validation import FoldRuns
from nanoseg_bench.runs.ends import Ends, named_folds, record_of
from nanoseg_bench.runs.executors import run_in_process, run_in_time
from nanoseg_bench.runs.failure import Outcome, record_failure
from nanoseg_bench.runs.job import is_complete
from nanoseg_bench.runs.plan import Job, RunSpec
from nanoseg_bench.runs.record import Record, find_records, read_record, record_path
from nanoseg_bench.runs.scored import is_of, scored_sets
from nanoseg_bench.runs.side_by_side import Executor, run_side_by_side
from nanoseg_bench.runs.starting import training_behind
from nanoseg_bench.wording import counted

_LOG = logging.getLogger(__name__)

_NOT_NOW = (BusyError, OutOfReachError, StorageError)
"""What keeps one run from being looked at or begun now, and says nothing of the others."""


@dataclass(frozen=True, slots=True)
class BenchmarkFolders:
    """Folders of a benchmark.

    Attributes:
        data: Prepared set.
        runs: Runs of this prepared set.
        leaderboards: Records and CSV files.
    """

    data: Path
    runs: Path
    leaderboards: Path


class Sharing(Protocol):
    """What is done around each run where its folder, or its records, are shared with other machines."""

    def begin(self, spec: RunSpec) -> str:
        """Before anything of the run is looked at; says why it cannot be carried out here, if so."""

    def end(self, spec: RunSpec, outcome: Outcome) -> Outcome:
        """After it has ended, before its row is; how it has ended."""


def run_plan(
    specs: Sequence[RunSpec],
    places: BenchmarkFolders,
    device: str,
    deadline: Deadline,
    overwrite: str = "missing",
    after_each: Callable[[], object] = lambda: None,
    robust_images: int = 0,
    executor: Executor | None = None,
    beside: Sequence[str] = (),
    sharing: Sharing | None = None,
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
        executor: Where several runs are carried out at a time; latency is measured after them all, if they were
            carried out here. None: one after the other, each with the machine to itself.
        beside: Further torch devices, which train each model together with ``device``.
        sharing: What is done around each run; None where all is this machine's.

    Returns:
        The outcome of each run by its id.

    Raises:
        AuditError, DatasetError, RecordError, NanosegError: Nothing can be run on this set, or nothing written.
        BusyError, OutOfReachError, StorageError: The first of the runs that could not be begun now; all others were
            carried out, and the rows of these are as they were.
    """
    prepared = open_set(places.data)
    require_writable(places.runs, "--runs")
    require_writable(places.leaderboards, "--leaderboards")
    _require_folds(specs, places, prepared)
    with hold(places.leaderboards / prepared.name, wait=True):
        _clear_stale_records(specs, places.leaderboards, prepared)
    _require_rows_of_their_own(specs, places.leaderboards, prepared)
    planned = [
        Job(
            spec,
            places.data,
            places.runs / spec.run_id,
            places.leaderboards,
            device,
            deadline,
            robust_images,
            beside=tuple(beside),
        )
        for spec in specs
    ]
    ends = Ends(planned, prepared, overwrite, after_each)
    errors: list[NanosegError] = []
    if executor is not None:
        _run_shared_at_once(planned, executor, ends, sharing, errors)
    else:
        for number, job in enumerate(planned, start=1):
            _LOG.info("[%d/%d] %s", number, len(planned), job.spec.run_id)
            with _put_off(job, errors):
                ends.add(job, _run_alone(job, ends, sharing))
    if errors:
        raise errors[0]
    return ends.outcomes


@contextlib.contextmanager
def _put_off(job: Job, errors: list[NanosegError]) -> Iterator[None]:
    """Keep what is wrong with one run now until the others have ended."""
    try:
        yield
    except _NOT_NOW as error:
        _LOG.error("%s: %s", job.spec.run_id, error)
        errors.append(error)


def _run_alone(job: Job, ends: Ends, sharing: Sharing | None) -> Outcome:
    """One job, with the machine to itself."""
    refused = None if sharing is None else _begin(job, sharing)
    if refused is not None:
        return refused
    try:
        outcome = _kept(job, ends.prepared, ends.overwrite) or run_in_time(job, ends.overwrite == "always")
    except _NOT_NOW:
        if sharing is not None:
            sharing.end(job.spec, Outcome("skipped"))  # others need not wait for it
        raise
    return outcome if sharing is None else sharing.end(job.spec, outcome)


def _begin(job: Job, sharing: Sharing) -> Outcome | None:
    """The outcome of a job that another machine is carrying out; None where it can be carried out here."""
    reason = sharing.begin(job.spec)
    if not reason:
        return None
    outcome = Outcome("skipped", reason)
    record_failure(job, outcome)
    return outcome


def _run_shared_at_once(
    planned: Sequence[Job], executor: Executor, ends: Ends, sharing: Sharing | None, errors: list[NanosegError]
) -> None:
    """Several jobs at a time, each begun before all and ended after all."""
    if sharing is None:
        _run_some_at_once(planned, executor, ends, errors)
        return
    refused: list[tuple[Job, Outcome | None]] = []
    for job in planned:
        with _put_off(job, errors):
            refused.append((job, _begin(job, sharing)))
    begun = [job for job, outcome in refused if outcome is None]
    for job, outcome in refused:
        if outcome is not None:
            ends.add(job, outcome)
    _run_some_at_once(begun, executor, ends, errors)
    outcomes = ends.outcomes
    for job in begun:
        found = outcomes.get(job.spec.run_id)  # none where it could not be looked at or begun
        ended = sharing.end(job.spec, found or Outcome("skipped"))
        if found is not None and ended != found:
            ends.add(job, ended, again=True)


def _run_some_at_once(planned: Sequence[Job], executor: Executor, ends: Ends, errors: list[NanosegError]) -> None:
    """Several jobs at a time; then, of those of this machine, the latencies, one after the other."""
    untimed = [dataclasses.replace(job, timed=False) for job in planned]
    kept: dict[str, Outcome | None] = {}
    for job in untimed:
        with _put_off(job, errors):
            kept[job.spec.run_id] = _kept(job, ends.prepared, ends.overwrite)
    looked_at = [job for job in untimed if job.spec.run_id in kept]
    to_do = [job for job in looked_at if kept[job.spec.run_id] is None]
    for job in looked_at:
        if (outcome := kept[job.spec.run_id]) is not None:
            ends.add(job, outcome)
    if to_do:
        at_once = executor.start(len(to_do))
        _LOG.info("%s, %d at a time", counted(len(to_do), "run"), at_once)
        running = run_side_by_side(to_do, executor, at_once, ends.overwrite == "always")
        try:
            with contextlib.closing(running):
                for number, (job, outcome) in enumerate(running, start=1):
                    _LOG.info("[%d/%d] %s: %s", number, len(to_do), job.spec.run_id, outcome.status)
                    ends.add(job, outcome)
        except _NOT_NOW as error:  # of a job; it is told already
            errors.append(error)
    if executor.is_here:
        _measure_latencies(planned, kept, ends, errors)
    elif to_do:
        _LOG.info("latency: not measured, for others work beside it there; the same command without --executor does it")


def _measure_latencies(
    planned: Sequence[Job], kept: Mapping[str, Outcome | None], ends: Ends, errors: list[NanosegError]
) -> None:
    """One after the other, while nothing else of ours runs."""
    never_again = {run_id for run_id, found in kept.items() if found} if ends.overwrite == "never" else set()
    good = {run_id for run_id, outcome in ends.outcomes.items() if outcome.status == "ok"}
    for job in planned:
        if job.spec.run_id not in good or job.spec.run_id in never_again:
            continue
        with _put_off(job, errors):
            if is_complete(job):
                continue
            if job.deadline.passed:
                _LOG.warning("latency: not measured in %s; the same command does it", job.deadline.limit)
                return
            _LOG.info("%s: latency", job.spec.run_id)
            ends.add(job, run_in_process(job), again=True)


def _require_folds(specs: Sequence[RunSpec], places: BenchmarkFolders, prepared: PreparedSet) -> None:
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
        told = "; ".join(f"{row_id} lacks {named_folds(folds)}" for row_id, folds in lacking.items())
        way = f", or give --models {' '.join(dict.fromkeys(complete))}" if complete else ""
        raise UsageError(
            f"--final: trains at the operating points of all {len(prepared.folds)} folds, and {told}; run the same "
            f"command without --final first{way}"
        )


def _of_fold(prepared: PreparedSet, fold: int) -> dict[str, Any]:
    return {"fold": fold, "set_hash": prepared.of_fold(fold).content_hash}


def open_set(data: Path) -> PreparedSet:
    """The prepared set, if models can be run on it.

    Raises:
        AuditError, DatasetError: They cannot.
    """
    prepared = PreparedSet(data)
    prepared.require_audit()
    _require_splits(prepared)
    return prepared


def _kept(job: Job, prepared: PreparedSet, overwrite: str) -> Outcome | None:
    """The outcome of a job that has nothing to do; None where it has."""
    record = record_of(job, prepared)
    if overwrite == "never" and record.is_file() and not job.spec.final:
        _LOG.info("%s: has a record, kept (--overwrite never)", job.spec.run_id)
        kept = read_record(record)
        return Outcome(kept.status, kept.reason)
    if overwrite != "always" and is_complete(job):
        _LOG.info("%s: up to date", job.spec.run_id)
        return Outcome("ok")
    return None


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
    """Remove records that this plan replaces and that are of another set or evaluator; nothing, if others would remain.

    One table never mixes them, and that is better known before training than after.

    Raises:
        RecordError: Others would remain.
    """
    names = (*scored_sets(prepared), ROBUSTNESS)
    planned = {record_path(leaderboards, prepared.name, spec.row_id, name) for spec in specs for name in names}
    records = {path: _readable(path) for path in find_records(leaderboards, prepared.name)}
    stale = {path: record for path, record in records.items() if record is None or not is_of(record, prepared)}
    if others := {path: record for path, record in stale.items() if path not in planned}:
        # Predictions for another content are refused by it, too.
        can_score = all(record is None or record.set_hash == prepared.content_hash for record in others.values())
        score = f"`nanoseg-bench score --data {prepared.root}` makes them anew where their runs are kept; else "
        raise RecordError(
            f"{next(iter(others))}: {counted(len(others), 'record')} here of another prepared set or evaluator than "
            f"{prepared.root}, and one table cannot hold both; {score if can_score else ''}run those models too, move "
            "their records away, or prepare the set under another --name"
        )
    for path in stale:
        path.unlink()


def _require_rows_of_their_own(specs: Sequence[RunSpec], leaderboards: Path, prepared: PreparedSet) -> None:
    """Refuse the run of which no table could be made: that is better known before training, too.

    Raises:
        RecordError: A record is there of the same model, preset, seed and start, and of other initial weights.
    """
    rows = {
        (spec.recipe.model, spec.recipe.preset, spec.seed, start): spec.row_id
        for spec in specs
        if not spec.final and (start := training_behind(spec.weights, spec.recipe.title)) is not None
    }
    for path in find_records(leaderboards, prepared.name) if rows else ():
        record = _readable(path)
        if record is None:
            continue
        row_id = rows.get((record.model, record.preset, record.seed, record.started_from))
        if row_id not in (None, path.stem.rpartition("-")[0]):
            raise RecordError(
                f"{path}: is of the model, preset, seed and start that {row_id} would be of, and one table cannot hold "
                f"both: its initial weights had learnt from the same ({record.started_from}); give another --seeds, or "
                "move that record away"
            )


def _readable(path: Path) -> Record | None:
    try:
        return read_record(path)
    except RecordError:  # of an earlier format
        return None
