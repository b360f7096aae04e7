import numpy as np
import pytest

from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.drawing.scale_bar import place_scale_bar

SIZE = WIDTH, HEIGHT = 1280, 960


@pytest.mark.parametrize(
    ("nm_per_px", "text", "length"),
    [(0.0012, "0.5 nm", 0.5), (0.97, "200 nm", 200), (2.4, "1 µm", 1000), (12, "5 µm", 5000), (5000, "2 mm", 2e6)],
)
def test_the_longest_round_length_up_to_a_third_of_the_micrograph(nm_per_px, text, length):
    bar = place_scale_bar(SIZE, nm_per_px)
    assert bar.text == text
    assert (bar.right - bar.left) * nm_per_px == pytest.approx(length)
    # The next round length is twice or 2.5 times as long.
    assert WIDTH / 3 / 2.5 < bar.right - bar.left <= WIDTH / 3
    assert bar.left > 0 and bar.right < WIDTH / 2 and HEIGHT / 2 < bar.y < HEIGHT


def test_a_third_of_the_width_that_is_hardly_less_than_a_power_of_ten():
    width, nm_per_px = 618, 500 / 103  # the micrograph is six times as wide as its bar of 500 nm
    bar = place_scale_bar((width, 960), nm_per_px)
    assert bar.text == "500 nm"


def test_it_stands_above_what_lies_at_the_foot_on_the_left_and_nothing_else():
    def region(x, y, width, height):
        return window_to_rle(np.ones((height, width), bool), x, y, HEIGHT, WIDTH)

    free = place_scale_bar(SIZE, 1.0)
    assert place_scale_bar(SIZE, 1.0, [region(0, 0, WIDTH, 60), region(900, 800, 200, 160)]) == free
    above = place_scale_bar(SIZE, 1.0, [region(0, 880, WIDTH, 80), region(10, 840, 100, 120)])
    assert (above.left, above.right, above.text) == (free.left, free.right, free.text)
    assert above.y < 840
