"""Which prediction belongs to which particle.

The overlaps of an image are computed once and serve every metric. ``pycocotools`` computes an IoU only where two
boxes meet, so a thousand candidates on an image are cheap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Rle
from nanoseg_bench.annotations.raster import area, from_coco, iou_matrix, to_coco, to_rle

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
        rows = np.flatnonzero(kept)
        return ImageOverlap(
            width=self.width,
            height=self.height,
            predicted=tuple(self.predicted[row] for row in rows),
            scores=self.scores[rows],
            labels=tuple(self.labels[row] for row in rows),
            truth=self.truth,
            truth_labels=self.truth_labels,
            ignore=self.ignore,
            ignore_labels=self.ignore_labels,
            iou=self.iou[rows],
            ignore_share=self.ignore_share[rows],
            ignored=self.ignored[rows],
        )


def image_overlap(predicted: Sequence[Instance], truth: Sequence[Instance], width: int, height: int) -> ImageOverlap:
    """Overlaps of one image's predictions with its truth, all in original pixels.

    A prediction without a pixel is none: some models return them, others do not.

    Raises:
        ValueError: A mask is of another size than the image.
    """
    visible = [instance for instance in predicted if area(to_rle(instance, height, width))]
    ordered = sorted(visible, key=lambda instance: -_score(instance))
    particles = [instance for instance in truth if not instance.ignored]
    ignored = [instance for instance in truth if instance.ignored]
    masks = tuple(to_rle(instance, height, width) for instance in ordered)
    truth_masks = tuple(to_rle(instance, height, width) for instance in particles)
    ignore_masks = tuple(to_rle(instance, height, width) for instance in ignored)
    iou = iou_matrix(masks, truth_masks)
    return ImageOverlap(
        width=width,
        height=height,
        predicted=masks,
        scores=np.array([_score(instance) for instance in ordered], dtype=np.float64),
        labels=tuple(instance.label for instance in ordered),
        truth=truth_masks,
        truth_labels=tuple(instance.label for instance in particles),
        ignore=ignore_masks,
        ignore_labels=tuple(None if instance.label == IGNORE_LABEL else instance.label for instance in ignored),
        iou=iou,
        ignore_share=iou_matrix(masks, ignore_masks, [True] * len(ignore_masks)),
        # As in COCO a particle goes before an ignore region, or a perfect answer beside one would miss it.
        ignored=_mostly_inside(masks, ignore_masks) & ~(iou > HIT_IOU).any(axis=1),
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


def union(regions: Sequence[Rle]) -> Rle:
    """Pixels in at least one of the masks; there must be one."""
    return from_coco(coco_mask.merge([to_coco(region) for region in regions]))


def _score(instance: Instance) -> float:
    return 1.0 if instance.score is None else instance.score


def _mostly_inside(predicted: Sequence[Rle], ignore: Sequence[Rle]) -> NDArray[np.bool_]:
    if not predicted or not ignore:
        return np.zeros(len(predicted), dtype=bool)
    inside: NDArray[np.bool_] = iou_matrix(predicted, [union(ignore)], [True])[:, 0] > IGNORED_SHARE
    return inside
