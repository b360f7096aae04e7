"""Build the leaderboards of one prepared set from its records.

``<set>-test.csv``, ``<set>-ood.csv`` (where the set has an ood part) and ``<set>-ablation.csv`` (where two of the
ablation's models have a row). Records of several evaluator versions or content hashes are refused: they are not
comparable.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nanoseg_bench.errors import RecordError
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.files import write_text
from nanoseg_bench.leaderboard.columns import COLUMNS, COMPARABLE_BY
from nanoseg_bench.models.registry import ABLATION
from nanoseg_bench.runs.record import Record, read_records

PRIMARY = {"test": "map_50_95", "ood": "map_50_agnostic"}
"""The metric that ranks the rows of an eval set."""

TABLES = ("test", "ablation", "ood")

_DIGITS = 6
_INTEGERS = (
    "seed",
    "parameters",
    "training_epochs",
    "training_images_seen",
    "training_resumes",
    "instances_truth",
    "instances_predicted",
)


def write_leaderboards(leaderboards: Path, set_name: str) -> list[Path]:
    """Regenerate the CSV files of a prepared set's name and return their paths.

    Raises:
        RecordError: There are no records, or they do not belong in one table.
    """
    records = read_records(leaderboards, set_name)
    if not records:
        raise RecordError(f"{leaderboards / 'records' / set_name}: no records; run `nanoseg-bench run` first")
    _require_one_table(records, leaderboards / "records" / set_name)
    tables = {"test": build_table(records, "test")}
    ablation = tables["test"][tables["test"]["model"].isin(ABLATION)]
    if ablation["model"].nunique() > 1:
        tables["ablation"] = ablation
    if any(record.eval_set == "ood" for record in records):
        tables["ood"] = build_table(records, "ood")
    paths = []
    for name in TABLES:
        path = leaderboards / f"{set_name}-{name}.csv"
        if name in tables:
            write_text(path, tables[name].to_csv(index=False, lineterminator="\n"))
            paths.append(path)
        else:
            path.unlink(missing_ok=True)  # of records that are gone
    return paths


def build_table(records: Sequence[Record], eval_set: str) -> pd.DataFrame:
    """One row per record of ``eval_set``, best first; failed rows last. Empty cells were not measured."""
    rows = [_row(record) for record in records if record.eval_set == eval_set]
    table = pd.DataFrame(rows, columns=list(COLUMNS[eval_set]))
    one_class = len({record.classes for record in records}) == 1 and len(records[0].classes) == 1
    table["rank"] = _rank(table, eval_set, one_class)
    best_first = table[PRIMARY[eval_set]]
    if eval_set == "test":
        best_first = best_first.fillna(table["map_50_95_agnostic"])
    order = pd.DataFrame({"score": pd.to_numeric(best_first), "model": table["model"], "seed": table["seed"]})
    order = order.sort_values(["score", "model", "seed"], ascending=[False, True, True], na_position="last")
    return table.loc[order.index].reset_index(drop=True)


def _rank(table: pd.DataFrame, eval_set: str, one_class: bool) -> "pd.Series[int]":
    """Rank of each model among comparable rows, by the mean of its seeds; empty for rows without the metric.

    With one class the class-agnostic AP is the same number, and models that know no classes are ranked with it.
    """
    metric = "map_50_95_agnostic" if eval_set == "test" and one_class else PRIMARY[eval_set]
    scores = pd.to_numeric(table[metric]).where(table["status"] == "ok")
    keys = [table[column].astype("string").fillna("") for column in COMPARABLE_BY]
    per_model = scores.groupby([*keys, table["model"]]).transform("mean")
    ranks = per_model.groupby(keys).rank(ascending=False, method="dense")
    return ranks.where(scores.notna()).astype("Int64")


def _row(record: Record) -> dict[str, object]:
    training = record.training
    values: dict[str, object] = {
        "model": record.model,
        "title": record.title,
        "preset": record.preset,
        "seed": record.seed,
        "initial_weights": record.initial_weights or "none",
        "status": record.status,
        "reason": record.reason,
        "parameters": record.parameters,
        "gflops": _rounded(record.gflops),
        "training_seconds": round(training.seconds, 1) if training else None,
        "training_epochs": training.epochs if training else None,
        "training_images_seen": training.images_seen if training else None,
        "training_resumes": training.resumes if training else None,
        "device": record.device,
        "set_name": record.set_name,
        "set_hash": record.set_hash[:16],
        "images": record.images,
        "evaluator": record.evaluator,
        "package_version": record.versions.get("nanoseg-bench"),
        "commit": record.commit,
        "finished": record.finished,
    }
    values.update({name: _rounded(value) for name, value in record.scores.items()})
    for name in _INTEGERS:
        value = values.get(name)
        # Pandas would turn a column of integers with one empty cell into floats: 3.0 parameters.
        values[name] = pd.NA if value is None else int(float(str(value)))
    return values


def _rounded(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(value, _DIGITS)


def _require_one_table(records: Sequence[Record], folder: Path) -> None:
    evaluators = {record.evaluator for record in records}
    if evaluators != {EVALUATOR_VERSION}:
        raise RecordError(
            f"{folder}: records of evaluator versions {', '.join(sorted(evaluators))}, this is {EVALUATOR_VERSION}; "
            "run the same `nanoseg-bench run` again to re-score them, or delete the old ones"
        )
    hashes = {record.set_hash for record in records}
    if len(hashes) > 1:
        raise RecordError(
            f"{folder}: records of {len(hashes)} different prepared sets of one name "
            f"({', '.join(h[:12] for h in sorted(hashes))}); "
            "move the old ones away, or give the new set another name with `prepare --name`"
        )
