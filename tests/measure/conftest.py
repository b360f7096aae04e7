"""Masks of shapes whose measures are known: the pixels whose centres lie inside."""

import math

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import window_to_rle


def _rounded_rectangle(length, width, angle_deg, rng, radius=0.0):
    """At a random sub-pixel place, turned anticlockwise from the rows."""
    size = math.ceil(math.hypot(length, width)) + 6
    rows, columns = np.mgrid[:size, :size] + 0.5
    x, y = columns - size / 2 - rng.uniform(-0.5, 0.5), rows - size / 2 - rng.uniform(-0.5, 0.5)
    angle = math.radians(angle_deg)
    along = np.abs(x * math.cos(angle) - y * math.sin(angle)) - (length / 2 - radius)
    across = np.abs(x * math.sin(angle) + y * math.cos(angle)) - (width / 2 - radius)
    outside = np.hypot(np.maximum(along, 0), np.maximum(across, 0))
    return outside + np.minimum(np.maximum(along, across), 0) <= radius


@pytest.fixture(scope="session")
def disc():
    return lambda diameter, rng: _rounded_rectangle(diameter, diameter, 0.0, rng, diameter / 2)


@pytest.fixture(scope="session")
def rod():
    """With round ends."""
    return lambda length, width, angle, rng: _rounded_rectangle(length, width, angle, rng, width / 2)


@pytest.fixture(scope="session")
def rectangle():
    return _rounded_rectangle


@pytest.fixture(scope="session")
def placed():
    """An instance of a mask whose box begins at (left, top) of a micrograph; what lies outside is cut off."""

    def place(mask, left, top, height, width, **about):
        mask = mask[max(-top, 0) : height - top, max(-left, 0) : width - left]
        region = window_to_rle(mask, max(left, 0), max(top, 0), height, width)
        return Instance(about.pop("label", "particle"), region, **about)

    return place
