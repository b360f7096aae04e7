import numpy as np
import pytest

from nanoseg_bench.measure.scale.bar import RULER, SPLIT
from nanoseg_bench.measure.scale.finder import find_bars, likeness
from nanoseg_bench.measure.scale.line import Line
from nanoseg_bench.measure.scale.pairing import bars_near, belongs, find_inks
from nanoseg_bench.measure.scale.result import GATE
from nanoseg_bench.measure.scale.ruler import find_ruler
from nanoseg_bench.measure.scale.written import label_bars, stated_lengths


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
    ink = find_inks(image, Line("100 nm", 1.0, 475, 398, 580, 432))[0]
    assert ink.bright and ink.grey > 245
    best = max(bars_near(image, ink) + find_bars(image), key=lambda bar: belongs(bar, ink))
    assert (best.x0, best.x1) == pytest.approx((470, 590), abs=0.3)


@pytest.mark.parametrize("inverted", [False, True])
def test_text_on_particles_is_not_read_in_the_ground_that_shows_between_them(field, write, draw_bar, inverted):
    """Letters near the grey of the particles below them stand out less than the gap, which is no stroke."""
    image = field(level=215, spread=6)
    image[300:, 380:500], image[300:, 545:620] = 60, 60
    write(image, "100 nm", (440, 390), 0, 34)
    draw_bar(image, 420.0, 600.0, 384.0, 390.0, 0)
    image = 255 - image if inverted else image
    ink = find_inks(image, Line("100 nm", 1.0, 436, 386, 560, 430))[0]
    assert abs(ink.grey - (255 if inverted else 0)) < 10 and ink.bright == inverted
    best = max(bars_near(image, ink) + find_bars(image), key=lambda bar: belongs(bar, ink))
    assert (best.x0, best.x1) == pytest.approx((420, 600), abs=0.3) and belongs(best, ink) > 0.8


def test_a_bar_that_its_text_interrupts_is_one(field, write, draw_bar):
    image = field()
    write(image, "200 nm", (400, 420), 255, 24)
    draw_bar(image, 300.0, 390.0, 434.0, 436.0, 255)
    draw_bar(image, 485.0, 575.0, 434.0, 436.0, 255)
    ink = find_inks(image, Line("200 nm", 1.0, 397, 420, 482, 448))[0]
    best = max(bars_near(image, ink), key=lambda bar: belongs(bar, ink))
    assert best.kind == SPLIT
    assert (best.x0, best.x1) == pytest.approx((300, 575), abs=0.4)


def test_a_bar_that_its_text_interrupts_is_one_where_the_text_was_read_with_dashes(field, write, draw_bar):
    """The box of "– 200 nm –" holds ends of the pieces; a piece by itself is no bar of that length."""
    image = field()
    write(image, "200 nm", (400, 420), 255, 24)
    draw_bar(image, 245.0, 390.0, 434.0, 436.0, 255)
    draw_bar(image, 485.0, 630.0, 434.0, 436.0, 255)
    [length] = stated_lengths(image, [Line("– 200 nm –", 0.95, 375, 420, 505, 448)])
    [found] = label_bars(image, find_bars(image), [length], [length.line])
    assert (found.ends[0], found.ends[2]) == pytest.approx((245, 630), abs=0.5)
    assert found.confidence > 0.7


@pytest.mark.parametrize("inverted", [False, True])
def test_a_thin_line_is_followed_over_what_it_crosses(field, draw_bar, inverted):
    """A line that is mixed with its ground has another grey value on each particle."""
    image = field(level=70, spread=3)
    image[380:, 260:330], image[380:, 360:380] = 150, 120
    ground = image.astype(float)
    draw_bar(image, 200.0, 420.0, 430.0, 432.0, 255)
    image = np.rint(0.5 * image + 0.5 * ground).astype(np.uint8)
    image = 255 - image if inverted else image
    best = max(find_bars(image), key=lambda bar: bar.length)
    assert (best.x0, best.x1) == pytest.approx((200, 420), abs=0.6)


@pytest.mark.parametrize("stroke", [0, 2])
def test_small_and_bold_letters_are_ink(field, write, stroke):
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(field(level=90, spread=6))
    ImageDraw.Draw(picture).text((300, 300), "3 um", 250, ImageFont.load_default(size=20), stroke_width=stroke)
    [ink, *_] = find_inks(np.asarray(picture), Line("3 um", 1.0, 296, 298, 352, 326))
    assert ink.bright and ink.grey > 230


def test_letters_on_a_label_are_not_its_paper(field, write, draw_bar):
    image = field(level=110, spread=8)
    image[380:440, 30:150] = 226
    write(image, "50 um", (40, 400), 40, 30)
    draw_bar(image, 54.0, 105.0, 386.0, 396.0, 30)
    [length] = stated_lengths(image, [Line("50 um", 0.95, 26, 398, 150, 446)])
    [found] = label_bars(image, find_bars(image), [length], [length.line])
    assert (found.ends[0], found.ends[2]) == pytest.approx((54, 105), abs=0.4)


def test_two_bars_that_go_with_a_text_are_a_question(field, write, draw_bar):
    image = field()
    write(image, "100 nm", (300, 300), 255, 28)
    draw_bar(image, 290.0, 410.0, 340.0, 346.0, 255)
    alone, line = image.copy(), Line("100 nm", 0.95, 295, 298, 402, 332)
    draw_bar(image, 280.0, 420.0, 284.0, 290.0, 255)
    one, two = (
        label_bars(each, find_bars(each), stated_lengths(each, [line]), [line])[0].confidence for each in (alone, image)
    )
    assert one > 0.8 and two < GATE + 0.05


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
