"""Taking runs out of a leaderboard: their records go, what they trained and predicted stays in ``runs/``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.errors import RecordError, UsageError
from nanoseg_bench.locks import hold
from nanoseg_bench.runs.record import Record, find_records, read_record
from nanoseg_bench.wording import nearest


@dataclass(frozen=True, slots=True)
class _Kept:
    """One record of a run."""

    path: Path
    status: str
    """``unreadable`` where the file is no record of this version."""


def failed_runs(leaderboards: Path, set_name: str) -> dict[str, str]:
    """The runs of a set without any good record, by id in alphabetical order, each with its status."""
    return {
        run_id: records[0].status
        for run_id, records in _by_run(leaderboards, set_name).items()
        if all(record.status != "ok" for record in records)
    }


def drop_runs(leaderboards: Path, set_name: str, run_ids: Sequence[str], *, force: bool = False) -> list[Path]:
    """Remove the records of runs that did not end well; the tables are the caller's to write again.

    Args:
        leaderboards: Folder of the records.
        set_name: Of the prepared set.
        run_ids: Such as ``unet-quick-seed0``.
        force: Remove records of runs that ended well, or that cannot be read, too.

    Returns:
        What was removed; nothing where any of them is refused.

    Raises:
        UsageError: There is no such run, or it ended well.
    """
    with hold(leaderboards / set_name, wait=True):
        return _drop(leaderboards, set_name, run_ids, force)


def _drop(leaderboards: Path, set_name: str, run_ids: Sequence[str], force: bool) -> list[Path]:
    known = _by_run(leaderboards, set_name)
    for run_id in run_ids:
        if run_id not in known:
            raise UsageError(f"--drop {run_id}: {set_name} has no such run; {_meant(run_id, known)}")
        good = [record for record in known[run_id] if record.status in ("ok", "unreadable")]
        if good and not force:
            state = "ended well" if good[0].status == "ok" else "cannot be read"
            raise UsageError(
                f"--drop {run_id}: {good[0].path} {state}, and a table without it says something else; give --force "
                "if that is meant"
            )
    removed = [record.path for run_id in dict.fromkeys(run_ids) for record in known[run_id]]
    for path in removed:
        path.unlink()
    return removed


def _by_run(leaderboards: Path, set_name: str) -> dict[str, list[_Kept]]:
    """The records of each run by its id, from the names of the files."""
    found: dict[str, list[_Kept]] = {}
    for path in find_records(leaderboards, set_name):
        try:
            record: Record | None = read_record(path)
        except RecordError:
            record = None
        # ``<run id>-<eval set>.json``; no eval set has a hyphen in its name.
        run_id = path.stem.removesuffix(f"-{record.eval_set}") if record else path.stem.rpartition("-")[0]
        found.setdefault(run_id, []).append(_Kept(path, record.status if record else "unreadable"))
    return found


def _meant(run_id: str, known: Mapping[str, object]) -> str:
    near = nearest(run_id, known)
    return f"there are {', '.join(known)}" if near is None else f"did you mean {near}?"
