"""Finds level strips of one grey value that may be scale bars, bright or dark, on any ground."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.images.pixels import shrunk
from nanoseg_bench.measure.scale.bar import Bar, measure_bar

MAX_SIDE = 1600
"""Longer side in px at which bars are looked for; they are measured at full size."""

_SHORTEST = (0.018, 10)
_LONGEST = 0.97
_THICKEST = 0.07
_ASPECT = 2.0
"""Length and thickness of a bar: as parts of the width and height of the image, in px, and their ratio."""

_STANDS_OUT = 20
_CLEAR = 80
_WHITE = 243
"""Grey values by which a strip stands out from above and below: to be looked at, and to be told from what it lies
across; and what is white in spite of JPEG, to be told from a bright particle."""

_MOST = 150
"""Strips that are measured at most, those that stand out most first."""

_FILLED = 0.7
_FREE = 0.5
"""Least part of its box that a bar fills, and of its surroundings that differ from it."""

_SAME_PLACE = 0.7


def find_bars(grey: NDArray[np.uint8]) -> list[Bar]:
    """All strips that may be scale bars, those that look most like one first.

    A bar is a horizontal run of one grey value that is much longer than thick and stands out above and below. It is
    looked for by a morphological opening along rows, which noise and particles do not survive, from which what is
    thicker than a bar is taken away.

    Args:
        grey: (H, W) uint8.
    """
    height, width = grey.shape
    factor = min(MAX_SIDE / max(height, width), 1.0)
    small = grey if factor == 1 else shrunk(grey, factor)
    found: list[Bar] = []
    for bright in (True, False):
        boxes = sorted(_strips(small if bright else 255 - small), key=lambda each: -each[4])[:_MOST]
        for left, top, right, bottom, _ in boxes:
            place = (int(left / factor), int(top / factor), int(np.ceil(right / factor)), int(np.ceil(bottom / factor)))
            bar = measure_bar(grey, place[0], place[1] - 1, place[2], place[3] + 1, bright=bright)
            if bar is not None and _is_bar(bar, height, width):
                found.append(bar)
    return _distinct(sorted(found, key=likeness, reverse=True))


def quality(bar: Bar) -> float:
    """How much a strip looks drawn, from 0 to 1: one grey value, sharp ends, filled, free, clear, not cut."""
    even = 1.0 / (1.0 + (bar.spread / 8.0) ** 2)
    sharp = min(bar.end_contrast / max(0.5 * abs(bar.contrast), 25.0), 1.0)
    clear = min(abs(bar.contrast) / 50.0, 1.0)
    return even * sharp * clear * bar.filled * bar.stands_out * (0.3 if bar.cut else 1.0)


def likeness(bar: Bar) -> float:
    """How much a strip looks like a bar by itself, from 0 to 1: drawn, and nearly black or white."""
    return quality(bar) / (1.0 + (min(bar.grey, 255 - bar.grey) / 80.0) ** 2)


def _strips(grey: NDArray[np.uint8]) -> Iterator[tuple[int, int, int, int, float]]:
    """Box of each bright strip, and how much it stands out."""
    height, width = grey.shape
    shortest = max(round(_SHORTEST[0] * width), _SHORTEST[1])
    thickest = max(round(_THICKEST * height), 6)
    level = cv2.morphologyEx(grey, cv2.MORPH_OPEN, np.ones((1, shortest), np.uint8))
    # A strip at the border has nothing beyond it: the border itself stands for dark ground.
    padded = cv2.copyMakeBorder(level, thickest + 1, thickest + 1, 0, 0, cv2.BORDER_CONSTANT, value=0)
    thick = cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((thickest + 1, 1), np.uint8))
    strips = level - thick[thickest + 1 : -thickest - 1]
    drawn = (level >= _WHITE) & (strips >= _STANDS_OUT)
    for mask in (strips >= _STANDS_OUT, strips >= _CLEAR, drawn):
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
        across, down = stats[:, 2], stats[:, 3]
        sized = (across >= _ASPECT * down) & (down <= thickest) & (across >= shortest) & (across <= _LONGEST * width)
        sized[0] = False
        for label in np.flatnonzero(sized).tolist():
            box = _box(stats[label])
            inside = labels[box] == label
            # Noise has strips, too, of any contrast, but small ones.
            stands_out = float(strips[box][inside].mean()) * float(inside.sum()) ** 0.5
            yield box[1].start, box[0].start, box[1].stop, box[0].stop, stands_out


def _box(stats: NDArray[np.int32]) -> tuple[slice, slice]:
    left, top, across, down, _ = (int(value) for value in stats)
    return slice(top, top + down), slice(left, left + across)


def _is_bar(bar: Bar, height: int, width: int) -> bool:
    return (
        bar.length >= _ASPECT * bar.thickness
        and bar.length >= max(0.8 * _SHORTEST[0] * width, 8)
        and bar.length <= _LONGEST * width
        and bar.thickness <= _THICKEST * height + 2
        and bar.filled >= _FILLED
        and bar.stands_out >= _FREE
    )


def _distinct(bars: list[Bar]) -> list[Bar]:
    """One of those that are found at several levels, the first."""
    kept: list[Bar] = []
    for bar in bars:
        if not any(_same(bar, other) for other in kept):
            kept.append(bar)
    return kept


def _same(one: Bar, other: Bar) -> bool:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return down > 0 and across >= _SAME_PLACE * min(one.length, other.length)
