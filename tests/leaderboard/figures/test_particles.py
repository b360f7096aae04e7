import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.leaderboard.figures.particles import (
    PARTICLE_COLOURS,
    choose_colours,
    draw_particles,
    draw_scale_bar,
    show_micrograph,
)

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


def test_particles_lie_where_their_masks_are_and_holes_stay_open(axes):
    ring = np.ones((40, 40), bool)
    ring[12:28, 12:28] = False
    draw_particles(axes, [block(20, 20, ring)], [(1.0, 0.0, 0.0)])
    drawn = pixels(axes)
    assert tuple(drawn[40, 40]) == (128, 128, 128)  # the hole
    assert tuple(drawn[10, 100]) == (128, 128, 128)
    red, green, blue = drawn[26, 40]  # between both outlines
    assert red > 150 and green < 110 and blue < 110


def test_an_empty_mask_is_no_particle(axes):
    draw_particles(axes, [block(0, 0, np.zeros((2, 2)))], [(1.0, 0.0, 0.0)])
    assert not axes.collections


def test_touching_particles_look_different():
    grid = [block(10 * column, 10 * row, np.ones((10, 10))) for row in range(4) for column in range(5)]
    colours = choose_colours(grid)
    assert set(colours) <= set(PARTICLE_COLOURS)
    for one in range(20):
        for other in range(one):
            rows, columns = abs(one // 5 - other // 5), abs(one % 5 - other % 5)
            if max(rows, columns) == 1:
                assert colours[one] != colours[other]


@pytest.mark.parametrize(("nm_per_px", "length", "text"), [(2.0, 50, "50 nm"), (0.3, 10, "10 nm"), (40, 1000, "1 µm")])
def test_the_scale_bar_is_as_long_as_it_says(axes, nm_per_px, length, text):
    draw_scale_bar(axes, SIZE, nm_per_px)
    first, last = axes.lines[0].get_xdata()
    assert (last - first) * nm_per_px == pytest.approx(length)
    assert last - first <= WIDTH / 3
    assert [each.get_text() for each in axes.texts] == [text]


def test_the_scale_bar_stands_above_the_info_bar(axes):
    draw_scale_bar(axes, SIZE, 2.0, [block(0, 68, np.ones((12, WIDTH)))])
    assert max(axes.lines[0].get_ydata()) < 68
