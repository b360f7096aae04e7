"""Many runs scored again from their kept predictions: written, or held against the records that are there."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from nanoseg_bench.errors import NanosegError, RecordError
from nanoseg_bench.parallel import OpenPool, Workers, open_processes
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.cross_validation import FoldRuns, FoldTruth, fold_runs, row_id_of, score_folds
from nanoseg_bench.runs.cross_validation import build_record as build_fold_record
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import Record, find_records, read_record, record_path
from nanoseg_bench.runs.scored import build_records, eval_sets_of, score_run, scored_sets
from nanoseg_bench.wording import counted, shortened

# Another processor may round the last digits of a sum another way.
_RELATIVE, _ABSOLUTE = 1e-9, 1e-12

_SHOWN = 3

_Row = RunFolder | FoldRuns
"""What a row is made of: one run, or the runs of all folds."""


@dataclass(frozen=True, slots=True)
class Rescored:
    """What became of a folder of runs.

    Attributes:
        scored: Ids of the runs that were scored, and, where they were checked, whose records agree.
        unfinished: Ids of the runs that are not trained to the end, or failed: their rows stay as they are.
        faults: Why others could not be scored, or do not agree.
    """

    scored: tuple[str, ...]
    unfinished: tuple[str, ...]
    faults: tuple[NanosegError, ...]


def score_runs(
    runs: Sequence[RunFolder],
    prepared: PreparedSet,
    leaderboards: Path,
    workers: int = 1,
    open_pool: OpenPool = open_processes,
) -> Rescored:
    """Write the records of runs anew; one that cannot be scored does not keep the others from it.

    Args:
        runs: Of the prepared set.
        prepared: The prepared set.
        leaderboards: Folder of the records.
        workers: Processes; 1 for this one alone.
        open_pool: Where they are.
    """
    scored = _ScoredRow(_Truth(prepared), leaderboards)
    return _for_each(_rows(runs, prepared), scored, f"score on {prepared.name}", workers, open_pool)


def check_runs(
    runs: Sequence[RunFolder],
    prepared: PreparedSet,
    leaderboards: Path,
    workers: int = 1,
    open_pool: OpenPool = open_processes,
) -> Rescored:
    """Score runs again and compare with their records; nothing is written.

    Args as of ``score_runs``.
    """
    checked = _ScoredRow(_Truth(prepared), leaderboards, only_check=True)
    return _for_each(_rows(runs, prepared), checked, f"check on {prepared.name}", workers, open_pool)


def records_without_run(leaderboards: Path, set_name: str, runs: Sequence[RunFolder]) -> list[Path]:
    """The records whose predictions are not at hand, so that nobody can score them again."""
    known = {row_id_of(run) for run in runs}
    paths = find_records(leaderboards, set_name)
    return [path for path in paths if path.stem.rpartition("-")[0] not in known]


def _rows(runs: Sequence[RunFolder], prepared: PreparedSet) -> list[_Row]:
    """What has records; of a set with folds, the folds of a model together, and not a training on everything."""
    if not prepared.folds:
        return list(runs)
    return [*fold_runs(runs, prepared), *(run for run in runs if _is_external(run))]


def _is_external(run: RunFolder) -> bool:
    try:
        return run.is_external
    except RecordError:
        return True  # scoring reports why it cannot be read


class _Truth:
    """The truth of a set, read when it is asked for. Another process reads it once for all the rows that come there."""

    def __init__(self, prepared: PreparedSet) -> None:
        self._prepared = prepared
        self._call = uuid4().hex

    def __reduce__(self) -> tuple[Callable[..., "_Truth"], tuple[Any, ...]]:
        return _truth_once, (self._prepared.root, self._call)

    @cached_property
    def read(self) -> FoldTruth:
        return FoldTruth(self._prepared)


@lru_cache(maxsize=1)
def _truth_once(root: Path, call: str) -> _Truth:
    """The truth of a set in a process that works for a command; ``call`` keeps it from the next command."""
    return _Truth(PreparedSet(root))


@dataclass(frozen=True, slots=True)
class _ScoredRow:
    """Scores a row, or checks what is recorded of it, here or in another process.

    Called, it returns the row's id where all is well, what is not finished of it, and what is at fault with it; two of
    them are empty.
    """

    truth: _Truth
    leaderboards: Path
    only_check: bool = False

    def __call__(self, row: _Row) -> tuple[str, str, NanosegError | None]:
        truth = self.truth.read
        try:
            if lacking := _lacking(row, truth.prepared, self.leaderboards):
                return "", lacking, None
            if self.only_check:
                _check_row(row, truth, self.leaderboards)
            elif isinstance(row, FoldRuns):
                score_folds(row, truth, self.leaderboards)
            else:
                score_run(row, truth.whole, self.leaderboards)
        except NanosegError as error:
            return "", "", error
        return _id(row), "", None


def _for_each(rows: Sequence[_Row], score: _ScoredRow, description: str, workers: int, open_pool: OpenPool) -> Rescored:
    with Workers(workers, open_pool=open_pool) as processes:
        ends = list(processes.each(score, rows, description, least_per_worker=1))
    return Rescored(
        scored=tuple(row_id for row_id, _, _ in ends if row_id),
        unfinished=tuple(lacking for _, lacking, _ in ends if lacking),
        faults=tuple(fault for _, _, fault in ends if fault is not None),
    )


def _id(row: _Row) -> str:
    return row.row_id if isinstance(row, FoldRuns) else row.run_id


def _lacking(row: _Row, prepared: PreparedSet, leaderboards: Path) -> str:
    """The row with what is not finished of it; empty where it can be scored."""
    if not isinstance(row, FoldRuns):
        if row.is_external or (row.is_fitted and not _failed_to_predict(row, prepared, leaderboards)):
            return ""
        return row.run_id
    missing = row.missing(prepared)
    return f"{row.row_id} (no current predictions of fold {', '.join(map(str, missing))})" if missing else ""


def _failed_to_predict(run: RunFolder, prepared: PreparedSet, leaderboards: Path) -> bool:
    """Whether predictions are missing, and the row says that the run did not end well; else they were lost."""
    for name in scored_sets(prepared):
        path = record_path(leaderboards, prepared.name, run.run_id, name)
        if run.predictions_path(name).is_file() or not path.is_file():
            continue
        try:
            if read_record(path).status != "ok":
                return True
        except RecordError:  # of an earlier format: nobody knows
            continue
    return False


def _check_row(row: _Row, truth: FoldTruth, leaderboards: Path) -> None:
    name = truth.prepared.name
    if isinstance(row, FoldRuns):
        records: Iterable[Record] = [build_fold_record(row, truth)]
    else:
        records = build_records(row, truth.whole, eval_sets_of(row, truth.whole))
    for record in records:
        path = record_path(leaderboards, name, _id(row), record.eval_set)
        if not path.is_file():
            raise RecordError(f"{path}: is missing, and the predictions are there; `nanoseg-bench score` makes it")
        _require_same(path, read_record(path, any_seal=True), record)


def _require_same(path: Path, recorded: Record, rescored: Record) -> None:
    before, after = recorded.scores.get("confidence"), rescored.scores.get("confidence")
    if not _agree(before, after):
        hows = {
            "val": "best F1 on val",
            "default": "the default, since val cannot decide,",
            "folds": "the median of what the folds chose, each on its val,",
        }
        how = hows.get(rescored.confidence_source, "what was handed in")
        raise RecordError(
            f"{path}: scores.confidence: its operating point is {before}, {how} gives {after}; a threshold picked on "
            "the set that is published cannot be compared. `nanoseg-bench score` writes the record as it should be"
        )
    found = list(differences("", recorded.model_dump(mode="json"), rescored.model_dump(mode="json")))
    if found:
        raise RecordError(
            f"{path}: not what its predictions give in {counted(len(found), 'place')}: "
            f"{shortened(found, _SHOWN, between='; ')}. `nanoseg-bench score` writes the record as it should be"
        )


def differences(place: str, recorded: Any, rescored: Any) -> Iterator[str]:
    """``scores.f1: recorded 0.9, rescored 0.8`` for every place where two JSON values differ."""
    if isinstance(recorded, dict) and isinstance(rescored, dict):
        for key in dict.fromkeys((*rescored, *recorded)):
            yield from differences(f"{place}.{key}" if place else key, recorded.get(key), rescored.get(key))
    elif isinstance(recorded, list) and isinstance(rescored, list):
        if len(recorded) != len(rescored):
            yield f"{place}: recorded {len(recorded)} values, rescored {len(rescored)}"
            return
        for number, (one, other) in enumerate(zip(recorded, rescored, strict=True)):
            yield from differences(f"{place}[{number}]", one, other)
    elif not _agree(recorded, rescored):
        yield f"{place}: recorded {recorded!r}, rescored {rescored!r}"


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(one == other)
