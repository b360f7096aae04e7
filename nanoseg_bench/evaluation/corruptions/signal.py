"""Too little signal: few electrons, or little difference between particle and support."""

import numpy as np

from nanoseg_bench.evaluation.corruptions.view import Floats, View


def shot_noise(view: View, rng: np.random.Generator, *, dose_e: float) -> Floats:
    """Count electrons: N ~ Poisson(I · dose), I' = N / dose.

    Args:
        view: The field.
        rng: The counts.
        dose_e: Electrons per pixel of the reference where the image is white. A smaller pixel gets fewer, so that an
            image of any size holds as many in all.
    """
    dose = np.float32(dose_e / view.px**2)
    return np.asarray(rng.poisson(view.intensity * dose) / dose, dtype=np.float32)


def low_contrast(view: View, rng: np.random.Generator, *, contrast: float) -> Floats:
    """Scale all differences from the mean: I' = mean + contrast · (I - mean)."""
    mean = view.intensity.mean(dtype=np.float64)
    return np.asarray(mean + contrast * (view.intensity - mean), dtype=np.float32)
