"""Robustness: the class-agnostic AP of each model as the images become worse, one panel per corruption."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nanoseg_bench.evaluation.corruptions.table import CORRUPTIONS
from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender, ScoredRun
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.style import lettered, model_legend, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRIC = "map_50_95_agnostic"

COLUMNS = (*IDENTITY, "seed", "corruption", "severity", METRIC)

_EVAL_SET = "robustness"
_COLUMNS = 4
_HEIGHT = 1.65

_Line = tuple[Contender, ScoredRun, tuple[float | None, ...]]


def draw_robustness(contenders: Sequence[Contender]) -> Drawn:
    """Draw the AP at severity 0 (the images as they are) to 5 of each corruption.

    Raises:
        NothingToDrawError: No model was scored on corrupted images.
    """
    lines: dict[str, list[_Line]] = {}
    for each in contenders:
        for run in each.runs:
            for corruption, scores in _by_severity(run).items():
                lines.setdefault(corruption, []).append((each, run, scores))
    if not lines:
        raise NothingToDrawError(
            f"no record of the eval set {_EVAL_SET!r}; `nanoseg-bench run` makes it where it is asked for"
        )
    titles = {corruption.name: corruption.title for corruption in CORRUPTIONS}
    names = [name for name in titles if name in lines] + sorted(name for name in lines if name not in titles)
    figure, grid = panels(len(names), _COLUMNS, _HEIGHT, sharex=True, sharey=True)
    for number, (axes, name) in enumerate(zip(grid, names, strict=True)):
        for each, run, scores in lines[name]:
            _draw_line(axes, each, run, scores)
        axes.set_title(lettered(number, titles.get(name, name)))
        axes.grid(visible=True)
        axes.set_xticks(range(6), ["clean", *"12345"])
        axes.tick_params(labelbottom=True)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("severity")
        if number % _COLUMNS == 0:
            axes.set_ylabel("AP50–95, any class")
    drawn = [each for each in contenders if any(line[0] is each for group in lines.values() for line in group)]
    model_legend(figure, drawn)
    rows = [
        (*each.identity, run.seed, name, severity, score)
        for name in names
        for each, run, scores in lines[name]
        for severity, score in enumerate(scores)
    ]
    left_out = [each.label for each in contenders if each not in drawn]
    notes = (f"Without {', '.join(left_out)}: not scored on corrupted images.",) if left_out else ()
    return Drawn("robustness", figure, COLUMNS, rows, notes)


def _by_severity(run: ScoredRun) -> dict[str, tuple[float | None, ...]]:
    """AP at severity 0, 1, ... of each corruption."""
    record = run.records.get(_EVAL_SET)
    if record is None:
        return {}
    clean = record.scores.get(f"{METRIC}_clean")
    return {
        name: (clean, *(scores.get(METRIC) for scores in severities))
        for name, severities in record.details.corruptions.items()
    }


def _draw_line(axes: "Axes", contender: Contender, run: ScoredRun, scores: tuple[float | None, ...]) -> None:
    look = contender.look
    axes.plot(
        np.arange(len(scores)),
        np.array(scores, dtype=np.float64),
        color=look.colour,
        linestyle=look.linestyle,
        marker=look.marker,
        markersize=3.2,
        markeredgewidth=0,
        alpha=1.0 if run is contender.first else 0.4,
    )
