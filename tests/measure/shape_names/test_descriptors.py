import cv2
import numpy as np
import pytest

from nanoseg_bench.measure.morphology import find_hull, measure_mask
from nanoseg_bench.measure.shape_names.descriptors import DESCRIPTORS, describe


@pytest.fixture
def numbers_of():
    def describe_mask(mask):
        return dict(zip(DESCRIPTORS, describe(find_hull(mask), measure_mask(mask)), strict=True))

    return describe_mask


def polygon(corners, radius=60, angle=0.3):
    angles = angle + 2 * np.pi * np.arange(corners) / corners
    points = np.round(radius * np.column_stack([np.cos(angles), np.sin(angles)]) + radius + 3).astype(np.int32)
    return cv2.fillPoly(np.zeros((2 * radius + 6,) * 2, np.uint8), [points], 1).astype(bool)


@pytest.mark.parametrize("corners", [3, 4, 5, 6])
def test_the_harmonic_of_a_polygon_is_that_of_its_corners(numbers_of, corners):
    numbers = numbers_of(polygon(corners))
    harmonics = {order: numbers[f"harmonic_{order}"] for order in (2, 3, 4, 5, 6, 8)}
    assert harmonics[corners] == pytest.approx(1, abs=0.1)
    assert all(value < 0.1 for order, value in harmonics.items() if order % corners)


def test_a_disc_has_no_harmonics(numbers_of, disc, rng):
    numbers = numbers_of(disc(100, rng))
    assert max(value for name, value in numbers.items() if name.startswith("harmonic")) < 0.1


def test_elongation_is_the_second_harmonic(numbers_of, rectangle, rng):
    """Sides a and b: (2 a - 2 b) / (2 a + 2 b)."""
    assert numbers_of(rectangle(90, 30, 20, rng))["harmonic_2"] == pytest.approx(0.5, abs=0.05)


def test_place_turn_and_size_change_nothing_but_the_grain(numbers_of, rectangle, rng):
    rows = []
    for size, angle in ((60, 0), (60, 33), (120, 71)):
        mask = rectangle(size * 1.5, size, angle, rng, size / 5)
        rows.append(numbers_of(np.pad(mask, ((5, 0), (0, 9)))))
    for name in DESCRIPTORS:
        values = [row[name] for row in rows]
        if name == "grain":
            assert values[0] / values[2] == pytest.approx(2, rel=0.02)
        else:
            assert np.ptp(values) < 0.1, name
