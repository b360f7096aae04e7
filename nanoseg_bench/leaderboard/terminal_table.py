"""A leaderboard as tables in a terminal: the columns a reader looks at first, and more as the width allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nanoseg_bench.leaderboard.entries import Row, row_groups, words_of
from nanoseg_bench.leaderboard.set_remarks import JOINT, remarks_on, shown_column

if TYPE_CHECKING:
    from rich.table import Table

_FOLDED, _BROKEN = 8, 16
"""Characters of a model's name in a line, at least: where only what is always there is shown, and beside ``_CORE``."""

_CORE = 3
"""Columns up to this turn are worth breaking a model's name at its spaces."""

_BETWEEN = 3
"""Characters between two columns: each cell's padding, and the divider of Rich's box SIMPLE_HEAD."""

_SHARED = ("preset", "initial_weights", "seed")


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
        words = [words_of(each, own[0][each] or "unseeded") for each in shared]
        words += [word for word in name.split(", ") if word and word not in words]
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
            cause = f"at the default confidence {float(row['confidence']):g}: {row['confidence_reason']}"
            defaults.setdefault(cause, {})[row["title"]] = None
    return [*begun, *failed, *(f"{', '.join(titles)}: {cause}" for cause, titles in defaults.items())]


def notes_on_the_set(rows: Sequence[Row]) -> list[str]:
    """What is to be known of the set that the rows of its test part stand for."""
    lines = dict.fromkeys(line for row in rows if row.get("shortcomings") for line in row["shortcomings"].split(JOINT))
    return remarks_on(_folds(rows), list(lines))


def _folds(rows: Sequence[Row]) -> int | None:
    """Number of folds that the rows pool; None where they do not."""
    return next((int(float(row["folds"])) for row in rows if row.get("folds")), None)


def _columns(rows: Sequence[Row], kind: str, one_seed: bool) -> list[_Column]:
    """Those that any row fills, in their order."""
    first = [_Column("rank", "rank", 0, _rank), _Column("title", "model", 0, _model)]
    if not one_seed:
        first.append(_Column("seed", "seed", 0, partial(_as_is, "seed")))
    columns = [*first, *_SCORES[kind](rows)]
    return [column for column in columns if any(row.get(column.name) for row in rows)]


def _quality(rows: Sequence[Row]) -> list[_Column]:
    folds = _folds(rows)
    ap, any_ap = shown_column("map_50_95", folds), shown_column("map_50_95_agnostic", folds)
    ap_50, any_ap_50 = shown_column("map_50", folds), shown_column("map_50_agnostic", folds)
    # With one class both are one number, and models that know no classes have the second only.
    one_class = all(row[ap] in ("", row[any_ap]) for row in rows)
    if one_class:
        scores = [_interval(any_ap, "AP", 0), _number(any_ap_50, "AP50", 4)]
    else:
        class_less = any(row[any_ap] and not row[ap] for row in rows)
        scores = [
            _interval(ap, "AP", 0),
            _number(ap_50, "AP50", 4),
            _number(any_ap, "AP any", 3 if class_less else 7),
            _number(any_ap_50, "AP50 any", 9),
        ]
    return [
        *scores,
        _Column("difference", "difference", 10, _difference),
        _number("precision", "P", 6),
        _number("recall", "R", 5),
        _number("f1", "F1", 1),
        _Column("diameter_pair_error_bias", "size error %", 2, _size_error),
        _percent("count_error_relative", "count error %", 8),
        _number("iou_matched", "IoU", 11),
        _number("iou_pixel", "pixel IoU", 12),
    ]


def _quality_and_cost(rows: Sequence[Row]) -> list[_Column]:
    return [
        *_quality(rows),
        _number("latency_ms_per_image", "ms/image", 13, 0),
        _number("parameters", "parameters", 14, 0),
        _number("training_seconds", "training s", 15, 0),
        _number("training_images_seen", "images seen", 16, 0),
        _Column("training_core_seconds", "core h", 17, _core_hours),
        _Column("training_precision", "precision", 18, partial(_as_is, "training_precision")),
    ]


def _unknown_shapes(rows: Sequence[Row]) -> list[_Column]:
    levels = {"_50": 1, "_25": 3, "_75": 4, "": 5}
    return [
        _number("map_50_agnostic", "AP50 any", 0),
        *(
            _number(f"detection_rate_{shape}{level}", f"{shape}{level.replace('_', ' ≥ .')}", levels[level])
            for shape in ("triangle", "pentagon")
            for level in ("", "_25", "_50", "_75")
        ),
    ]


def _robustness(rows: Sequence[Row]) -> list[_Column]:
    return [
        _number("map_50_95_agnostic_clean", "clean", 0),
        _number("map_50_95_agnostic_corrupted", "corrupted", 0),
        _number("degradation", "lost", 0),
    ]


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


def _number(name: str, heading: str, turn: int, digits: int = 3) -> _Column:
    return _Column(name, heading, turn, lambda row: f"{float(row[name]):,.{digits}f}" if row[name] else "")


def _percent(name: str, heading: str, turn: int) -> _Column:
    return _Column(name, heading, turn, lambda row: _signed(row[name]) if row[name] else "")


def _interval(name: str, heading: str, turn: int) -> _Column:
    return _Column(name, heading, turn, partial(_with_interval, name, ""))


def _as_is(name: str, row: Row) -> str:
    return row[name]


def _core_hours(row: Row) -> str:
    seconds = row["training_core_seconds"]
    return f"{float(seconds) / 3600:,.2f}" if seconds else ""


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


def _signed(share: str) -> str:
    """``+1.3`` of 0.013; what rounds to zero has no sign."""
    percent = round(100 * float(share), 1)
    return f"{percent:+.1f}" if percent else "0.0"


def _size_error(row: Row) -> str:
    bias, spread = row["diameter_pair_error_bias"], row["diameter_pair_error_spread"]
    if not bias:
        return ""
    text = _signed(bias)
    return f"{text} ± {100 * float(spread):.1f}" if spread else text


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
