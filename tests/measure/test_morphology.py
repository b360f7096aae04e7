import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label, perimeter_crofton, regionprops
from skimage.morphology import convex_hull_image

from nanoseg_bench.measure.columns import SHAPE_FROM_PX
from nanoseg_bench.measure.morphology import Morphology, crofton_perimeter, measure_mask

ANGLES = (0, 11, 22.5, 37, 45, 63, 90, 118, 135, 170)


def measured(masks):
    return {name: np.array([getattr(m, name) for m in masks]) for name in Morphology.__dataclass_fields__}


def of(make, angles=ANGLES, places=4):
    rng = np.random.default_rng(0)
    return measured([measure_mask(make(angle, rng)) for angle in angles for _ in range(places)])


@pytest.mark.parametrize("diameter", [12, 20, 33.3, 60, 160])
def test_disc(disc, diameter):
    found = of(lambda _, rng: disc(diameter, rng))
    # The area is that of the pixels; at worst the pixels of an eighth of the outline are wrong by one.
    assert found["diameter"] == pytest.approx(diameter, abs=0.25)
    assert found["diameter"].mean() == pytest.approx(diameter, abs=0.05)
    # The largest of all extents is the one in which both ends are found too far out, and the least the other way round:
    # a quarter of a pixel on each side.
    for name in ("feret_max", "feret_min", "length", "width", "major_axis", "minor_axis"):
        assert found[name].mean() == pytest.approx(diameter, abs=0.7), name
        assert found[name] == pytest.approx(diameter, abs=1.4), name
    assert found["perimeter"].mean() == pytest.approx(math.pi * diameter, abs=0.3)
    assert found["perimeter"] == pytest.approx(math.pi * diameter, abs=1)
    assert found["solidity"].min() == found["convexity"].min() == 1
    for name in ("aspect_ratio", "feret_ratio", "ellipse_ratio", "roundness"):
        assert found[name].mean() == pytest.approx(1, abs=1.4 / diameter), name
    assert found["extent"].mean() == pytest.approx(math.pi / 4, rel=1.4 / diameter)


def test_circularity_of_a_disc_does_not_depend_on_its_size(disc):
    """By the plain perimeter of pixels it falls from 1.2 to 0.9."""
    mean = [of(lambda _, rng: disc(diameter, rng))["circularity"].mean() for diameter in (10.5, 16, 30, 80, 160)]  # noqa: B023
    assert mean == pytest.approx([1] * 5, abs=0.012)


@pytest.mark.parametrize("side", [14, 20, 40, 100])
def test_square(rectangle, side):
    found = of(lambda angle, rng: rectangle(side, side, angle, rng))
    for name in ("length", "width", "feret_min"):
        assert found[name].mean() == pytest.approx(side, abs=0.4), name
        assert found[name] == pytest.approx(side, abs=0.8), name
    # No pixel's centre lies in the very corner: half of a pixel is missing there on average.
    assert found["feret_max"].mean() == pytest.approx(math.sqrt(2) * side - 1, abs=0.5)
    assert found["diameter"].mean() == pytest.approx(math.sqrt(4 / math.pi) * side, abs=0.05)
    assert found["extent"].mean() == pytest.approx(1, abs=1 / side)
    assert found["solidity"].min() == found["convexity"].min() == 1
    # The corners that are cut shorten the outline by 1 or 2 px; the directions that are counted in change it by 2 %.
    assert found["perimeter"].mean() == pytest.approx(4 * side - 1.5, abs=0.5 + 0.01 * 4 * side)
    assert found["perimeter"] == pytest.approx(4 * side - 1.5, abs=1.5 + 0.02 * 4 * side)
    assert found["circularity"] == pytest.approx(math.pi / 4, abs=0.04 + 1 / side)


def test_square_along_the_rows_is_exact(rectangle):
    for side in (12, 20, 40):
        found = of(lambda _, rng: rectangle(side, side, 0, rng), places=1)  # noqa: B023
        assert found["length"] == pytest.approx(side, abs=0.02)
        assert found["area"].mean() == side**2


@pytest.mark.parametrize(("length", "width"), [(30, 10.5), (60, 12), (100, 30)])
def test_rod(rod, length, width):
    found = of(lambda angle, rng: rod(length, width, angle, rng))
    for name, truth in (("length", length), ("feret_max", length), ("width", width), ("feret_min", width)):
        assert found[name].mean() == pytest.approx(truth, abs=0.5), name
        assert found[name] == pytest.approx(truth, abs=1.5), name
    assert found["aspect_ratio"].mean() == pytest.approx(length / width, rel=0.6 / width)
    assert found["perimeter"].mean() == pytest.approx(2 * (length - width) + math.pi * width, abs=1)
    turned = (found["orientation_deg"] - np.repeat(ANGLES, 4) + 90) % 180 - 90
    assert np.abs(turned).max() < math.degrees(1 / length)


