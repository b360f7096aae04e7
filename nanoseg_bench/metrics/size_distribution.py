"""Size distributions: equivalent circular diameters, their median and their Wasserstein distance.

Particles that touch the image border are cut by it; they are left out of predictions and truth by the same rule.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import area, bounding_box


def touches_border(region: Rle) -> bool:
    """Whether a pixel of the region lies in the first or last row or column of its image."""
    x, y, width, height = bounding_box(region)
    return x <= 0 or y <= 0 or x + width >= region.width or y + height >= region.height


def equivalent_diameters(regions: Sequence[Rle]) -> NDArray[np.float64]:
    """Diameters sqrt(4 A / π), px, of the regions that do not touch the border; empty ones are left out."""
    areas = [area(region) for region in regions if not touches_border(region)]
    return np.sqrt(4 * np.array([value for value in areas if value], dtype=np.float64) / np.pi)


def relative_median_error(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> float | None:
    """(median predicted − median truth) / median truth: positive when particles are drawn too large.

    Returns:
        A signed fraction; None where one side is empty.
    """
    if predicted.size == 0 or truth.size == 0:
        return None
    reference = float(np.median(truth))
    return (float(np.median(predicted)) - reference) / reference


def wasserstein_1(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> float | None:
    """Wasserstein-1 distance of two samples, in their unit: the area between their cumulative distributions.

    Returns:
        None where one side is empty.
    """
    if predicted.size == 0 or truth.size == 0:
        return None
    return float(wasserstein_distance(predicted, truth))
