"""What a published record was scored from lies beside it, so that anybody can score it again.

``LEADERBOARDS/predictions/<set>/<run>/`` holds a run without its weights: ``run.json``, ``fit.json``, and the
predictions of val and of every eval set that has a record. Of a row of folds there is one such folder for each fold.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from nanoseg_bench.errors import PublishingError
from nanoseg_bench.evaluation.robustness import CONDITIONS, ROBUSTNESS
from nanoseg_bench.files import write_bytes
from nanoseg_bench.locks import hold
from nanoseg_bench.models.run_files import FIT_FILE, RUN_FILE
from nanoseg_bench.runs import cross_validation, scored
from nanoseg_bench.runs.cross_validation import FoldRuns
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import Record, find_records, read_record

_VAL = "val"


def published_runs(leaderboards: Path, set_name: str) -> Path:
    """The folder of the published runs of a set."""
    return leaderboards / "predictions" / set_name


def publish_runs(leaderboards: Path, set_name: str, runs: Path) -> list[Path]:
    """Copy what every good record of a set was scored from, and take away what has no record any more.

    A run that is not in ``runs`` stays as it is published already, if its record was scored from that. Of two calls the
    second waits, and so does one that writes records.

    Args:
        leaderboards: Folder of the records.
        set_name: Of the prepared set.
        runs: Folder of its runs.

    Returns:
        The published folders, in the order of the records.

    Raises:
        PublishingError: A record was scored from other predictions than the run keeps; nothing is copied then.
        RecordError: A record is malformed.
    """
    with hold(leaderboards / set_name, wait=True):
        return _publish(leaderboards, set_name, runs)


def _publish(leaderboards: Path, set_name: str, runs: Path) -> list[Path]:
    target = published_runs(leaderboards, set_name)
    chosen: dict[str, dict[Path, Path]] = {}
    for path in find_records(leaderboards, set_name):
        record = read_record(path)
        if record.status != "ok":
            continue
        for run in _found(path, record, runs, target):
            # Of two records of a run one may be of what it keeps, the other of what is published and not kept any more.
            chosen.setdefault(run.run_id, {}).update(_files(run, {_VAL, *_predicted(record)}))
    for run_id, files in chosen.items():
        _copy(files, target / run_id)
    _remove_others(target, chosen)
    return [target / run_id for run_id in chosen]


def _found(path: Path, record: Record, runs: Path, target: Path) -> list[RunFolder]:
    """The folders that a record was scored from: those of its run, else those that are published already."""
    row_id = path.stem.removesuffix(f"-{record.eval_set}")
    is_there = False
    for folder in (runs, target):
        row = _row(folder, row_id, record)
        is_there = is_there or any((run.path / RUN_FILE).is_file() for run in row)
        if _fingerprint(folder, row_id, record) == record.predictions_sha256:
            return row
    if is_there:
        raise PublishingError(
            f"{path}: was scored from other predictions than {runs / row_id} keeps; `nanoseg-bench run`, or "
            "`nanoseg-bench score`, makes the record anew from what is kept"
        )
    raise PublishingError(
        f"{path}: {runs / row_id} is not there, so nobody could score this row again; give --runs DIR, or take the row "
        f"away: nanoseg-bench leaderboard {record.set_name} --drop {row_id} --force"
    )


def _row(folder: Path, row_id: str, record: Record) -> list[RunFolder]:
    if not record.folds:
        return [RunFolder(folder / row_id)]
    row = _folds(folder, row_id, record.folds)
    return [row.run(fold) for fold in row.folds]


def _folds(folder: Path, row_id: str, number: int) -> FoldRuns:
    return FoldRuns(folder, row_id, tuple(range(1, number + 1)))


def _fingerprint(folder: Path, row_id: str, record: Record) -> str | None:
    try:
        if record.folds:
            return cross_validation.predictions_sha256(_folds(folder, row_id, record.folds))
        return scored.predictions_sha256(RunFolder(folder / row_id), record.eval_set)
    except FileNotFoundError:
        return None


def _predicted(record: Record) -> Iterable[str]:
    if record.eval_set != ROBUSTNESS:
        return [record.eval_set]
    return ["test", *(condition.name for condition in CONDITIONS)]


def _files(run: RunFolder, eval_sets: Iterable[str]) -> dict[Path, Path]:
    """What is to lie in the published folder, by its name there, and where it lies."""
    paths = [run.path / RUN_FILE, run.path / FIT_FILE]
    for name in sorted(eval_sets):
        paths += run.files_of(name)
    # Predictions from outside have no training, and may have none of val.
    return {path.relative_to(run.path): path for path in paths if path.is_file()}


def _copy(files: Mapping[Path, Path], target: Path) -> None:
    for name, path in files.items():
        copy, data = target / name, path.read_bytes()
        if not (copy.is_file() and copy.read_bytes() == data):
            write_bytes(copy, data)
    for path in [path for path in target.rglob("*") if path.is_file() and path.relative_to(target) not in files]:
        path.unlink()


def _remove_others(target: Path, chosen: Mapping[str, object]) -> None:
    for folder in [path.parent for path in target.glob(f"*/{RUN_FILE}")]:
        if folder.name not in chosen:
            shutil.rmtree(folder)
