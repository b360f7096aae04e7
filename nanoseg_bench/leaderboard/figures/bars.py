"""Fig. 7: the metrics of each model on the test set as bars, with 95 % intervals where they were resampled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nanoseg_bench.drawing.charts import INK, SOFT
from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender, Measured
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.style import (
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_LINE,
    WIDTH,
    lettered,
    text_width,
    wrapped,
)
from nanoseg_bench.leaderboard.set_remarks import fold_count, shown_column
from nanoseg_bench.metrics.metric import Metric
from nanoseg_bench.metrics.table import in_order, metric
from nanoseg_bench.wording import minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (*IDENTITY, "seeds", "metric", "value", "lo", "hi")

_COLUMNS = 4
_BAR_HEIGHT, _PANEL_FRAME, _GAP = 0.2, 0.62, 0.15  # inches
_WIDEST_LABEL, _LABEL_LINE = 2.3, 0.13  # inches: longer names of rows are broken into lines of this height
_FROM_BAR = 3.0  # points, between a bar or whisker and its number
_UNMEASURED = "not measured"
_MOST = 0.6  # of a panel's width that a text may take
_PASSES = 40


@dataclass(frozen=True, slots=True)
class _Panel:
    """A metric and how it is written.

    Attributes:
        shown: The metric.
        title: Of the panel.
        axis: Label of its axis.
    """

    shown: Metric
    title: str
    axis: str


@dataclass(frozen=True, slots=True)
class _Beside:
    """A text beside a bar.

    Attributes:
        place: Of the bar, from the top.
        end: Where the bar or its whisker ends.
        text: A number, or that there is none.
        to_the_left: Which side of ``end`` it stands on.
    """

    place: int
    end: float
    text: str
    to_the_left: bool

    @property
    def inches(self) -> float:
        """How much room it needs beyond ``end``."""
        return text_width(self.text) * SMALL_SIZE / TEXT_SIZE + 2 * _FROM_BAR / 72


_PLACE_OF_AP = 100
"""Metrics with a lower ``Shown.figure`` stand before the average precisions."""

_ANY_CLASS = ", any class"


def draw_bars(contenders: Sequence[Contender], classes: Sequence[str]) -> Drawn:
    """Draw one panel per metric that any model has.

    With several seeds a bar is their mean, its whisker the interval of that mean, and the dots are the seeds. Of a
    cross-validation, AP is drawn as the mean over the folds, which ranks the table, and its axis says so.

    Args:
        contenders: In the leaderboard's order, which is from top to bottom.
        classes: Of the prepared set. With one, class-aware and class-agnostic AP are one number and are drawn once.

    Raises:
        NothingToDrawError: No model has any of the metrics.
    """
    folds = fold_count([run.test for each in contenders for run in each.runs])
    wanted = _panels(len(classes) == 1, folds)
    measured = {panel: [each.measured(panel.shown.name) for each in contenders] for panel in wanted}
    shown = [panel for panel in wanted if any(value is not None for value in measured[panel])]
    if not shown:
        raise NothingToDrawError("the records hold no metric of the test set; run `nanoseg-bench run` again")
    labels = [wrapped(each.label, _WIDEST_LABEL) for each in contenders]
    lines = [label.split("\n") for label in labels]
    pitch = (WIDTH - max(text_width(line) for each in lines for line in each)) / _COLUMNS
    titles = [wrapped(lettered(number, panel.title), pitch - _GAP) for number, panel in enumerate(shown)]
    bar_height = _BAR_HEIGHT + _LABEL_LINE * (max(map(len, lines)) - 1)
    height = len(contenders) * bar_height + _PANEL_FRAME + TITLE_LINE * max(title.count("\n") for title in titles)
    rows_of_panels = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(WIDTH, rows_of_panels * height), layout="constrained", facecolor="white")
    grid = list(figure.subplots(rows_of_panels, _COLUMNS, squeeze=False, sharey=True).flat)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    for number, (axes, panel) in enumerate(zip(grid, shown, strict=False)):
        _draw_panel(axes, panel, contenders, measured[panel], pitch - _GAP)
        axes.set_yticks(range(len(contenders)), labels)
        axes.set_title(titles[number])
    rows = [
        (*each.identity, len(each.runs), panel.shown.name, value.value, *(value.interval or (None, None)))
        for panel in shown
        for each, value in zip(contenders, measured[panel], strict=True)
        if value is not None
    ]
    return Drawn("bars", figure, COLUMNS, rows, _notes(contenders, shown, measured))


def _panels(one_class: bool, folds: int | None) -> list[_Panel]:
    """All panels that a figure may have, in order."""
    others = in_order(lambda shown: shown.figure)
    first = [each for each in others if (each.shown.figure or 0) < _PLACE_OF_AP]
    precisions = ("50_95_agnostic", "50_agnostic", "75_agnostic") if one_class else ("50_95", "50", "50_95_agnostic")
    return [
        *map(_panel, first),
        *(_panel_of_ap(f"map_{each}", one_class, folds) for each in precisions),
        *map(_panel, others[len(first) :]),
    ]


def _panel(shown: Metric) -> _Panel:
    title = shown.in_words
    axis = f"{shown.unit or 'share'}{', signed' if shown.signed else ''}"
    return _Panel(shown, f"{title[0].upper()}{title[1:]}", axis)


def _panel_of_ap(name: str, one_class: bool, folds: int | None) -> _Panel:
    """An AP as the table shows it: of a cross-validation the mean over the folds where there is one."""
    column = shown_column(name, folds)
    panel = _panel(metric(column))
    if one_class:
        panel = replace(panel, title=panel.title.removesuffix(_ANY_CLASS))
    return replace(panel, axis="pooled" if column == name else f"mean of {folds} folds") if folds else panel


def _notes(
    contenders: Sequence[Contender], shown: Sequence[_Panel], measured: dict[_Panel, list[Measured | None]]
) -> tuple[str, ...]:
    notes = []
    for each, values in zip(contenders, zip(*(measured[panel] for panel in shown), strict=True), strict=True):
        missing = [panel.shown.name for panel, value in zip(shown, values, strict=True) if value is None]
        if missing:
            notes.append(f"{each.label}: not measured: {', '.join(missing)}.")
    return tuple(notes)


def _draw_panel(
    axes: "Axes", panel: _Panel, contenders: Sequence[Contender], values: Sequence[Measured | None], width: float
) -> None:
    ends, beside = [0.0], []
    for place, (each, value) in enumerate(zip(contenders, values, strict=True)):
        if value is None:
            continue
        shown = value.value * panel.shown.factor
        low, high = (shown, shown) if value.interval is None else (end * panel.shown.factor for end in value.interval)
        axes.barh(place, shown, 0.66, color=each.look.colour, alpha=0.75, linewidth=0)
        if value.interval is not None:
            axes.plot((low, high), (place, place), color=INK, linewidth=0.9, marker="|", markersize=3.5)
        if len(value.seeds) > 1:
            seeds = [seed * panel.shown.factor for seed in value.seeds]
            axes.plot(seeds, [place] * len(seeds), "o", color="white", markeredgecolor=INK, markeredgewidth=0.6, ms=2.4)
            low, high = min(low, *seeds), max(high, *seeds)
        ends += [low, high, shown]
        # Beyond the bar and its whisker, which may reach over zero.
        negative = shown < 0
        number = minus(f"{shown:.{panel.shown.digits}f}")
        beside.append(_Beside(place, min(low, shown) if negative else max(high, shown), number, negative))
    lowest, highest = min(ends), max(ends)
    for place, value in enumerate(values):
        if value is None:
            beside.append(_Beside(place, 0.0, _UNMEASURED, to_the_left=-lowest > highest))
    for text in beside:
        unmeasured = text.text == _UNMEASURED
        axes.annotate(
            text.text, (text.end, text.place), (-_FROM_BAR if text.to_the_left else _FROM_BAR, 0),
            textcoords="offset points", va="center", ha="right" if text.to_the_left else "left", fontsize=SMALL_SIZE,
            color=SOFT if unmeasured else INK, style="italic" if unmeasured else "normal",
        )  # fmt: skip
    _set_limits(axes, lowest, highest, beside, width)
    axes.set_ylim(len(contenders) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=SOFT, linewidth=0.7)
    axes.grid(axis="x")
    axes.set_xlabel(panel.axis)


def _set_limits(axes: "Axes", lowest: float, highest: float, beside: Sequence[_Beside], width: float) -> None:
    """From zero, with room for every text beside its bar, but without ticks where no value lies."""
    span = highest - lowest
    if span < 1e-9:  # nothing but zeros
        span, highest = 1.0, 1.0
    low, high = lowest, highest
    # Texts keep their width in inches while the axis becomes longer; each pass takes a share of what is lacking.
    for _ in range(_PASSES):
        shares = [(each, (high - low) * min(each.inches / width, _MOST)) for each in beside]
        low = min([lowest, *(each.end - share for each, share in shares if each.to_the_left)])
        high = max([highest, *(each.end + share for each, share in shares if not each.to_the_left)])
    axes.set_xlim(low, high)
    ticks = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(lowest, lowest + span)
    slack = 0.05 * span
    axes.set_xticks([tick for tick in ticks if max(low, lowest - slack) <= tick <= min(high, highest + 3 * slack)])
