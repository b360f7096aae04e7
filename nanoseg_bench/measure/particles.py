"""The table of particles of one micrograph: what each measures, and whether it counts in the sample."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from nanoseg_bench.annotations.instance import BY_HAND, Instance
from nanoseg_bench.errors import MeasurementError
from nanoseg_bench.measure.columns import COLUMNS, OVERLAPS_FROM, SHAPE_SURE_FROM_PX
from nanoseg_bench.measure.field import Field
from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.outlines import MeasuredOutlines, Overlaps, measure_outlines
from nanoseg_bench.measure.shape_names.namer import ShapeNamer

NO_AREA = "no area"
REMOVED = "removed by hand"
IGNORED = "ignore region"
ON_MARK = "on a mark"
AT_BORDER = "touches the border"
TOO_SMALL = "below the minimum diameter"
TOO_LARGE = "above the maximum diameter"
OTHER_NAME = "of another class"
BELOW_CONFIDENCE = "below the confidence"

EXCLUSIONS = {
    NO_AREA: "its mask has no pixel in the micrograph",
    REMOVED: "a person took it out",
    BELOW_CONFIDENCE: "the model is less sure of it than asked for",
    IGNORED: "a region that the annotator marked as not to be judged",
    ON_MARK: "an information bar, a scale bar or lettering was taken for a particle",
    AT_BORDER: "it is cut by the edge of the field, or by what is written on it",
    TOO_SMALL: "it is smaller than the user wants particles to be",
    TOO_LARGE: "it is larger than the user wants particles to be",
    OTHER_NAME: "it has none of the classes or shapes that the user asked for",
}
"""Reasons in the column ``exclusion``, with what they mean. A particle has all that hold, in this order."""

BETWEEN_REASONS = "; "

# Of a particle that does not count for these alone, others are neighbours all the same.
_THERE = (AT_BORDER, TOO_LARGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which particles count.

    Attributes:
        confidence: Those of a lower one do not, unless a person changed or drew them; None counts all.
        min_diameter: Those of a smaller equivalent diameter do not; None counts all.
        max_diameter: Those of a larger one do not.
        keep_marks: What lies on information bars, scale bars and lettering counts, too, and so does what touches
            scale bars and lettering inside of the field.
    """

    confidence: float | None = None
    min_diameter: Length | None = None
    max_diameter: Length | None = None
    keep_marks: bool = False

    def describe(self, *, border_counts: bool = False) -> str:
        """A sentence for a report.

        Args:
            border_counts: Whether particles that touch the border count, too.
        """
        rules = [] if border_counts else ["touch no border of the field"]
        if not self.keep_marks:
            rules.append(f"lie on {'' if border_counts else 'or touch '}no information bar, scale bar or lettering")
        if self.confidence is not None:
            rules.append(f"have a confidence of {self.confidence:.3g} or more")
        if self.min_diameter is not None:
            rules.append(f"have a diameter of {self.min_diameter} or more")
        if self.max_diameter is not None:
            rules.append(f"have a diameter of {self.max_diameter} or less")
        if not rules:
            return "All particles count."
        return f"Particles count that {' and '.join(filter(None, [', '.join(rules[:-1]), rules[-1]]))}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What a person decided about single particles, by their numbers in the table.

    Attributes:
        removed: Do not count.
        counted: Count although they lie on a mark or touch one, or the border of the field.
    """

    removed: frozenset[int] = frozenset()
    counted: frozenset[int] = frozenset()


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
            confidence than ``rules.confidence`` make ``confidence_curve.against_confidence`` reach further.
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
        MeasurementError: The scale is no length, or it is unknown and the minimum or the maximum diameter is in nm.
        ValueError: A mask is of another size than the micrograph.
    """
    measured = measure_outlines(instances, height, width, field=field, shapes=shapes)
    return judge_particles(measured, image=image, nm_per_px=nm_per_px, rules=rules)


def judge_particles(
    measured: MeasuredOutlines,
    *,
    image: str = "",
    nm_per_px: float | None = None,
    rules: Rules = Rules(),
    decisions: Decisions = Decisions(),
) -> pd.DataFrame:
    """The table of outlines that are measured already: which of them count, and who their neighbours are.

    Args:
        measured: From ``outlines.measure_outlines``.
        image: As for ``measure_particles``, like what follows.
        nm_per_px: Scale.
        rules: Which particles count.
        decisions: Of a person about single ones, which go before the rules.

    Raises:
        MeasurementError: The scale is no length, or it is unknown and the minimum or the maximum diameter is in nm.
    """
    if nm_per_px is not None and (not isinstance(nm_per_px, Real) or nm_per_px <= 0 or np.isinf(nm_per_px)):
        raise MeasurementError(
            f"{image or 'micrograph'}: nm_per_px {nm_per_px!r}: give the width of a pixel in nm, above 0, or None "
            "where it is not known"
        )
    instances, count = measured.instances, len(measured.instances)
    numbers = np.arange(1, count + 1)
    by_hand = np.isin(numbers, list(decisions.counted))
    at_border = measured.at_border if rules.keep_marks else measured.at_border | measured.at_covered
    reasons = _reasons(_holding(measured, rules, decisions, by_hand, at_border, nm_per_px, image))
    present = np.array([set(each) <= set(_THERE) for each in reasons], dtype=bool)
    values = dict(measured.values)
    values["nearest_neighbour"] = _nearest(values["x"], values["y"], present)
    weights = values["border_weight"] if rules.keep_marks else measured.weights
    # What the border cuts and a person counts all the same stands for itself alone.
    values["border_weight"] = np.where(by_hand & at_border, 1.0, weights)
    values["nm_per_px"] = np.full(count, np.nan if nm_per_px is None else nm_per_px)
    others = {
        "image": [image] * count,
        "particle": numbers,
        "class": [each.label for each in instances],
        "shape": list(measured.names),
        "origin": [each.origin for each in instances],
        "exclusion": [BETWEEN_REASONS.join(each) or None for each in reasons],
        "touches_border": at_border,
        "overlaps": _overlapping(measured.overlaps, values["area"], present),
        "shape_uncertain": values["diameter"] < SHAPE_SURE_FROM_PX,
    }
    return _as_table(values, others, nm_per_px)


