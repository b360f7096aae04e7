"""Many runs scored again from their kept predictions: written, or held against the records that are there."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.errors import NanosegError, RecordError
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.progress import track
from nanoseg_bench.runs.cross_validation import FoldRuns, FoldTruth, fold_runs, row_id_of, score_folds
from nanoseg_bench.runs.cross_validation import build_record as build_fold_record
from nanoseg_bench.runs.documents import ExternalRun
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import Record, find_records, read_record, record_path
from nanoseg_bench.runs.scored import build_records, eval_sets_of, score_run
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


def score_runs(runs: Sequence[RunFolder], prepared: PreparedSet, leaderboards: Path) -> Rescored:
    """Write the records of runs anew; one that cannot be scored does not keep the others from it.

    Args:
        runs: Of the prepared set.
        prepared: The prepared set.
        leaderboards: Folder of the records.
    """
    truth = FoldTruth(prepared)

    def score(row: _Row) -> None:
        if isinstance(row, FoldRuns):
            score_folds(row, truth, leaderboards)
        else:
            score_run(row, truth.whole, leaderboards)

    return _for_each(_rows(runs, prepared), prepared, f"score on {prepared.name}", score)


def check_runs(runs: Sequence[RunFolder], prepared: PreparedSet, leaderboards: Path) -> Rescored:
    """Score runs again and compare with their records; nothing is written.

    Args:
        runs: Of the prepared set.
        prepared: The prepared set.
        leaderboards: Folder of the records.
    """
    truth = FoldTruth(prepared)
    return _for_each(
        _rows(runs, prepared), prepared, f"check on {prepared.name}", lambda row: _check_row(row, truth, leaderboards)
    )


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
        return isinstance(run.about(), ExternalRun)
    except RecordError:
        return True  # it is told why it cannot be read


def _for_each(rows: Sequence[_Row], prepared: PreparedSet, description: str, do: Callable[[_Row], None]) -> Rescored:
    scored: list[str] = []
    unfinished: list[str] = []
    faults: list[NanosegError] = []
    for row in track(rows, description):
        try:
            if lacking := _lacking(row, prepared):
                unfinished.append(lacking)
            else:
                do(row)
                scored.append(_id(row))
        except NanosegError as error:
            faults.append(error)
    return Rescored(tuple(scored), tuple(unfinished), tuple(faults))


def _id(row: _Row) -> str:
    return row.row_id if isinstance(row, FoldRuns) else row.run_id


def _lacking(row: _Row, prepared: PreparedSet) -> str:
    """The row with what is not finished of it; empty where it can be scored."""
    if not isinstance(row, FoldRuns):
        return "" if isinstance(row.about(), ExternalRun) or row.is_fitted else row.run_id
    missing = row.missing(prepared)
    return f"{row.row_id} (no current predictions of fold {', '.join(map(str, missing))})" if missing else ""


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
        _require_same(path, read_record(path), record)


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
    elif isinstance(recorded, list) and isinstance(rescored, list) and len(recorded) == len(rescored):
        for number, (one, other) in enumerate(zip(recorded, rescored, strict=True)):
            yield from differences(f"{place}[{number}]", one, other)
    elif not _agree(recorded, rescored):
        yield f"{place}: recorded {recorded!r}, rescored {rescored!r}"


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(one == other)
