"""Build the leaderboards of one prepared set from its records.

``<set>-test.csv``, and, where the records have such numbers, ``-ablation`` (two of the ablation's models or more),
``-ood``, ``-robustness``, ``-classes``, ``-modality``, ``-seeds`` and ``-differences``.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import write_text
from nanoseg_bench.leaderboard.cells import csv_text, frame
from nanoseg_bench.leaderboard.columns import COLUMNS, RANKED_AT
from nanoseg_bench.leaderboard.comparability import comparable_records
from nanoseg_bench.leaderboard.difference_table import difference_rows
from nanoseg_bench.leaderboard.long_tables import class_rows, identity, modality_rows
from nanoseg_bench.leaderboard.ranks import (
    PRIMARY,
    Ranking,
    comparison_groups,
    competes,
    rank_rows,
    ranked_metric,
    unranked_metrics,
)
from nanoseg_bench.leaderboard.seed_table import seed_rows
from nanoseg_bench.leaderboard.set_remarks import JOINT
from nanoseg_bench.locks import hold
from nanoseg_bench.models.registry import ABLATION
from nanoseg_bench.runs.facts import Training
from nanoseg_bench.runs.record import Record

TABLES = ("test", "ablation", "ood", "robustness", "classes", "modality", "seeds", "differences")

DEFAULT_REFERENCE = "yolo11n"
"""The network that the paper starts from."""


def write_leaderboards(leaderboards: Path, set_name: str, reference: str | None = None) -> list[Path]:
    """Regenerate the CSV files of a prepared set's name and return their paths.

    Args:
        leaderboards: Folder of the records and the CSV files.
        set_name: Name of the prepared set.
        reference: As of ``build_tables``.

    Raises:
        RecordError: There are no records, or they do not belong in one table.
        UsageError: No ranked row is of the reference.
        OSError: The folder cannot be written.
    """
    # Of two calls, each with a new record, the one that reads the records last is to write last.
    with hold(leaderboards / set_name, wait=True):
        texts = leaderboard_texts(leaderboards, set_name, reference)
        for path, text in texts.items():
            if text is None:
                path.unlink(missing_ok=True)  # of records that are gone
            else:
                write_text(path, text)
    return [path for path, text in texts.items() if text is not None]


def table_paths(leaderboards: Path, set_name: str) -> list[Path]:
    """Where the CSV files of a prepared set's name lie, those too that its records do not give."""
    return [leaderboards / f"{set_name}-{name}.csv" for name in TABLES]


def clear_leaderboards(leaderboards: Path, set_name: str) -> None:
    """Remove the CSV files of a set that has no records any more, and the empty folder of its records."""
    for path in table_paths(leaderboards, set_name):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there
        (leaderboards / "records" / set_name).rmdir()


def leaderboard_texts(leaderboards: Path, set_name: str, reference: str | None = None) -> dict[Path, str | None]:
    """What the CSV files of a prepared set's name have to hold; None for one that its records do not give.

    Args and Raises as of ``write_leaderboards``.
    """
    tables = build_tables(comparable_records(leaderboards, set_name), reference)
    return {
        leaderboards / f"{set_name}-{name}.csv": csv_text(tables[name]) if name in tables else None for name in TABLES
    }


def build_tables(records: Sequence[Record], reference: str | None = None) -> dict[str, pd.DataFrame]:
    """All tables that the records give, by name, in the order of ``TABLES``; ``test`` is always there.

    Args:
        records: Of one prepared set, all eval sets.
        reference: Model that differences are taken to; by default ``DEFAULT_REFERENCE``, where it has a row.

    Raises:
        UsageError: No ranked row is of the reference.
    """
    _require_reference(records, reference)
    tables = {"test": build_table(records, "test", reference)}
    ablation = tables["test"][tables["test"]["model"].isin(ABLATION)]
    if ablation["model"].nunique() > 1:
        tables["ablation"] = ablation.reset_index(drop=True)
    for eval_set in ("ood", "robustness"):
        if any(record.eval_set == eval_set for record in records):
            tables[eval_set] = build_table(records, eval_set, reference)
    ordered = [record for eval_set in PRIMARY for record in best_first(records, eval_set)]
    on_test = [record for record in ordered if record.eval_set == "test"]
    for name, rows in (
        ("classes", class_rows(on_test)),
        ("modality", modality_rows([*on_test, *_lattice_contrast(records, on_test)])),
        ("seeds", seed_rows(ordered)),
        ("differences", difference_rows(ordered, reference or DEFAULT_REFERENCE)),
    ):
        if rows:
            tables[name] = frame(rows, COLUMNS[name])
    return tables