def reasons_of(exclusion: object) -> list[str]:
    """The reasons in a cell of the column ``exclusion``; none of a particle that counts."""
    return exclusion.split(BETWEEN_REASONS) if isinstance(exclusion, str) else []


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the particles that count."""
    return table[table["exclusion"].isna()]


def count_exclusions(table: pd.DataFrame) -> dict[str, int]:
    """How many particles were left out, each by its first reason; in the order of ``EXCLUSIONS``, without zeros."""
    first = table["exclusion"].dropna().str.split(BETWEEN_REASONS, regex=False).str[0]
    found = first.value_counts()
    return {reason: int(found[reason]) for reason in EXCLUSIONS if reason in found.index}


def count_left_out(table: pd.DataFrame) -> dict[str, int]:
    """``count_exclusions`` of what the model was sure of: outlines below the confidence are no findings of it."""
    return {reason: number for reason, number in count_exclusions(table).items() if reason != BELOW_CONFIDENCE}


def list_reasons(left_out: Mapping[str, int]) -> str:
    """``on a mark (1), touches the border (37)``: the same in tables and reports."""
    return ", ".join(f"{reason} ({number})" for reason, number in left_out.items())


def _holding(
    measured: MeasuredOutlines,
    rules: Rules,
    decisions: Decisions,
    by_hand: NDArray[np.bool_],
    at_border: NDArray[np.bool_],
    nm_per_px: float | None,
    image: str,
) -> Mapping[str, NDArray[np.bool_]]:
    """(N,) which particles a reason holds for, by the reason."""
    instances, diameter = measured.instances, measured.values["diameter"]
    least = 0.0 if rules.min_diameter is None else rules.min_diameter.in_px(nm_per_px, image)
    most = np.inf if rules.max_diameter is None else rules.max_diameter.in_px(nm_per_px, image)
    lowest = -np.inf if rules.confidence is None else rules.confidence
    model_alone = _flags(each.origin not in BY_HAND for each in instances)
    on_mark = _flags(each.on_mark for each in instances)
    # A comparison with NaN holds for nothing: no confidence, no pixel.
    return {
        NO_AREA: np.isnan(diameter),
        REMOVED: np.isin(np.arange(1, len(instances) + 1), list(decisions.removed)),
        BELOW_CONFIDENCE: (measured.values["confidence"] < lowest) & model_alone,
        ON_MARK: on_mark & ~by_hand & (not rules.keep_marks),
        IGNORED: _flags(each.ignored for each in instances) & ~on_mark,
        AT_BORDER: at_border & ~by_hand,
        TOO_SMALL: diameter < least,
        TOO_LARGE: diameter > most,
    }


def _flags(values: Iterable[bool]) -> NDArray[np.bool_]:
    return np.array(list(values), dtype=bool)


def _reasons(holding: Mapping[str, NDArray[np.bool_]]) -> list[tuple[str, ...]]:
    """What holds for each particle, in the order of ``EXCLUSIONS``."""
    known = [reason for reason in EXCLUSIONS if reason in holding]
    rows = zip(*(holding[reason].tolist() for reason in known), strict=True)
    return [tuple(reason for reason, holds in zip(known, row, strict=True) if holds) for row in rows]


def _nearest(x: NDArray[np.float64], y: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    distances = np.full(len(x), np.nan)
    if present.sum() > 1:
        centres = np.column_stack([x[present], y[present]])
        distances[present] = cKDTree(centres).query(centres, k=2)[0][:, 1]
    return distances


def _overlapping(overlaps: Overlaps, areas: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of those that are present share more than ``OVERLAPS_FROM`` of their pixels with one of the others."""
    overlapping = np.zeros(len(areas), dtype=bool)
    much = overlaps.pixels > OVERLAPS_FROM * areas[overlaps.one]
    overlapping[overlaps.one[much & present[overlaps.one] & present[overlaps.other]]] = True
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
            table[column.name] = pd.Series(others[column.name], dtype=column.dtype)
    return pd.DataFrame(table)
