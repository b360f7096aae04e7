import numpy as np
import pytest

from nanoseg_bench.measure.scale.bar import RULER, SPLIT
from nanoseg_bench.measure.scale.finder import find_bars, likeness
from nanoseg_bench.measure.scale.line import Line
from nanoseg_bench.measure.scale.pairing import bars_near, belongs, find_ink
from nanoseg_bench.measure.scale.ruler import find_ruler


def bar_at(image, y):
    """The longest strip across a row."""
    return max((bar for bar in find_bars(image) if bar.top <= y <= bar.bottom), key=lambda bar: bar.length)


@pytest.mark.parametrize("grey", [0, 255])
@pytest.mark.parametrize(("x0", "x1"), [(400.0, 520.0), (400.3, 520.7), (399.5, 480.25)])
def test_the_ends_are_found_to_a_fraction_of_a_pixel(field, draw_bar, grey, x0, x1):
    image = field(spread=6)
    draw_bar(image, x0, x1, 430.0, 440.0, grey)
    bar = find_bars(image)[0]
    assert (bar.x0, bar.x1) == pytest.approx((x0, x1), abs=0.2)
    assert (bar.top, bar.bottom) == pytest.approx((430, 440), abs=0.3)
    assert likeness(bar) > 0.7


@pytest.mark.parametrize("thickness", [1, 2, 30])
def test_lines_and_blocks_are_bars(field, draw_bar, thickness):
    image = field()
    draw_bar(image, 420.0, 560.0, 420.0, 420.0 + thickness, 255)
    bar = find_bars(image)[0]
    assert bar.length == pytest.approx(140, abs=0.4)


def test_a_bar_across_particles_ends_where_it_ends(field, draw_bar):
    image = field()
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    image[(xs - 470) ** 2 + (ys - 430) ** 2 < 30**2] = 215
    draw_bar(image, 430.0, 560.0, 426.0, 434.0, 255)
    bar = bar_at(image, 430)
    assert (bar.x0, bar.x1) == pytest.approx((430, 560), abs=0.5)


def test_a_large_image_is_measured_at_its_own_size(field, draw_bar):
    image = np.kron(field(750, 1000), np.ones((4, 4), np.uint8))
    draw_bar(image, 3001.0, 3401.0, 2800.0, 2830.0, 255)
    bar = find_bars(image)[0]
    assert (bar.x0, bar.x1) == pytest.approx((3001, 3401), abs=0.3)


def test_a_bar_that_the_border_cuts_is_known(field, draw_bar):
    image = field()
    draw_bar(image, 540.0, 640.0, 430.0, 440.0, 255)
    bar = bar_at(image, 435)
    assert bar.cut and likeness(bar) < 0.35


@pytest.mark.parametrize("shape", [(1, 1), (4, 700), (700, 4), (40, 40)])
def test_images_of_any_size_are_looked_at(shape):
    assert find_bars(np.full(shape, 128, np.uint8)) == []


def test_particles_are_no_bars(field):
    image = field()
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    for x, y in ((100, 100), (300, 200), (500, 350)):
        image[(xs - x) ** 2 + (ys - y) ** 2 < 50**2] = 240
    assert all(likeness(bar) < 0.5 for bar in find_bars(image))


def test_of_two_strips_the_one_in_the_ink_of_the_text_belongs_to_it(field, write, draw_bar):
    image = field()
    write(image, "100 nm", (480, 400), 255, 28)
    draw_bar(image, 470.0, 590.0, 440.0, 448.0, 255)
    draw_bar(image, 470.0, 620.0, 385.0, 393.0, 0)
    ink = find_ink(image, Line("100 nm", 1.0, 475, 398, 580, 432))
    assert ink.bright and ink.grey > 245
    best = max(bars_near(image, ink) + find_bars(image), key=lambda bar: belongs(bar, ink))
    assert (best.x0, best.x1) == pytest.approx((470, 590), abs=0.3)


def test_a_bar_that_its_text_interrupts_is_one(field, write, draw_bar):
    image = field()
    write(image, "200 nm", (400, 420), 255, 24)
    draw_bar(image, 300.0, 390.0, 434.0, 436.0, 255)
    draw_bar(image, 485.0, 575.0, 434.0, 436.0, 255)
    ink = find_ink(image, Line("200 nm", 1.0, 397, 420, 482, 448))
    best = max(bars_near(image, ink), key=lambda bar: belongs(bar, ink))
    assert best.kind == SPLIT
    assert (best.x0, best.x1) == pytest.approx((300, 575), abs=0.4)


@pytest.mark.parametrize("missing", [None, 4])
def test_a_ruler_goes_from_its_first_tick_to_its_last(missing):
    image = np.zeros((40, 400), np.uint8)
    for number in range(11):
        if number != missing:
            x = round(100 + 19.7 * number)
            image[4 : 16 if number % 5 else 20, x : x + 2] = 250
    ruler = find_ruler(image, 14.0, 250.0, 0.0)
    assert ruler is not None and ruler.kind == RULER
    assert (ruler.x0, ruler.x1) == pytest.approx((101, 298), abs=0.6)


def test_letters_are_no_ruler(write):
    image = np.zeros((40, 400), np.uint8)
    write(image, "SU8020 15.0kV 8.2mm x100k", (8, 8), 255, 20)
    assert find_ruler(image, 14.0, 255.0, 0.0) is None
