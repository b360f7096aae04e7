"""Errors of many images in two numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ImageErrors:
    """Medians over images; half the images are better.

    Attributes:
        bias: Median of the signed errors of the images that have one: errors of opposite sign cancel.
        typical: Median of the absolute errors. An image without an answer counts as infinitely wrong, or a model would
            gain by saying nothing on difficult images; None where that is half of them or more.
        images: Images in the median ``typical``.
        unanswered: Those of them without an answer.
    """

    bias: float | None
    typical: float | None
    images: int
    unanswered: int


def summarise(errors: NDArray[np.float64]) -> ImageErrors | None:
    """Medians of signed errors, one per image; NaN where the image has no answer.

    Returns:
        None without an image.
    """
    if errors.size == 0:
        return None
    answered = errors[~np.isnan(errors)]
    # Infinity minus infinity is no number: the upper of two middle values decides whether there is a median.
    absolute = np.sort(np.where(np.isnan(errors), np.inf, np.abs(errors)))
    middle = absolute[[(absolute.size - 1) // 2, absolute.size // 2]]
    return ImageErrors(
        bias=float(np.median(answered)) if answered.size else None,
        typical=float(middle.mean()) if np.isfinite(middle).all() else None,
        images=errors.size,
        unanswered=errors.size - answered.size,
    )
