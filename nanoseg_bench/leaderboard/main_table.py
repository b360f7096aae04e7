"""The page's first table: every row with its scores, intervals as numbers and as bars, differences, cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nanoseg_bench.evaluation.size_scores import LEAST_RECALL
from nanoseg_bench.leaderboard.columns import DIFFERENCE, DIFFERENCE_50
from nanoseg_bench.leaderboard.entries import LeaderboardRow, Row, groups, number, several_devices
from nanoseg_bench.leaderboard.set_remarks import fold_count
from nanoseg_bench.metrics.metric import Metric, Shown
from nanoseg_bench.metrics.table import in_order, metric
from nanoseg_bench.wording import minus


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval drawn on the axis of its column; places are percent of the axis.

    Attributes:
        value: Where the value is.
        lo: Where its interval begins; None without interval.
        hi: Where it ends.
    """

    value: float
    lo: float | None
    hi: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell.

    Attributes:
        text: The number for reading; empty where not measured.
        exact: As the CSV has it; rows are sorted by it.
        interval: ``0.351 – 0.462``, or empty.
        bar: The same drawn.
        why: In grey beside or instead of the number: what is to be known of it, or why there is none.
        apart: Whether it compares with no other row, and stands in grey.
    """

    text: str
    exact: str
    interval: str = ""
    bar: Bar | None = None
    why: str = ""
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis of a column's bars.

    Attributes:
        low: Value at the left end.
        high: Value at the right end.
        low_text: As written in the table's head.
        high_text: The same.
        zero: Where 0 is, in percent; None where it is the left end.
    """

    low: float
    high: float
    low_text: str
    high_text: str
    zero: float | None

    def place(self, value: float) -> float:
        """Percent of the axis, rounded so that the same page has the same bytes everywhere."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


@dataclass(frozen=True, slots=True)
class MainTable:
    """Columns with their axes, and rows; a row that failed has no cells.

    Attributes:
        name: What the rows have in common, where there are several tables: rows of two of them do not compete.
        columns: The same in all tables of a page.
        rows: Best first.
    """

    name: str
    columns: tuple[tuple[Metric, Axis | None], ...]
    rows: tuple[tuple[LeaderboardRow, tuple[Cell, ...]], ...]

    def parts(self) -> "tuple[MainTable, ...]":
        """Scores; counts, sizes and cost: side by side they are wider than a screen.

        A row that failed is in the first of them.
        """
        first = next((number for number, (column, _) in enumerate(self.columns) if column.group in _SECOND_PART), None)
        if first is None:
            return (self,)
        good = tuple((entry, cells[first:]) for entry, cells in self.rows if cells)
        scores = MainTable(self.name, self.columns[:first], tuple((entry, cells[:first]) for entry, cells in self.rows))
        return (scores, MainTable(self.name, self.columns[first:], good)) if good else (scores,)


_TOGETHER = "of all folds' detections sorted together: scores of differently trained networks rank badly so"

_SECOND_PART = ("counts", "sizes", "timing", "cost")
"""Groups of the columns behind the scores."""


def _precisions(folds: bool, one_class: bool) -> list[Metric]:
    """The average precisions, the one that ranks first."""
    kinds = ("_agnostic",) if one_class else ("", "_agnostic")
    if not folds:
        return [metric(f"{ap}{kind}") for kind in kinds for ap in ("map_50_95", "map_50")]
    pooled = {
        "": f"Mask AP over IoU 0.50 to 0.95 {_TOGETHER}",
        "_agnostic": f"AP of all particles as one class {_TOGETHER}",
    }
    columns = []
    for kind in kinds:
        columns += [
            metric(f"map_{ap}{kind}_fold_{of}") for ap, of in (("50_95", "mean"), ("50_95", "sd"), ("50", "mean"))
        ]
        together = metric(f"map_50_95{kind}")
        columns.append(replace(together, heading=f"{together.heading}, pooled", hint=pooled[kind], shown=Shown()))
    return columns


def _columns(folds: bool, one_class: bool) -> list[Metric]:
    further = in_order(lambda shown: shown.page)
    return [*_precisions(folds, one_class), DIFFERENCE, DIFFERENCE_50, *further]


def build_main_tables(entries: Sequence[LeaderboardRow], one_class: bool) -> list[MainTable]:
    """Shape the rows, in a table for each group of rows that compete; a column that no row fills is left out.

    Args:
        entries: In the table's order.
        one_class: The set has one class, so both APs are the same number and the class-aware one is not repeated.
    """
    columns = _columns(fold_count([entry.record for entry in entries]) is not None, one_class)
    filled = [column for column in columns if any(entry.row.get(column.name) for entry in entries)]
    shown = tuple((column, _axis(column, entries) if column.shown.bar else None) for column in filled)
    several = several_devices(entries)

    def cells(entry: LeaderboardRow) -> tuple[Cell, ...]:
        if entry.record.status != "ok":
            return ()
        return tuple(cell(entry.row, column, axis, several_devices=several) for column, axis in shown)

    return [
        MainTable(group.name, shown, tuple((entry, cells(entry)) for entry in group.entries))
        for group in groups(entries, failed=True)
    ]


def cell(row: Row, column: Metric, axis: Axis | None = None, *, several_devices: bool = False) -> Cell:
    """The cell of a row; empty where not measured.

    Args:
        row: Of the table.
        column: Which of its cells.
        axis: Of the column's bars.
        several_devices: Whether rows are of different devices.
    """
    exact = row.get(column.name, "")
    if not exact:
        return Cell("", "", why=_why_empty(row, column))
    if column in (DIFFERENCE, DIFFERENCE_50) and row.get("model") == row.get("reference"):
        return Cell("reference", exact)
    value, lo, hi = float(exact), number(row, f"{column.name}_lo"), number(row, f"{column.name}_hi")
    interval = "" if lo is None or hi is None else f"{_text(lo, column)} – {_text(hi, column)}"
    bar = None
    if axis is not None:
        ends = (None, None) if lo is None or hi is None else (axis.place(lo), axis.place(hi))
        bar = Bar(axis.place(value), *ends)
    apart = several_devices and column.of_the_device
    return Cell(_text(value, column), exact, interval, bar, _beside(row, column), apart)


def _beside(row: Row, column: Metric) -> str:
    """What is to be known of a number."""
    if column.name == "training_core_seconds":
        return row.get("training_precision", "")
    return _SOURCES.get(row.get("confidence_source", ""), "") if column.name == "confidence" else ""


_SOURCES = {"default": "default", "folds": "median of folds"}


def _why_empty(row: Row, column: Metric) -> str:
    recall = number(row, "recall")
    few = recall is not None and recall < LEAST_RECALL
    return f"recall < {LEAST_RECALL:g}" if few and column.needs_recall else ""


def rank_text(row: Row) -> str:
    """``3``, ``2–4`` where the ranks in between cannot be told apart, or empty."""
    best, worst = row.get("rank_lo", ""), row.get("rank_hi", "")
    return f"{best}–{worst}" if best and worst and best != worst else row.get("rank", "")


def _axis(column: Metric, entries: Sequence[LeaderboardRow]) -> Axis:
    names = (column.name, f"{column.name}_lo", f"{column.name}_hi")
    values = [value for entry in entries for name in names if (value := number(entry.row, name)) is not None]
    low, high = min(0.0, *values), max(0.0, *values)
    if high - low < 1e-9:  # nothing but zeros
        high = 1.0
    step = 10 ** math.floor(math.log10(high - low)) / 2
    low, high = math.floor(low / step) * step, max(math.ceil(high / step) * step, step)
    zero = None if low == 0 else round(100 * -low / (high - low), 2)
    return Axis(low, high, _tick(low), _tick(high), zero)


def _tick(value: float) -> str:
    return minus(f"{value:z.3g}")


def _text(value: float, column: Metric) -> str:
    text = f"{value * column.factor:{'+z' if column.signed else 'z'},.{column.digits}f}"
    return minus(text.replace(",", "\u202f"))
