"""The page and the figures are drawn from the same series, by the same functions."""

import numpy as np
import pytest

from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.comparability import comparable_records
from nanoseg_bench.leaderboard.entries import build_entries
from nanoseg_bench.leaderboard.figures.curves import draw_curves
from nanoseg_bench.leaderboard.page_charts import f1_chart, precision_recall_chart
from nanoseg_bench.leaderboard.palette import model_looks


def drawn(axes):
    """Places and look of the lines, from the lowest to the highest; markers are the page's and the figure's own."""
    return [(*line.get_xydata().T.tolist(), line.get_color(), line.get_alpha()) for line in axes.get_lines()]


@pytest.mark.parametrize(
    ("chart", "title"),
    [(precision_recall_chart, "(a) Precision and recall, any class"), (f1_chart, "(d) F1")],
)
def test_lines_and_operating_points(scored, contenders, tmp_path, chart, title):
    scored("unet", 2)
    scored("nsyolo", 1, seed=0)
    scored("nsyolo", 1, seed=1)
    records = comparable_records(tmp_path, "toy")
    table = build_tables(records)["test"]
    entries = build_entries(records, table, "test", model_looks(table["model"]))
    panels = {axes.get_title(loc="left") or axes.get_title(): axes for axes in draw_curves(contenders()).figure.axes}
    shown = drawn(chart(entries).axes[0])
    assert len(shown) == (3 if chart is precision_recall_chart else 6)
    assert shown == drawn(panels[title])


def test_a_precision_curve_ends_at_the_highest_recall(scored, contenders):
    details = scored("nsyolo", 3).details
    reached = np.flatnonzero(details.precision_at_recall).max()
    assert reached < 100
    (line,) = draw_curves(contenders()).figure.axes[0].get_lines()
    assert line.get_xdata()[-1] == pytest.approx(reached / 100)
