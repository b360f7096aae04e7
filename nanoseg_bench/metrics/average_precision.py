"""COCO's mask average precision (paper, Eq. 31-32), dense-safe and ready for resampling.

The arithmetic is that of ``pycocotools.cocoeval``: greedy matching by descending score at ten IoU thresholds from
0.50 to 0.95, and precision read at 101 recalls. It is written out here because the libraries' accumulation cannot be
resampled, and because the IoU matrix is shared with the other metrics. There is no limit of 100 detections: it
is given by the caller, from the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.metrics.matching import ImageOverlap

IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
RECALLS: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)

FALSE_POSITIVE, TRUE_POSITIVE, IGNORED = 0, 1, -1

_CHUNK_ELEMENTS = 2_000_000


@dataclass(frozen=True, eq=False, slots=True)
class ClassMatches:
    """Fate of every detection of one class on an eval set; D detections, I images, ten IoU thresholds.

    Attributes:
        label: The class; None when classes are disregarded.
        image: (D,) index of each detection's image; detections are sorted by descending score over the whole set.
        outcome: (10, D) int8: ``TRUE_POSITIVE``, ``FALSE_POSITIVE`` or ``IGNORED`` per IoU threshold.
        truth_count: (I,) particles of the class per image.
    """

    label: str | None
    image: NDArray[np.intp]
    outcome: NDArray[np.int8]
    truth_count: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ApResult:
    """Average precision; every field is None where the eval set has no particle.

    Attributes:
        map_50_95: Mean over ten IoU thresholds and the classes that occur in the truth.
        map_50: At IoU 0.50.
        map_75: At IoU 0.75.
        per_class: ``map_50_95`` of each class that occurs in the truth.
    """

    map_50_95: float | None
    map_50: float | None
    map_75: float | None
    per_class: dict[str | None, float]


NOT_MEASURED = ApResult(None, None, None, {})
"""What a set without particles, or a model without classes, has."""


def match_detections(
    overlaps: Sequence[ImageOverlap], classes: Sequence[str] | None, max_detections: int
) -> list[ClassMatches]:
    """Match the detections of every image greedily, as COCO does.

    Args:
        overlaps: One per image, in the order of the eval set.
        classes: Class names for class-aware matching; None disregards classes.
        max_detections: Detections kept per image and class, best first.

    Returns:
        One entry per class, or a single one.
    """
    labels = [None] if classes is None else list(classes)
    return [_match_class(overlaps, label, max_detections) for label in labels]


def average_precision(matches: Sequence[ClassMatches]) -> ApResult:
    """Average precision of a whole eval set."""
    images = matches[0].truth_count.size
    groups = np.zeros(images, dtype=np.intp)
    table = _resampled_table(matches, groups, np.ones((1, 1)))
    per_class = table.mean(axis=2)[0]
    present = ~np.isnan(per_class)
    if not present.any():
        return NOT_MEASURED
    return ApResult(
        map_50_95=float(_mean_of_classes(table.mean(axis=2))[0]),
        map_50=float(_mean_of_classes(table[:, :, 0])[0]),
        map_75=float(_mean_of_classes(table[:, :, 5])[0]),
        per_class={matches[index].label: float(per_class[index]) for index in np.flatnonzero(present).tolist()},
    )


def resampled_map(
    matches: Sequence[ClassMatches], groups: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``map_50_95`` of many resampled eval sets.

    Args:
        matches: As ``match_detections`` returns them.
        groups: (I,) index of each image's source group.
        weights: (R, G) how often each source group is drawn, per resample.

    Returns:
        (R,) float64; NaN where a resample has no particle. Weights of one give ``average_precision``'s value.
    """
    return _mean_of_classes(_resampled_table(matches, groups, weights).mean(axis=2))


