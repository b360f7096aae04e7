import pytest
from matplotlib.text import Text

from nanoseg_bench.leaderboard.figures.bars import draw_bars
from nanoseg_bench.leaderboard.figures.confusion import draw_confusions
from nanoseg_bench.leaderboard.figures.curves import draw_curves
from nanoseg_bench.leaderboard.figures.sizes import draw_sizes
from nanoseg_bench.leaderboard.figures.style import figure_style, lettered, panels

TITLES = {
    "nsyolo": "NSYOLO",
    "yolo11n-c2psa-bra": "YOLO11n-seg + C2PSA_BRA",
    "mask-rcnn": "Mask R-CNN (ResNet-50 FPN)",
    "unet": "U-Net",
    "otsu": "Otsu + watershed",
}
DRAWINGS = {
    "bars": lambda contenders: draw_bars(contenders, ("cube", "rod")),
    "confusion": draw_confusions,
    "curves": draw_curves,
    "sizes": draw_sizes,
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_figures_fit_print(scored, contenders, name):
    for number, (model, title) in enumerate(TITLES.items()):
        scored(model, number % 3, title=title)
    with figure_style():
        figure = DRAWINGS[name](contenders()).figure
        figure.draw_without_rendering()
    assert figure.get_figwidth() * 25.4 in (pytest.approx(90), pytest.approx(180))
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert shown and min(text.get_fontsize() for text in shown) >= 7
    # Nothing is cut, and no title runs into the next one.
    page = figure.bbox
    for text in shown:
        box = text.get_window_extent()
        if text.axes is None or text.axes.axison:
            assert page.x0 - 1 <= box.x0 and box.x1 <= page.x1 + 1, text.get_text()
            assert page.y0 - 1 <= box.y0 and box.y1 <= page.y1 + 1, text.get_text()
    titles = [text.get_window_extent() for text in shown if text.get_text().startswith("(")]
    assert len(titles) >= 4
    assert not any(one.overlaps(other) for one in titles for other in titles if one is not other)


def test_letters_go_on_after_z():
    assert lettered(0, "F1") == "(a) F1"
    assert lettered(25, "F1") == "(z) F1"
    assert lettered(26, "F1") == "(aa) F1"
    assert lettered(52, "F1") == "(ba) F1"


def test_cells_that_are_left_over_stay_blank():
    figure, grid = panels(4, 3, 1.0)
    assert len(grid) == 4 and len(figure.axes) == 6
    assert [axes.axison for axes in figure.axes] == [True] * 4 + [False] * 2
