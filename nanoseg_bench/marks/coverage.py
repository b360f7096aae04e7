"""Whether a detection is a mark, and not a particle that lies under one."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import rle_to_window
from nanoseg_bench.images.pixels import as_grey
from nanoseg_bench.marks.mark import BANNER, BAR, BOX, TEXT, Marks

MOSTLY = 0.5
"""A detection lies on marks when more than this share of its area does."""

_WHOLE_LETTERS = 0.6
"""Share of the letters' ink that a detection holds which is lettering."""

_ALL_INK = 0.8
_THIN = 1.15
_LONG = 1.2
"""A piece of a letter is so much ink at least, and at most so much wider than the strokes and longer than the
letters."""

_ALIKE = 12
"""Grey values between what a detection shows beside what is written and what is around it, where nothing lies under
it."""

_RING = 4
_SOFT = 3
_LEAST_SEEN = 12
_LEAST_SHARE = 0.05
"""Pixels of the ring around a detection, sides of the square by which what is written is widened for its soft edge, and
pixels and share of the detection that can be judged beside it."""


def lies_on_marks(regions: Iterable[Rle], marks: Marks, pixels: NDArray[np.uint8]) -> list[bool]:
    """Which detections lie mostly on marks.

    More than half of its area lies on information bars, scale bars, boxes under lettering or lines of lettering, and

    - on lettering, it is the lettering that was detected: it holds most of the letters that it touches, as a blob over
      "300 nm" does, or is a piece of their strokes;
    - what it shows besides looks like what is around it. A particle that shows from behind looks different, and stays.

    Args:
        regions: Masks of the micrograph's size.
        marks: Of the micrograph.
        pixels: (H, W) or (H, W, 3) uint8, the micrograph.
    """
    judge = _Judge(marks, pixels)
    return [judge.lies_on(region) for region in regions]


class _Judge:
    def __init__(self, marks: Marks, pixels: NDArray[np.uint8]) -> None:
        self._grey = as_grey(pixels)
        self._opaque = marks.mask(BANNER, BAR, BOX)
        self._anywhere = self._opaque | marks.mask(TEXT)
        self._ink = marks.ink
        self._written = (self._opaque | (self._ink > 0)).astype(np.uint8)
        self._whole = np.bincount(self._ink.ravel())
        self._letters = marks.letters

    def lies_on(self, region: Rle) -> bool:
        mask, x, y = rle_to_window(region)
        if not mask.size:
            return False
        margin = _RING + 1
        above, left = min(margin, y), min(margin, x)
        below = min(margin, region.height - y - mask.shape[0])
        right = min(margin, region.width - x - mask.shape[1])
        inside = np.pad(mask, ((above, below), (left, right)))
        top, first = y - above, x - left
        window = (slice(top, top + inside.shape[0]), slice(first, first + inside.shape[1]))
        area = int(inside.sum())
        if int(self._anywhere[window][inside].sum()) <= MOSTLY * area:
            return False
        on_opaque = int(self._opaque[window][inside].sum()) > MOSTLY * area
        return (on_opaque or self._is_lettering(inside, self._ink[window])) and self._shows_nothing_else(inside, window)

    def _is_lettering(self, inside: NDArray[np.bool_], ink: NDArray[np.int32]) -> bool:
        held = np.bincount(ink[inside], minlength=len(self._whole))
        touched = np.flatnonzero(held > 0)
        touched = touched[touched > 0]
        if not len(touched):
            return False
        # Letters that the detection merely grazes are none of its own.
        own = touched[held[touched] > 0.1 * self._whole[touched]]
        if len(own) and held[own].sum() > _WHOLE_LETTERS * self._whole[own].sum():
            return True
        if held[touched].sum() < _ALL_INK * inside.sum():
            return False
        stroke, height = self._letters[touched].max(axis=0)
        width = 2 * float(cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5).max())
        length = max(np.ptp(indices) + 1 for indices in np.nonzero(inside))
        return bool(width <= _THIN * stroke and length <= _LONG * height)

    def _shows_nothing_else(self, inside: NDArray[np.bool_], window: tuple[slice, slice]) -> bool:
        written = cv2.dilate(self._written[window], np.ones((_SOFT, _SOFT), np.uint8)) > 0
        beside = inside & ~written
        if beside.sum() < max(_LEAST_SEEN, _LEAST_SHARE * inside.sum()):
            return True
        reach = np.ones((2 * _RING + 1,) * 2, np.uint8)
        ring = (cv2.dilate(inside.astype(np.uint8), reach) > 0) & ~inside & ~written
        if ring.sum() < _LEAST_SEEN:
            return True
        grey = self._grey[window]
        return bool(abs(float(np.median(grey[beside])) - float(np.median(grey[ring]))) <= _ALIKE)
