"""Contamination haze: a film of cracked hydrocarbons over the specimen, thicker here, thinner there."""

import numpy as np

from nanoseg_bench.evaluation.corruptions.fields import smooth_field
from nanoseg_bench.evaluation.corruptions.view import Floats, View

_PATCH_PX = 160.0
_THINNEST = 0.35
"""Of the thickest place: a film covers all of the field."""


def contamination(view: View, rng: np.random.Generator, *, depth: float, haze: float) -> Floats:
    """Attenuate what lies below a smooth film and add the film's own diffuse signal.

    The veil of Koschmieder's law,

        I' = I exp(-τ) + h (1 - exp(-τ)),

    where τ(x, y) varies over about a quarter of the field.

    Args:
        view: The field.
        rng: Where the film is thick.
        depth: Largest optical depth τ.
        haze: Signal h of a thick film over the mean intensity of the field; below 1 it darkens.
    """
    thickness = _THINNEST + (1 - _THINNEST) * smooth_field(view, _PATCH_PX, rng)
    transmitted = np.exp(np.float32(-depth) * thickness)
    veil = np.float32(haze * view.intensity.mean(dtype=np.float64))
    return np.asarray(veil + (view.intensity - veil) * transmitted, dtype=np.float32)
