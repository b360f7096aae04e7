"""Letters, scale bars and boxes among the connected regions of nearly black, nearly white or coloured pixels."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

_LETTER = (0.012, 0.16)
_LEAST_LETTER = 6
"""Height of a glyph as part of the longer side, and in px."""

_WIDEST = 3.0
"""Width of a glyph in heights: letters may have run together."""

_STROKE = 0.42
"""Width of the widest stroke in heights of the glyph."""

_CONTRAST = 45
_AROUND = 0.7
_RING = 2
"""Grey values between a letter and what lies around it, on this part of a ring of so many px."""

_CONVEX = 0.9
"""Part of its convex hull that a filled region covers: letters are hollowed, particles mostly are not."""

_FLAT = 24
"""Grey values that a letter spans inside (10th to 90th percentile): it was drawn in one, a shadow is not."""

_LEAST_CORE = 6

_EDGE = 0.8
"""Part of each edge of a box that is filled."""


@dataclass(frozen=True, eq=False)
class Region:
    """One connected region of ink.

    Attributes:
        label: Its number among the components.
        left: First column.
        top: First row.
        width: Columns.
        height: Rows.
        area: Pixels.
        labels: Components of the whole image.
        stats: OpenCV's statistics of all components.
        grey: The image.
    """

    label: int
    left: int
    top: int
    width: int
    height: int
    area: int
    labels: NDArray[np.int32]
    stats: NDArray[np.int32]
    grey: NDArray[np.uint8]

    @property
    def right(self) -> int:
        """Column after the last."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """Row after the last."""
        return self.top + self.height

    @cached_property
    def mask(self) -> NDArray[np.uint8]:
        """(height + 2, width + 2) uint8, 1 inside; a rim of one pixel."""
        inside = self.labels[self.top : self.bottom, self.left : self.right] == self.label
        return np.pad(inside, 1).astype(np.uint8)

    @cached_property
    def value(self) -> int:
        """Median grey value of the region."""
        window = self.grey[self.top : self.bottom, self.left : self.right]
        return int(np.median(window[self.mask[1:-1, 1:-1] > 0]))

    @cached_property
    def stroke(self) -> float:
        """Width of the widest stroke, px."""
        return 2 * float(cv2.distanceTransform(self.mask, cv2.DIST_L2, 5).max())

    @cached_property
    def filled(self) -> float:
        """Part of the convex hull that the region covers, its holes filled."""
        outlines, _ = cv2.findContours(self.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = max(outlines, key=len)
        hull = cv2.convexHull(outline)
        # Areas between pixel centres: half of the outline's pixels are missing from both.
        area = cv2.contourArea(outline) + len(outline) / 2 + 1
        return float(min(area / (cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1), 1.0))

    @cached_property
    def has_hole(self) -> bool:
        """Whether something is enclosed, as in "0" and "a"."""
        _, hierarchy = cv2.findContours(self.mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        return bool((hierarchy[0, :, 3] >= 0).any())

    @cached_property
    def stands_out(self) -> float:
        """Part of the ring around the region that is unlike it."""
        reach = _RING + 1
        top, left = max(self.top - reach, 0), max(self.left - reach, 0)
        window = (slice(top, self.bottom + reach), slice(left, self.right + reach))
        inside = (self.labels[window] == self.label).astype(np.uint8)
        near = cv2.dilate(inside, np.ones((3, 3), np.uint8))
        ring = (cv2.dilate(inside, np.ones((2 * reach + 1,) * 2, np.uint8)) > 0) & (near == 0)
        if not ring.any():
            return 0.0
        grey = self.grey[window].astype(np.int16)
        return float((np.abs(grey[ring] - int(np.median(grey[inside > 0]))) >= _CONTRAST).mean())

    @cached_property
    def is_flat(self) -> bool:
        """Whether the pixels that are not at its edge have one grey value; True where all are."""
        core = cv2.erode(self.mask, np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
        if core.sum() < _LEAST_CORE:
            return True
        low, high = np.percentile(self.grey[self.top : self.bottom, self.left : self.right][core], (10, 90))
        return bool(high - low <= _FLAT)

    @cached_property
    def is_box(self) -> bool:
        """Whether it fills the edges of its bounding box, which a round particle meets in four points."""
        inside = self.mask[2:-2, 2:-2]
        edges = (inside[:1], inside[-1:], inside[:, :1], inside[:, -1:])
        return bool(inside.size) and all(float(edge.mean()) >= _EDGE for edge in edges)

    @cached_property
    def is_letter(self) -> bool:
        """Whether it has thin strokes, one grey value, and stands out; "l" does, and so do upright rods."""
        thin = self.stroke <= max(_STROKE * self.height, 2.5)
        return thin and self.stands_out >= _AROUND and self.is_flat and not self._frames()

    def _frames(self) -> bool:
        return self.has_hole and self.is_box

    @cached_property
    def is_hollowed(self) -> bool:
        """Whether it has notches or a hole, as nearly all letters do and hardly any particle."""
        return self.is_letter and (self.filled < _CONVEX or self.has_hole)


def components(ink: NDArray[np.bool_], grey: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Labels (H, W) and OpenCV's statistics (N, 5) of the connected regions; 0 is everything else."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    return np.asarray(labels, dtype=np.int32), np.asarray(stats, dtype=np.int32)


def glyph_candidates(labels: NDArray[np.int32], stats: NDArray[np.int32], grey: NDArray[np.uint8]) -> list[Region]:
    """Regions of the size of a letter, from the left."""
    side = max(grey.shape)
    low, high = max(_LETTER[0] * side, _LEAST_LETTER), _LETTER[1] * side
    width, height = stats[:, 2], stats[:, 3]
    sized = (height >= low) & (height <= high) & (width <= _WIDEST * height)
    sized[0] = False
    # A region that is cut by the border of the image can be anything.
    sized &= (stats[:, 0] > 0) & (stats[:, 1] > 0)
    sized &= (stats[:, 0] + width < grey.shape[1]) & (stats[:, 1] + height < grey.shape[0])
    order = sorted(np.flatnonzero(sized).tolist(), key=lambda label: int(stats[label, 0]))
    return [region(label, labels, stats, grey) for label in order]


def region(label: int, labels: NDArray[np.int32], stats: NDArray[np.int32], grey: NDArray[np.uint8]) -> Region:
    """The region of a component."""
    left, top, width, height, area = (int(value) for value in stats[label])
    return Region(label, left, top, width, height, area, labels, stats, grey)