def resampled_precision(
    matches: ClassMatches, groups: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average precision of one class per resample and IoU threshold, shape (R, 10); NaN without a particle.

    Precision rises only at true positives, so it is enough to look there: the counts at each true positive
    are kept per source group, and a resample is a weighted sum over the groups.
    """
    group_count = weights.shape[1]
    truth = weights @ np.bincount(groups, weights=matches.truth_count, minlength=group_count)
    result = np.full((len(weights), len(matches.outcome)), np.nan)
    detection_groups = groups[matches.image]
    for index, outcome in enumerate(matches.outcome):
        hits = np.flatnonzero(outcome == TRUE_POSITIVE)
        counted = np.flatnonzero(outcome != IGNORED)
        hits_until = _counts_until(hits, hits, detection_groups, group_count)
        counted_until = _counts_until(hits, counted, detection_groups, group_count)
        rows = max(1, _CHUNK_ELEMENTS // max(hits.size, 1))
        for start in range(0, len(weights), rows):
            part = slice(start, start + rows)
            result[part, index] = _interpolate(weights[part] @ hits_until, weights[part] @ counted_until, truth[part])
    return result


def _resampled_table(
    matches: Sequence[ClassMatches], groups: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(R, classes, 10) average precision; NaN without a particle."""
    return np.stack([resampled_precision(entry, groups, weights) for entry in matches], axis=1)


def _mean_of_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, classes) to (R,): mean over the classes that occur; NaN where none does."""
    present = ~np.isnan(values)
    count = present.sum(axis=1)
    means: NDArray[np.float64] = np.where(
        count > 0, np.where(present, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan
    )
    return means


def _counts_until(
    hits: NDArray[np.intp], positions: NDArray[np.intp], groups: NDArray[np.intp], group_count: int
) -> NDArray[np.float64]:
    """(G, hits) how many of ``positions`` belong to each group, up to and with each hit."""
    next_hit = np.searchsorted(hits, positions)
    before_last = next_hit < hits.size
    cells = groups[positions[before_last]] * hits.size + next_hit[before_last]
    counts = np.bincount(cells, minlength=group_count * hits.size).reshape(group_count, hits.size)
    return np.cumsum(counts, axis=1).astype(np.float64)


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


def _match_class(overlaps: Sequence[ImageOverlap], label: str | None, max_detections: int) -> ClassMatches:
    scores, images, outcomes, truth_count = [], [], [], []
    for index, overlap in enumerate(overlaps):
        rows = _of_class(overlap.labels, label)[:max_detections]
        columns = _of_class(overlap.truth_labels, label)
        # A region that names no class excuses the predictions of every class.
        excuses = np.flatnonzero([label is None or other in {None, label} for other in overlap.ignore_labels])
        scores.append(overlap.scores[rows])
        images.append(np.full(rows.size, index, dtype=np.intp))
        outcomes.append(_outcomes(overlap.iou[np.ix_(rows, columns)], overlap.ignore_share[np.ix_(rows, excuses)]))
        truth_count.append(columns.size)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return ClassMatches(
        label=label,
        image=np.concatenate(images)[order],
        outcome=np.concatenate(outcomes, axis=1)[:, order],
        truth_count=np.array(truth_count, dtype=np.int64),
    )


def _of_class(labels: Sequence[str | None], label: str | None) -> NDArray[np.intp]:
    return np.flatnonzero([label is None or other == label for other in labels])


def _outcomes(iou: NDArray[np.float64], ignore_share: NDArray[np.float64]) -> NDArray[np.int8]:
    """(10, P) outcome of each detection of an image; rows of ``iou`` are sorted by descending score."""
    outcome = np.full((IOU_THRESHOLDS.size, len(iou)), FALSE_POSITIVE, dtype=np.int8)
    excused = ignore_share.max(axis=1, initial=0.0)
    outcome[excused[None, :] >= IOU_THRESHOLDS[:, None]] = IGNORED
    candidates: dict[int, list[tuple[float, int]]] = {}
    rows, columns = np.nonzero(iou >= IOU_THRESHOLDS[0])
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        candidates.setdefault(row, []).append((float(iou[row, column]), column))
    for index, threshold in enumerate(IOU_THRESHOLDS.tolist()):
        taken: set[int] = set()
        for row, pairs in candidates.items():
            # Of equal overlaps COCO takes the later particle; so does the maximum of (IoU, column).
            best = max((pair for pair in pairs if pair[0] >= threshold and pair[1] not in taken), default=None)
            if best is not None:
                taken.add(best[1])
                outcome[index, row] = TRUE_POSITIVE
    return outcome
