"""The table of particles of one micrograph: what each measures, and whether it counts in the sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import iou_matrix, rle_to_window, to_rle
from nanoseg_bench.measure.columns import COLUMNS, OVERLAPS_FROM, SHAPE_SURE_FROM_PX, SQUARE_UP_TO
from nanoseg_bench.measure.field import Field
from nanoseg_bench.measure.kinds import is_cube
from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.morphology import Morphology, find_hull, measure_mask
from nanoseg_bench.measure.shape_names.main_part import describe_main_part
from nanoseg_bench.measure.shape_names.namer import OTHER, ShapeName, ShapeNamer

NO_AREA = "no area"
IGNORED = "ignore region"
ON_MARK = "on a mark"
AT_BORDER = "touches the border"
TOO_SMALL = "below the minimum diameter"
BELOW_CONFIDENCE = "below the confidence"

EXCLUSIONS = {
    NO_AREA: "its mask has no pixel in the micrograph",
    BELOW_CONFIDENCE: "the model is less sure of it than asked for",
    IGNORED: "a region that the annotator marked as not to be judged",
    ON_MARK: "an information bar, a scale bar or lettering was taken for a particle",
    AT_BORDER: "it is cut by the edge of the field",
    TOO_SMALL: "it is smaller than the user wants particles to be",
}
"""Reasons in the column ``exclusion``, with what they mean. A particle has all that hold, in this order."""

BETWEEN_REASONS = "; "


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which particles count.

    Attributes:
        confidence: Those of a lower one do not; None counts all.
        min_diameter: Those of a smaller equivalent diameter do not; None counts all.
    """

    confidence: float | None = None
    min_diameter: Length | None = None

    @property
    def sentence(self) -> str:
        """For a report."""
        rules = ["touch no border of the field", "lie on no information bar, scale bar or lettering"]
        if self.confidence is not None:
            rules.append(f"have a confidence of {self.confidence:.3g} or more")
        if self.min_diameter is not None:
            rules.append(f"have a diameter of {self.min_diameter} or more")
        return f"Particles count that {', '.join(rules[:-1])} and {rules[-1]}."