def test_lengths_are_better_than_those_of_a_pixels_hull(disc):
    """skimage takes the corners of the pixels, and is about a pixel high."""
    rng = np.random.default_rng(1)
    masks = [disc(24, rng) for _ in range(40)]
    naive = np.mean([regionprops(label(mask))[0].feret_diameter_max for mask in masks])
    ours = np.mean([measure_mask(mask).feret_max for mask in masks])
    assert naive - 24 > 0.8
    assert abs(ours - 24) < 0.6


def blob(rng):
    """Smooth, with bays, sometimes a hole."""
    angles = np.linspace(0, 2 * math.pi, 200, endpoint=False)
    radius = 20 + sum(rng.normal(0, 6 / k) * np.cos(k * angles + rng.uniform(0, 6)) for k in range(2, 6))
    rows, columns = np.mgrid[:100, :100] - 49.5
    there = np.interp(np.arctan2(rows, columns) % (2 * math.pi), angles, np.maximum(radius, 6), period=2 * math.pi)
    distance = np.hypot(rows, columns)
    return (distance < there) & (distance > rng.choice([0, 3]))


def test_against_skimage_on_any_shape():
    rng = np.random.default_rng(5)
    for _ in range(25):
        mask = blob(rng)
        found, expected = measure_mask(mask), regionprops(mask.astype(int))[0]
        hull = convex_hull_image(mask, offset_coordinates=False)
        assert found.area == expected.area
        assert found.solidity == pytest.approx(mask.sum() / hull.sum(), rel=1e-9)
        assert found.convexity == pytest.approx(crofton_perimeter(hull) / crofton_perimeter(mask), rel=1e-9)
        assert (found.y - 0.5, found.x - 0.5) == pytest.approx(expected.centroid)
        assert found.major_axis == pytest.approx(expected.axis_major_length)
        assert found.minor_axis == pytest.approx(expected.axis_minor_length)
        assert found.orientation_deg == pytest.approx((math.degrees(expected.orientation) + 90) % 180)
        assert found.perimeter == pytest.approx(perimeter_crofton(mask, directions=4), rel=0.04)


def test_perimeter_counts_holes(disc):
    rng = np.random.default_rng(2)
    mask = np.pad(disc(60, rng), 4)
    hole = disc(20, rng)
    start = (mask.shape[0] - hole.shape[0]) // 2
    mask[start : start + hole.shape[0], start : start + hole.shape[1]] &= ~hole
    assert crofton_perimeter(mask) == pytest.approx(math.pi * 80, rel=0.01)


def test_a_line_of_pixels_has_a_length_and_a_width():
    for mask in (np.ones((1, 90), bool), np.ones((90, 1), bool), np.eye(90, dtype=bool)):
        found = measure_mask(mask)
        assert found.length == pytest.approx(90 * (math.sqrt(2) if mask.shape[0] == mask.shape[1] else 1), rel=0.02)
        assert 0.5 < found.width < 1.2


def test_place_counts_from_the_micrograph():
    mask = np.ones((4, 6), bool)
    found = measure_mask(mask, left=10, top=20)
    assert (found.x, found.y) == (13, 22)


def test_small_masks_have_a_size_alone():
    found = measure_mask(np.ones((8, 8), bool))
    assert found.diameter < SHAPE_FROM_PX
    assert found.area == 64
    assert math.isnan(found.feret_max)
    with pytest.raises(ValueError, match="without a pixel"):
        measure_mask(np.zeros((3, 3), bool))


@given(
    arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.booleans()),
    st.integers(0, 3),
    st.booleans(),
)
@settings(max_examples=100)
def test_any_mask_has_finite_measures_that_do_not_depend_on_how_it_lies(mask, turns, mirrored):
    mask = np.kron(mask, np.ones((3, 3), bool))
    if mask.sum() < 100:
        return
    found = measure_mask(mask)
    numbers = {name: getattr(found, name) for name in Morphology.__dataclass_fields__}
    assert all(math.isfinite(number) for number in numbers.values())
    assert found.feret_min <= found.width + 1e-9 <= found.length + 2e-9 <= found.feret_max + 3e-9
    assert 0 < found.solidity <= 1
    assert 0 <= found.ellipse_ratio <= 1 <= found.aspect_ratio
    assert 0 <= found.orientation_deg <= 180
    turned = measure_mask(np.rot90(mask.T if mirrored else mask, turns))
    for name, number in numbers.items():
        if name not in ("x", "y", "orientation_deg"):
            # Of two rectangles of one area, either may be taken.
            tied = name in ("length", "width", "aspect_ratio")
            assert getattr(turned, name) == pytest.approx(number, rel=1e-6) or tied, name
    assert turned.length * turned.width == pytest.approx(found.length * found.width)


def test_lengths_grow_with_the_pixels():
    rng = np.random.default_rng(6)
    for _ in range(5):
        mask = blob(rng)
        small, large = measure_mask(mask), measure_mask(np.kron(mask, np.ones((4, 4), bool)))
        for name in ("diameter", "feret_max", "feret_min", "length", "width", "major_axis"):
            # A step of the enlarged outline is four pixels high, which makes nothing but the outline itself longer.
            assert getattr(large, name) == pytest.approx(4 * getattr(small, name), abs=6, rel=0.03), name
