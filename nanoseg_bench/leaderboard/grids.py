"""The page's coloured tables: confusion, classes, modalities, new shapes, corruptions.

They are tables of HTML, so names in any script are drawn by the browser, and a screen reader reads the numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nanoseg_bench.evaluation.corruptions.table import CORRUPTIONS
from nanoseg_bench.evaluation.ood import OOD_CONFIDENCES, OOD_SHAPES
from nanoseg_bench.leaderboard.entries import LeaderboardRow, number, run_of
from nanoseg_bench.leaderboard.ranks import PRIMARY
from nanoseg_bench.metrics.table import metric
from nanoseg_bench.runs.record import Record
from nanoseg_bench.wording import counted, minus, thousands_apart

GOOD, BAD = "#0b5394", "#9a3412"
"""Ends of the two scales, which begin in white: for what should be large, and for what should be small."""

_CORRUPTED = PRIMARY["robustness"]

_ENDS = {"higher": GOOD, "lower": BAD}

BACKGROUND = "background"

_INKS = ("#000000", "#ffffff")  # one of the two has a contrast of 4.5 at least on any ground


@dataclass(frozen=True, slots=True)
class Shade:
    """Ground of a cell, and the text colour that is readable on it."""

    ground: str
    ink: str


@dataclass(frozen=True, slots=True)
class GridCell:
    """What stands in a cell.

    Attributes:
        text: Empty where not measured.
        exact: Rows are sorted by it.
        below: Smaller, in a second line.
        shade: None leaves the cell white.
    """

    text: str
    exact: str = ""
    below: str = ""
    shade: Shade | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A coloured table.

    Attributes:
        headings: One per column.
        rows: An entry with its cells.
        spans: Upper headings with the number of columns below each; empty for one line of headings.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[LeaderboardRow, tuple[GridCell, ...]], ...]
    spans: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix; the last row and column are background.

    Attributes:
        entry: Whose.
        predicted: Headings of the columns.
        rows: True class with its cells: the count, and below it the share of the row.
    """

    entry: LeaderboardRow
    predicted: tuple[str, ...]
    rows: tuple[tuple[str, tuple[GridCell, ...]], ...]


def shade(share: float, end: str) -> Shade:
    """The colour at ``share`` of the way from white to ``end``; beyond 0 and 1 the ends themselves."""
    share = min(max(share, 0.0), 1.0)
    channels = [round(255 + share * (int(end[at : at + 2], 16) - 255)) for at in (1, 3, 5)]
    ground = "#{:02x}{:02x}{:02x}".format(*channels)
    return Shade(ground, max(_INKS, key=lambda ink: contrast(ink, ground)))