def measure_particles(
    instances: Sequence[Instance],
    height: int,
    width: int,
    *,
    image: str = "",
    nm_per_px: float | None = None,
    rules: Rules = Rules(),
    field: Field | None = None,
    shapes: Sequence[str | None] | ShapeNamer | None = None,
) -> pd.DataFrame:
    """Measure the particles of one micrograph.

    Args:
        instances: As a model or an annotator outlined them; also those that do not count. Outlines of a lower
            confidence than ``rules.confidence`` make the curve of ``sample.against_confidence`` reach further.
        height: Rows of the micrograph.
        width: Its columns.
        image: Its name.
        nm_per_px: Its scale; None where it is unknown.
        rules: Which particles count.
        field: The part that shows the specimen (``field.find_field``); by default the whole micrograph.
        shapes: Who names the outlines (``shape_names.namer.shipped_namer()``), or each one's name from elsewhere; by
            default they have none.

    Returns:
        One row per instance, in their order, with the columns of ``columns.COLUMNS``.

    Raises:
        MeasurementError: The minimum diameter is in nm, and the scale is unknown.
        ValueError: A mask is of another size than the micrograph.
    """
    field = field or Field(right=width, bottom=height)
    smallest = 0.0 if rules.min_diameter is None else rules.min_diameter.in_px(nm_per_px, image)
    regions = [to_rle(each, height, width) for each in instances]
    measured = [_measure(region, described=isinstance(shapes, ShapeNamer)) for region in regions]
    boxes = np.array([each.box for each in measured], dtype=np.int64).reshape(-1, 4)
    numbers = [each.numbers for each in measured]
    at_border = _touches(boxes, field)
    reasons = [
        _reasons(instance, size, bool(touches), smallest, rules)
        for instance, size, touches in zip(instances, numbers, at_border, strict=True)
    ]
    # A particle that is cut by the border is there all the same: others overlap it and have it for a neighbour.
    present = np.array([set(each) <= {AT_BORDER} for each in reasons], dtype=bool)
    values = _quantities(numbers)
    labels = [each.label for each in instances]
    named = _name(measured, at_border, shapes) if isinstance(shapes, ShapeNamer) else _as_names(shapes, len(instances))
    names = [None if each is None else each.name for each in named]
    known_by = [name if name and name != OTHER else label for name, label in zip(names, labels, strict=True)]
    cubes = np.array([is_cube(each) for each in known_by], dtype=bool)
    faces = cubes & (values["aspect_ratio"] <= SQUARE_UP_TO)
    values["edge_length"] = np.where(faces, (values["length"] + values["width"]) / 2, np.nan)
    values["nearest_neighbour"] = _nearest(values["x"], values["y"], present)
    values["border_weight"] = _border_weights(boxes, at_border, field)
    values["confidence"] = np.array([np.nan if each.score is None else each.score for each in instances])
    values["shape_certainty"] = np.array([np.nan if each is None else each.certainty for each in named])
    values["nm_per_px"] = np.full(len(instances), np.nan if nm_per_px is None else nm_per_px)
    others = {
        "image": [image] * len(instances),
        "particle": np.arange(1, len(instances) + 1),
        "class": labels,
        "shape": names,
        "exclusion": [BETWEEN_REASONS.join(each) or None for each in reasons],
        "touches_border": at_border,
        "overlaps": _overlaps(regions, values["area"], present),
        "shape_uncertain": values["diameter"] < SHAPE_SURE_FROM_PX,
    }
    return _as_table(values, others, nm_per_px)


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the particles that count."""
    return table[table["exclusion"].isna()]


def count_exclusions(table: pd.DataFrame) -> dict[str, int]:
    """How many particles were left out, each by its first reason; in the order of ``EXCLUSIONS``, without zeros."""
    first = table["exclusion"].dropna().str.split(BETWEEN_REASONS, regex=False).str[0]
    found = first.value_counts()
    return {reason: int(found[reason]) for reason in EXCLUSIONS if reason in found.index}


@dataclass(frozen=True, slots=True)
class _Measured:
    """Numbers in coordinates of the micrograph; (left, top, right, bottom) of the box; what the shape is named by."""

    numbers: Morphology | None
    box: tuple[int, int, int, int]
    descriptors: NDArray[np.float64] | None = None


def _measure(region: Rle, described: bool) -> _Measured:
    window, left, top = rle_to_window(region)
    if not window.size:
        return _Measured(None, (0, 0, 0, 0))
    hull = find_hull(window)
    numbers = measure_mask(window, left, top, hull)
    large = described and numbers.diameter >= SHAPE_SURE_FROM_PX
    box = (left, top, left + window.shape[1], top + window.shape[0])
    return _Measured(numbers, box, describe_main_part(window, hull, numbers) if large else None)


def _name(measured: Sequence[_Measured], at_border: NDArray[np.bool_], namer: ShapeNamer) -> list[ShapeName | None]:
    """Names of those that are large enough and whole."""
    found = {
        position: each.descriptors
        for position, (each, cut) in enumerate(zip(measured, at_border, strict=True))
        if each.descriptors is not None and not cut
    }
    names = dict(zip(found, namer.name(list(found.values())), strict=True))
    return [names.get(position) for position in range(len(measured))]


def _as_names(shapes: Sequence[str | None] | None, number: int) -> list[ShapeName | None]:
    """Names from elsewhere, whose certainty is unknown."""
    names: Sequence[str | None] = [None] * number if shapes is None else shapes
    return [None if name is None else ShapeName(name, np.nan) for name in names]


def _touches(boxes: NDArray[np.int64], field: Field) -> NDArray[np.bool_]:
    left, top, right, bottom = boxes.T
    at_sides, at_ends = (left <= field.left) | (right >= field.right), (top <= field.top) | (bottom >= field.bottom)
    touching: NDArray[np.bool_] = (at_sides | at_ends) & (right > left)
    return touching


def _reasons(
    instance: Instance, numbers: Morphology | None, touches: bool, smallest: float, rules: Rules
) -> tuple[str, ...]:
    unsure = rules.confidence is not None and instance.score is not None and instance.score < rules.confidence
    holds = {
        NO_AREA: numbers is None,
        BELOW_CONFIDENCE: unsure,
        ON_MARK: instance.on_mark,
        IGNORED: instance.ignored and not instance.on_mark,
        AT_BORDER: touches,
        TOO_SMALL: numbers is not None and numbers.diameter < smallest,
    }
    return tuple(reason for reason in EXCLUSIONS if holds[reason])


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


def _nearest(x: NDArray[np.float64], y: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    distances = np.full(len(x), np.nan)
    if present.sum() > 1:
        centres = np.column_stack([x[present], y[present]])
        distances[present] = cKDTree(centres).query(centres, k=2)[0][:, 1]
    return distances


def _overlaps(regions: Sequence[Rle], areas: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    overlapping = np.zeros(len(regions), dtype=bool)
    kept = [region for region, is_there in zip(regions, present, strict=True) if is_there]
    if len(kept) > 1:
        iou, own = iou_matrix(kept, kept), areas[present]
        np.fill_diagonal(iou, 0)
        shared = np.rint(iou / (1 + iou) * (own[:, None] + own))  # |A ∩ B| of IoU = |A ∩ B| / (|A| + |B| − |A ∩ B|)
        overlapping[present] = shared.max(axis=1) > OVERLAPS_FROM * own
    return overlapping


def _as_table(
    values: dict[str, NDArray[np.float64]], others: dict[str, object], nm_per_px: float | None
) -> pd.DataFrame:
    table: dict[str, pd.Series] = {}
    for column in COLUMNS:
        if column.quantity in values:
            scale = 1.0
            if column.unit.startswith("nm") and column.dimension:
                scale = np.nan if nm_per_px is None else nm_per_px**column.dimension
            table[column.name] = pd.Series(values[column.quantity] * scale, dtype="float64")
        else:
            kind = {"text": "str", "whole": "int64", "flag": "bool"}[column.kind]
            table[column.name] = pd.Series(others[column.name], dtype=kind)
    return pd.DataFrame(table)
