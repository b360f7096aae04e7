"""Which records may stand in one table, and the set that they were made on.

What does not go together is refused, with the file and the way out.
"""

from collections.abc import Iterable
from pathlib import Path

from nanoseg_bench.errors import DatasetError, RecordError
from nanoseg_bench.evaluation.operating_point import DEFAULT_CONFIDENCE, EVERY_PARTICLE
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.record import Record, find_records, read_record

_Found = list[tuple[Path, Record]]


def comparable_records(leaderboards: Path, set_name: str) -> list[Record]:
    """The records of a prepared set's name, sorted by file name.

    Raises:
        RecordError: There are none, one is malformed, or they do not belong in one table.
    """
    return [record for _, record in comparable_files(leaderboards, set_name)]


def comparable_files(leaderboards: Path, set_name: str) -> list[tuple[Path, Record]]:
    """The same with their files; raises as ``comparable_records``."""
    folder = leaderboards / "records" / set_name
    found = [(path, read_record(path)) for path in find_records(leaderboards, set_name)]
    if not found:
        others = sorted(path.name for path in folder.parent.glob("[!.]*") if path.is_dir())
        named = f", or name one of {', '.join(others)}" if others else ""
        raise RecordError(f"{folder}: no records; run `nanoseg-bench run` first{named}")
    _require_this_evaluator(found)
    _require_one_set(found, folder)
    _require_one_row_each(found)
    _require_operating_points_of_val(found)
    return found


def open_scored_set(data: Path, record: Record) -> PreparedSet:
    """Open the prepared set that a record was made on.

    Raises:
        DatasetError: There is none in this folder, or another one.
    """
    prepared = PreparedSet(data)
    if prepared.content_hash != record.set_hash:
        raise DatasetError(
            f"{data}: its content is {prepared.content_hash[:12]}, the records of {record.set_name} were made on "
            f"{record.set_hash[:12]}; name the folder of the set that was scored, or prepare it again"
        )
    return prepared


def _require_this_evaluator(found: _Found) -> None:
    others = [(path, record) for path, record in found if record.evaluator != EVALUATOR_VERSION]
    if others:
        path, record = others[0]
        raise RecordError(
            f"{path}{_more(others)}: made by evaluator version {record.evaluator}, this is {EVALUATOR_VERSION}, and "
            "one table cannot hold both; `nanoseg-bench score` makes records anew from the predictions that were "
            "kept; else delete them, or move them away"
        )


def _require_one_set(found: _Found, folder: Path) -> None:
    of_hash = {record.set_hash: path for path, record in reversed(found)}
    if len(of_hash) > 1:
        named = ", ".join(f"{path.name} ({set_hash[:12]})" for set_hash, path in sorted(of_hash.items()))
        raise RecordError(
            f"{folder}: records of {len(of_hash)} different prepared sets of one name: {named}; "
            "move the old ones away, or give the new set another name with `prepare --name`"
        )


def _require_one_row_each(found: _Found) -> None:
    seen: dict[tuple[object, ...], Path] = {}
    for path, record in found:
        row = (*_run(record), record.eval_set)
        if row in seen:
            raise RecordError(
                f"{path}: of the same model, preset, seed, start and eval set as {seen[row].name}; delete one of them"
            )
        seen[row] = path


def _require_operating_points_of_val(found: _Found) -> None:
    """A threshold that somebody chose has no place among those chosen on val, but for rows from outside.

    That of val is the same on all eval sets of a run; one that was picked on another set is not. The default is one of
    two numbers, or the lowest score of a tool where that is below 0. Whether val gives what stands here is for ``score
    --check`` to say, which has the predictions.
    """
    way_out = "`nanoseg-bench score` chooses it again from the predictions for val that were kept"
    of_run: dict[tuple[object, ...], tuple[Path, float]] = {}
    for path, record in found:
        if record.confidence_source == "declared" and not record.external:
            raise RecordError(f"{path}: its operating point was declared, not chosen on val; {way_out}")
        confidence, point = record.scores.get("confidence"), record.operating_point
        if confidence is None:
            continue
        if record.confidence_source == "none":
            raise RecordError(
                f"{path}: its operating point is {confidence}, and nothing says where it is from; {way_out}"
            )
        if record.confidence_source == "declared":
            continue
        if point is not None and (point.source, point.confidence) != (record.confidence_source, confidence):
            raise RecordError(
                f"{path}: its operating point is {confidence} ({record.confidence_source}), what was chosen is "
                f"{point.confidence} ({point.source}); {way_out}"
            )
        is_default = confidence in (DEFAULT_CONFIDENCE, EVERY_PARTICLE) or (record.external and confidence < 0)
        if record.confidence_source == "default" and not is_default:
            raise RecordError(
                f"{path}: its operating point {confidence} is no default: that is {DEFAULT_CONFIDENCE}, or "
                f"{EVERY_PARTICLE} where scores only rank; {way_out}"
            )
        other, expected = of_run.setdefault(_run(record), (path, confidence))
        if confidence != expected:
            raise RecordError(
                f"{path}: its operating point is {confidence}, that of {other.name} is {expected}; one chosen on val "
                f"is the same on every eval set; {way_out}"
            )


def _run(record: Record) -> tuple[object, ...]:
    return record.model, record.preset, record.seed, record.started_from, record.external


def _more(paths: Iterable[object]) -> str:
    others = len(list(paths)) - 1
    return f" and {others} more" if others else ""
