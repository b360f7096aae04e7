"""A leaderboard as tables in a terminal: the columns a reader looks at first, and more as the width allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nanoseg_bench.evaluation.operating_point import default_in_words
from nanoseg_bench.leaderboard.columns import DIFFERENCE
from nanoseg_bench.leaderboard.entries import Row, row_groups, words_of
from nanoseg_bench.leaderboard.ranks import PRIMARY
from nanoseg_bench.leaderboard.set_remarks import shown_column
from nanoseg_bench.metrics.metric import Group, Metric
from nanoseg_bench.metrics.table import in_order, metric

if TYPE_CHECKING:
    from rich.table import Table

_FOLDED, _BROKEN = 8, 16
"""Characters of a model's name in a line, at least: where only what is always there is shown, and beside ``_CORE``."""

_CORE = 3
"""Columns up to this turn are worth breaking a model's name at its spaces."""

_BETWEEN = 3
"""Characters between two columns: each cell's padding, and the divider of Rich's box SIMPLE_HEAD."""

_SHARED = ("preset", "started_from", "seed")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as it is shown.

    Attributes:
        name: In the CSV.
        heading: As short as can be.
        turn: Columns join in this order while they fit; those of turn 0 are always there.
        text: Of a row's cell; empty where not measured.
    """

    name: str
    heading: str
    turn: int
    text: Callable[[Row], str]


@dataclass(frozen=True, slots=True)
class TerminalTable:
    """Rows that compete.

    Attributes:
        title: What all of them share: ``preset quick, from scratch, seed 0``.
        table: No wider than asked for, or, where that is too little for the numbers, as little wider as can be.
    """

    title: str
    table: "Table"


def build_terminal_tables(rows: Sequence[Row], kind: str, width: int) -> list[TerminalTable]:
    """Shape the rows, in a table for each group of rows that compete.

    Args:
        rows: Of the CSV file, in its order.
        kind: ``test``, ``ablation``, ``ood`` or ``robustness``.
        width: Characters in a line.
    """
    tables = []
    for name, places in row_groups(rows):
        group = [rows[place] for place in places]
        own = [row for row in group if row["external"] != "true"]
        shared = [each for each in _SHARED if len({row[each] for row in own}) == 1]
        named = [word for word in name.split(", ") if word]
        words = [words_of(each, own[0][each] or "unseeded") for each in shared]
        # The group's name may say it with a hash.
        words = [word for word in words if not any(each.startswith(f"{word} (") for each in named)]
        words += [word for word in named if word not in words]
        tables.append(TerminalTable(", ".join(words), _fitting(group, _columns(rows, kind, "seed" in shared), width)))
    return tables


def footnotes(rows: Sequence[Row]) -> list[str]:
    """What is to be known of single rows, a line for each cause: why they failed, what flatters them."""
    begun = {
        f"* truth began with {row['title']}, which flatters it: {row['truth_begun_by']}": None
        for row in rows
        if row["truth_begun_by"]
    }
    failed = [f"{row['title']}: {row['status']}: {row['reason']}" for row in rows if row["status"] != "ok"]
    defaults: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.get("confidence_source") == "default":
            taken = default_in_words(float(row["confidence"]))
            cause = f"at the default confidence, {taken}: {row['confidence_reason']}"
            defaults.setdefault(cause, {})[row["title"]] = None
    return [*begun, *failed, *(f"{', '.join(titles)}: {cause}" for cause, titles in defaults.items())]


def _folds(rows: Sequence[Row]) -> int | None:
    """Number of folds that the rows pool; None where they do not."""
    return next((int(float(row["folds"])) for row in rows if row.get("folds")), None)


def _columns(rows: Sequence[Row], kind: str, one_seed: bool) -> list[_Column]:
    """The columns that any row fills, in their order."""
    first = [_Column("rank", "rank", 0, _rank), _Column("title", "model", 0, _model)]
    if not one_seed:
        first.append(_Column("seed", "seed", 0, partial(_as_is, "seed")))
    columns = [*first, *_SCORES[kind](rows)]
    return [column for column in columns if any(row.get(column.name) for row in rows)]


def _precisions(rows: Sequence[Row]) -> list[_Column]:
    """The average precisions and the difference: classes and folds of the set decide which of them lead."""
    folds = _folds(rows)
    ap, any_ap = shown_column("map_50_95", folds), shown_column("map_50_95_agnostic", folds)
    ap_50, any_ap_50 = shown_column("map_50", folds), shown_column("map_50_agnostic", folds)
    # With one class both are one number, and models that know no classes have the second only.
    one_class = all(row[ap] in ("", row[any_ap]) for row in rows)
    if one_class:
        scores = [
            _interval(metric(any_ap), 0, metric(ap).heading),
            _number(metric(any_ap_50), 4, metric(ap_50).heading),
        ]
    else:
        class_less = any(row[any_ap] and not row[ap] for row in rows)
        scores = [
            _interval(metric(ap), 0),
            _number(metric(ap_50), 4),
            _number(metric(any_ap), 3 if class_less else 7),
            _number(metric(any_ap_50), 9),
        ]
    return [*scores, _Column(DIFFERENCE.name, DIFFERENCE.in_line, 10, _difference)]


def _placed(*groups: Group) -> list[_Column]:
    """The metrics of these groups that say where they stand in a terminal."""
    found = [
        (terminal, each)
        for each in in_order(lambda shown: shown.terminal.place if shown.terminal else None)
        if each.group in groups and (terminal := each.shown.terminal)
    ]
    return [_number(each, terminal.turn, terminal.heading) for terminal, each in found]


def _quality(rows: Sequence[Row]) -> list[_Column]:
    return [*_precisions(rows), *_placed("detection", "marks", "counts", "sizes", "particles", "literature")]


def _quality_and_cost(rows: Sequence[Row]) -> list[_Column]:
    return [*_quality(rows), *_placed("timing", "cost")]


def _unknown_shapes(_: Sequence[Row]) -> list[_Column]:
    return [_number(metric("map_50_agnostic"), 0), *_placed("ood")]


def _robustness(_: Sequence[Row]) -> list[_Column]:
    ranks = metric(PRIMARY["robustness"])
    return [_interval(ranks, 0) if column.name == ranks.name else column for column in _placed("robustness")]


_SCORES = {"test": _quality_and_cost, "ablation": _quality, "ood": _unknown_shapes, "robustness": _robustness}


def _fitting(rows: Sequence[Row], columns: Sequence[_Column], width: int) -> "Table":
    shown = [column for column in columns if column.turn == 0]
    for joining in sorted((column for column in columns if column.turn), key=lambda column: column.turn):
        wider = [column for column in columns if column in shown or column is joining]
        # The first that does not fit ends it, so that a wider terminal never shows fewer.
        if _needed(wider, _cells(rows, wider), _BROKEN if joining.turn <= _CORE else None) > width:
            break
        shown = wider
    return _table(shown, _cells(rows, shown), width)


def _table(columns: Sequence[_Column], cells: Sequence[Sequence[str]], width: int) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        if column.name == "title":
            table.add_column(column.heading, min_width=_FOLDED, overflow="fold")
        else:
            table.add_column(column.heading, justify="right", no_wrap=True)
    for row in cells[1:]:
        table.add_row(*row)
    if _needed(columns, cells) > width:
        table.width = max(width, _needed(columns, cells, _FOLDED))
    return table


def _cells(rows: Sequence[Row], columns: Sequence[_Column]) -> list[list[str]]:
    """The headings, and the texts below them."""
    return [[column.heading for column in columns], *([column.text(row) for column in columns] for row in rows)]


def _needed(columns: Sequence[_Column], cells: Sequence[Sequence[str]], name: int | None = None) -> int:
    """Characters in a line that holds every cell whole; of a model's name, so many where they are given."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, texts)) for texts in zip(*cells, strict=True)]
    if name is not None:
        widths = [
            min(width, name) if column.name == "title" else width for column, width in zip(columns, widths, strict=True)
        ]
    return sum(widths) + _BETWEEN * (len(widths) - 1)


