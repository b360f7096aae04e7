"""The "AP" of the EMPS paper's code, to compare with its numbers. It is another metric than COCO's AP.

B. Yildirim, J. M. Cole, J. Chem. Inf. Model. 61, 1136 (2021), doi:10.1021/acs.jcim.0c01455, evaluated with
``bpartis/utils/eval.py`` of github.com/by256/bpartis, of which this is the version of commit 4425a62, the one that
returns AP, AP50 and AP75. (An earlier one, 0a7bfda, took the mean precision over the thresholds 0.50 to 0.95.)

Differences to COCO: detections are not ranked, their confidences play no part; the curve is drawn over IoU thresholds,
not over confidences; of several predictions of one particle all but one are false positives, and one prediction may hit
several particles; every image counts the same. The curve begins at the recall at IoU 0.95, and what lies left of that
is no part of its area: unless an image is perfect, precise outlines *lower* the value. Never rank models by it, and
never put it beside COCO's AP under one name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.metrics.matching import ImageOverlap

UNRANKED_THRESHOLDS: NDArray[np.float64] = np.round(np.linspace(0.0, 0.95, 20), 3)
"""IoU thresholds, exclusive."""

_AT_50, _AT_75 = 10, 15


@dataclass(frozen=True, slots=True)
class UnrankedAp:
    """Means over the images with particles.

    Attributes:
        ap: Area under precision over recall, as ``unranked_average_precision`` says.
        precision_50: Precision at IoU > 0.50, which that code calls AP50.
        precision_75: Precision at IoU > 0.75, its AP75.
    """

    ap: float
    precision_50: float
    precision_75: float


def unranked_average_precision(overlaps: Sequence[ImageOverlap]) -> UnrankedAp | None:
    """Mean over images of the area under precision against recall, with the IoU threshold as parameter.

    At each of ``UNRANKED_THRESHOLDS`` t, with n_i predictions of IoU > t on particle i:

        TP = |{i: n_i ≥ 1}|, FN = |{i: n_i = 0}|, FP = Σ_i max(n_i − 1, 0) + |{predictions without such a particle}|,
        precision = TP / (TP + FP), recall = TP / (TP + FN).

    Precision becomes monotonic (at each threshold the largest of this and all smaller thresholds), and the area follows
    from the trapezoidal rule between the recalls that occur. Where precision and recall are the same at all thresholds
    (to half precision, as there), the precision is the area.

    Args:
        overlaps: One per image, from ``overlap.keep(confidence)``.

    Returns:
        None where no image has a particle. Images without one are left out, which that code cannot evaluate.
    """
    values = [_of_image(overlap.iou) for overlap in overlaps if overlap.truth]
    if not values:
        return None
    ap, precision_50, precision_75 = np.mean(values, axis=0).tolist()
    return UnrankedAp(ap, precision_50, precision_75)


def _of_image(iou: NDArray[np.float64]) -> tuple[float, float, float]:
    above = iou[None, :, :] > UNRANKED_THRESHOLDS[:, None, None]
    per_particle = above.sum(axis=1)
    hits = (per_particle > 0).sum(axis=1)
    false_positives = np.maximum(per_particle - 1, 0).sum(axis=1) + (~above.any(axis=2)).sum(axis=1)
    precision = hits / np.maximum(hits + false_positives, 1)
    recall = hits / iou.shape[1]
    # From the highest threshold, where recall is least, to the lowest.
    rising_recall = recall[::-1]
    envelope = np.maximum.accumulate(precision)[::-1]
    if _is_constant(rising_recall) and _is_constant(envelope):
        area = float(envelope.mean())
    else:
        area = float((np.diff(rising_recall) * (envelope[1:] + envelope[:-1]) / 2).sum())
    return area, float(precision[_AT_50]), float(precision[_AT_75])


def _is_constant(values: NDArray[np.float64]) -> bool:
    return bool((values.astype(np.float16) == np.float16(values.mean())).all())
