"""An independent package for the same descriptors, where it is installed (``pip install imea``)."""

import math

import numpy as np
import pytest

from nanoseg_bench.measure.morphology import measure_mask

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

imea = pytest.importorskip("imea", reason="imea is not installed")


@pytest.fixture(scope="module", params=["disc", "square", "rod"])
def measures(request, rectangle):
    """(ours, imea's, length, width) of a shape at a random place and angle."""
    length, width, radius = {"disc": (40, 40, 20), "square": (40, 40, 0), "rod": (80, 20, 10)}[request.param]
    mask = np.pad(rectangle(length, width, 33, np.random.default_rng(0), radius), 5)
    return measure_mask(mask), imea.shape_measurements_2d(mask, 1, 3).iloc[0], length, width


def test_what_is_defined_by_the_pixels_agrees(measures):
    ours, theirs, _, _ = measures
    assert ours.area == theirs["area_projection"]
    assert ours.diameter == pytest.approx(theirs["diameter_equal_area"])
    assert ours.major_axis == pytest.approx(theirs["major_axis_length"])
    assert ours.minor_axis == pytest.approx(theirs["minor_axis_length"])


def test_lengths_agree_to_a_pixel_and_ours_are_nearer_to_the_truth(measures):
    """imea measures from edge to edge of the pixels' squares, in whole pixels."""
    ours, theirs, length, width = measures
    for found, other, truth in (
        (ours.feret_min, theirs["feret_min"], width),
        (ours.length, max(theirs["length_min_bb"], theirs["width_min_bb"]), length),
        (ours.width, min(theirs["length_min_bb"], theirs["width_min_bb"]), width),
    ):
        assert abs(found - other) < 1.2
        assert abs(found - truth) < 0.6
    # A square's sharp corner lies between pixels' centres, so that its diagonal is a pixel short; imea's is rounded up.
    assert abs(ours.feret_max - theirs["feret_max"]) < math.sqrt(2) + 0.5


def test_perimeters_agree_to_the_grain_of_the_pixels(measures):
    ours, theirs, _, _ = measures
    assert ours.perimeter == pytest.approx(theirs["perimeter"], rel=0.06)
    assert ours.convexity == pytest.approx(theirs["convex_perimeter"] / theirs["perimeter"], abs=0.01)
    assert ours.solidity == pytest.approx(theirs["area_projection"] / theirs["area_convex"], abs=0.05)
