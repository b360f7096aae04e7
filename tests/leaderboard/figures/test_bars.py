import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation

from nanoseg_bench.leaderboard.figures.bars import draw_bars
from nanoseg_bench.leaderboard.figures.style import figure_style

COUNTS = ({"one": -0.905, "two": -0.021, "three": None}, {"one": -0.5, "two": 0.48}, {"one": 2.5, "two": -0.007})


@pytest.fixture
def drawn(make_record, keep_records, contenders, tmp_path):
    def draw(counts, presets=("quick",)):
        for model, preset in itertools.product(counts, presets):
            scores = {"map_50_95": 0.5, "map_50_95_agnostic": 0.5, "f1": 0.99, "count_error_relative": counts[model]}
            keep_records(tmp_path, make_record(model, preset=preset, scores=scores))
        with figure_style():
            figure = draw_bars(contenders(), ("particle",)).figure
            FigureCanvasAgg(figure).draw()
            yield figure

    return lambda *arguments: next(draw(*arguments))


def texts(axes):
    return [each for each in axes.texts if isinstance(each, Annotation)]


@pytest.mark.parametrize("counts", COUNTS)
def test_numbers_stay_in_their_panels(drawn, counts):
    figure = drawn(counts)
    panels = [axes for axes in figure.axes if texts(axes)]
    assert len(panels) == 3
    for axes in panels:
        frame = axes.get_window_extent()
        assert len(texts(axes)) == len(counts)
        for text in texts(axes):
            box = text.get_window_extent()
            assert frame.x0 - 2 <= box.x0 and box.x1 <= frame.x1 + 2, text.get_text()


def test_long_names_of_rows_are_whole_and_leave_the_panels_their_room(drawn):
    figure = drawn(COUNTS[1], ("quick", "quick+augmentation.mosaic=0.3+canvas=320+epochs=50"))
    labels = figure.axes[0].get_yticklabels()
    assert any("\n" in label.get_text() for label in labels)
    boxes = [label.get_window_extent() for label in labels]
    assert min(box.x0 for box in boxes) >= 0
    for upper, lower in itertools.pairwise(sorted(boxes, key=lambda box: -box.y0)):
        assert lower.y1 <= upper.y0 + 1
    assert all(axes.get_window_extent().width > 0.1 * figure.bbox.width for axes in figure.axes)


@pytest.mark.parametrize(("classes", "pooled"), [(("cube", "rod"), 0), (("particle",), 1)])
def test_the_axis_says_what_an_ap_of_folds_is(classes, pooled, make_record, keep_records, contenders, tmp_path):
    scores = {f"map_{at}{any_class}": 0.3 for at in ("50_95", "50", "75") for any_class in ("", "_agnostic")}
    means = {f"{name}_fold_mean": 0.5 for name in scores if "75" not in name}
    for model in ("one", "two"):
        keep_records(tmp_path, make_record(model, classes=classes, folds=5, scores={**scores, **means, "f1": 0.7}))
    with figure_style():
        drawn = draw_bars(contenders(), classes)
        FigureCanvasAgg(drawn.figure).draw()
    axes = [each.get_xlabel() for each in drawn.figure.axes if each.axison]
    assert axes.count("mean of 5 folds") == 3 - pooled
    assert axes.count("pooled") == pooled
    shown = {row[4]: row[5] for row in drawn.rows}
    assert {value for metric, value in shown.items() if metric.endswith("_fold_mean")} == {0.5}
    assert [metric for metric, value in shown.items() if value == 0.3] == ["map_75_agnostic"] * pooled
