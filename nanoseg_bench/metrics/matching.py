"""Which prediction belongs to which particle.

The overlaps of an image are computed once and serve every metric. ``pycocotools`` walks along the runs of two masks
only where their boxes meet, in C, so a thousand candidates on an image are cheap; what costs is calling it for each
mask, so masks go in by the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Rle
from nanoseg_bench.annotations.raster import areas, bounding_boxes, inside_share, iou_matrix, to_rle, union

IGNORED_SHARE = 0.5
"""A prediction with more than this share of its area inside ignore regions is no false positive."""

HIT_IOU = 0.5
"""A prediction with a larger IoU than this has hit a particle."""


@dataclass(frozen=True, eq=False, slots=True)
class ImageOverlap:
    """Predictions and truth of one image, and how they overlap; P predictions, T particles, G ignore regions.

    Attributes:
        width: Columns of the original image.
        height: Rows.
        predicted: P masks, best score first (equal scores keep their order).
        scores: (P,) float64 confidences, descending; 1 where a tool gives none.
        labels: P class names; None where the model knows no classes.
        truth: T masks.
        truth_labels: T class names.
        area: (P,) float64, px².
        truth_area: (T,) float64, px².
        ignore: G regions that are neither truth nor false positives.
        ignore_labels: The class whose predictions a crowd region excuses; None excuses every class.
        iou: (P, T) float64.
        ignore_share: (P, G) float64: share of a prediction's area inside each ignore region.
        ignored: (P,) bool: more than half of the prediction lies inside the ignore regions' union, and it hits nothing.
    """

    width: int
    height: int
    predicted: tuple[Rle, ...]
    scores: NDArray[np.float64]
    labels: tuple[str | None, ...]
    truth: tuple[Rle, ...]
    truth_labels: tuple[str | None, ...]
    area: NDArray[np.float64]
    truth_area: NDArray[np.float64]
    ignore: tuple[Rle, ...]
    ignore_labels: tuple[str | None, ...]
    iou: NDArray[np.float64]
    ignore_share: NDArray[np.float64]
    ignored: NDArray[np.bool_]

    def keep(self, confidence: float | None) -> "ImageOverlap":
        """The same image with the predictions at or above ``confidence`` that are not ignored.

        Args:
            confidence: Smallest score; None keeps every score.
        """
        kept = ~self.ignored if confidence is None else ~self.ignored & (self.scores >= confidence)
        return select(self, np.flatnonzero(kept))


def select(overlap: ImageOverlap, rows: NDArray[np.intp]) -> ImageOverlap:
    """The same image with some of the predictions, given by their positions."""
    return replace(
        overlap,
        predicted=tuple(overlap.predicted[row] for row in rows),
        scores=overlap.scores[rows],
        labels=tuple(overlap.labels[row] for row in rows),
        area=overlap.area[rows],
        iou=overlap.iou[rows],
        ignore_share=overlap.ignore_share[rows],
        ignored=overlap.ignored[rows],
    )


def image_overlap(predicted: Sequence[Instance], truth: Sequence[Instance], width: int, height: int) -> ImageOverlap:
    """Overlaps of one image's predictions with its truth, all in original pixels.

    A prediction without a pixel is none: some models return them, others do not.

    Raises:
        ValueError: A mask is of another size than the image.
    """
    candidates = [to_rle(instance, height, width) for instance in predicted]
    candidate_area = areas(candidates)
    candidate_scores = np.array([1.0 if one.score is None else one.score for one in predicted], dtype=np.float64)
    visible = np.flatnonzero(candidate_area)
    order = visible[np.argsort(-candidate_scores[visible], kind="stable")]
    masks = tuple(candidates[index] for index in order)
    particles = [instance for instance in truth if not instance.ignored]
    ignored = [instance for instance in truth if instance.ignored]
    truth_masks = tuple(to_rle(instance, height, width) for instance in particles)
    ignore_masks = tuple(to_rle(instance, height, width) for instance in ignored)
    iou = iou_matrix(masks, truth_masks)
    return ImageOverlap(
        width=width,
        height=height,
        predicted=masks,
        scores=candidate_scores[order],
        labels=tuple(predicted[index].label for index in order),
        truth=truth_masks,
        truth_labels=tuple(instance.label for instance in particles),
        area=candidate_area[order],
        truth_area=areas(truth_masks),
        ignore=ignore_masks,
        ignore_labels=tuple(None if instance.label == IGNORE_LABEL else instance.label for instance in ignored),
        iou=iou,
        ignore_share=iou_matrix(masks, ignore_masks, [True] * len(ignore_masks)),
        # As in COCO a particle goes before an ignore region, or a perfect answer beside one would miss it.
        ignored=_mostly_inside(masks, ignore_masks) & ~(iou > HIT_IOU).any(axis=1),
    )


def as_boxes(overlap: ImageOverlap) -> ImageOverlap:
    """The same image with the overlaps of the bounding boxes in place of the masks'.

    ``average_precision.match_detections`` makes box AP of it, as ``pycocotools`` does with ``iouType="bbox"``. Areas
    and ``ignored`` stay those of the masks, so a particle is of the same size stratum in both.
    """
    predicted = bounding_boxes(overlap.predicted)
    return replace(
        overlap,
        iou=_box_iou(predicted, bounding_boxes(overlap.truth), crowd=False),
        ignore_share=_box_iou(predicted, bounding_boxes(overlap.ignore), crowd=True),
    )


def match(iou: NDArray[np.float64], iou_threshold: float = HIT_IOU) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair predictions with particles one to one by the Hungarian algorithm.

    Only pairs with IoU > ``iou_threshold`` are admissible. There are as many pairs as possible, and among those
    assignments the one with the largest total IoU is taken.

    Args:
        iou: (P, T) matrix.
        iou_threshold: Exclusive lower bound.

    Returns:
        (rows, columns): indices of the paired predictions and particles.
    """
    admissible = iou > iou_threshold
    rows, columns = np.flatnonzero(admissible.any(axis=1)), np.flatnonzero(admissible.any(axis=0))
    block = np.ix_(rows, columns)
    # All IoU terms together stay below one pair's worth, so the number of pairs comes first.
    worth = np.where(admissible[block], 1 + iou[block] / (2 * max(min(rows.size, columns.size), 1)), 0)
    chosen_rows, chosen_columns = linear_sum_assignment(worth, maximize=True)
    kept = admissible[block][chosen_rows, chosen_columns]
    return rows[chosen_rows[kept]], columns[chosen_columns[kept]]


