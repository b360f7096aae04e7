"""Curves of the test set: precision against recall, and precision, recall and F1 against the confidence."""

from collections.abc import Sequence

from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender, left_out
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.style import lettered, model_legend, panels
from nanoseg_bench.leaderboard.line_charts import draw_curve
from nanoseg_bench.leaderboard.series import CURVES, curve
from nanoseg_bench.leaderboard.set_remarks import POOLED_CURVES, fold_count

COLUMNS = (*IDENTITY, "seed", "curve", "x", "y", "operating_point")

_HEIGHT = 2.5


def draw_curves(contenders: Sequence[Contender]) -> Drawn:
    """Draw precision-recall at IoU 0.50, and the three curves over the confidence with the operating points marked.

    Raises:
        NothingToDrawError: No record holds a curve.
    """
    rows = [
        (*each.identity, run.seed, name, index / (len(points) - 1), value, run.confidence)
        for each in contenders
        for run in each.runs
        for name in CURVES
        if (points := curve(run.test, name))
        for index, value in enumerate(points)
    ]
    if not rows:
        raise NothingToDrawError("no record holds curves; `nanoseg-bench score` makes new ones from the predictions")
    drawn = [each for each in contenders if any(curve(run.test, name) for run in each.runs for name in CURVES)]
    series = [row for each in drawn for row in each.series("test")]
    shown = [name for name in CURVES if any(curve(row.record, name) for row in series)]
    figure, grid = panels(len(shown), 2, _HEIGHT)
    for number, (axes, name) in enumerate(zip(grid, shown, strict=True)):
        draw_curve(axes, series, name)
        axes.set_title(lettered(number, CURVES[name]))
    model_legend(figure, drawn)
    notes = left_out(contenders, drawn, "no curves in their records")
    if fold_count([row.record for row in series]):
        notes += (POOLED_CURVES,)
    return Drawn("curves", figure, COLUMNS, rows, notes)
