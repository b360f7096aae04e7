"""Whether two images show the same field: a similarity between their features, confirmed on their pixels.

Features are paired by the ratio test and mutual choice, a similarity (shift, turn, scale) is fitted by RANSAC, and
then four gates have to open: enough inliers at distinct places, a plausible scale, inliers that span the field that
the two would share, and grey values that agree all over that field. Lettering and single look-alike particles pass
the first two; they fail the others.

Every gate was set on EMPS images of the train split. 436 planted crops, tiles and magnifications with six inliers or
more agreed at 0.76 or better, half of them at 0.98; of 9,500 pairs of images from different papers, none that found
four inliers agreed better than 0.27. The last gate decides with room on both sides, so the others could stay low.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.preparation.features import LocalFeatures

LEAST_INLIERS = 6
"""Inliers, counted once per place: any two pairs of features agree with some similarity."""

LARGEST_SCALE = 5.0
"""Magnification between two images; beyond it, too few pixels are left to compare."""

LEAST_HULL = 0.01
"""Part of the shared field that the convex hull of the inliers covers."""

LEAST_SHARED = 0.12
"""Part of the smaller field that the other image shows too."""

LEAST_AGREEMENT = 0.6
"""Correlation of the high-passed grey values over the shared field, overlays left out."""

_RATIO = 0.8
_REPROJECTION = 0.01
_PLACE = 0.01
"""Parts of the first image's longer side: distance of an inlier from where it should be, size of a place."""

_MAX_ITERATIONS = 2000
_CONFIDENCE = 0.999
_LOW_PASS = 1.0
_HIGH_PASS = 6.0
_NOISE = 4.0
_LEAST_PIXELS = 400
"""Of the views: blur against noise and blur that removes shading (sigma in px), contrast in grey values below which an
area counts less, and the least shared field in px."""


@dataclass(frozen=True, eq=False, slots=True)
class Overlap:
    """How the second image lies in the first.

    Attributes:
        inliers: Feature pairs at distinct places that agree with the transform.
        scale: Pixels of the first per pixel of the second.
        rotation_degrees: From the second (after mirroring) to the first, -180 to 180, clockwise on the screen.
        mirrored: Whether the second is mirrored left-right first.
        shared_first: Part of the first that the second shows, 0 to 1.
        shared_second: Part of the second that the first shows.
        hull: Part of the shared field that the inliers span.
        agreement: Correlation of the grey values in the shared field; 0 where another gate is closed already.
        matrix: (2, 3) affine map from pixels of the second, as it is stored, to pixels of the first.
    """

    inliers: int
    scale: float
    rotation_degrees: float
    mirrored: bool
    shared_first: float
    shared_second: float
    hull: float
    agreement: float
    matrix: NDArray[np.float64]

    def outline(self, width: int, height: int) -> NDArray[np.float64]:
        """(4, 2) corners of the second, of this size, in pixels of the first: top left, then clockwise as stored."""
        return _move(_corners(width, height), self.matrix)

    def inverted(self) -> "Overlap":
        """How the first image lies in the second."""
        return replace(
            self,
            scale=1 / self.scale,
            # A reflection is its own inverse, and so is one with a turn.
            rotation_degrees=self.rotation_degrees if self.mirrored else -self.rotation_degrees,
            shared_first=self.shared_second,
            shared_second=self.shared_first,
            matrix=np.linalg.inv(np.vstack([self.matrix, (0.0, 0.0, 1.0)]))[:2],
        )


def find_overlap(first: LocalFeatures, second: LocalFeatures, mirrored: bool) -> Overlap | None:
    """The field that two images share, or None where it is not certain that they share one.

    Args:
        first: Features of one image.
        second: Of the other one.
        mirrored: Whether to look for the mirror image of the second.
    """
    overlap = fit_overlap(first, second, mirrored)
    return overlap if overlap is not None and overlap.agreement >= LEAST_AGREEMENT else None


def fit_overlap(first: LocalFeatures, second: LocalFeatures, mirrored: bool) -> Overlap | None:
    """The best similarity between two images and how good it is, certain or not; None where there is none.

    The pixels are compared last, and only where all other gates are open: that takes longer than all the rest.
    """
    import cv2

    other = second.mirrored() if mirrored else second
    ours, theirs = _pair(first.descriptors, other.descriptors)
    if len(ours) < LEAST_INLIERS:
        return None
    side = max(first.width, first.height)
    # RANSAC draws from OpenCV's own generator: the same pair gives the same answer in any process.
    cv2.setRNGSeed(0)
    matrix, inlying = cv2.estimateAffinePartial2D(
        other.positions[theirs],
        first.positions[ours],
        method=cv2.RANSAC,
        ransacReprojThreshold=side * _REPROJECTION,
        maxIters=_MAX_ITERATIONS,
        confidence=_CONFIDENCE,
    )
    if matrix is None or not np.isfinite(matrix).all():
        return None
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:
        return None
    chosen = inlying.ravel().astype(bool)
    points, partners = first.positions[ours[chosen]], other.positions[theirs[chosen]]
    outline = _move(_corners(other.width, other.height), matrix)
    frame = _corners(first.width, first.height)
    shared, _ = cv2.intersectConvexConvex(outline.astype(np.float32), frame.astype(np.float32))
    shared = min(float(shared), first.width * first.height)
    fitted = Overlap(
        inliers=min(_places(points, side), _places(partners, max(other.width, other.height))),
        scale=scale,
        rotation_degrees=float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))),
        mirrored=mirrored,
        shared_first=shared / (first.width * first.height),
        shared_second=min(shared / (scale**2 * other.width * other.height), 1.0),
        hull=float(cv2.contourArea(cv2.convexHull(points))) / shared if shared > 0 else 0.0,
        agreement=0.0,
        matrix=_unmirror(matrix, second.width) if mirrored else matrix,
    )
    if not _is_plausible(fitted):
        return fitted
    return replace(fitted, agreement=_agreement(first, other, matrix, scale))