class GrowingMatch:
    """Number of pairs of ``match`` while predictions join one by one.

    ``match`` has as many pairs as possible; adding a prediction adds at most one, and an augmenting path tells whether
    it does (Kuhn 1955). That makes a sweep over every confidence as cheap as one matching.

    Args:
        iou: (P, T) matrix; pairs need an IoU > ``HIT_IOU``.
    """

    def __init__(self, iou: NDArray[np.float64]) -> None:
        self._candidates = [np.flatnonzero(row > HIT_IOU).tolist() for row in iou]
        self._owner: dict[int, int] = {}

    def add(self, row: int) -> bool:
        """Add a prediction; return whether there is one pair more."""
        return self._augment(row, set())

    def _augment(self, row: int, seen: set[int]) -> bool:
        for column in self._candidates[row]:
            if column in seen:
                continue
            seen.add(column)
            if column not in self._owner or self._augment(self._owner[column], seen):
                self._owner[column] = row
                return True
        return False


def _box_iou(predicted: NDArray[np.float64], truth: NDArray[np.float64], *, crowd: bool) -> NDArray[np.float64]:
    if not len(predicted) or not len(truth):
        return np.zeros((len(predicted), len(truth)))
    return np.asarray(coco_mask.iou(predicted, truth, [int(crowd)] * len(truth)), dtype=np.float64)


def _mostly_inside(predicted: Sequence[Rle], ignore: Sequence[Rle]) -> NDArray[np.bool_]:
    if not predicted or not ignore:
        return np.zeros(len(predicted), dtype=bool)
    return np.asarray(inside_share(predicted, union(ignore)) > IGNORED_SHARE)
