"""Charging of poorly conducting particles under a scanned beam."""

import cv2
import numpy as np

from nanoseg_bench.evaluation.corruptions.fields import smooth_field
from nanoseg_bench.evaluation.corruptions.view import BRIGHT_FIELD, Floats, View

_PATCH_PX = 120.0
_EDGE = 0.08
_SMOOTHING_PX = 2.0
_STEP = 0.4
_LEAST_CONTRAST = 0.1
"""A pixel charges in full at so much of the difference between particles and support beyond the threshold; images with
less difference than the second number charge less."""

_LINE_SPREAD = 0.5
_SHADOW_REACH = 5.0
_SHADOW = 0.5
_COARSE = 4


def charging(
    view: View,
    rng: np.random.Generator,
    *,
    share: float,
    streak: float,
    streak_px: float,
    halo: float,
    halo_px: float,
) -> Floats:
    """Let some of the particles charge: bright streaks along the fast scan axis, shadows after them, and halos.

    A particle that does not conduct keeps a charge that repels secondary electrons towards the detector for as long as
    it takes to leak away; the beam has moved on by then, to the right. With q the charge deposited at a pixel (0 to 1)
    and ℓ the distance scanned during the decay, the signal gains

        streak · v(y) · (Σ_i e^(-i/ℓ) q(x - i, y) - c Σ_i e^(-i/5ℓ) q(x - i, y)) + halo · (G * q),

    each sum with weights that add up to 1. v(y) changes from line to line, because a charge builds up and breaks down;
    the second sum is the shadow of an amplifier that has been overdriven; G is a Gaussian of standard deviation
    ``halo_px``, the field of the charge (Goldstein et al., Scanning Electron Microscopy and X-Ray Microanalysis, 4th
    ed., on charging: bright and dark streaks along the scan, halos, shifted contrast).

    Which pixels belong to particles is guessed from the image alone: the dark side of Otsu's threshold in bright-field
    TEM, the bright side in other modalities, the rarer one where the modality is unknown. Where particles are dark, the
    gain is multiplied by I over the level of the support: a dark particle stays dark, and the streak lies on the bright
    support beside it. That is the same disturbance at the same places, not what a TEM would show. An image of one grey
    stays as it is.

    Args:
        view: The field.
        rng: Which particles charge, and how the lines vary.
        share: Share of the field in which particles charge.
        streak: Gain of a streak, over the range from black to white.
        streak_px: ℓ.
        halo: Gain of a halo, over the same range.
        halo_px: Its extent.
    """
    image = view.intensity
    particles, surroundings = _particles(view)
    charge = particles * _poorly_grounded(view, share, rng)
    lines = _line_gain(image.shape[0], view.px, rng)
    bright = _trail(charge, streak_px * view.px)
    shadow = _trail(charge, _SHADOW_REACH * streak_px * view.px)
    gain = np.float32(streak) * lines[:, None] * (bright - np.float32(_SHADOW) * shadow)
    gain += np.float32(halo) * _coarse_gaussian(charge, halo_px * view.px)
    return np.asarray(image + gain * surroundings, dtype=np.float32)


def _particles(view: View) -> tuple[Floats, Floats | np.float32]:
    """(H, W) from 0 on the support to 1 on particles, and what the gain is multiplied by."""
    smooth = cv2.GaussianBlur(view.intensity, (0, 0), _SMOOTHING_PX * view.px, borderType=cv2.BORDER_REFLECT)
    grey = np.asarray(smooth * 255 + 0.5, dtype=np.uint8)
    threshold, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    share = float(bright.mean())
    if not 0 < share < 1:
        return np.zeros_like(smooth), np.float32(1)
    dark = share > 0.5 if view.modality is None else view.modality in BRIGHT_FIELD
    levels = [float(smooth[bright == side].mean()) for side in (0, 1)]
    beyond = smooth - np.float32((threshold + 0.5) / 255)
    step = _STEP * max(levels[1] - levels[0], _LEAST_CONTRAST)
    particles = np.asarray(np.clip((-beyond if dark else beyond) / np.float32(step), 0, 1), dtype=np.float32)
    return particles, smooth / np.float32(levels[1]) if dark else np.float32(1)


def _poorly_grounded(view: View, share: float, rng: np.random.Generator) -> Floats:
    """(H, W) from 0 to 1: the part of the field from which charge does not flow off."""
    return np.asarray(np.clip((share - smooth_field(view, _PATCH_PX, rng)) / _EDGE + 0.5, 0, 1), dtype=np.float32)


def _line_gain(height: int, px: float, rng: np.random.Generator) -> Floats:
    """(H,) gain of each row, around 1; a line is one pixel of the reference high."""
    lines = rng.normal(1, _LINE_SPREAD, int(np.ceil(height / px)) + 1)
    line = ((np.arange(height) + 0.5) / px).astype(np.int64)
    return np.asarray(np.maximum(lines[line], 0), dtype=np.float32)


def _trail(charge: Floats, length: float) -> Floats:
    """Exponential decay to the right, with weights that add up to 1."""
    from scipy.signal import lfilter  # a third of what `run` imports, and this corruption alone needs it

    kept = np.float32(np.exp(-1 / length))
    return np.asarray(lfilter([1 - kept], [np.float32(1), -kept], charge, axis=1), dtype=np.float32)


def _coarse_gaussian(values: Floats, sigma: float) -> Floats:
    """Wide Gaussian blur, on a grid that is coarse beside it."""
    height, width = values.shape
    small = (max(width // _COARSE, 1), max(height // _COARSE, 1))
    reduced = cv2.resize(values, small, interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(reduced, (0, 0), max(sigma / _COARSE, 0.1), borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
