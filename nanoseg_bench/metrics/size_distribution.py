"""Size distributions: equivalent circular diameters, their quantiles and their Wasserstein distance.

Particles that touch the image border are cut by it; they are left out of predictions and truth by the same rule,
``BORDER_RULE``. Quantiles are of the number distribution: every particle counts the same, whatever its volume.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import areas, bounding_boxes
from nanoseg_bench.metrics.matching import ImageOverlap
from nanoseg_bench.metrics.per_image import ImageErrors, summarise

BORDER_RULE = (
    "Diameters leave out every particle and every prediction with a pixel in the first or last row or column of its "
    "image; an edge of an information bar inside the image is no border. A prediction that ends just before the border "
    "counts, though its particle does not."
)
"""The one rule for both sides, as it is printed."""

DIAMETER_QUANTILES = {"d10": 0.1, "median": 0.5, "d90": 0.9}


@dataclass(frozen=True, slots=True)
class DiameterErrors:
    """Errors of one sample of predicted diameters against one of true ones.

    Attributes:
        median: (predicted − true) / true median: positive when particles are drawn too large.
        d10: The same for the 10th percentile, interpolated linearly.
        d90: The same for the 90th percentile.
        w1: Wasserstein-1 distance, in the samples' unit.
        w1_relative: The same over the true mean diameter.
    """

    median: float
    d10: float
    d90: float
    w1: float
    w1_relative: float


@dataclass(frozen=True, slots=True)
class DiameterErrorsPerImage:
    """Errors of each image with a true diameter, as medians over the images; fields as in ``DiameterErrors``."""

    median: ImageErrors
    d10: ImageErrors
    d90: ImageErrors
    w1: ImageErrors
    w1_relative: ImageErrors


def equivalent_diameters(regions: Sequence[Rle]) -> NDArray[np.float64]:
    """Diameters sqrt(4 A / π), px, of an image's regions that ``BORDER_RULE`` leaves in; empty ones are left out."""
    diameters = _inside(regions, areas(regions))
    return diameters[~np.isnan(diameters)]


def inner_diameters(overlap: ImageOverlap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Diameters sqrt(4 A / π), px, of the predictions and of the particles of an image; ``BORDER_RULE`` on both."""
    predicted, truth = diameters_inside(overlap)
    return predicted[~np.isnan(predicted)], truth[~np.isnan(truth)]


def diameters_inside(overlap: ImageOverlap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P,) and (T,) diameters, px, of the predictions and particles of an image; NaN where ``BORDER_RULE`` bars one."""
    return _inside(overlap.predicted, overlap.area), _inside(overlap.truth, overlap.truth_area)


def wasserstein_1(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> float | None:
    """Wasserstein-1 distance of two samples, in their unit: the area between their cumulative distributions.

    Returns:
        None where one side is empty.
    """
    if predicted.size == 0 or truth.size == 0:
        return None
    return float(wasserstein_distance(predicted, truth))


def quantile_errors(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float] | None:
    """Differences predicted − true of each of ``DIAMETER_QUANTILES``, interpolated linearly, in the samples' unit.

    Returns:
        None where one side is empty.
    """
    if predicted.size == 0 or truth.size == 0:
        return None
    levels = list(DIAMETER_QUANTILES.values())
    errors = np.quantile(predicted, levels) - np.quantile(truth, levels)
    return dict(zip(DIAMETER_QUANTILES, errors.tolist(), strict=True))


def diameter_errors(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> DiameterErrors | None:
    """Errors of median, D10, D90 and of the whole distribution.

    Args:
        predicted: Diameters in px or nm; of one image, or of all images pooled.
        truth: The same of the particles, in the same unit.

    Returns:
        None where one side is empty.
    """
    errors, w1 = quantile_errors(predicted, truth), wasserstein_1(predicted, truth)
    if errors is None or w1 is None:
        return None
    reference = dict(zip(DIAMETER_QUANTILES, np.quantile(truth, list(DIAMETER_QUANTILES.values())), strict=True))
    relative = {name: float(error / reference[name]) for name, error in errors.items()}
    return DiameterErrors(**relative, w1=w1, w1_relative=w1 / float(truth.mean()))


def diameter_errors_per_image(
    predicted: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]]
) -> DiameterErrorsPerImage | None:
    """Errors of every image by itself, as medians over the images: the error to expect on the next micrograph.

    Images without a true diameter are left out; where only the prediction has none, the image is unanswered.

    Args:
        predicted: Diameters of each image, in px or nm.
        truth: The same of the particles, in the same unit.

    Returns:
        None where no image has a true diameter.
    """
    errors = [diameter_errors(found, present) for found, present in zip(predicted, truth, strict=True) if present.size]

    def medians(name: str) -> ImageErrors | None:
        return summarise(np.array([np.nan if error is None else getattr(error, name) for error in errors]))

    summaries = {name: summary for name in DiameterErrors.__slots__ if (summary := medians(name)) is not None}
    return DiameterErrorsPerImage(**summaries) if summaries else None


def _inside(regions: Sequence[Rle], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    if not regions:
        return np.zeros(0)
    x, y, width, height = bounding_boxes(regions).T
    right, bottom = regions[0].width, regions[0].height
    inside = (x > 0) & (y > 0) & (x + width < right) & (y + height < bottom) & (pixels > 0)
    diameters: NDArray[np.float64] = np.where(inside, np.sqrt(4 * pixels / np.pi), np.nan)
    return diameters
