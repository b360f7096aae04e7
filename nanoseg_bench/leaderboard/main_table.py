"""The page's first table: every row with its scores, intervals as numbers and as bars, differences, cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nanoseg_bench.evaluation.size_scores import LEAST_RECALL, POOLED_COLUMNS
from nanoseg_bench.leaderboard.columns import OF_THE_DEVICE
from nanoseg_bench.leaderboard.entries import Entry, Row, groups, several_devices
from nanoseg_bench.leaderboard.set_remarks import fold_count


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the CSV as the page shows it.

    Attributes:
        name: In the CSV; ``<name>_lo`` and ``<name>_hi`` are its interval, where the CSV has one.
        heading: In the table's head.
        unit: Below the heading.
        meaning: Shown where the pointer rests on the heading.
        digits: After the decimal point.
        factor: From the CSV's unit to the one shown.
        signed: Whether a plus sign is shown.
        bar: Whether the interval is drawn as well.
    """

    name: str
    heading: str
    meaning: str
    unit: str = ""
    digits: int = 3
    factor: float = 1.0
    signed: bool = False
    bar: bool = False


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
    columns: tuple[tuple[Column, Axis | None], ...]
    rows: tuple[tuple[Entry, tuple[Cell, ...]], ...]

    def parts(self) -> "tuple[MainTable, ...]":
        """Scores; counts, sizes and cost: side by side they are wider than a screen.

        A row that failed is in the first of them.
        """
        first = next((number for number, (column, _) in enumerate(self.columns) if column.name in _SECOND_PART), None)
        if first is None:
            return (self,)
        good = tuple((entry, cells[first:]) for entry, cells in self.rows if cells)
        scores = MainTable(self.name, self.columns[:first], tuple((entry, cells[:first]) for entry, cells in self.rows))
        return (scores, MainTable(self.name, self.columns[first:], good)) if good else (scores,)


_AWARE = Column("map_50_95", "AP", "Mask AP over IoU 0.50 to 0.95, mean over the classes", bar=True)
_AGNOSTIC = Column("map_50_95_agnostic", "AP any", "The same with all particles as one class", bar=True)
_DIFFERENCE = Column(
    "difference", "difference", "Paired difference of the ranked score to the reference", signed=True, bar=True
)
_AP50 = Column("map_50", "AP50", "Mask AP at IoU 0.50, mean over the classes")
_AP50_AGNOSTIC = Column("map_50_agnostic", "AP50 any", "The same with all particles as one class")
_DIFFERENCE_50 = Column(
    "difference_map_50", "difference of AP50", "Paired difference of the AP at IoU 0.50 to the reference", signed=True
)
_OVER_FOLDS = (
    Column(
        "map_50_95_fold_mean",
        "AP",
        "Mask AP over IoU 0.50 to 0.95, mean over the folds, then over the classes; ranks",
        bar=True,
    ),
    Column(
        "map_50_95_fold_sd",
        "SD of folds",
        "Standard deviation of the AP over the folds: of other images and trainings, not the error of the mean",
    ),
    Column("map_50_fold_mean", "AP50", "Mask AP at IoU 0.50, mean over the folds, then over the classes"),
)
_OVER_FOLDS_AGNOSTIC = (
    Column(
        "map_50_95_agnostic_fold_mean",
        "AP any",
        "AP over IoU 0.50 to 0.95 with all particles as one class, mean over the folds",
        bar=True,
    ),
    Column("map_50_95_agnostic_fold_sd", "SD of folds", "Standard deviation of AP any over the folds"),
    Column(
        "map_50_agnostic_fold_mean", "AP50 any", "AP at IoU 0.50 with all particles as one class, mean over the folds"
    ),
)
_TOGETHER = "of all folds' detections sorted together: scores of differently trained networks rank badly so"
_POOLED = Column("map_50_95", "AP, pooled", f"Mask AP over IoU 0.50 to 0.95 {_TOGETHER}")
_POOLED_AGNOSTIC = Column("map_50_95_agnostic", "AP any, pooled", f"AP of all particles as one class {_TOGETHER}")
_DIFFERENCES = (_DIFFERENCE, _DIFFERENCE_50)
_COLUMNS = (
    Column(
        "confidence", "operating point",
        "Confidence from which detections count; below, the 95 % interval of val's choice over its source groups",
    ),
    Column("precision", "P", "Precision at the operating point, IoU > 0.5, any class"),
    Column("recall", "R", "Recall at the operating point, IoU > 0.5, any class"),
    Column("f1", "F1", "F1 at the operating point, IoU > 0.5, any class"),
    Column(
        "f1_marks_excused", "F1, marks excused",
        "F1 without the false positives that lie mostly on information bars, scale bars or lettering",
    ),
    Column("pq", "PQ", "Panoptic quality, any class"),
    Column("boundary_iou", "boundary IoU", "Mean boundary IoU of the matched pairs"),
    Column(
        "count_error_relative", "count error, pooled",
        "(predicted − true) / true number of particles, all images pooled",
        unit="%", digits=1, factor=100, signed=True,
    ),
    Column(
        "count_error_image_typical", "count error, typical image",
        "Median over the images of the absolute relative error",
        unit="%", digits=1, factor=100,
    ),
    Column(
        "diameter_pair_error_bias", "size error of pairs, bias",
        "Median of (predicted − true) / true diameter of the particles that are found",
        unit="%", digits=1, factor=100, signed=True,
    ),
    Column(
        "diameter_pair_error_spread", "size error of pairs, spread",
        "Half the distance of the 16th and the 84th percentile of the same errors",
        unit="%", digits=1, factor=100,
    ),
    Column(
        "diameter_median_error_relative", "median diameter error, pooled",
        "Of all images pooled, relative to the true median",
        unit="%", digits=1, factor=100, signed=True,
    ),
    Column(
        "diameter_w1_px", "W1, pooled", "Wasserstein-1 distance of the diameter distributions of all images pooled",
        unit="px", digits=2,
    ),
    Column(
        "diameter_w1_nm", "W1, pooled", "Wasserstein-1 distance of the diameter distributions of all images pooled",
        unit="nm", digits=2,
    ),
    Column("parameters", "params", "Parameters of the network", unit="million", digits=2, factor=1e-6),
    Column("latency_ms_per_image", "latency", "Median time of one image, batch 1", unit="ms", digits=0),
    Column("training_seconds", "training", "Wall time of the training", unit="s", digits=0),
    Column(
        "training_core_seconds", "core hours",
        "Time of all processor cores that training kept busy, and the precision of its arithmetic",
        unit="h", digits=2, factor=1 / 3600,
    ),
    Column("training_images_seen", "images seen", "Training images through the network, repeats counted", digits=0),
)  # fmt: skip