def contrast(first: str, second: str) -> float:
    """Contrast of two colours by WCAG 2, from 1 to 21."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def class_grid(entries: Sequence[LeaderboardRow]) -> Grid | None:
    """AP of each class; None where no row knows classes, or all know one only, whose AP is that of the row."""
    truth: dict[str, int] = {}
    for entry in entries:
        for name, result in entry.record.details.classes.items():
            truth.setdefault(name, result.instances_truth)
    if len(truth) < 2:
        return None

    def scores(entry: LeaderboardRow) -> list[float | None]:
        known = entry.record.details.classes
        return [known[name].map_50_95 if name in known else None for name in truth]

    values = [(entry, scores(entry)) for entry in entries]
    return Grid(tuple(f"{name} ({count})" for name, count in truth.items()), _shaded(values, "map_50_95", _share))


def modality_grid(entries: Sequence[LeaderboardRow], further: Sequence[Record] = ()) -> Grid | None:
    """AP of the images of each modality, with F1 below; None where nobody said how the images were taken.

    Args:
        entries: Of the test set.
        further: Records of the same runs on modalities that the test set does not show.
    """
    also = {run_of(record): record.details.modalities for record in further}
    modalities = {id(entry): entry.record.details.modalities | also.get(run_of(entry.record), {}) for entry in entries}
    images: dict[str, float | None] = {}
    for entry in entries:
        for name, scores in modalities[id(entry)].items():
            images.setdefault(name, scores.get("images"))
    if not images:
        return None

    def column(entry: LeaderboardRow, score: str) -> list[float | None]:
        return [modalities[id(entry)].get(name, {}).get(score) for name in images]

    below = {id(entry): column(entry, "f1") for entry in entries}
    values = [(entry, column(entry, "map_50_95_agnostic")) for entry in entries]
    rows = tuple(
        (entry, tuple(_with_f1(cell, f1) for cell, f1 in zip(cells, below[id(entry)], strict=True)))
        for entry, cells in _shaded(values, "map_50_95_agnostic", _share)
    )
    headings = tuple(name if count is None else f"{name} ({count:.0f})" for name, count in images.items())
    return Grid(headings, rows)


def ood_grid(entries: Sequence[LeaderboardRow]) -> Grid:
    """Detection rates of new shapes by smallest confidence."""
    spans, headings, names = [], [], []
    for shape in (*OOD_SHAPES, None):
        stem = "detection_rate" if shape is None else f"detection_rate_{shape}"
        used = [
            (suffix, least)
            for suffix, least in OOD_CONFIDENCES.items()
            if any(entry.row.get(stem + suffix) for entry in entries)
        ]
        # The one without a threshold last: few models need it.
        used.sort(key=lambda each: (each[1] is None, each[1] or 0.0))
        if used:
            spans.append((shape or "all shapes", len(used)))
            headings += ["any score" if least is None else f"≥ {least:g}" for _, least in used]
            names += [stem + suffix for suffix, _ in used]
    values = [(entry, [number(entry.row, name) for name in names]) for entry in entries]
    return Grid(tuple(headings), _shaded(values, "detection_rate", _percent, end=1.0), tuple(spans))


def robustness_grid(entries: Sequence[LeaderboardRow]) -> Grid:
    """Share of the clean AP that each corruption costs, as a mean over its severities."""
    used = [
        corruption
        for corruption in CORRUPTIONS
        if any(entry.row.get(_degradation(corruption.name)) for entry in entries)
    ]
    lost = [
        (entry, [number(entry.row, name) for name in ("degradation", *(_degradation(each.name) for each in used))])
        for entry in entries
    ]
    several = len({entry.record.images for entry in entries}) > 1
    rows = tuple(
        (
            entry,
            (
                _plain(
                    number(entry.row, "map_50_95_agnostic_clean"),
                    counted(entry.record.images, "image") if several else "",
                ),
                _with_interval(_plain(number(entry.row, _CORRUPTED)), entry, _CORRUPTED, _share),
                _with_interval(mean, entry, "degradation", _percent),
                *cells,
            ),
        )
        for entry, (mean, *cells) in _shaded(lost, "degradation", _percent, end=1.0)
    )
    clean, corrupted = (metric(f"map_50_95_agnostic_{each}").heading for each in ("clean", "corrupted"))
    headings = (clean, corrupted, "mean", *(corruption.title for corruption in used))
    return Grid(headings, rows, (("AP any class", 2), ("loss of AP by corruption, %", 1 + len(used))))


def confusion_grid(entry: LeaderboardRow) -> Matrix | None:
    """The entry's confusion matrix, shaded by the share of its row; None where it has none.

    Predictions without a particle, the last row, have no share: nobody knows how much background there is.
    """
    confusion = entry.record.details.confusion
    if confusion is None:
        return None
    *classes, invented = confusion.counts
    rows = [(name, _confused(counts)) for name, counts in zip(confusion.truth, classes, strict=True)]
    cells = (*(GridCell(thousands_apart(count), str(count)) for count in invented[:-1]), GridCell(""))
    return Matrix(entry, (*confusion.predicted, BACKGROUND), (*rows, (BACKGROUND, cells)))


def _confused(counts: Sequence[int]) -> tuple[GridCell, ...]:
    total = sum(counts)
    if total == 0:
        return tuple(GridCell(thousands_apart(count), str(count)) for count in counts)
    return tuple(
        GridCell(thousands_apart(count), str(count), f"{100 * count / total:.0f} %", shade(count / total, GOOD))
        for count in counts
    )


def _degradation(corruption: str) -> str:
    return f"degradation_{corruption.replace('-', '_')}"


def _shaded(
    values: Sequence[tuple[LeaderboardRow, Sequence[float | None]]],
    name: str,
    write: Callable[[float], str],
    end: float | None = None,
) -> tuple[tuple[LeaderboardRow, tuple[GridCell, ...]], ...]:
    """Cells shaded from white at 0 to a colour at ``end``, the largest value by default.

    Args:
        values: Of each row.
        name: Metric that they are; whether it should be large or small decides the colour.
        write: A value as text.
        end: Value of the full colour.
    """
    colour = _ENDS[metric(name).better]
    most = end or max((value for _, row in values for value in row if value is not None), default=0.0) or 1.0
    return tuple(
        (
            entry,
            tuple(
                GridCell("")
                if value is None
                else GridCell(write(value), f"{value:.6f}", shade=shade(value / most, colour))
                for value in row
            ),
        )
        for entry, row in values
    )


def _with_f1(cell: GridCell, f1: float | None) -> GridCell:
    if not cell.text:
        return cell
    return replace(cell, below="" if f1 is None else f"F1 {_share(f1)}")


def _with_interval(cell: GridCell, entry: LeaderboardRow, name: str, write: Callable[[float], str]) -> GridCell:
    low, high = number(entry.row, f"{name}_lo"), number(entry.row, f"{name}_hi")
    if low is None or high is None:
        return cell
    return replace(cell, below=f"[{write(low)}, {write(high)}]")


def _plain(value: float | None, below: str = "") -> GridCell:
    return GridCell("") if value is None else GridCell(_share(value), f"{value:.6f}", below)


def _share(value: float) -> str:
    return f"{value:.3f}"


def _percent(value: float) -> str:
    return minus(f"{100 * value:.0f}")


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
