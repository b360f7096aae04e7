"""Fig. 6: the training losses of each model, one panel for each part of the loss.

Losses of different networks are different quantities, so models share a panel only where their losses have the same
parts. The axis counts images, not epochs: every model of a preset has the same budget of them.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender, left_out
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.style import WIDTH, lettered, model_legend
from nanoseg_bench.models.run_files import HISTORY_FILE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (*IDENTITY, "seed", "epoch", "images_seen", "part", "loss")

_NOT_LOSSES = ("epoch", "images_seen", "learning_rate", "loss", "seconds")
_PARTS = {
    "loss": "Loss",
    "box": "Box loss",
    "seg": "Mask loss",
    "cls": "Class loss",
    "dfl": "Focal loss (DFL)",
    "dice": "Dice loss",
    "cross_entropy": "Cross entropy",
    "depth": "Depth loss",
    "loss_classifier": "Class loss",
    "loss_box_reg": "Box loss",
    "loss_mask": "Mask loss",
    "loss_objectness": "Objectness loss",
    "loss_rpn_box_reg": "Proposal box loss",
}
_MAX_COLUMNS = 4
_PANEL_HEIGHT, _LEGEND_LINE = 1.65, 0.2
_MARKERS = 8  # on a line

_Parts = tuple[str, ...]
_History = list[dict[str, float]]


def draw_losses(contenders: Sequence[Contender], runs: Path) -> Drawn:
    """Draw the losses of every run that has a history, one block of panels for each kind of loss.

    Args:
        contenders: In the leaderboard's order.
        runs: Folder of the runs of this prepared set.

    Raises:
        NothingToDrawError: No run has one.
    """
    names = [run.run_id for each in contenders for run in each.runs]
    histories = {name: _read_history(runs / name / HISTORY_FILE) for name in names}
    trained = [each for each in contenders if any(histories[run.run_id] for run in each.runs)]
    if not trained and any(run.test.folds for each in contenders for run in each.runs):
        raise NothingToDrawError(
            f"{runs}: a row of a cross-validation has as many trainings as folds, and none is shown"
        )
    if not trained:
        raise NothingToDrawError(
            f"{runs}: no run of these models has a {HISTORY_FILE}; give the folder of the runs with --runs"
        )
    # Seeds of one model may differ, too: an option of its recipe adds a part.
    families: dict[_Parts, list[Contender]] = {}
    for each in trained:
        for parts in dict.fromkeys(_parts(histories[run.run_id]) for run in each.runs if histories[run.run_id]):
            families.setdefault(parts, []).append(each)
    figure = _draw(families, histories)
    rows = [
        (*each.identity, run.seed, int(point["epoch"]), int(point["images_seen"]), part, point[part])
        for parts, members in families.items()
        for each in members
        for run in each.runs
        for point in _with_parts(histories[run.run_id], parts)
        for part in parts
    ]
    notes = left_out(contenders, trained, f"no {HISTORY_FILE} in the run's folder")
    return Drawn("loss", figure, COLUMNS, rows, notes)


def _read_history(path: Path) -> _History:
    """The epochs of a run; none where it did not train, or its folder is not here."""
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]
    except (ValueError, TypeError) as error:
        raise NothingToDrawError(f"{path}: cannot be read ({error}); run the model again") from error


def _parts(history: _History) -> _Parts:
    return tuple(name for name in history[0] if name not in _NOT_LOSSES) or ("loss",)


def _with_parts(history: _History, parts: _Parts) -> _History:
    """The history if its loss has these parts; else nothing."""
    return history if history and _parts(history) == parts else []


def _draw(families: dict[_Parts, list[Contender]], histories: dict[str, _History]) -> Figure:
    heights = []
    for parts, members in families.items():
        heights.append(-(-len(parts) // _MAX_COLUMNS) * _PANEL_HEIGHT + _LEGEND_LINE * (1 + len(members) // 3))
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained", facecolor="white")
    blocks = figure.subfigures(len(families), 1, height_ratios=heights, squeeze=False)[:, 0]
    number = 0
    for block, (parts, members) in zip(blocks, families.items(), strict=True):
        shown = {name: _with_parts(history, parts) for name, history in histories.items()}
        columns = min(len(parts), _MAX_COLUMNS)
        rows = -(-len(parts) // _MAX_COLUMNS)
        # Panels are as wide in every block: a family of two parts does not grow to half the page each.
        grid = list(block.subplots(rows, _MAX_COLUMNS, squeeze=False).flat)
        for axes in grid[len(parts) :]:
            axes.set_axis_off()
        for position, (axes, part) in enumerate(zip(grid, parts, strict=False)):
            _draw_part(axes, part, members, shown)
            axes.set_title(lettered(number, _PARTS.get(part, part)))
            if position % columns == 0:
                axes.set_ylabel("mean of the epoch")
            number += 1
        model_legend(block, members)
    return figure


def _draw_part(axes: "Axes", part: str, members: Sequence[Contender], histories: dict[str, _History]) -> None:
    for each in members:
        for order, run in enumerate(each.runs):
            points = histories[run.run_id]
            style: dict[str, Any] = {"marker": each.look.marker, "markersize": 3, "markeredgewidth": 0}
            axes.plot(
                [point["images_seen"] for point in points],
                [point[part] for point in points],
                color=each.look.colour,
                linestyle=each.look.linestyle,
                alpha=1.0 if order == 0 else 0.4,
                markevery=-(-len(points) // _MARKERS) or 1,
                **style,
            )
    axes.update_datalim([(0.0, 0.0)])
    axes.autoscale_view()
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("images seen")


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"
