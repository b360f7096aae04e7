"""Drift of the specimen during a scan, and lines that do not begin where they should: the geometry changes.

An image point (x, y) of the distorted micrograph shows the point

    (c_x + z (x - c_x) + d_x(y) + j(y),  c_y + z (y - c_y) + d_y(y))

of the undistorted one, c the centre of the field. The drift d is linear in time, hence in y, with one slow wave on it:
a shear, and a stretch along the slow axis. The jitter j is a random number for each line, as from mains fields and
fly-back errors (Jones & Nellist, Microsc. Microanal. 19, 1050, 2013). The zoom z ≤ 1 keeps every point inside the
field that is known, so nothing has to be invented beyond its border; truth and pixels go through the same map. Lengths
in the distorted image are longer by 1/z, in the truth too.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import rle_to_window, window_to_rle
from nanoseg_bench.evaluation.corruptions.view import Floats, View

_WAVE_SHARE = 0.25
_MOST = 0.1
_JITTER_CUT = 3.0
"""Part of the drift that is a wave; most of a field's side that a point may move by; jitter ends at so many sigmas."""


@dataclass(frozen=True, eq=False, slots=True)
class Displacement:
    """Where the pixels of a distorted field come from.

    Attributes:
        height: Rows of the field.
        width: Columns of the field.
        zoom: z.
        x: (H,) shift of each row, px.
        y: (H,) row that each row comes from, px from the field's upper edge.
    """

    height: int
    width: int
    zoom: float
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def columns(self) -> NDArray[np.float64]:
        """(W,) column that each column comes from, before its row's shift, px from the field's left edge."""
        centre = self.width / 2
        return np.asarray(centre + self.zoom * (np.arange(self.width) + 0.5 - centre))


def drift(view: View, rng: np.random.Generator, *, drift_px: float, jitter_px: float) -> Floats:
    """The field as a drifting scan shows it; see ``draw_displacement``."""
    height, width = view.intensity.shape
    displacement = draw_displacement(height, width, view.px, rng, drift_px=drift_px, jitter_px=jitter_px)
    # OpenCV counts from the first pixel's centre, and interpolates what lies between centres.
    x = (displacement.columns()[None, :] + displacement.x[:, None] - 0.5).astype(np.float32)
    y = np.broadcast_to((displacement.y[:, None] - 0.5).astype(np.float32), x.shape)
    moved = cv2.remap(view.intensity, x, np.ascontiguousarray(y), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def draw_displacement(
    height: int, width: int, px: float, rng: np.random.Generator, *, drift_px: float, jitter_px: float
) -> Displacement:
    """Draw how a field is distorted; the same draws give the same distortion at any resolution.

    Args:
        height: Rows of the field.
        width: Columns of the field.
        px: Pixels per pixel of the reference.
        rng: Direction of the drift, phase of the wave, jitter.
        drift_px: Distance drifted from the first line to the last.
        jitter_px: Standard deviation of a line's error.
    """
    direction, phase, periods = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 1.8)
    errors = np.clip(rng.standard_normal(int(np.ceil(height / px)) + 1), -_JITTER_CUT, _JITTER_CUT)
    rows = np.arange(height) + 0.5
    time = rows / height
    path = drift_px * px * (time - 0.5 + _WAVE_SHARE / 2 * np.sin(2 * np.pi * periods * time + phase))
    drifted_x = path * np.cos(direction)
    drifted_y = path * np.sin(direction)
    jitter = jitter_px * px * errors[(rows / px).astype(np.int64)]
    shift_x = np.clip(drifted_x + jitter, -_MOST * width, _MOST * width)
    shift_y = np.clip(drifted_y, -_MOST * height, _MOST * height)
    zoom = 1 - 2 * max(float(np.abs(shift_x).max()) / width, float(np.abs(shift_y).max()) / height)
    return Displacement(height, width, zoom, shift_x, height / 2 + zoom * (rows - height / 2) + shift_y)


def displace_mask(mask: Rle, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> Rle:
    """A mask of the whole image after its field was distorted: each pixel takes the value of its source.

    Args:
        mask: Of the undistorted image.
        columns: (H, W) source column of each pixel, from ``source_pixels``.
        rows: (H,) source row of each row.
    """
    window, x, y = rle_to_window(mask)
    touched = np.flatnonzero((rows >= y) & (rows < y + window.shape[0]))
    if touched.size == 0:
        return window_to_rle(np.zeros((1, 1), dtype=bool), 0, 0, mask.height, mask.width)
    first, last = int(touched[0]), int(touched[-1]) + 1
    column = columns[first:last] - x
    row = np.broadcast_to(rows[first:last, None] - y, column.shape)
    hit = (column >= 0) & (column < window.shape[1]) & (row >= 0) & (row < window.shape[0])
    hit[hit] = window[row[hit], column[hit]]
    return window_to_rle(hit, 0, first, mask.height, mask.width)


def source_pixels(displacement: Displacement, height: int, top: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which pixel of an image each pixel comes from when the field within it is distorted.

    Args:
        displacement: Of the field.
        height: Rows of the image.
        top: First row of the field; what lies above and below the field stays.

    Returns:
        (H, W) column and (H,) row.
    """
    field = slice(top, top + displacement.height)
    column = np.tile(np.arange(displacement.width), (height, 1))
    column[field] = np.floor(displacement.columns()[None, :] + displacement.x[:, None])
    row = np.arange(height)
    row[field] = top + np.floor(displacement.y)
    return column, row
