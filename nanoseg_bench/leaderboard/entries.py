"""The rows of a page: a record, its row of the table, and how it is named and drawn."""

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from nanoseg_bench.leaderboard.cells import csv_text
from nanoseg_bench.leaderboard.columns import GROUPED_BY, RANKED_AT
from nanoseg_bench.leaderboard.palette import Look
from nanoseg_bench.runs.record import SCRATCH, Record
from nanoseg_bench.wording import counted

Row = Mapping[str, str]
"""Column to text, as the CSV file has it; empty where not measured."""

_NAMED_BY = ("preset", "seed", "started_from", "device")

_HASH_SHOWN = 8  # digits of weights that share a name with others


@dataclass(frozen=True, eq=False, slots=True)
class LeaderboardRow:
    """One run on one eval set.

    Attributes:
        record: Its record.
        row: Its row of the table.
        words: What tells it from the other rows of its model, where they are several, by column: ``preset paper``.
        look: Of the model, in every chart.
        number: Of the model; stands in the ids of its lines.
        leads: Whether it is the first seed of its model; the others are drawn paler.
    """

    record: Record
    row: Row
    words: Mapping[str, str]
    look: Look
    number: int
    leads: bool

    @property
    def title(self) -> str:
        """The model's name in print."""
        return self.record.title

    @property
    def note(self) -> str:
        """Its words, in one line."""
        return ", ".join(self.words.values())

    @property
    def name(self) -> str:
        """Title and note, in one line."""
        return f"{self.title} ({self.note})" if self.note else self.title


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that compete, with the external ones, which stand beside all of them.

    Attributes:
        name: What they have in common, where there is more than one group.
        entries: Best first; their words are those of columns that ``name`` does not tell.
    """

    name: str
    entries: tuple[LeaderboardRow, ...]


def csv_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """The cells of a table with the very text of its CSV file."""
    cells = pd.read_csv(io.StringIO(csv_text(table)), dtype=str, keep_default_na=False)
    return [{str(column): str(value) for column, value in row.items()} for row in cells.to_dict("records")]


def number(row: Row, column: str) -> float | None:
    """The number in a cell, rounded as in the CSV file; None where it is empty, or there is no such column."""
    text = row.get(column, "")
    return float(text) if text else None


def build_entries(
    records: Sequence[Record], table: pd.DataFrame, eval_set: str, looks: Mapping[str, Look]
) -> list[LeaderboardRow]:
    """The rows of a table, in its order, each with its record.

    Args:
        records: Of all eval sets: a row has the same name in all tables.
        table: From ``build``.
        eval_set: Its eval set.
        looks: Of every model.
    """
    numbers = {model: number for number, model in enumerate(looks)}
    words = _words(records)
    of_run = {run_of(record): record for record in records if record.eval_set == eval_set}
    first_seeds = _first_seeds(of_run.values())
    entries = []
    for row in csv_rows(table):
        run = (row["model"], row["preset"], row["seed"], row["initial_weights"])
        record = of_run[run]
        leads = run in first_seeds
        entries.append(LeaderboardRow(record, row, words[run], looks[record.model], numbers[record.model], leads))
    return entries


def groups(entries: Iterable[LeaderboardRow], *, failed: bool = False) -> list[Group]:
    """Rows that compete with each other, group by group.

    Args:
        entries: Of a table.
        failed: Whether rows that failed stand in their groups too.
    """
    succeeded = [entry for entry in entries if failed or entry.record.status == "ok"]
    rows = [entry.row for entry in succeeded]
    told = _told_by_names(rows)
    return [
        Group(name, tuple(_without(told, succeeded[place]) for place in places)) for name, places in row_groups(rows)
    ]


def row_groups(rows: Sequence[Row]) -> list[tuple[str, list[int]]]:
    """The same of rows: what a group has in common, where there are several, and the places of its rows."""
    own: dict[tuple[str, ...], list[int]] = {}
    external = [place for place, row in enumerate(rows) if row["external"] == "true"]
    for place, row in enumerate(rows):
        if row["external"] != "true":
            own.setdefault(tuple(row[column] for column in GROUPED_BY), []).append(place)
    if not own:
        return [("", external)] if external else []
    told = _told_by_names(rows)
    differ = [place for place, column in enumerate(GROUPED_BY) if column in told]
    words = {key: ", ".join(words_of(GROUPED_BY[place], key[place]) for place in differ) for key in own}
    alike = Counter(words.values())
    # Two files of weights may have one name.
    exact = {key: ", ".join(words_of(GROUPED_BY[place], key[place], exact=True) for place in differ) for key in own}
    return [
        (exact[key] if alike[words[key]] > 1 else words[key], sorted([*members, *external]))
        for key, members in own.items()
    ]


def run_of(record: Record) -> tuple[str, ...]:
    """What tells runs apart, as it stands in a row: the same in the tables of all eval sets."""
    seed = "" if record.seed is None else str(record.seed)
    return record.model, record.preset, seed, record.initial_weights or SCRATCH


def several_devices(entries: Iterable[LeaderboardRow]) -> bool:
    """Whether rows differ in their device, so that nothing compares that is as much of the device as of the model."""
    return len({entry.record.device for entry in entries if not entry.record.external} - {""}) > 1


def _first_seeds(records: Iterable[Record]) -> set[tuple[str, ...]]:
    """Of each model, preset and start the run with the first seed."""
    first: dict[tuple[str, ...], tuple[str, ...]] = {}
    for record in sorted(records, key=lambda record: (record.seed is None, record.seed or 0)):
        first.setdefault((record.model, record.preset, record.started_from), run_of(record))
    return set(first.values())


def _told_by_names(rows: Sequence[Row]) -> set[str]:
    """Columns that groups differ in."""
    own = [row for row in rows if row["external"] != "true"]
    return {column for column in GROUPED_BY if len({row[column] for row in own}) > 1}


def _without(columns: set[str], entry: LeaderboardRow) -> LeaderboardRow:
    """The row as it is told below a name that has said these columns."""
    words = {column: text for column, text in entry.words.items() if column not in columns}
    return entry if words == entry.words else replace(entry, words=words)


def _words(records: Sequence[Record]) -> dict[tuple[str, ...], dict[str, str]]:
    """Only what differs between rows is worth naming; external ones have no preset, seed or device of their own."""
    own = [record for record in records if not record.external]
    differ = [name for name in _NAMED_BY if len({_value(record, name) for record in own} - {""}) > 1]
    return {
        run_of(record): {} if record.external else {name: words_of(name, _value(record, name)) for name in differ}
        for record in records
    }


def _value(record: Record, column: str) -> str:
    value = getattr(record, column)
    return {"seed": "unseeded"}.get(column, "") if value is None else str(value)


def words_of(column: str, value: str, *, exact: bool = False) -> str:
    """What a row has in a column, for a title: ``preset paper``, ``from scratch``, ``72,000 training images seen``.

    Args:
        column: Of the table.
        value: As it stands there.
        exact: Whether the beginning of their hash stands behind the name of initial weights.
    """
    if column == "started_from":
        name, _, sha256 = value.partition(" sha256:")
        behind = f" ({sha256[:_HASH_SHOWN]}…)" if exact and sha256 else ""
        return "from scratch" if value == SCRATCH else f"from {name}{behind}"
    if column == "device" or value == "unseeded":
        return value
    if column == "images":
        return counted(int(value), "test image")
    if column == RANKED_AT:
        return f"{int(value):,} training images seen" if value else "without training"
    return f"{column.replace('_', ' ')} {value}"
