"""Robustness: the class-agnostic AP of each model as the images become worse, one panel per corruption."""

from collections.abc import Sequence

from nanoseg_bench.evaluation.corruptions.table import CORRUPTIONS
from nanoseg_bench.evaluation.robustness import ROBUSTNESS
from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender, left_out
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.style import lettered, model_legend, panels
from nanoseg_bench.leaderboard.line_charts import draw_severities
from nanoseg_bench.leaderboard.series import AP_UNDER_CORRUPTION, by_severity

COLUMNS = (*IDENTITY, "seed", "corruption", "severity", AP_UNDER_CORRUPTION)

_COLUMNS = 4
_HEIGHT = 1.65


def draw_robustness(contenders: Sequence[Contender]) -> Drawn:
    """Draw the AP at severity 0 (the images as they are) to 5 of each corruption.

    Raises:
        NothingToDrawError: No model was scored on corrupted images.
    """
    measured = [
        (each, row, scores)
        for each in contenders
        for row in each.series(ROBUSTNESS)
        if (scores := by_severity(row.record))
    ]
    if not measured:
        raise NothingToDrawError(f"no record of the eval set {ROBUSTNESS!r}; `nanoseg-bench run --robustness` makes it")
    titles = {corruption.name: corruption.title for corruption in CORRUPTIONS}
    found = {name for _, _, scores in measured for name in scores}
    names = [name for name in titles if name in found] + sorted(found - titles.keys())
    figure, grid = panels(len(names), _COLUMNS, _HEIGHT, sharex=True, sharey=True)
    for number, (axes, name) in enumerate(zip(grid, names, strict=True)):
        draw_severities(axes, [row for _, row, _ in measured], name)
        axes.set_title(lettered(number, titles.get(name, name)))
        axes.tick_params(labelbottom=True)
        if number % _COLUMNS == 0:
            axes.set_ylabel("AP50–95, any class")
    drawn = list(dict.fromkeys(each for each, _, _ in measured))
    model_legend(figure, drawn)
    rows = [
        (*each.identity, row.record.seed, name, severity, score)
        for name in names
        for each, row, scores in measured
        for severity, score in enumerate(scores.get(name, ()))
    ]
    notes = left_out(contenders, drawn, "not scored on corrupted images")
    judged_on = {each.label: row.record.images for each, row, _ in measured}
    if len(set(judged_on.values())) > 1:
        told = "; ".join(f"{label}: {number}" for label, number in judged_on.items())
        notes += (f"Judged on different numbers of images, so lines do not compare: {told}.",)
    return Drawn("robustness", figure, COLUMNS, rows, notes)
