"""Aggregated Jaccard index (Kumar et al., IEEE Trans. Med. Imaging 36, 1550, 2017)."""

from collections.abc import Iterable

import numpy as np

from nanoseg_bench.metrics.matching import ImageOverlap


def aggregated_jaccard_index(overlaps: Iterable[ImageOverlap]) -> float | None:
    """Mean of the images' aggregated Jaccard indices.

        AJI = Σ_i |T_i ∩ P_j(i)| / (Σ_i |T_i ∪ P_j(i)| + Σ_k |P_k|),

    where j(i) is the prediction with the largest IoU with particle i, and k runs over the predictions that no
    particle chose. A particle that nothing overlaps adds its own area to the denominator. As in the authors' final
    script, a prediction may serve several particles, so the order of the particles is of no account.

    Args:
        overlaps: One per image, from ``overlap.keep(confidence)``.

    Returns:
        A fraction; images without particle and prediction are left out, None where none is left.
    """
    values = [value for overlap in overlaps if (value := _of_image(overlap)) is not None]
    return sum(values) / len(values) if values else None


def _of_image(overlap: ImageOverlap) -> float | None:
    if not overlap.truth and not overlap.predicted:
        return None
    if not overlap.truth or not overlap.predicted:
        return 0.0
    chosen = overlap.iou.argmax(axis=0)
    best = overlap.iou[chosen, np.arange(len(overlap.truth))]
    both_areas = overlap.area[chosen] + overlap.truth_area
    # |A ∩ B| = IoU (|A| + |B|) / (1 + IoU), a whole number.
    intersection = np.rint(best * both_areas / (1 + best))
    joint = np.where(best > 0, both_areas - intersection, overlap.truth_area)
    unused = np.delete(overlap.area, np.unique(chosen[best > 0]))
    return float(intersection.sum() / (joint.sum() + unused.sum()))
