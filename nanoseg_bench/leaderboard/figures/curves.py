"""Curves of the test set: precision against recall, and precision, recall and F1 against the confidence."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nanoseg_bench.evaluation.result import Numbers
from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender, ScoredRun
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.style import lettered, model_legend, panels
from nanoseg_bench.leaderboard.set_remarks import POOLED_CURVES, fold_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (*IDENTITY, "seed", "curve", "x", "y", "operating_point")

PRECISION_RECALL = "precision_against_recall"

_TITLES = {
    PRECISION_RECALL: "Precision and recall, any class",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}
_HEIGHT = 2.5


def draw_curves(contenders: Sequence[Contender]) -> Drawn:
    """Draw precision-recall at IoU 0.50, and the three curves over the confidence with the operating points marked.

    Raises:
        NothingToDrawError: No record holds a curve.
    """
    lines = [
        (each, run, name, points)
        for each in contenders
        for run in each.runs
        for name, points in _curves(run)
    ]  # fmt: skip
    if not lines:
        raise NothingToDrawError("no record holds curves; `nanoseg-bench score` makes new ones from the predictions")
    shown = [name for name in _TITLES if any(line[2] == name for line in lines)]
    figure, grid = panels(len(shown), 2, _HEIGHT)
    for number, (axes, name) in enumerate(zip(grid, shown, strict=True)):
        for each, run, _, points in (line for line in lines if line[2] == name):
            _draw_line(axes, each, run, name, points)
        _dress(axes, name)
        axes.set_title(lettered(number, _TITLES[name]))
    drawn = [each for each in contenders if any(line[0] is each for line in lines)]
    model_legend(figure, drawn)
    rows = [
        (*each.identity, run.seed, name, index / (len(points) - 1), value, run.confidence)
        for each, run, name, points in lines
        for index, value in enumerate(points)
    ]
    left_out = [each.label for each in contenders if each not in drawn]
    notes = [f"Without {', '.join(left_out)}: no curves in their records."] if left_out else []
    if fold_count([run.test for each in drawn for run in each.runs]):
        notes.append(POOLED_CURVES)
    return Drawn("curves", figure, COLUMNS, rows, tuple(notes))


def _curves(run: ScoredRun) -> Iterator[tuple[str, Numbers]]:
    details = run.test.details
    if details.precision_at_recall:
        yield PRECISION_RECALL, details.precision_at_recall
    if details.by_confidence is not None:
        yield "precision", details.by_confidence.precision
        yield "recall", details.by_confidence.recall
        yield "f1", details.by_confidence.f1


def _draw_line(axes: "Axes", contender: Contender, run: ScoredRun, name: str, points: Numbers) -> None:
    look = contender.look
    x = np.linspace(0.0, 1.0, len(points))
    y = np.array(points, dtype=np.float64)
    alpha = 1.0 if run is contender.first else 0.4
    if name == PRECISION_RECALL:
        # Precision is 0 from the recall on that is never reached: the line ends there.
        reached = max(int(np.count_nonzero(y)), 1)
        x, y = x[:reached], y[:reached]
    axes.plot(x, y, color=look.colour, linestyle=look.linestyle, alpha=alpha)
    if name != PRECISION_RECALL and run.confidence is not None:
        at = float(np.interp(run.confidence, x, np.nan_to_num(y)))
        axes.plot(
            run.confidence, at, marker=look.marker, color=look.colour, markersize=5.5, markeredgecolor="white",
            markeredgewidth=0.6, alpha=alpha, clip_on=False, zorder=3,
        )  # fmt: skip


def _dress(axes: "Axes", name: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid(visible=True)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.set_xlabel("recall (IoU 0.50)" if name == PRECISION_RECALL else "confidence (mark: operating point)")
    axes.set_ylabel("precision" if name == PRECISION_RECALL else f"{name.replace('f1', 'F1')} (IoU > 0.5)")
