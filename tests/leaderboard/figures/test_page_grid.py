import pytest
from matplotlib.text import Text

from nanoseg_bench.leaderboard.figures.page_grid import PageGrid, rows_that_fit
from nanoseg_bench.leaderboard.figures.style import figure_style
from nanoseg_bench.wording import without_middle


@pytest.mark.parametrize(("panels", "lines"), [(3, 1), (6, 1), (7, 2), (11, 2), (13, 3)])
def test_panels_share_the_width_of_a_page(panels, lines):
    titles = [f"({number}) Otsu + watershed" for number in range(panels)]
    with figure_style():
        grid = PageGrid(titles, [0.8, 1.2], 2, "What the colours mean. " * 9, 0.4)
        for row in range(2):
            axes = grid.add_row(row)
            assert len(axes) == panels
            grid.add_captions([f"{without_middle('a' * 99, grid.letters)}\n10/20 found"] * panels)
            boxes = [each.get_position() for each in axes]
            assert len({round(box.y0, 6) for box in boxes}) == lines
            assert len({round(box.width, 6) for box in boxes}) == 1
        foot = grid.add_note()
        figure = grid.figure
        figure.draw_without_rendering()
    assert figure.get_figwidth() * 25.4 == pytest.approx(180)
    assert foot == pytest.approx(figure.get_figheight() - 0.4)
    texts = [text for text in figure.texts if isinstance(text, Text)]
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, text.get_text()
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1, text.get_text()
    # Titles stand over every line of a row that is too long, else only once.
    assert sum("watershed" in text.get_text() for text in texts) == panels * (2 if lines > 1 else 1)


def test_texts_do_not_run_into_each_other():
    with figure_style():
        grid = PageGrid([f"({letter}) Otsu + watershed" for letter in "abcdef"], [1.0], 1, "")
        grid.add_row(0)
        grid.add_captions([without_middle("02f6c35bd5-40afb05b44" * 3, grid.letters)] * 6)
        grid.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in grid.figure.texts]
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)


def test_a_page_holds_fewer_rows_of_more_panels():
    assert [rows_that_fit(panels) for panels in (4, 7, 13, 40)] == [4, 2, 1, 1]
