"""What an instrument or an author wrote onto a micrograph: the info bar, scale bars and lettering.

Two unrelated micrographs of one instrument share it to the pixel, so it has to be known before images are compared.
Whatever may be written is left out of a comparison; ``marks`` finds what surely is.
"""

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.marks.banner import margin_rows, strip_rows

_INK = 20
"""Lettering is at least this near to black or white."""

_LETTER = (0.012, 0.12)
_MAX_STROKE = 0.025
_LINE = (0.04, 0.5)
_BOX = (0.03, 0.4)
"""Parts of the longer side: height of a glyph, width of its strokes, length of a scale bar, sides of a box."""

_BOX_FILLED = 0.5
_BOX_EDGE = 0.8
"""Parts of a box and of each of its edges that are not lettering."""

_MAX_LETTERING = 0.2
"""Where more of the image looks like lettering than this, the particles are black or white themselves."""

_MARGIN = 0.01


def overlay_mask(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the info bar, scale bars and lines of text are.

    A bar is a strip along the bottom or the top, up to a quarter of the height, whose rows consist mostly of one flat
    grey value. A glyph is a small black or white component with thin strokes that has a neighbour of its height on
    its line; a scale bar is a long, thin, level, filled one. Single letters, text in shades of grey and small print
    that has run together may be missed.

    Args:
        grey: (H, W) uint8.

    Returns:
        (H, W) bool, True where nothing is to be compared.
    """
    height = grey.shape[0]
    mask = _lettering(grey)
    mask[: _bar_height(grey)] = True
    mask[height - _bar_height(grey[::-1]) :] = True
    return mask


def _bar_height(grey: NDArray[np.uint8]) -> int:
    """Rows of the bar at the top of ``grey`` with its soft edge; 0 where there is none."""
    rows = strip_rows(grey)
    return rows + margin_rows(grey.shape[0]) if rows else 0


def _lettering(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    import cv2

    side = max(grey.shape)
    found = np.zeros(grey.shape, dtype=np.uint8)
    for ink in (grey <= _INK, grey >= 255 - _INK):
        binary = ink.astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
        if count < 2:
            continue
        stroke = max(int(side * _MAX_STROKE), 2)
        thick = np.zeros(count, dtype=bool)
        thick[labels[cv2.erode(binary, np.ones((stroke, stroke), np.uint8), borderValue=1) > 0]] = True
        chosen = (_glyphs(stats, side) | _scale_bars(stats, side)) & ~thick
        found |= chosen[labels].astype(np.uint8)
        for left, top, width, height in _boxes(labels, stats, side):
            found[top : top + height, left : left + width] = 1
    if found.mean() > _MAX_LETTERING:
        found[:] = 0
    reach = 2 * max(int(side * _MARGIN), 1) + 1
    return np.asarray(cv2.dilate(found, np.ones((reach, reach), np.uint8)) > 0)


def _glyphs(stats: NDArray[np.int32], side: int) -> NDArray[np.bool_]:
    """Components that stand beside another one of their height, on one line."""
    left, top, width, height = stats[:, :4].T.astype(np.float64)
    low, high = _LETTER
    candidate = (height >= side * low) & (height <= side * high) & (width <= 2 * height)
    candidate[0] = False
    index = np.flatnonzero(candidate)
    order = index[np.argsort(left[index], kind="stable")]
    chosen = np.zeros(len(stats), dtype=bool)
    for position, one in enumerate(order):
        for other in order[position + 1 :]:
            gap = left[other] - left[one] - width[one]
            if gap > height[one]:
                break
            tall = max(height[one], height[other])
            # Capitals and small letters share a base line, not a height.
            level = abs(top[one] + height[one] - top[other] - height[other]) <= 0.12 * tall
            if level and gap > -0.2 * tall and min(height[one], height[other]) >= 0.55 * tall:
                chosen[one] = chosen[other] = True
    return chosen


def _scale_bars(stats: NDArray[np.int32], side: int) -> NDArray[np.bool_]:
    _, _, width, height, area = stats.T
    low, high = _LINE
    chosen = (width >= side * low) & (width <= side * high) & (width >= 5 * height) & (area >= 0.8 * width * height)
    chosen[0] = False
    return np.asarray(chosen)


def _boxes(labels: NDArray[np.int32], stats: NDArray[np.int32], side: int) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of upright filled rectangles, as lie under a scale bar or a panel's letter."""
    low, high = _BOX
    boxes = []
    for label, (left, top, width, height, area) in enumerate(stats.tolist()):
        sized = min(width, height) >= side * low and max(width, height) <= side * high
        # What is written in the box is missing from its area.
        if label == 0 or not sized or area < _BOX_FILLED * width * height:
            continue
        inside = labels[top + 1 : top + height - 1, left + 1 : left + width - 1] == label
        edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
        # A round particle meets its box in four points, a box all along.
        if all(edge.mean() >= _BOX_EDGE for edge in edges):
            boxes.append((left, top, width, height))
    return boxes
