import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.drawing.axes import draw_outlines, draw_scale_bar, show_micrograph
from nanoseg_bench.drawing.outlines import outline_of
from nanoseg_bench.drawing.scale_bar import place_scale_bar

SIZE = WIDTH, HEIGHT = 120, 80


def block(x, y, window):
    return window_to_rle(np.asarray(window, bool), x, y, HEIGHT, WIDTH)


@pytest.fixture
def axes():
    """One original pixel is one pixel of the drawing."""
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    show_micrograph(axes, np.full((HEIGHT, WIDTH), 128, np.uint8), SIZE)
    return axes


def pixels(axes):
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def ring():
    window = np.ones((40, 40), bool)
    window[12:28, 12:28] = False
    return block(20, 20, window)


def test_particles_lie_where_their_masks_are_and_holes_stay_open(axes):
    draw_outlines(axes, [outline_of(ring(), SIZE, (255, 0, 0), "tint")])
    drawn = pixels(axes)
    assert tuple(drawn[40, 40]) == (128, 128, 128)  # the hole
    assert tuple(drawn[10, 100]) == (128, 128, 128)
    red, green, blue = drawn[26, 40]  # between both outlines
    assert red > 150 and green < 110 and blue < 110


def test_without_filling_only_the_line_is_drawn(axes):
    draw_outlines(axes, [outline_of(ring(), SIZE, (255, 0, 0))])
    drawn = pixels(axes)
    assert tuple(drawn[26, 40]) == (128, 128, 128)
    red, green, blue = drawn[40, 20]  # the left edge
    assert red > 150 and green < 110 and blue < 110


def test_an_empty_mask_is_no_particle(axes):
    draw_outlines(axes, [outline_of(block(0, 0, np.zeros((2, 2))), SIZE, (255, 0, 0), "tint")])
    assert not axes.collections


@pytest.mark.parametrize(("nm_per_px", "length", "text"), [(2.0, 50, "50 nm"), (0.3, 10, "10 nm"), (40, 1000, "1 µm")])
def test_the_scale_bar_is_as_long_as_it_says(axes, nm_per_px, length, text):
    draw_scale_bar(axes, place_scale_bar(SIZE, nm_per_px), 7.0)
    first, last = axes.lines[0].get_xdata()
    assert (last - first) * nm_per_px == pytest.approx(length)
    assert last - first <= WIDTH / 3
    assert [each.get_text() for each in axes.texts] == [text]


def test_the_scale_bar_stands_above_the_info_bar(axes):
    draw_scale_bar(axes, place_scale_bar(SIZE, 2.0, [block(0, 68, np.ones((12, WIDTH)))]), 7.0)
    assert max(axes.lines[0].get_ydata()) < 68
