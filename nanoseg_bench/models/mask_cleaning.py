"""Masks without crumbs and holes, where the recipe says so: the same for every model, in original pixels.

Pixels that touch at an edge or a corner are of one part; what is then enclosed is a hole, where it has no way out over
edges of pixels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import rle_to_window, to_rle, window_to_rle
from nanoseg_bench.models.recipe import MaskCleaning


@dataclass(frozen=True, slots=True)
class Altered:
    """How many particles a cleaning alters.

    Attributes:
        particles: That were looked at.
        altered: Of these.
        in_parts: Of these, because they have several parts.
        with_holes: Of these, because they have holes.
    """

    particles: int
    altered: int
    in_parts: int
    with_holes: int


def clean_masks(found: Sequence[Instance], cleaning: MaskCleaning, height: int, width: int) -> list[Instance]:
    """Clean each particle by itself; one that has neither crumbs nor holes comes back as it is.

    Args:
        found: Particles of an image, in its pixels.
        cleaning: As in the recipe.
        height: Rows of the image.
        width: Columns.
    """
    return list(found) if cleaning == "none" else [_cleaned(each, cleaning, height, width) for each in found]


def count_altered(masks: Iterable[NDArray[np.bool_]], cleaning: MaskCleaning) -> Altered:
    """How many of these masks, each (h, w), a cleaning alters: whether the truth itself has parts and holes."""
    particles = altered = in_parts = with_holes = 0
    for mask in masks:
        whole = mask if cleaning == "none" else largest_part(mask)
        filled = fill_holes(whole) if cleaning == "largest-filled" else whole
        particles += 1
        altered += filled is not mask
        in_parts += whole is not mask
        with_holes += filled is not whole
    return Altered(particles, altered, in_parts, with_holes)


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a mask (h, w); of equal ones the upper, then the left; itself where it is one."""
    number, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if number <= 2:  # the background has a label, too
        return mask
    parts = statistics[1:]
    # Not the first of the labels: their order is OpenCV's affair.
    order = np.lexsort((parts[:, cv2.CC_STAT_LEFT], parts[:, cv2.CC_STAT_TOP], -parts[:, cv2.CC_STAT_AREA]))
    return np.asarray(labels == order[0] + 1)


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask (h, w) with all its holes filled; itself where it has none."""
    outside = np.pad(~mask, 1, constant_values=True)
    number, labels = cv2.connectedComponents(outside.view(np.uint8), connectivity=4)
    if number <= 2:  # the mask has a label, too
        return mask
    return np.asarray(labels[1:-1, 1:-1] != labels[0, 0])


def _cleaned(instance: Instance, cleaning: MaskCleaning, height: int, width: int) -> Instance:
    mask, x, y = rle_to_window(to_rle(instance, height, width))
    if mask.size == 0:
        return instance
    cleaned = largest_part(mask)
    if cleaning == "largest-filled":
        cleaned = fill_holes(cleaned)
    return instance if cleaned is mask else replace(instance, region=window_to_rle(cleaned, x, y, height, width))