def _lattice_contrast(records: Sequence[Record], on_test: Sequence[Record]) -> list[Record]:
    """The records of ``hrtem``, a modality that no test set shows, in the order of their runs on test."""
    place = {tuple(identity(record).values()): number for number, record in enumerate(on_test)}
    found = [record for record in records if record.eval_set == "hrtem"]
    return sorted(found, key=lambda record: place.get(tuple(identity(record).values()), len(place)))


def build_table(records: Sequence[Record], eval_set: str, reference: str | None = None) -> pd.DataFrame:
    """One row per record of ``eval_set``, best first; failed rows last. Empty cells were not measured."""
    rows = best_first(records, eval_set)
    ranking = rank_rows(rows, ranked_metric(records, eval_set), reference or DEFAULT_REFERENCE)
    among = [None if record.external else key[-1] for record, key in zip(rows, comparison_groups(rows), strict=True)]
    cells = [
        {**_row(record, stands), RANKED_AT: images} for record, stands, images in zip(rows, ranking, among, strict=True)
    ]
    return frame(cells, COLUMNS[eval_set])


def best_first(records: Sequence[Record], eval_set: str) -> list[Record]:
    """The records of an eval set in the order of its table; of equal scores by model, preset, weights and seed.

    Rows that compete with each other stand together, the group with the best row first.
    """
    metric = ranked_metric(records, eval_set)

    def order(record: Record) -> tuple[object, ...]:
        score = record.scores.get(metric)
        if score is None and eval_set == "test":  # knows no classes, or is from outside
            others = (record.scores.get(other) for other in unranked_metrics(metric))
            score = next((other for other in others if other is not None), None)
        measured = record.status == "ok" and score is not None
        identical = (
            record.model,
            record.preset,
            record.started_from,
            record.initial_weights or "",
            record.seed is None,
            record.seed or 0,
        )
        return (not measured, -(score or 0.0) if measured else 0.0, *identical)

    rows = sorted((record for record in records if record.eval_set == eval_set), key=order)
    keys = comparison_groups(rows)
    found = dict.fromkeys(key for record, key in zip(rows, keys, strict=True) if competes(record, metric))
    if len(found) < 2:
        return rows
    # Ranks begin anew in each comparison group, so its rows stay together; what never competes comes after them.
    place = {key: number for number, key in enumerate(found)}
    places = [
        place.get(key, len(place)) if _stands_in_one(record) else len(place)
        for record, key in zip(rows, keys, strict=True)
    ]
    return [rows[number] for number in sorted(range(len(rows)), key=places.__getitem__)]


def _stands_in_one(record: Record) -> bool:
    """Whether a row is in a comparison group; one that knows no classes is in it, without a rank."""
    return record.status == "ok" and not record.external


def _row(record: Record, ranking: Ranking) -> dict[str, object]:
    training, point = record.training, record.operating_point
    return {
        **asdict(ranking),
        **identity(record),
        "status": record.status,
        "reason": record.reason,
        **record.scores,
        "folds": record.folds,
        "confidence_source": record.confidence_source,
        "confidence_reason": point.reason if point else None,
        "confidence_lo": point.lo if point else None,
        "confidence_hi": point.hi if point else None,
        "confidence_flat_lo": point.flat_lo if point else None,
        "confidence_flat_hi": point.flat_hi if point else None,
        "parameters": record.parameters,
        "gflops": record.gflops,
        "training_seconds": round(training.seconds, 1) if training else None,
        "training_core_seconds": _core_seconds(training),
        "training_precision": training.precision if training else None,
        "training_epochs": training.epochs if training else None,
        "training_images_seen": training.images_seen if training else None,
        "training_resumes": training.resumes if training else None,
        "truth_begun_by": record.truth_begun_by or None,
        "shortcomings": JOINT.join(record.shortcomings) or None,
        "device": record.device,
        "dataset": record.dataset,
        "set_name": record.set_name,
        "set_hash": record.set_hash[:16],
        "images": record.images,
        "evaluator": record.evaluator,
        "package_version": record.versions.get("nanoseg-bench"),
        "commit": record.commit,
        "predictions_sha256": record.predictions_sha256[:16] if record.predictions_sha256 else None,
        "finished": record.finished,
    }


def _core_seconds(training: Training | None) -> float | None:
    return None if training is None or training.core_seconds is None else round(training.core_seconds, 1)


def _require_reference(records: Sequence[Record], reference: str | None) -> None:
    if reference is None:
        return
    metric = ranked_metric(records, "test")
    models = {record.model for record in records if record.eval_set == "test" and competes(record, metric)}
    if reference not in models:
        raise UsageError(
            f"--reference {reference}: no ranked row of that model; there are {', '.join(sorted(models)) or 'none'}"
        )
