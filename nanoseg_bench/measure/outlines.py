"""What is measured of the outlines of a micrograph, whichever of them count: nothing here hangs on a rule or a scale.

It takes most of the time, so that it is kept where rules change under somebody's eyes, and where a person changes a few
outlines of many.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.raster import iou_matrix, rle_to_window, to_rle
from nanoseg_bench.measure.columns import SHAPE_SURE_FROM_PX, SQUARE_UP_TO
from nanoseg_bench.measure.field import Box, Field
from nanoseg_bench.measure.kinds import is_cube
from nanoseg_bench.measure.morphology import Morphology, find_hull, measure_mask
from nanoseg_bench.measure.shape_names.main_part import describe_main_part
from nanoseg_bench.measure.shape_names.namer import OTHER, ShapeName, ShapeNamer

_AT_ONCE = 1000
"""Outlines that are compared with all others at a time: a matrix of ten thousand by ten thousand fills a gigabyte."""


@dataclass(frozen=True, eq=False, slots=True)
class MeasuredOutline:
    """One outline, by itself.

    Attributes:
        drawn: The region of the ``Instance`` that was measured.
        region: Its pixels.
        numbers: In coordinates of the micrograph; None for a mask without a pixel.
        box: (left, top, right, bottom) px; zeros without a pixel.
        descriptors: What its shape is named by; None where it is too small for a name, or no name is asked for.
    """

    drawn: tuple[Polygon, ...] | Rle
    region: Rle
    numbers: Morphology | None
    box: Box
    descriptors: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Overlaps:
    """Pairs of outlines that share pixels; each pair is there twice, once from either side.

    Attributes:
        one: (P,) positions.
        other: (P,) positions of what each of them overlaps.
        pixels: (P,) that both hold.
    """

    one: NDArray[np.intp]
    other: NDArray[np.intp]
    pixels: NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class MeasuredOutlines:
    """All outlines of a micrograph.

    Attributes:
        instances: As a model or a person outlined them.
        outlines: Each by itself, in their order.
        described: Whether outlines have descriptors.
        field: The part that shows the specimen.
        values: (N,) of each quantity that is measured of a particle by itself, px; NaN where it is not known. The
            border weight is that of the edges of the field alone.
        at_border: (N,) whether it touches the border of the field.
        at_covered: (N,) whether its box touches what covers the field.
        weights: (N,) border weights of the edges and of what covers the field together.
        names: Of the shapes; None where there is none.
        overlaps: Who shares pixels with whom.
    """

    instances: tuple[Instance, ...]
    outlines: tuple[MeasuredOutline, ...]
    described: bool
    field: Field
    values: dict[str, NDArray[np.float64]]
    at_border: NDArray[np.bool_]
    at_covered: NDArray[np.bool_]
    weights: NDArray[np.float64]
    names: tuple[str | None, ...]
    overlaps: Overlaps


def measure_outline(instance: Instance, height: int, width: int, *, described: bool) -> MeasuredOutline:
    """Measure one outline of a micrograph.

    Args:
        instance: As a model or a person outlined it.
        height: Rows of the micrograph.
        width: Its columns.
        described: Whether its shape is to be named.

    Raises:
        ValueError: It is a mask of another size than the micrograph.
    """
    region = to_rle(instance, height, width)
    window, left, top = rle_to_window(region)
    if not window.size:
        return MeasuredOutline(instance.region, region, None, (0, 0, 0, 0))
    hull = find_hull(window)
    numbers = measure_mask(window, left, top, hull)
    large = described and numbers.diameter >= SHAPE_SURE_FROM_PX
    box = (left, top, left + window.shape[1], top + window.shape[0])
    descriptors = describe_main_part(window, hull, numbers) if large else None
    return MeasuredOutline(instance.region, region, numbers, box, descriptors)


def measure_outlines(
    instances: Sequence[Instance],
    height: int,
    width: int,
    *,
    field: Field | None = None,
    shapes: Sequence[str | None] | ShapeNamer | None = None,
    known: MeasuredOutlines | None = None,
) -> MeasuredOutlines:
    """Measure the outlines of a micrograph.

    Args:
        instances: As a model or a person outlined them.
        height: Rows of the micrograph.
        width: Its columns.
        field: The part that shows the specimen; by default the whole micrograph.
        shapes: Who names the outlines, or each one's name from elsewhere; by default they have none.
        known: What was measured of the same micrograph before: an outline that is the same object still is not measured
            again.

    Raises:
        ValueError: A mask is of another size than the micrograph.
    """
    field = field or Field(right=width, bottom=height)
    described = isinstance(shapes, ShapeNamer)
    # What is kept holds the regions, so that no other object has their ids.
    kept = (
        {id(each.drawn): each for each in known.outlines} if known is not None and known.described == described else {}
    )
    outlines = tuple(
        kept.get(id(each.region)) or measure_outline(each, height, width, described=described) for each in instances
    )
    numbers = [each.numbers for each in outlines]
    boxes = np.array([each.box for each in outlines], dtype=np.int64).reshape(-1, 4)
    at_border, at_covered = _touches(boxes, field), _touches_covered(boxes, field)
    named = _name(outlines, at_border, shapes) if isinstance(shapes, ShapeNamer) else _as_names(shapes, len(instances))
    names = tuple(None if each is None else each.name for each in named)
    values = _quantities(numbers)
    known_by = [name if name and name != OTHER else each.label for name, each in zip(names, instances, strict=True)]
    cubes = np.array([is_cube(each) for each in known_by], dtype=bool)
    faces = cubes & (values["aspect_ratio"] <= SQUARE_UP_TO)
    values["edge_length"] = np.where(faces, (values["length"] + values["width"]) / 2, np.nan)
    values["border_weight"] = _border_weights(boxes, at_border, field)
    values["shape_certainty"] = np.array([np.nan if each is None else each.certainty for each in named])
    values["confidence"] = np.array([np.nan if each.score is None else each.score for each in instances])
    return MeasuredOutlines(
        instances=tuple(instances),
        outlines=outlines,
        described=described,
        field=field,
        values=values,
        at_border=at_border,
        at_covered=at_covered,
        weights=_weights_beside_covered(boxes, at_border | at_covered, field),
        names=names,
        overlaps=_overlaps(outlines, values["area"]),
    )


def _name(
    outlines: Sequence[MeasuredOutline], at_border: NDArray[np.bool_], namer: ShapeNamer
) -> list[ShapeName | None]:
    """Names of those that are large enough and whole."""
    found = {
        position: each.descriptors
        for position, (each, cut) in enumerate(zip(outlines, at_border, strict=True))
        if each.descriptors is not None and not cut
    }
    names = dict(zip(found, namer.name(list(found.values())), strict=True))
    return [names.get(position) for position in range(len(outlines))]


def _as_names(shapes: Sequence[str | None] | None, number: int) -> list[ShapeName | None]:
    """Names from elsewhere, whose certainty is unknown."""
    names: Sequence[str | None] = [None] * number if shapes is None else shapes
    return [None if name is None else ShapeName(name, np.nan) for name in names]


def _touches(boxes: NDArray[np.int64], field: Field) -> NDArray[np.bool_]:
    left, top, right, bottom = boxes.T
    at_sides, at_ends = (left <= field.left) | (right >= field.right), (top <= field.top) | (bottom >= field.bottom)
    touching: NDArray[np.bool_] = (at_sides | at_ends) & (right > left)
    return touching


def _touches_covered(boxes: NDArray[np.int64], field: Field) -> NDArray[np.bool_]:
    """By their boxes, as at the border: only so the weights of the others are exact."""
    touching = np.zeros(len(boxes), dtype=bool)
    left, top, right, bottom = boxes.T
    for x0, y0, x1, y1 in field.covered:
        touching |= (left <= x1) & (right >= x0) & (top <= y1) & (bottom >= y0) & (right > left)
    return touching


def _quantities(numbers: Sequence[Morphology | None]) -> dict[str, NDArray[np.float64]]:
    names = Morphology.__dataclass_fields__
    return {
        name: np.array([np.nan if each is None else getattr(each, name) for each in numbers], dtype=np.float64)
        for name in names
    }


def _border_weights(boxes: NDArray[np.int64], at_border: NDArray[np.bool_], field: Field) -> NDArray[np.float64]:
    """Places in the field over places where a box of that size touches no border; NaN for what touches it."""
    left, top, right, bottom = boxes.T
    places = (field.width - 1 - (right - left)) * (field.height - 1 - (bottom - top)).astype(np.float64)
    return field.width * field.height / np.where(at_border | (right == left), np.nan, places)


def _weights_beside_covered(boxes: NDArray[np.int64], touching: NDArray[np.bool_], field: Field) -> NDArray[np.float64]:
    """The same where the box touches nothing that covers the field, either: Miles–Lantuéjoul beside several edges."""
    weights = _border_weights(boxes, touching, field)
    if not field.covered:
        return weights
    sizes = np.column_stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]])
    whole = float(field.width * field.height)
    for position in np.flatnonzero(~np.isnan(weights)).tolist():
        width, height = (int(side) for side in sizes[position])
        # Places are the upper left corner's.
        corners = Field(left=field.left + 1, top=field.top + 1, right=field.right - width, bottom=field.bottom - height)
        hidden = [(x0 - width, y0 - height, x1 + 1, y1 + 1) for x0, y0, x1, y1 in field.covered]
        weights[position] = whole / (whole / weights[position] - _joint_area(hidden, corners))
    return weights


def _joint_area(boxes: Sequence[Box], within: Field) -> int:
    """Pixels of a field that lie in any of the boxes."""
    edges = np.array(boxes, dtype=np.int64).reshape(-1, 4)
    x0, x1 = (np.clip(edges[:, side], within.left, within.right) for side in (0, 2))
    y0, y1 = (np.clip(edges[:, side], within.top, within.bottom) for side in (1, 3))
    columns, rows = np.unique(np.concatenate([x0, x1])), np.unique(np.concatenate([y0, y1]))
    # Between neighbouring edges a box covers all or nothing.
    across = (x0[:, None] <= columns[:-1]) & (columns[:-1] < x1[:, None])
    down = (y0[:, None] <= rows[:-1]) & (rows[:-1] < y1[:, None])
    covered = (down.T.astype(np.int64) @ across) > 0
    return int(np.diff(rows) @ covered @ np.diff(columns))


def _overlaps(outlines: Sequence[MeasuredOutline], areas: NDArray[np.float64]) -> Overlaps:
    filled = np.array([position for position, each in enumerate(outlines) if each.numbers is not None], dtype=np.intp)
    regions = [outlines[position].region for position in filled]
    found = []
    for start in range(0, max(len(regions), 1), _AT_ONCE):
        iou = iou_matrix(regions[start : start + _AT_ONCE], regions)
        first, second = np.nonzero(iou)
        apart = first + start != second
        found.append((filled[first + start][apart], filled[second][apart], iou[first, second][apart]))
    one, other, shares = (np.concatenate(each) for each in zip(*found, strict=True))
    # |A ∩ B| of IoU = |A ∩ B| / (|A| + |B| − |A ∩ B|)
    return Overlaps(one, other, np.rint(shares / (1 + shares) * (areas[one] + areas[other])))
