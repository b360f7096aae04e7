"""Local features of a micrograph: places that can be found again in another picture of the same field.

SIFT (Lowe 2004) on at most 448 px after a contrast stretch, with the overlays left out; descriptors as RootSIFT
(Arandjelović and Zisserman 2012).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.preparation.overlays import overlay_mask

DETECTION_SIDE = 448
"""Longer side in px on which features are detected; SIFT itself doubles it for the finest scale."""

MAX_FEATURES = 600
"""Features kept per image, the strongest ones."""

VIEW_SIDE = 256
"""Longer side in px of the small view on which a match is checked pixel by pixel."""

_DETECTED = 800
_CONTRAST_THRESHOLD = 0.02
_STRETCH = (1.0, 99.0)
_LEAST_STRETCH = 24.0
_DESCRIPTOR_SCALE = 255.0

# Mirroring left-right turns the 4x4 grid of a descriptor over across the direction of its keypoint and changes the
# sense in which its 8 directions are counted.
_MIRRORED_ENTRIES = np.arange(128).reshape(4, 4, 8)[::-1][:, :, [0, 7, 6, 5, 4, 3, 2, 1]].ravel()


@dataclass(frozen=True, eq=False, slots=True)
class LocalFeatures:
    """Features of one image, strongest first, and a small view of it.

    Attributes:
        positions: (n, 2) float32, x and y in pixels of the image, 0 at its outer edge.
        sizes: (n,) float32, diameters in the same pixels.
        angles: (n,) float32, degrees, as OpenCV counts them.
        descriptors: (n, 128) uint8: 255 times the square root of the SIFT descriptor's share of its sum.
        view: (h, w) uint8 grey, longer side at most ``VIEW_SIDE``, contrast stretched.
        covered: (h, w) bool, where the view shows an overlay.
        width: Of the image, px.
        height: Of the image, px.
    """

    positions: NDArray[np.float32]
    sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    view: NDArray[np.uint8]
    covered: NDArray[np.bool_]
    width: int
    height: int

    def mirrored(self) -> "LocalFeatures":
        """The features of the image mirrored left-right, without detecting them again."""
        positions = self.positions.copy()
        positions[:, 0] = self.width - positions[:, 0]
        return LocalFeatures(
            positions=positions,
            sizes=self.sizes,
            angles=(180 - self.angles) % 360,
            descriptors=self.descriptors[:, _MIRRORED_ENTRIES],
            view=self.view[:, ::-1],
            covered=self.covered[:, ::-1],
            width=self.width,
            height=self.height,
        )


def local_features(grey: NDArray[np.uint8]) -> LocalFeatures:
    """Detect and describe the features of an image.

    Args:
        grey: (H, W) uint8.

    Returns:
        At most ``MAX_FEATURES``; none where the image shows nothing but overlays or a flat ground.
    """
    import cv2

    height, width = grey.shape
    small = _shrink(grey, DETECTION_SIDE)
    covered = overlay_mask(small)
    small = _stretch(small, ~covered)
    # The info bar is cut off and lettering is dropped afterwards: painting them over would make new edges.
    rows = np.flatnonzero(~covered.all(axis=1))
    first, stop = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 1)
    detector = cv2.SIFT.create(nfeatures=_DETECTED, contrastThreshold=_CONTRAST_THRESHOLD, enable_precise_upscale=True)
    points, descriptors = detector.detectAndCompute(np.ascontiguousarray(small[first:stop]), None)
    found = np.array([(*p.pt, p.size, p.angle, p.response) for p in points], dtype=np.float32).reshape(-1, 5)
    found[:, 1] += first
    columns, lines = (np.clip(found[:, axis].astype(int), 0, small.shape[1 - axis] - 1) for axis in (0, 1))
    kept = np.flatnonzero(~covered[lines, columns])
    # Ties are broken by place, never by the order in which they were found.
    order = np.lexsort((*found[kept, :4].T, -found[kept, 4]))
    kept = kept[order][:MAX_FEATURES]
    factor = np.array([width / small.shape[1], height / small.shape[0]], dtype=np.float32)
    return LocalFeatures(
        positions=(found[kept, :2] + np.float32(0.5)) * factor,
        sizes=found[kept, 2] * factor[0],
        angles=found[kept, 3],
        descriptors=_root(descriptors[kept]) if len(kept) else np.zeros((0, 128), np.uint8),
        view=_shrink(small, VIEW_SIDE),
        covered=_shrink(covered.astype(np.uint8) * 255, VIEW_SIDE) > 0,
        width=width,
        height=height,
    )


def _root(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    share = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return np.asarray(np.floor(np.sqrt(share) * _DESCRIPTOR_SCALE + 0.5), dtype=np.uint8)


def _shrink(grey: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    import cv2

    height, width = grey.shape
    factor = side / max(height, width)
    if factor >= 1:
        return grey
    size = (max(int(width * factor + 0.5), 1), max(int(height * factor + 0.5), 1))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _stretch(grey: NDArray[np.uint8], seen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    low, high = np.percentile(grey[seen] if seen.any() else grey, _STRETCH)
    # A flat image stays flat: stretched, its noise would give the strongest features.
    span = max(high - low, _LEAST_STRETCH)
    table = np.clip((np.arange(256) - low) / span * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(table[grey])
