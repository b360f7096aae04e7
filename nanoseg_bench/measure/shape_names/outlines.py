"""Outlines as polygons: (N, 2) x, y of points along them, not closed."""

import math

import numpy as np

from nanoseg_bench.synthesis.shapes import Points


def resample(outline: Points, points: int = 360) -> Points:
    """The closed outline at equal steps along it, (points, 2)."""
    closed = np.vstack([outline, outline[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    steps = np.arange(points) * along[-1] / points
    return np.column_stack([np.interp(steps, along, axis) for axis in closed.T])


def normals(dense: Points) -> Points:
    """Unit normals of a resampled outline; they point outwards."""
    tangents = np.roll(dense, -1, axis=0) - np.roll(dense, 1, axis=0)
    tangents = tangents / np.maximum(np.hypot(*tangents.T), 1e-12)[:, None]
    outwards: Points = np.column_stack([tangents[:, 1], -tangents[:, 0]]) * np.sign(_signed_area(dense))
    return outwards


def dilate(outline: Points, distance: float) -> Points:
    """Widen it on all sides: its corners become rounder."""
    dense = resample(outline)
    return dense + distance * normals(dense)


def turn(outline: Points, angle: float) -> Points:
    """Turned about the origin; angle in radians."""
    c, s = math.cos(angle), math.sin(angle)
    return np.asarray(outline @ np.array([[c, s], [-s, c]]))


def area(outline: Points) -> float:
    """Of the polygon, in the square of its unit of length."""
    return abs(_signed_area(outline))


def _signed_area(outline: Points) -> float:
    (x, y), (next_x, next_y) = outline.T, np.roll(outline, -1, axis=0).T
    return float(x @ next_y - y @ next_x) / 2
