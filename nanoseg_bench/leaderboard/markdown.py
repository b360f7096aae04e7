"""A leaderboard as a table for a README, in GitHub's Markdown."""

from collections.abc import Sequence

import pandas as pd

from nanoseg_bench.leaderboard.entries import Group, LeaderboardRow, Row, build_entries, groups, several_devices
from nanoseg_bench.leaderboard.main_table import rank_text
from nanoseg_bench.leaderboard.palette import model_looks
from nanoseg_bench.leaderboard.set_remarks import fold_count, set_remarks, shown_column
from nanoseg_bench.metrics.metric import Metric
from nanoseg_bench.metrics.table import in_order
from nanoseg_bench.runs.record import Record

_AP = "map_50_95_agnostic"
_OUTSIDE = "predictions from outside"
_SHARED = ("preset", "seed", "started_from", "device")


def markdown_table(records: Sequence[Record], table: pd.DataFrame) -> str:
    """The columns a reader looks at first; same rows, same text.

    Preset, seed, initial weights and device have a column where rows differ in them. A failed row says why. Rows that
    do not compete, such as those of two presets, stand in tables of their own, each below what its rows have in common;
    those from outside, which belong to none of them, then stand in the last.

    Args:
        records: Of all eval sets.
        table: Of the test set, from ``build_tables``.
    """
    entries = build_entries(records, table, "test", model_looks(table["model"]))
    parts = groups(entries, failed=True)
    if len(parts) > 1:
        external = tuple(entry for entry in entries if entry.record.external)
        parts = [Group(part.name, tuple(each for each in part.entries if each not in external)) for part in parts]
        parts += [Group(_OUTSIDE, external)] if external else []
    tables = [_table(part.entries, fold_count(records)) for part in parts]
    if len(parts) > 1:
        tables = [f"**{_escaped(part.name)}**\n\n{text}" for part, text in zip(parts, tables, strict=True)]
    remarks = "\n".join(_escaped(remark) for remark in set_remarks(records))
    return "\n".join([*tables, *([f"{remarks}\n"] if remarks else [])])


def _table(entries: Sequence[LeaderboardRow], folds: int | None) -> str:
    own = [entry.row for entry in entries if not entry.record.external]
    differing = [name for name in _SHARED if len({row[name] for row in own if row[name]}) > 1]
    headings = ["rank", "model", *(name.replace("_", " ") for name in differing), "AP any [95 %]"]
    apart = several_devices(entries)
    headings += [f"{each.in_line}, own device" if apart and each.of_the_device else each.in_line for each in _numbers()]
    rows = [
        [rank_text(entry.row), _model(entry), *(entry.row[name] for name in differing), *_scores(entry.row, folds)]
        for entry in entries
    ]
    if not own:  # without ranks and costs
        filled = [place for place, cells in enumerate(zip(*rows, strict=True)) if any(cells)]
        headings, *rows = ([cells[place] for place in filled] for cells in (headings, *rows))
    rule = "|" + "---|" * len(headings)
    return "\n".join([_line(headings), rule, *map(_line, rows)]) + "\n"


def _numbers() -> list[Metric]:
    """The numbers behind the AP."""
    return in_order(lambda shown: shown.markdown)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _model(entry: LeaderboardRow) -> str:
    record = entry.record
    if record.status != "ok":
        return f"{record.title} ({record.status}: {record.reason})"
    remarks = ["external"] if record.external else []
    if record.folds:
        remarks.append(f"{record.folds}-fold")
    if record.confidence_source == "default":
        remarks.append("default confidence")
    if record.truth_begun_by:
        remarks.append("truth began with it")
    return f"{record.title} ({', '.join(remarks)})" if remarks else record.title


def _scores(row: Row, folds: int | None) -> list[str]:
    ap = shown_column(_AP, folds)
    ends = [row.get(f"{ap}_{end}", "") for end in ("lo", "hi")]
    interval = f" [{_round(ends[0], 3)}, {_round(ends[1], 3)}]" if all(ends) else ""
    numbers = [_round(row.get(shown_column(each.name, folds), ""), each.digits, each.factor) for each in _numbers()]
    return [_round(row.get(ap, ""), 3) + interval, *numbers]


def _round(text: str, digits: int, factor: float = 1) -> str:
    return f"{factor * float(text):,.{digits}f}" if text else ""
