"""Fig. 7: the metrics of each model on the test set as bars, with 95 % intervals where they were resampled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nanoseg_bench.html.charts import INK, SOFT
from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender, Measured
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.style import SMALL_SIZE, TITLE_LINE, WIDTH, lettered, minus, text_width, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (*IDENTITY, "seeds", "metric", "value", "lo", "hi")

_COLUMNS = 4
_BAR_HEIGHT, _PANEL_FRAME, _GAP = 0.2, 0.62, 0.15  # inches


@dataclass(frozen=True, slots=True)
class _Panel:
    """A metric and how it is written.

    Attributes:
        metric: Column of the leaderboard.
        title: Of the panel.
        axis: Label of its axis.
        factor: What the values are multiplied with for display.
        digits: Behind the point.
    """

    metric: str
    title: str
    axis: str = "share"
    factor: float = 1.0
    digits: int = 3


_AT_OPERATING_POINT = (
    _Panel("precision", "Precision"),
    _Panel("recall", "Recall"),
    _Panel("f1", "F1"),
    _Panel("iou_pixel", "Pixel IoU"),
)
_SEVERAL_CLASSES = (
    _Panel("map_50_95", "mAP50–95"),
    _Panel("map_50", "mAP50"),
    _Panel("map_50_95_agnostic", "AP50–95, any class"),
)
_ONE_CLASS = (
    _Panel("map_50_95_agnostic", "AP50–95"),
    _Panel("map_50_agnostic", "AP50"),
    _Panel("map_75_agnostic", "AP75"),
)
_PHYSICS = (
    _Panel("pq", "PQ"),
    _Panel("count_error_relative", "Count error", "%, signed", 100, 1),
    _Panel("diameter_median_error_relative", "Median diameter", "error in %, signed", 100, 1),
    _Panel("diameter_w1_px", "Diameters, W1", "px", 1, 1),
    _Panel("diameter_w1_nm", "Diameters, W1", "nm", 1, 1),
)


def draw_bars(contenders: Sequence[Contender], classes: Sequence[str]) -> Drawn:
    """Draw one panel per metric that any model has.

    With several seeds a bar is their mean, its whisker the interval of that mean, and the dots are the seeds.

    Args:
        contenders: In the leaderboard's order, which is from top to bottom.
        classes: Of the prepared set. With one, class-aware and class-agnostic AP are one number and are drawn once.

    Raises:
        NothingToDrawError: No model has any of the metrics.
    """
    wanted = (*_AT_OPERATING_POINT, *(_ONE_CLASS if len(classes) == 1 else _SEVERAL_CLASSES), *_PHYSICS)
    measured = {panel: [each.measured(panel.metric) for each in contenders] for panel in wanted}
    shown = [panel for panel in wanted if any(value is not None for value in measured[panel])]
    if not shown:
        raise NothingToDrawError("the records hold no metric of the test set; run `nanoseg-bench run` again")
    pitch = (WIDTH - max(text_width(each.label) for each in contenders)) / _COLUMNS
    titles = [wrapped(lettered(number, panel.title), pitch - _GAP) for number, panel in enumerate(shown)]
    height = len(contenders) * _BAR_HEIGHT + _PANEL_FRAME + TITLE_LINE * max(title.count("\n") for title in titles)
    rows_of_panels = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(WIDTH, rows_of_panels * height), layout="constrained", facecolor="white")
    grid = list(figure.subplots(rows_of_panels, _COLUMNS, squeeze=False, sharey=True).flat)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    for number, (axes, panel) in enumerate(zip(grid, shown, strict=False)):
        _draw_panel(axes, panel, contenders, measured[panel])
        axes.set_title(titles[number])
    rows = [
        (*each.identity, len(each.runs), panel.metric, value.value, *(value.interval or (None, None)))
        for panel in shown
        for each, value in zip(contenders, measured[panel], strict=True)
        if value is not None
    ]
    return Drawn("bars", figure, COLUMNS, rows, _notes(contenders, shown, measured))


def _notes(
    contenders: Sequence[Contender], shown: Sequence[_Panel], measured: dict[_Panel, list[Measured | None]]
) -> tuple[str, ...]:
    notes = []
    for each, values in zip(contenders, zip(*(measured[panel] for panel in shown), strict=True), strict=True):
        missing = [panel.metric for panel, value in zip(shown, values, strict=True) if value is None]
        if missing:
            notes.append(f"{each.label}: not measured: {', '.join(missing)}.")
    return tuple(notes)


def _draw_panel(
    axes: "Axes", panel: _Panel, contenders: Sequence[Contender], values: Sequence[Measured | None]
) -> None:
    ends = [0.0]
    for place, (each, value) in enumerate(zip(contenders, values, strict=True)):
        if value is None:
            axes.text(0.0, place, " not measured", va="center", color=SOFT, fontsize=SMALL_SIZE, style="italic")
            continue
        shown = value.value * panel.factor
        low, high = (shown, shown) if value.interval is None else (end * panel.factor for end in value.interval)
        axes.barh(place, shown, 0.66, color=each.look.colour, alpha=0.75, linewidth=0)
        if value.interval is not None:
            axes.plot((low, high), (place, place), color=INK, linewidth=0.9, marker="|", markersize=3.5)
        if len(value.seeds) > 1:
            seeds = [seed * panel.factor for seed in value.seeds]
            axes.plot(seeds, [place] * len(seeds), "o", color="white", markeredgecolor=INK, markeredgewidth=0.6, ms=2.4)
            low, high = min(low, *seeds), max(high, *seeds)
        ends += [low, high, shown]
        negative = shown < 0
        axes.annotate(
            minus(f"{shown:.{panel.digits}f}"), (min(low, shown) if negative else max(high, shown), place),
            (-3 if negative else 3, 0), textcoords="offset points", va="center", ha="right" if negative else "left",
            fontsize=SMALL_SIZE, color=INK,
        )  # fmt: skip
    _set_limits(axes, min(ends), max(ends))
    axes.set_ylim(len(contenders) - 0.4, -0.6)
    axes.set_yticks(range(len(contenders)), [each.label for each in contenders])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=SOFT, linewidth=0.7)
    axes.grid(axis="x")
    axes.set_xlabel(panel.axis)


def _set_limits(axes: "Axes", lowest: float, highest: float) -> None:
    """From zero, with room for the numbers beside the bars, but without ticks where no value lies."""
    span = highest - lowest
    if span < 1e-9:  # nothing but zeros
        span, highest = 1.0, 0.0
    room = 0.42 * span
    axes.set_xlim(lowest - room if lowest < 0 else 0.0, highest + room if highest > 0 or lowest == 0 else 0.1 * span)
    ticks = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(lowest, lowest + span)
    axes.set_xticks([tick for tick in ticks if lowest - 0.05 * span <= tick <= highest + 0.15 * span])
