"""Scale-free numbers of an outline, which its shape is named by.

Besides the ratios of ISO 9276-6, how the edges of the convex hull are spread over the directions: with lengths L and
directions φ of the hull's edges, |Σ L exp(i k φ)| / Σ L is 1 for a regular polygon of k corners and 0 for a disc,
whatever its place, size and turn. They are the harmonics of the hull's curvature (its extended Gaussian image: Horn,
Proc. IEEE 72, 1671, 1984).
"""

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.measure.morphology import Hull, Morphology

_RATIOS = ("feret_ratio", "ellipse_ratio", "circularity", "roundness", "solidity", "convexity", "extent")
_ORDERS = np.array([2, 3, 4, 5, 6, 8])

DESCRIPTORS = ("grain", "narrowness", *_RATIOS, *(f"harmonic_{order}" for order in _ORDERS))
"""``grain`` is 10 px over the diameter: how much the pixels tell of the outline. ``narrowness`` is width / length."""


def describe(hull: Hull, numbers: Morphology) -> NDArray[np.float64]:
    """Descriptors of one particle.

    Args:
        hull: Of its mask, as ``morphology.find_hull`` finds it.
        numbers: What ``morphology.measure_mask`` found of it, with its shape: from ``columns.SHAPE_FROM_PX`` upwards.

    Returns:
        (D,) in the order of ``DESCRIPTORS``.
    """
    x, y = hull.edges.T
    lengths, directions = np.hypot(x, y), np.arctan2(y, x)
    harmonics = np.abs(np.exp(1j * _ORDERS[:, None] * directions) @ lengths) / lengths.sum()
    ratios = [getattr(numbers, name) for name in _RATIOS]
    return np.array([10 / numbers.diameter, 1 / numbers.aspect_ratio, *ratios, *harmonics])