def _number(shown: Metric, turn: int, heading: str = "") -> _Column:
    write = _OF_TWO.get(shown.name) or partial(_text, shown)
    return _Column(shown.name, heading or shown.in_line, turn, write)


def _interval(shown: Metric, turn: int, heading: str = "") -> _Column:
    return _Column(shown.name, heading or shown.in_line, turn, partial(_with_interval, shown.name, ""))


def _text(shown: Metric, row: Row) -> str:
    text = row[shown.name]
    if not text or shown.text:
        return text
    if shown.whole:  # there is room for all of it
        return f"{float(text):,.0f}"
    if shown.signed:
        return _signed(text, shown)
    return f"{float(text) * shown.factor:,.{shown.digits}f}"


def _as_is(name: str, row: Row) -> str:
    return row[name]


def _with_interval(name: str, sign: str, row: Row) -> str:
    if not row[name]:
        return ""
    text = f"{float(row[name]):{sign}.3f}"
    low, high = row.get(f"{name}_lo"), row.get(f"{name}_hi")
    return f"{text} [{float(low):.3f}, {float(high):.3f}]" if low and high else text


def _difference(row: Row) -> str:
    if row["difference"] and row["model"] == row["reference"]:
        return "reference"
    return _with_interval("difference", "+", row)


def _signed(text: str, shown: Metric) -> str:
    """``+1.3`` of 0.013; what rounds to zero has no sign."""
    value = round(shown.factor * float(text), shown.digits)
    return f"{value:+,.{shown.digits}f}" if value else f"{0:.{shown.digits}f}"


def _size_error(row: Row) -> str:
    bias, spread = metric("diameter_pair_error_bias"), metric("diameter_pair_error_spread")
    if not row[bias.name]:
        return ""
    text = _signed(row[bias.name], bias)
    return f"{text} ± {_text(spread, row)}" if row[spread.name] else text


_OF_TWO = {"diameter_pair_error_bias": _size_error}
"""Columns of which a cell shows two."""


def _model(row: Row) -> str:
    marks = [" (external)"] if row["external"] == "true" else []
    marks += [f" ({row['folds']}-fold)"] if row.get("folds") else []
    marks += [" *"] if row["truth_begun_by"] else []
    marks += [f" ({row['status']})"] if row["status"] != "ok" else []
    return row["title"] + "".join(marks)


def _rank(row: Row) -> str:
    """``3``, or ``2-4`` where the ranks in between cannot be told apart."""
    best, worst = row.get("rank_lo"), row.get("rank_hi")
    return f"{best}-{worst}" if best and worst and best != worst else row["rank"]
