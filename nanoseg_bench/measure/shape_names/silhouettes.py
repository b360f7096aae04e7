"""Silhouettes of particles, outlined with the errors of a model."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nanoseg_bench.annotations.instance import Polygon
from nanoseg_bench.annotations.raster import polygons_to_rle, rle_to_mask
from nanoseg_bench.measure.columns import SHAPE_SURE_FROM_PX
from nanoseg_bench.measure.shape_names.forms import Form, draw_form
from nanoseg_bench.measure.shape_names.outlines import area, normals, resample, turn
from nanoseg_bench.synthesis.shapes import Points

_DIAMETERS_PX = (SHAPE_SURE_FROM_PX, 200.0)
_MARGIN_PX = 3

_HARMONICS = np.arange(2, 17)
_NOISE_PX, _NOISE_FROM_PX, _NOISE_SPREAD = 1.0, 50.0, 0.5
"""How predicted outlines stray from the true ones: harmonic k of the distance along the outline has a standard
deviation of 1 px / k, below 50 px of 4 area / perimeter in proportion less; from outline to outline all change by a
factor of exp(±0.5). Measured on 557 outlines of NSYOLO on the validation part of EMPS (IoU with the truth of 0.7 or
more, neither cut by the border nor overlapping; roots of median squares): harmonics 2, 4, 8 and 16 are 0.40, 0.30, 0.19
and 0.07 px at 65 to 90 px of diameter, 0.30, 0.35, 0.17 and 0.06 px at 90 to 130 px, 0.26, 0.15, 0.08 and 0.04 px at 20
to 30 px."""

_TORN_SHARE = 0.4
_MOST_TEARS = 3
_TEAR_RADII = (0.05, 0.25)
"""Where particles touch, a model's outline lacks a piece, or holds one of the neighbour. Such a piece is a disc on the
edge; its radius is this share of the width, the diameter of the largest disc inside. Shares and radii were chosen by
the names of predicted outlines of the training and validation parts of EMPS."""


@dataclass(frozen=True, slots=True)
class Silhouette:
    """One outline.

    Attributes:
        name: What it is.
        mask: (H, W), true inside.
    """

    name: str
    mask: NDArray[np.bool_]


def draw_silhouette(name: str, rng: np.random.Generator) -> Silhouette:
    """A particle of that name, of random size, form and direction, outlined with the errors of a model."""
    while True:
        diameter = math.exp(rng.uniform(*np.log(_DIAMETERS_PX)))
        form = draw_form(name, rng)
        factor = diameter / math.sqrt(4 * area(form.outline) / math.pi)
        angle = rng.uniform(0, 2 * math.pi)
        mask = _rasterise([_stray(turn(part * factor, angle), rng) for part in form.parts], form, rng)
        if rng.random() < _TORN_SHARE:
            mask = _tear(mask, rng)
        if 4 * mask.sum() / math.pi >= _DIAMETERS_PX[0] ** 2:
            return Silhouette(name, mask)


def _stray(outline: Points, rng: np.random.Generator) -> Points:
    """Move it along its normals by the errors of a predicted outline, px."""
    dense = resample(outline)
    perimeter = float(np.hypot(*(np.roll(dense, -1, axis=0) - dense).T).sum())
    # Of a disc its diameter, of a thin rod twice its width: long ones do not stray by more than they are wide.
    across = 4 * area(dense) / perimeter
    level = _NOISE_PX * min(across / _NOISE_FROM_PX, 1.0) * math.exp(rng.normal(0, _NOISE_SPREAD))
    waves = level * rng.normal(0, 1, (2, len(_HARMONICS))) / _HARMONICS
    angles = 2 * math.pi * _HARMONICS[:, None] * np.arange(len(dense)) / len(dense)
    distance = waves[0] @ np.cos(angles) + waves[1] @ np.sin(angles)
    strayed: Points = dense + distance[:, None] * normals(dense)
    return strayed


def _rasterise(outlines: list[Points], form: Form, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Pixels of a particle at a random place of the grid, as the one rasteriser fills them."""
    lowest = np.min([outline.min(axis=0) for outline in outlines], axis=0)
    highest = np.max([outline.max(axis=0) for outline in outlines], axis=0)
    width, height = (np.ceil(highest - lowest).astype(int) + 2 * _MARGIN_PX).tolist()
    corner = lowest - _MARGIN_PX - rng.uniform(-0.5, 0.5, 2)
    polygons = [Polygon(outline - corner) for outline in outlines]
    shown = 1 + len(form.joined)
    mask = rle_to_mask(polygons_to_rle(polygons[:shown], height, width))
    if form.covering:
        mask = _largest_part(mask & ~rle_to_mask(polygons_to_rle(polygons[shown:], height, width)))
    return mask


def _tear(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Bite pieces out of the edge, and add others to it."""
    width = 2 * float(ndimage.distance_transform_edt(mask).max())
    torn = np.pad(mask, math.ceil(_TEAR_RADII[1] * width) + 1)
    edge = np.argwhere(torn & ~ndimage.binary_erosion(torn))
    rows, columns = np.ogrid[: torn.shape[0], : torn.shape[1]]
    for _ in range(int(rng.integers(1, _MOST_TEARS + 1))):
        row, column = edge[rng.integers(len(edge))]
        piece = (rows - row) ** 2 + (columns - column) ** 2 <= (width * rng.uniform(*_TEAR_RADII)) ** 2
        torn = torn & ~piece if rng.random() < 0.5 else torn | piece
    return _largest_part(torn)


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, number = ndimage.label(mask)
    if number <= 1:
        return mask
    largest: NDArray[np.bool_] = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return largest
