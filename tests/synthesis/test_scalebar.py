import numpy as np
import pytest

from nanoseg_bench.synthesis.scalebar import (
    BAR_STYLES,
    INFO_STYLES,
    ScaleBar,
    choose_bar,
    draw_bar,
    draw_panel_letter,
    info_bar,
)


def longest_run(row, ink):
    """Length of the longest run of pixels equal to ``ink``."""
    longest = current = 0
    for value in row.tolist():
        current = current + 1 if value == ink else 0
        longest = max(longest, current)
    return longest


@pytest.mark.parametrize("nm_per_px", [0.05, 0.37, 1.9, 42.0])
def test_bar_is_a_round_length_of_about_the_wanted_share(nm_per_px):
    bar = choose_bar(nm_per_px, 640, 0.2)
    assert bar.length_px * nm_per_px == pytest.approx(bar.length_nm)
    assert f"{bar.length_nm:e}"[0] in "125"
    assert 0.2 / 1.6 < bar.length_px / 640 < 0.2 * 1.6


def test_text():
    assert ScaleBar(200, 10).text(space=True) == "200 nm"
    assert ScaleBar(2000, 10).text(space=False) == "2um"
    assert ScaleBar(0.5, 10).text(space=True) == "0.5 nm"


@pytest.mark.parametrize("style", BAR_STYLES)
@pytest.mark.parametrize("seed", range(4))
def test_drawn_bar_is_as_long_as_it_says(style, seed):
    bar = ScaleBar(100, 123.4)
    field = np.full((480, 640), 128, np.uint8)
    pixels, overlay = draw_bar(field, bar, style, np.random.default_rng(seed))
    x0, y0, x1, _ = overlay.bar
    ink = {"white": 255, "black": 0, "white-box": 0, "black-box": 255}.get(style, 255 if "white" in style else 0)
    assert x1 - x0 == 123
    assert longest_run(pixels[y0], ink) == 123
    assert pixels[y0, x0] == ink and pixels[y0, x1 - 1] == ink
    assert (field == 128).all()


@pytest.mark.parametrize("style", BAR_STYLES)
def test_only_boxes_hide_the_field_and_everything_drawn_there_is_inside(style):
    pixels, overlay = draw_bar(np.full((480, 640), 128, np.uint8), ScaleBar(100, 90), style, np.random.default_rng(1))
    assert bool(overlay.opaque) == style.endswith("box")
    for x0, y0, x1, y1 in overlay.opaque:
        assert (pixels[y0:y1, x0:x1] != 128).all()
        outside = pixels.copy()
        outside[y0:y1, x0:x1] = 128
        assert (outside == 128).all()


@pytest.mark.parametrize("style", INFO_STYLES)
def test_info_bar_carries_the_bar(style):
    strip, (x0, y0, x1, y1) = info_bar(768, ScaleBar(500, 97.0), style, "SE", np.random.default_rng(0))
    assert strip.shape[1] == 768
    assert x1 - x0 == 97
    assert 0 <= y0 < y1 <= strip.shape[0]
    ink = strip[y0, x0]
    assert (strip[y0:y1, x0:x1] == ink).all()
    assert longest_run(strip[y0], ink) == 97


def test_panel_letter_is_readable_on_dark_and_on_bright():
    for level in (30, 220):
        field = np.full((512, 512), level, np.uint8)
        for seed in range(5):
            pixels, _ = draw_panel_letter(field, np.random.default_rng(seed))
            corner = pixels[:80, :120].astype(int)
            assert np.abs(corner - level).max() > 150 or corner.min() == 0
