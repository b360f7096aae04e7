"""COCO's average precision (paper, Eq. 31-32) of masks or boxes, dense-safe and ready for resampling.

The arithmetic is that of ``pycocotools.cocoeval``: greedy matching by descending score at ten IoU thresholds from
0.50 to 0.95, and precision read at 101 recalls. It is written out here because the libraries' accumulation cannot be
resampled, and because the IoU matrix is shared with the other metrics. There is no limit of 100 detections: it
is given by the caller, from the data. Overlaps from ``matching.as_boxes`` make it box AP.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.metrics.matching import ImageOverlap

IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
RECALLS: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)

FALSE_POSITIVE, TRUE_POSITIVE, IGNORED = 0, 1, -1

_CHUNK_ELEMENTS = 2_000_000


class SizeRange(NamedTuple):
    """Equivalent circular diameters sqrt(4 A / π) of the masks, px; both ends belong to it."""

    least: float
    most: float


ANY_SIZE = SizeRange(0.0, math.inf)

SIZE_STRATA = {"small": SizeRange(0.0, 16.0), "medium": SizeRange(16.0, 48.0), "large": SizeRange(48.0, math.inf)}
"""Size strata in original pixels: COCO's ratio of three at half its size (32 and 96 px there).

Half the particles of EMPS are smaller than 32x32 px. An outline that is one pixel off lowers the IoU of a 16 px disc to
(14 / 16)² = 0.77, of a 48 px disc to 0.92. No area in whole pixels gives a bound's diameter exactly, so no particle is
in two strata.
"""


@dataclass(frozen=True, eq=False, slots=True)
class ClassMatches:
    """Fate of every detection of one class on an eval set; D detections, I images, ten IoU thresholds.

    Attributes:
        label: The class; None when classes are disregarded.
        scores: (D,) confidences, descending over the whole set.
        image: (D,) index of each detection's image.
        outcome: (10, D) int8: ``TRUE_POSITIVE``, ``FALSE_POSITIVE`` or ``IGNORED`` per IoU threshold.
        truth_count: (I,) particles of the class and size per image.
    """

    label: str | None
    scores: NDArray[np.float64]
    image: NDArray[np.intp]
    outcome: NDArray[np.int8]
    truth_count: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ApResult:
    """Average precision; every field is None, or empty, where the eval set has no particle.

    Attributes:
        map_50_95: Mean over ten IoU thresholds and the classes that occur in the truth.
        map_50: At IoU 0.50.
        map_75: At IoU 0.75.
        per_class: ``map_50_95`` of each class that occurs in the truth.
        per_class_50: ``map_50`` of each of them.
        per_class_75: ``map_75`` of each of them.
    """

    map_50_95: float | None
    map_50: float | None
    map_75: float | None
    per_class: dict[str | None, float]
    per_class_50: dict[str | None, float] = field(default_factory=dict)
    per_class_75: dict[str | None, float] = field(default_factory=dict)


NOT_MEASURED = ApResult(None, None, None, {})
"""What a set without particles, or a model without classes, has."""


def match_detections(
    overlaps: Sequence[ImageOverlap],
    classes: Sequence[str] | None,
    max_detections: int,
    sizes: SizeRange = ANY_SIZE,
) -> list[ClassMatches]:
    """Match the detections of every image greedily, as COCO does.

    A size range works like COCO's ``areaRng``: particles outside of it are no truth, but excuse the detections that
    match them, and a detection that matches nothing counts only if its own size is in the range.

    Args:
        overlaps: One per image, in the order of the eval set.
        classes: Class names for class-aware matching; None disregards classes.
        max_detections: Detections kept per image and class, best first, whatever their size.
        sizes: Diameters of the masks that count.

    Returns:
        One entry per class, or a single one.
    """
    labels = [None] if classes is None else list(classes)
    return [_match_class(overlaps, label, max_detections, sizes) for label in labels]


def average_precision(matches: Sequence[ClassMatches]) -> ApResult:
    """Average precision of a whole eval set."""
    images = matches[0].truth_count.size
    groups = np.zeros(images, dtype=np.intp)
    table = _resampled_table(matches, groups, np.ones((1, 1)))
    # Threshold 0 is 0.50, threshold 5 is 0.75.
    values = {"50_95": table.mean(axis=2), "50": table[:, :, 0], "75": table[:, :, 5]}
    present = np.flatnonzero(~np.isnan(values["50_95"][0])).tolist()
    if not present:
        return NOT_MEASURED
    means = {name: float(_mean_of_classes(value)[0]) for name, value in values.items()}
    per_class = {name: {matches[k].label: float(value[0, k]) for k in present} for name, value in values.items()}
    return ApResult(
        map_50_95=means["50_95"],
        map_50=means["50"],
        map_75=means["75"],
        per_class=per_class["50_95"],
        per_class_50=per_class["50"],
        per_class_75=per_class["75"],
    )


def average_precision_by_size(overlaps: Sequence[ImageOverlap], max_detections: int) -> dict[str, ApResult]:
    """Class-agnostic, of each of ``SIZE_STRATA``; ``NOT_MEASURED`` where a stratum has no particle."""
    return {
        name: average_precision(match_detections(overlaps, None, max_detections, sizes))
        for name, sizes in SIZE_STRATA.items()
    }


class ResampledMap(NamedTuple):
    """Average precision of R resampled eval sets; NaN where a resample has no particle."""

    map_50_95: NDArray[np.float64]
    map_50: NDArray[np.float64]


def resampled_map(
    matches: Sequence[ClassMatches], groups: NDArray[np.intp], weights: NDArray[np.float64]
) -> ResampledMap:
    """``map_50_95`` and ``map_50`` of many resampled eval sets.

    Args:
        matches: As ``match_detections`` returns them.
        groups: (I,) index of each image's source group.
        weights: (R, G) how often each source group is drawn, per resample.

    Returns:
        Two (R,) float64 arrays. Weights of one give ``average_precision``'s values.
    """
    table = _resampled_table(matches, groups, weights)
    return ResampledMap(_mean_of_classes(table.mean(axis=2)), _mean_of_classes(table[:, :, 0]))


def mean_over_folds(
    folds: Sequence[Sequence[ClassMatches]], groups: Sequence[NDArray[np.intp]], weights: NDArray[np.float64]
) -> ResampledMap:
    """Average precision of cross-validation without mixing the scores of differently trained networks.

    A class's AP is taken within each fold that shows it, then averaged over these folds; then over the classes. So a
    class that a fold does not show costs the other classes nothing.

    Args:
        folds: K folds' matches on their own images, the same classes in the same order.
        groups: For each fold, the index of each of its images' source group among all groups.
        weights: (R, G) how often each source group of all folds is drawn, per resample.

    Returns:
        Two (R,) float64 arrays; a fold of which nothing is drawn is left out of that resample.
    """
    tables = np.stack(
        [_resampled_table(matches, of_fold, weights) for matches, of_fold in zip(folds, groups, strict=True)]
    )
    of_classes = _mean_of_measured(tables, axis=0)  # (R, classes, 10)
    return ResampledMap(_mean_of_classes(of_classes.mean(axis=2)), _mean_of_classes(of_classes[:, :, 0]))


def resampled_precision(
    matches: ClassMatches, groups: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average precision of one class per resample and IoU threshold, shape (R, 10); NaN without a particle.

    Precision rises only at true positives, so it is enough to look there. A detection counts as often as its group is
    drawn; memory does not hang on the number of groups, or of resamples.
    """
    truth = weights @ np.bincount(groups, weights=matches.truth_count, minlength=weights.shape[1])
    result = np.full((len(weights), len(matches.outcome)), np.nan)
    detection_groups = groups[matches.image]
    for index, outcome in enumerate(matches.outcome):
        counted = np.flatnonzero(outcome != IGNORED)
        hits = np.flatnonzero(outcome[counted] == TRUE_POSITIVE)
        group = detection_groups[counted]
        rows = max(1, _CHUNK_ELEMENTS // max(counted.size, 1))
        for start in range(0, len(weights), rows):
            part = slice(start, start + rows)
            drawn = weights[part][:, group]
            hits_until = np.cumsum(drawn[:, hits], axis=1)
            counted_until = np.cumsum(drawn, axis=1)[:, hits]
            result[part, index] = _interpolate(hits_until, counted_until, truth[part])
    return result


def _resampled_table(
    matches: Sequence[ClassMatches], groups: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(R, classes, 10) average precision; NaN without a particle."""
    return np.stack([resampled_precision(entry, groups, weights) for entry in matches], axis=1)


def _mean_of_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, classes) to (R,): mean over the classes that occur; NaN where none does."""
    return _mean_of_measured(values, axis=1)


def _mean_of_measured(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean along an axis without NaN; NaN where there is nothing else."""
    present = ~np.isnan(values)
    count = present.sum(axis=axis)
    means: NDArray[np.float64] = np.where(
        count > 0, np.where(present, values, 0.0).sum(axis=axis) / np.maximum(count, 1), np.nan
    )
    return means


def _interpolate(
    hits: NDArray[np.float64], counted: NDArray[np.float64], truth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean precision at 101 recalls from (R, N) cumulative counts at the true positives and (R,) particle counts."""
    # Where a resample has no detection yet, both counts are 0.
    precision = hits / np.maximum(counted, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # A recall that is never reached has precision 0.
    envelope = np.concatenate([envelope, np.zeros((len(hits), 1))], axis=1)
    result = np.full(len(hits), np.nan)
    for row in np.flatnonzero(truth > 0):
        at_recall = np.searchsorted(hits[row] / truth[row], RECALLS, side="left")
        result[row] = envelope[row, at_recall].mean()
    return result


def _match_class(
    overlaps: Sequence[ImageOverlap], label: str | None, max_detections: int, sizes: SizeRange
) -> ClassMatches:
    scores, images, outcomes, truth_count = [], [], [], []
    for index, overlap in enumerate(overlaps):
        rows = _of_class(overlap.labels, label)[:max_detections]
        columns = _of_class(overlap.truth_labels, label)
        # A region that names no class excuses the predictions of every class.
        excuses = np.flatnonzero([label is None or other in {None, label} for other in overlap.ignore_labels])
        row_counts, column_counts = _in_range(overlap.area[rows], sizes), _in_range(overlap.truth_area[columns], sizes)
        excused = overlap.ignore_share[np.ix_(rows, excuses)].max(axis=1, initial=0.0)
        iou = overlap.iou if label is None else overlap.iou[:, columns]
        scores.append(overlap.scores[rows])
        images.append(np.full(rows.size, index, dtype=np.intp))
        outcomes.append(_outcomes(iou[rows], excused, row_counts, column_counts))
        truth_count.append(np.count_nonzero(column_counts))
    every_score = np.concatenate(scores)
    order = np.argsort(-every_score, kind="stable")
    return ClassMatches(
        label=label,
        scores=every_score[order],
        image=np.concatenate(images)[order],
        outcome=np.concatenate(outcomes, axis=1)[:, order],
        truth_count=np.array(truth_count, dtype=np.int64),
    )


def _of_class(labels: Sequence[str | None], label: str | None) -> NDArray[np.intp]:
    if label is None:
        return np.arange(len(labels))
    return np.flatnonzero([other == label for other in labels])


def _in_range(area: NDArray[np.float64], sizes: SizeRange) -> NDArray[np.bool_]:
    diameter = np.sqrt(4 * area / np.pi)
    inside: NDArray[np.bool_] = (diameter >= sizes.least) & (diameter <= sizes.most)
    return inside


def _outcomes(
    iou: NDArray[np.float64],
    excused: NDArray[np.float64],
    row_counts: NDArray[np.bool_],
    column_counts: NDArray[np.bool_],
) -> NDArray[np.int8]:
    """(10, P) outcome of each detection of an image; rows of ``iou`` are sorted by descending score.

    The ten thresholds go through the greedy matching side by side: bit k of a number stands for threshold k.

    Args:
        iou: (P, T) matrix.
        excused: (P,) largest share of a detection inside an ignore region.
        row_counts: (P,) whether a detection's size is in the range.
        column_counts: (T,) whether a particle's is.
    """
    every_threshold = (1 << IOU_THRESHOLDS.size) - 1
    free = [every_threshold] * iou.shape[1]
    hit = np.zeros(len(iou), dtype=np.int64)
    matched_ignored = np.zeros(len(iou), dtype=np.int64)
    for row, pairs in _pairs_by_detection(iou).items():
        open_at = every_threshold
        for _, reached, column in pairs:
            if column_counts[column]:
                taken = reached & open_at & free[column]
                free[column] ^= taken
                open_at ^= taken
        hit[row] = every_threshold ^ open_at
        # What found no particle in range may belong to one out of range, unless an ignore region holds more of it.
        for value, reached, column in pairs:
            if not column_counts[column] and value > excused[row]:
                taken = reached & open_at & free[column]
                free[column] ^= taken
                open_at ^= taken
                matched_ignored[row] |= taken
    bits = np.arange(IOU_THRESHOLDS.size)[:, None]
    ignored = ~row_counts[None, :] | (excused[None, :] >= IOU_THRESHOLDS[:, None])
    ignored |= (matched_ignored[None, :] >> bits & 1).astype(bool)
    outcome = np.where(ignored, IGNORED, FALSE_POSITIVE).astype(np.int8)
    outcome[(hit[None, :] >> bits & 1).astype(bool)] = TRUE_POSITIVE
    return outcome


def _pairs_by_detection(iou: NDArray[np.float64]) -> dict[int, list[tuple[float, int, int]]]:
    """(IoU, bits of the thresholds it reaches, column) of the particles a detection may match, the best first."""
    rows, columns = np.nonzero(iou >= IOU_THRESHOLDS[0])
    values = iou[rows, columns]
    reached = (1 << np.searchsorted(IOU_THRESHOLDS, values, side="right")) - 1
    # Of equal overlaps COCO takes the later particle.
    order = np.lexsort((-columns, -values, rows))
    pairs: dict[int, list[tuple[float, int, int]]] = {}
    for index in order.tolist():
        pairs.setdefault(int(rows[index]), []).append((float(values[index]), int(reached[index]), int(columns[index])))
    return pairs
