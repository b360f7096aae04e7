"""How well particles are counted."""

from collections.abc import Sequence

import numpy as np

from nanoseg_bench.metrics.per_image import ImageErrors, summarise


def relative_count_error(predicted: Sequence[int], truth: Sequence[int]) -> float | None:
    """(Σ predicted − Σ truth) / Σ truth over all images: negative when particles are missed.

    Returns:
        A signed fraction; None without a particle.
    """
    total = sum(truth)
    return (sum(predicted) - total) / total if total else None


def absolute_count_error(predicted: Sequence[int], truth: Sequence[int]) -> float | None:
    """Mean over images of |predicted − truth|, in particles: errors of opposite sign do not cancel.

    Returns:
        Particles per image; None without an image.
    """
    errors = [abs(found - present) for found, present in zip(predicted, truth, strict=True)]
    return sum(errors) / len(errors) if errors else None


def count_errors_per_image(predicted: Sequence[int], truth: Sequence[int]) -> ImageErrors | None:
    """(predicted − truth) / truth of each image with particles; a dense image weighs no more than a sparse one.

    Returns:
        Signed and absolute medians over the images; None where no image has a particle.
    """
    errors = [(found - present) / present for found, present in zip(predicted, truth, strict=True) if present]
    return summarise(np.array(errors, dtype=np.float64))
