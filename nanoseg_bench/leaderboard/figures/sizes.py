"""Size distributions: what each model's particles do to the diameters that one would publish."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from nanoseg_bench.drawing.charts import INK, SOFT
from nanoseg_bench.evaluation.result import Diameters
from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender, left_out
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.style import SMALL_SIZE, WIDTH, lettered, panels, wrapped
from nanoseg_bench.leaderboard.line_charts import draw_diameters, label_diameters
from nanoseg_bench.leaderboard.series import array
from nanoseg_bench.wording import minus, thousands_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (*IDENTITY, "seed", "unit", "percentile", "diameter_truth", "diameter_predicted")

_COLUMNS = 3
_HEIGHT = 2.2
_ABOUT_HEIGHT = 22  # points, of the two lines above a panel
_MARGIN = 1.12  # beyond the smallest and the largest diameter, as a factor


def draw_sizes(contenders: Sequence[Contender]) -> Drawn:
    """Draw one panel per model: the share of particles below each diameter, truth against model.

    Diameters are in nm where the scale of every image is known, else in px; the CSV has both where there are both.

    Each model is shown with its lowest seed, at its operating point; particles at the border are left out on both
    sides.

    Raises:
        NothingToDrawError: No record holds diameters.
    """
    measured = [
        (each, diameters) for each in contenders for diameters in each.first.test.details.diameters if diameters.truth
    ]
    if not measured:
        raise NothingToDrawError("no record holds diameters; `nanoseg-bench score` makes new ones from the predictions")
    unit = _common_unit([diameters for _, diameters in measured])
    shown = [(each, diameters) for each, diameters in measured if diameters.unit == unit]
    limits = _range([diameters for _, diameters in shown])
    figure, grid = panels(len(shown), _COLUMNS, _HEIGHT)
    for number, (axes, (each, diameters)) in enumerate(zip(grid, shown, strict=True)):
        _draw_panel(axes, each, diameters, limits)
        axes.set_title(wrapped(lettered(number, each.label), 0.9 * WIDTH / _COLUMNS), pad=_ABOUT_HEIGHT)
        if number % _COLUMNS == 0:
            axes.set_ylabel("particles below, %")
    figure.legend(
        handles=[
            Line2D([], [], color=INK, linewidth=2.4, alpha=0.55, label="truth"),
            Line2D([], [], color=SOFT, linewidth=1.3, label="model, at its operating point (own colour)"),
        ],
        loc="outside upper left",
        ncols=2,
    )
    rows = [
        (*each.identity, each.first.seed, diameters.unit, percentile, truth, predicted)
        for each, diameters in measured
        for percentile, (truth, predicted) in enumerate(_pairs(diameters))
    ]
    notes = left_out(contenders, [each for each, _ in measured], "no diameters in their records")
    return Drawn("sizes", figure, COLUMNS, rows, notes)


def _common_unit(measured: Sequence[Diameters]) -> str:
    """``nm`` where it covers all particles that ``px`` covers."""
    particles = {unit: sum(each.truth_count for each in measured if each.unit == unit) for unit in ("nm", "px")}
    return "nm" if particles["nm"] >= particles["px"] else "px"


def _pairs(diameters: Diameters) -> list[tuple[float | None, float | None]]:
    """Truth and prediction by percentile; a model that found nothing has none."""
    count = max(len(diameters.truth), len(diameters.predicted))
    truth, predicted = ((*values, *[None] * (count - len(values))) for values in (diameters.truth, diameters.predicted))
    return list(zip(truth, predicted, strict=True))


def _range(all_diameters: Sequence[Diameters]) -> tuple[float, float]:
    values = np.concatenate([array(part) for each in all_diameters for part in (each.truth, each.predicted)])
    return float(values.min()) / _MARGIN, float(values.max()) * _MARGIN


def _draw_panel(axes: "Axes", contender: Contender, diameters: Diameters, limits: tuple[float, float]) -> None:
    draw_diameters(axes, diameters.truth, color=INK, linewidth=2.4, alpha=0.55)
    draw_diameters(axes, diameters.predicted, color=contender.look.colour)
    label_diameters(axes, diameters.unit, limits)
    axes.annotate(
        _about(contender, diameters), (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
        ha="left", va="bottom", fontsize=SMALL_SIZE, color=SOFT, linespacing=1.2,
    )  # fmt: skip


def _about(contender: Contender, diameters: Diameters) -> str:
    """Two lines: how many particles, and by how much their diameters differ."""
    found, there = map(thousands_apart, (diameters.predicted_count, diameters.truth_count))
    truth, predicted = array(diameters.truth), array(diameters.predicted)
    differences = []
    if diameters.predicted:
        differences.append(f"median {minus(f'{np.median(predicted) / np.median(truth) - 1:+.1%}')}".replace("%", " %"))
    distance = contender.first.test.scores.get(f"diameter_w1_{diameters.unit}")
    if distance is not None:
        differences.append(f"W1 {distance:.3g} {diameters.unit}")
    return f"{found} particles, truth {there}\n{', '.join(differences)}"