_COST = {"parameters", "latency_ms_per_image", "training_seconds", "training_core_seconds", "training_images_seen"}
_SECOND_PART = {column.name for column in _COLUMNS if column.name.startswith(("count_", "diameter_"))} | _COST


def build_main_tables(entries: Sequence[Entry], one_class: bool) -> list[MainTable]:
    """Shape the rows, in a table for each group of rows that compete; a column that no row fills is left out.

    Args:
        entries: In the table's order.
        one_class: The set has one class, so both APs are the same number and the class-aware one is not repeated.
    """
    if fold_count([entry.record for entry in entries]):
        agnostic = (*_OVER_FOLDS_AGNOSTIC, _POOLED_AGNOSTIC)
        scores: tuple[Column, ...] = agnostic if one_class else (*_OVER_FOLDS, _POOLED, *agnostic)
    else:
        scores = (_AGNOSTIC, _AP50_AGNOSTIC) if one_class else (_AWARE, _AP50, _AGNOSTIC, _AP50_AGNOSTIC)
    filled = [
        column for column in (*scores, *_DIFFERENCES, *_COLUMNS) if any(entry.row.get(column.name) for entry in entries)
    ]
    shown = tuple((column, _axis(column, entries) if column.bar else None) for column in filled)
    several = several_devices(entries)

    def cells(entry: Entry) -> tuple[Cell, ...]:
        if entry.record.status != "ok":
            return ()
        return tuple(cell(entry.row, column, axis, several_devices=several) for column, axis in shown)

    return [
        MainTable(group.name, shown, tuple((entry, cells(entry)) for entry in group.entries))
        for group in groups(entries, failed=True)
    ]


def cell(row: Row, column: Column, axis: Axis | None = None, *, several_devices: bool = False) -> Cell:
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
    if column in _DIFFERENCES and row.get("model") == row.get("reference"):
        return Cell("reference", exact)
    value, lo, hi = float(exact), _number(row, f"{column.name}_lo"), _number(row, f"{column.name}_hi")
    interval = "" if lo is None or hi is None else f"{_text(lo, column)} – {_text(hi, column)}"
    bar = None
    if axis is not None:
        ends = (None, None) if lo is None or hi is None else (axis.place(lo), axis.place(hi))
        bar = Bar(axis.place(value), *ends)
    apart = several_devices and column.name in OF_THE_DEVICE
    return Cell(_text(value, column), exact, interval, bar, _beside(row, column), apart)


def _beside(row: Row, column: Column) -> str:
    """What is to be known of a number."""
    if column.name == "training_core_seconds":
        return row.get("training_precision", "")
    return _SOURCES.get(row.get("confidence_source", ""), "") if column.name == "confidence" else ""


_SOURCES = {"default": "default", "folds": "median of folds"}


def _why_empty(row: Row, column: Column) -> str:
    recall = _number(row, "recall")
    few = recall is not None and recall < LEAST_RECALL
    return f"recall < {LEAST_RECALL:g}" if few and column.name in POOLED_COLUMNS else ""


def rank_text(row: Row) -> str:
    """``3``, ``2–4`` where the ranks in between cannot be told apart, or empty."""
    best, worst = row.get("rank_lo", ""), row.get("rank_hi", "")
    return f"{best}–{worst}" if best and worst and best != worst else row.get("rank", "")


def _axis(column: Column, entries: Sequence[Entry]) -> Axis:
    names = (column.name, f"{column.name}_lo", f"{column.name}_hi")
    values = [value for entry in entries for name in names if (value := _number(entry.row, name)) is not None]
    low, high = min(0.0, *values), max(0.0, *values)
    if high - low < 1e-9:  # nothing but zeros
        high = 1.0
    step = 10 ** math.floor(math.log10(high - low)) / 2
    low, high = math.floor(low / step) * step, max(math.ceil(high / step) * step, step)
    zero = None if low == 0 else round(100 * -low / (high - low), 2)
    return Axis(low, high, _tick(low), _tick(high), zero)


def _tick(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _number(row: Row, name: str) -> float | None:
    text = row.get(name, "")
    return float(text) if text else None


def _text(value: float, column: Column) -> str:
    text = f"{value * column.factor:{'+' if column.signed else ''},.{column.digits}f}"
    return text.replace(",", "\u202f").replace("-", "−")
