"""Fig. 10: confusion matrices, one per model, with a background row and column."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nanoseg_bench.drawing.charts import INK, SOFT
from nanoseg_bench.evaluation.result import Confusion
from nanoseg_bench.leaderboard.figures.contenders import IDENTITY, Contender, left_out
from nanoseg_bench.leaderboard.figures.drawn import Drawn, NothingToDrawError
from nanoseg_bench.leaderboard.figures.style import COLUMN_WIDTH, SMALL_SIZE, TITLE_LINE, WIDTH, lettered, wrapped
from nanoseg_bench.wording import without_middle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BACKGROUND = "background"

COLUMNS = (*IDENTITY, "seed", "truth", "predicted", "count", "share_of_truth")

_NAMES = {"test": "confusion", "ood": "confusion-ood"}
_COLOURS = "Blues"
_CELL, _GAP, _FRAME_X, _FOOT = 0.42, 0.26, 1.1, 0.82  # inches
_MAX_COLUMNS = 4
_MAX_LETTERS = 12


def draw_confusions(contenders: Sequence[Contender], eval_set: str = "test") -> Drawn:
    """Draw what each model calls the particles of each class, at its operating point.

    A cell's colour and upper number are its share of its row, in percent; the number below is the count. The last
    column holds particles that were missed. The last row holds predictions where there is no particle; it has no share,
    since nobody knows how much background there is.

    Args:
        contenders: In the leaderboard's order; each is shown with its lowest seed.
        eval_set: ``test``, or ``ood``, whose rows are shapes that no model was trained on.

    Raises:
        NothingToDrawError: No record holds a matrix.
    """
    shown = [
        (each, confusion)
        for each in contenders
        if eval_set in each.first.records and (confusion := each.first.records[eval_set].details.confusion) is not None
    ]
    if not shown:
        raise NothingToDrawError(
            f"no record of the eval set {eval_set!r} holds a confusion matrix: models that know no classes have none, "
            "others get one by `nanoseg-bench score`"
        )
    figure = _draw(shown)
    rows = []
    for each, confusion in shown:
        shares = _shares(confusion)
        for row, truth in enumerate((*confusion.truth, BACKGROUND)):
            for column, predicted in enumerate((*confusion.predicted, BACKGROUND)):
                share = shares[row, column]
                cell = (truth, predicted, confusion.counts[row][column], None if np.isnan(share) else float(share))
                rows.append((*each.identity, each.first.seed, *cell))
    notes = left_out(contenders, [each for each, _ in shown], "no confusion matrix in their records")
    return Drawn(_NAMES[eval_set], figure, COLUMNS, rows, notes)


def _shares(confusion: Confusion) -> NDArray[np.float64]:
    """Each row as shares of its particles; NaN in a row without any, and in the row of the background."""
    counts = np.array(confusion.counts, dtype=np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.full_like(counts, np.nan)
    np.divide(counts, totals, out=shares, where=totals > 0)
    shares[-1] = np.nan
    return shares


def _draw(shown: Sequence[tuple[Contender, Confusion]]) -> Figure:
    across = max(len(confusion.predicted) for _, confusion in shown) + 1
    down = max(len(confusion.truth) for _, confusion in shown) + 1
    needed = across * _CELL + _GAP
    lines = math.ceil(len(shown) / min(_MAX_COLUMNS, max(int((WIDTH - _FRAME_X) / needed), 1)))
    columns = math.ceil(len(shown) / lines)  # so that four matrices are two by two, not three and one
    width = COLUMN_WIDTH if columns * needed + _FRAME_X <= COLUMN_WIDTH else WIDTH
    pitch = (width - _FRAME_X) / columns
    titles = [wrapped(lettered(number, each.label), pitch) for number, (each, _) in enumerate(shown)]
    title_height = TITLE_LINE * (1 + max(title.count("\n") for title in titles)) + 0.08
    row_height = title_height + down * _CELL + _FOOT
    height = row_height * lines
    # Placed by hand, so that cells are of one size in all figures and titles have the room up to the next matrix.
    figure = Figure(figsize=(width, height), facecolor="white")
    for number, (title, (_, confusion)) in enumerate(zip(titles, shown, strict=True)):
        row, column = divmod(number, columns)
        bottom = height - row * row_height - title_height - down * _CELL
        left, panel = _FRAME_X + column * pitch, (across * _CELL / width, down * _CELL / height)
        axes = figure.add_axes((left / width, bottom / height, *panel))
        _draw_matrix(axes, confusion, named=column == 0)
        axes.set_title(title)
    return figure


def _draw_matrix(axes: "Axes", confusion: Confusion, *, named: bool) -> None:
    """Draw one matrix; the rows are the same in all of them, and ``named`` in the first of a line."""
    shares = _shares(confusion)
    axes.set_facecolor("#f3f5f7")
    axes.imshow(shares, cmap=_COLOURS, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        count = confusion.counts[row][column]
        if row == len(confusion.truth) and column == len(confusion.predicted):
            continue  # background taken for background is no event
        colour = "white" if share > 0.55 else INK
        if np.isnan(share):
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=SMALL_SIZE, color=SOFT)
        else:
            axes.text(column, row - 0.13, f"{share:.0%}".replace("%", " %"), ha="center", va="center", color=colour)
            axes.text(column, row + 0.25, f"{count}", ha="center", va="center", fontsize=SMALL_SIZE, color=colour)
    predicted = [without_middle(name, _MAX_LETTERS) for name in (*confusion.predicted, BACKGROUND)]
    truth = [without_middle(name, _MAX_LETTERS) for name in (*confusion.truth, BACKGROUND)]
    axes.set_xticks(range(len(predicted)), predicted)
    axes.set_yticks(range(len(truth)), truth if named else [""] * len(truth))
    axes.tick_params(axis="x", rotation=35, length=0)
    axes.tick_params(axis="y", length=0)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth" if named else "")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(len(confusion.predicted)) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(confusion.truth)) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)