def _is_plausible(fitted: Overlap) -> bool:
    """Whether all gates are open that need no pixels; the scale was looked at before."""
    return (
        fitted.inliers >= LEAST_INLIERS
        and fitted.hull >= LEAST_HULL
        and max(fitted.shared_first, fitted.shared_second) >= LEAST_SHARED
    )


def _pair(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of descriptors that choose each other and are clearly nearer than the second choice of one of them."""
    if len(ours) < LEAST_INLIERS or len(theirs) < LEAST_INLIERS:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # All RootSIFT descriptors are of one length, up to rounding, so the scalar product orders as the distance does.
    product = _unit(ours) @ _unit(theirs).T
    rows = np.arange(len(ours))
    choice = product.argmax(axis=1)
    mutual = product.argmax(axis=0)[choice] == rows
    rows, choice = rows[mutual], choice[mutual]
    best = product[rows, choice].copy()
    product[rows, choice] = -1
    # Clear in one image is enough: the wider field may hold many particles that look like the one in the closer view.
    second = np.minimum(product[rows].max(axis=1), product[:, choice].max(axis=0))
    kept = 1 - best < _RATIO**2 * (1 - second)
    return rows[kept], choice[kept]


def _unit(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = descriptors.astype(np.float32)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def _corners(width: float, height: float) -> NDArray[np.float64]:
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)


def _move(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def _unmirror(matrix: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The map from the stored image, given the one from its mirror image."""
    return np.asarray(matrix @ np.array([(-1, 0, width), (0, 1, 0), (0, 0, 1)], dtype=np.float64))


def _places(points: NDArray[np.float32], side: float) -> int:
    """Number of distinct places: SIFT gives several features for one corner."""
    return len(np.unique(np.floor(points / (side * _PLACE)), axis=0))


def _agreement(first: LocalFeatures, second: LocalFeatures, matrix: NDArray[np.float64], scale: float) -> float:
    """Correlation of the two views over the field that both show, without overlays and slow shading; -1 to 1."""
    import cv2

    transform = np.vstack([matrix, (0.0, 0.0, 1.0)])
    if scale > 1:
        # Compared on the grid of the coarser image: the finer one holds detail that the other cannot have.
        first, second, transform = second, first, np.linalg.inv(transform)
    to_view, from_view = _to_view(first), np.linalg.inv(_to_view(second))
    between = (to_view @ transform @ from_view)[:2]
    ratio = float(np.hypot(between[0, 0], between[1, 0]))
    size = first.view.shape[::-1]
    blurred = cv2.GaussianBlur(second.view.astype(np.float32), (0, 0), _LOW_PASS * max(1.0, 1 / ratio))
    theirs = cv2.warpAffine(blurred, between, size)
    ours = cv2.GaussianBlur(first.view.astype(np.float32), (0, 0), _LOW_PASS)
    seen = cv2.warpAffine((~second.covered).astype(np.uint8), between, size, flags=cv2.INTER_NEAREST) > 0
    seen &= ~first.covered
    if seen.sum() < _LEAST_PIXELS:
        return 0.0
    a, b = (_even_out(values, seen) for values in (ours, theirs))
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-6))


def _even_out(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Grey values without slow shading, of even contrast: no bright detail is to speak for the whole field."""
    import cv2

    weight = seen.astype(np.float32)
    spread = np.maximum(cv2.GaussianBlur(weight, (0, 0), _HIGH_PASS), 1e-3)
    fine = (values - cv2.GaussianBlur(values * weight, (0, 0), _HIGH_PASS) / spread) * weight
    contrast = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), _HIGH_PASS) / spread)
    return np.asarray((fine / (contrast + _NOISE))[seen], dtype=np.float64)


def _to_view(features: LocalFeatures) -> NDArray[np.float64]:
    """From pixels of the image, 0 at the outer edge, to pixels of its view, 0 at the first centre."""
    height, width = features.view.shape
    x, y = width / features.width, height / features.height
    return np.array([(x, 0, -0.5), (0, y, -0.5), (0, 0, 1)], dtype=np.float64)
