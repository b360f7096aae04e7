"""Pixel IoU (paper, Eq. 30) and Dice: the union of all particles against the union of all predictions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import area, intersection, union
from nanoseg_bench.metrics.matching import ImageOverlap


@dataclass(frozen=True, slots=True)
class PixelScores:
    """Foreground against background, with the pixels of all images pooled.

    Attributes:
        iou: |P ∩ T| / |P ∪ T|.
        dice: 2 |P ∩ T| / (|P| + |T|) = 2 IoU / (1 + IoU).
    """

    iou: float
    dice: float


def pixel_scores(overlaps: Iterable[ImageOverlap]) -> PixelScores | None:
    """Pixel IoU and Dice; pixels of ignore regions do not count.

    Returns:
        None where neither side has a pixel.
    """
    common, joint = 0, 0
    for overlap in overlaps:
        both, either = _pixel_counts(overlap)
        common += both
        joint += either
    if joint == 0:
        return None
    return PixelScores(iou=common / joint, dice=2 * common / (joint + common))


def _pixel_counts(overlap: ImageOverlap) -> tuple[int, int]:
    """Pixels in both unions, and in either, of one image."""
    predicted = _area_outside(overlap.predicted, overlap.ignore)
    truth = _area_outside(overlap.truth, overlap.ignore)
    if not overlap.predicted or not overlap.truth:
        return 0, predicted + truth
    common = intersection(union(overlap.predicted), union(overlap.truth))
    both = _area_outside([common], overlap.ignore)
    return both, predicted + truth - both


def _area_outside(regions: Sequence[Rle], ignore: Sequence[Rle]) -> int:
    if not regions:
        return 0
    region = union(regions)
    return area(region) - (area(intersection(region, union(ignore))) if ignore else 0)
