"""How a micrograph comes from solids: contrast of each modality, support, optics, noise, 8 bits.

Intensities are float32 with 0 black and 1 white. Work on a particle stays in its own window of the field.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.synthesis.shapes import Floats, Relief
from nanoseg_bench.synthesis.transfer import transferred

TRANSMISSION = frozenset({"BF-TEM", "HAADF-STEM", "DF-TEM", "HRTEM"})
"""Modalities that see through particles: overlapping ones are both visible in full."""
MODALITIES = ("BF-TEM", "HAADF-STEM", "SE-SEM", "BSE-SEM", "DF-TEM")
HRTEM = "HRTEM"
"""Lattice fringes instead of outlines: rendered to be judged on, never to be trained on, and none of ``MODALITIES``."""

_PHASE = 0.35
"""Mean projected phase of a typical particle's full thickness, radians (HRTEM); its lattice planes come on top."""

_STEEPEST = 4.0


@dataclass(frozen=True, slots=True)
class Pattern:
    """Diffraction contrast inside one crystal: bands of equal deviation from a Bragg condition (bend contours).

    Attributes:
        amplitude: Modulation of the contrast, 0 for none.
        period_px: Distance between bands.
        angle: Direction across them, radians.
        curvature: How strongly they bend, 1 / px.
        phase: Radians.
    """

    amplitude: float
    period_px: float
    angle: float
    curvature: float
    phase: float


@dataclass(frozen=True, slots=True)
class Fringes:
    """One set of lattice planes of a crystal that are seen edge-on (HRTEM).

    Attributes:
        period_px: Their spacing.
        angle: Direction across them, radians.
        amplitude: Of their projected phase, radians at the typical particle's full thickness.
        phase: Where they lie, radians.
    """

    period_px: float
    angle: float
    amplitude: float
    phase: float


@dataclass(frozen=True, eq=False, slots=True)
class Body:
    """A particle in the field.

    Attributes:
        rows: Rows of its window.
        columns: Columns of its window.
        x: Offset of each pixel of the window from the particle's centre, px.
        y: The same for rows.
        relief: The solid, sampled on the window.
        contrast: Factor on the particle's contrast: orientation in TEM, composition and height in SEM.
        core: Radius of a concentric core over that of the particle; 0 for none.
        core_contrast: Extra contrast of the core per length, over that of the rest; -1 is a cavity.
        pattern: Diffraction contrast inside.
        lattice: Lattice planes that are seen edge-on; none but in HRTEM.
    """

    rows: slice
    columns: slice
    x: Floats
    y: Floats
    relief: Relief
    contrast: float
    core: float
    core_contrast: float
    pattern: Pattern
    lattice: tuple[Fringes, ...] = ()


@dataclass(frozen=True, slots=True)
class Optics:
    """Instrument, support and material as one specimen shows them. Lengths are pixels of the field.

    Attributes:
        modality: One of ``MODALITIES``, or ``HRTEM``.
        background: Intensity of the bare support.
        particle: Intensity of a typical particle (SEM, HAADF, DF) or its floor of inelastic background (BF).
        absorption: Optical density of a typical particle's full thickness.
        reference_px: Thickness of that particle.
        gradient: Illumination at the field's edge, relative to the centre: amplitude and direction (radians).
        vignette: Loss of illumination in the corners.
        grain: Amplitude of the support's fine texture, relative.
        grain_px: Its grain size.
        mottle: Amplitude of the support's coarse texture, relative.
        mottle_px: Its size.
        roughness: Amplitude of the texture on the particles, relative.
        roughness_px: Its size.
        edge: Gain of slanted surfaces (SEM).
        rim: Gain right at the outline (SEM).
        rim_px: How far that reaches inward.
        shading: Gain of surfaces that face the detector (SEM).
        detector_angle: Where the detector is, radians.
        halo: Loss of signal on the support beside a particle (SEM).
        fringe: Strength of the Fresnel fringe at edges (TEM).
        fringe_px: Its width.
        blur_px: Standard deviation of the point spread.
        dose: Electrons per pixel at full intensity; sets the shot noise.
        noise_px: Correlation length of the shot noise; 0 for white.
        scan_noise: Row-to-row variation, relative (scanning instruments).
        gamma: Display gamma.
        defocus_nm: Under-focus (HRTEM).
        nm_per_px: Scale of the field (HRTEM, whose lens has a size of its own).
    """

    modality: str
    background: float
    particle: float
    absorption: float
    reference_px: float
    gradient: tuple[float, float]
    vignette: float
    grain: float
    grain_px: float
    mottle: float
    mottle_px: float
    roughness: float
    roughness_px: float
    edge: float
    rim: float
    rim_px: float
    shading: float
    detector_angle: float
    halo: float
    fringe: float
    fringe_px: float
    blur_px: float
    dose: float
    noise_px: float
    scan_noise: float
    gamma: float
    defocus_nm: float = 0.0
    nm_per_px: float = 0.0


def window_margin(optics: Optics) -> int:
    """Pixels around a particle that its image needs beyond its outline."""
    return 3 + int(np.ceil(4 * optics.rim_px * (optics.halo > 0)))


def render(
    bodies: Sequence[Body], shape: tuple[int, int], optics: Optics, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The field of view as 8-bit grey.

    Args:
        bodies: From the lowest to the uppermost.
        shape: Rows and columns.
        optics: Everything but the particles.
        rng: Texture and noise.
    """
    if optics.modality == "BF-TEM":
        image = _bright_field(bodies, shape, optics, rng)
    elif optics.modality == "DF-TEM":
        image = _dark_field(bodies, shape, optics, rng)
    elif optics.modality == HRTEM:
        image = _phase_contrast(bodies, shape, optics, rng)
    elif optics.modality == "HAADF-STEM":
        image = _annular_dark_field(bodies, shape, optics, rng)
    else:
        image = _scanning(bodies, shape, optics, rng)
    image *= _illumination(shape, optics)
    if optics.blur_px > 0:
        image = cv2.GaussianBlur(image, (0, 0), optics.blur_px)
    image = _detect(image, optics, rng)
    return np.asarray(np.floor(np.clip(image, 0, 1) ** np.float32(optics.gamma) * 255 + 0.5), dtype=np.uint8)


def band_noise(shape: tuple[int, int], size_px: float, rng: np.random.Generator) -> Floats:
    """Grain of zero mean and unit variance with features of about ``size_px``: a difference of Gaussians."""
    white = rng.standard_normal(shape, dtype=np.float32)
    sigma = max(size_px / 2, 0.3)
    noise = cv2.GaussianBlur(white, (0, 0), sigma) - cv2.GaussianBlur(white, (0, 0), 2.5 * sigma)
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def cloud_noise(shape: tuple[int, int], size_px: float, rng: np.random.Generator) -> Floats:
    """Texture of zero mean and unit variance: octaves down from ``size_px``, each half as strong as the one before."""
    total = np.zeros(shape, dtype=np.float32)
    for octave in range(4):
        size = size_px / 2**octave
        if size < 1:
            break
        # Made on a coarse grid: a coarse texture holds no fine detail.
        step = max(int(size / 4), 1)
        grid = (shape[0] // step + 3, shape[1] // step + 3)
        waves = cv2.GaussianBlur(rng.standard_normal(grid, dtype=np.float32), (0, 0), max(size / step / 2, 0.3))
        waves = (waves - waves.mean()) / waves.std()
        if step > 1:
            waves = cv2.resize(waves, (grid[1] * step, grid[0] * step), interpolation=cv2.INTER_CUBIC)
        total += waves[: shape[0], : shape[1]] / np.float32(2**octave)
    return np.asarray((total - total.mean()) / total.std(), dtype=np.float32)


def _bright_field(bodies: Sequence[Body], shape: tuple[int, int], optics: Optics, rng: np.random.Generator) -> Floats:
    """Beer-Lambert: I = background · exp(-density), with a floor of inelastically scattered electrons."""
    density = _optical_density(bodies, shape, optics, rng)
    passed = (1 - np.float32(optics.particle)) * np.exp(-density) + np.float32(optics.particle)
    image = np.float32(optics.background) * passed * _support(shape, optics, rng)
    return _fresnel(image, optics)


def _dark_field(bodies: Sequence[Body], shape: tuple[int, int], optics: Optics, rng: np.random.Generator) -> Floats:
    """Only crystals in Bragg condition are bright; the support scatters weakly."""
    image = np.float32(optics.background) * _support(shape, optics, rng)
    for body in bodies:
        thickness = body.relief.thickness / np.float32(optics.reference_px)
        signal = (1 - np.exp(-1.5 * thickness)) * body.relief.coverage * np.float32(optics.particle * body.contrast)
        image[body.rows, body.columns] += signal * _bands(body)
    return image


def _annular_dark_field(
    bodies: Sequence[Body], shape: tuple[int, int], optics: Optics, rng: np.random.Generator
) -> Floats:
    """Z-contrast: the signal grows with mass thickness, and saturates slowly."""
    density = _optical_density(bodies, shape, optics, rng)
    image = np.float32(optics.particle) * (1 - np.exp(-density)) / np.float32(1 - np.exp(-optics.absorption))
    return np.asarray(image + np.float32(optics.background) * _support(shape, optics, rng), dtype=np.float32)


def _phase_contrast(bodies: Sequence[Body], shape: tuple[int, int], optics: Optics, rng: np.random.Generator) -> Floats:
    """Weak phase object behind a lens: I = background · exp(-density) · (1 - 2 φ ⊗ transfer).

    The phase φ of a crystal is its projected potential: its thickness, and its lattice planes where they are seen
    edge-on. The amorphous support is white noise, whose transfer is the grain of such images. Little is absorbed, so a
    particle's outline is where its fringes end in the support's grain.
    """
    phase = np.zeros(shape, dtype=np.float32)
    for body in bodies:
        thickness = body.relief.thickness / np.float32(optics.reference_px)
        planes = np.full_like(thickness, _PHASE)
        for fringes in body.lattice:
            across = body.x * np.float32(np.cos(fringes.angle)) + body.y * np.float32(np.sin(fringes.angle))
            wave = np.cos(across * np.float32(2 * np.pi / fringes.period_px) + np.float32(fringes.phase))
            planes += np.float32(fringes.amplitude) * wave
        phase[body.rows, body.columns] += thickness * planes * body.relief.coverage
    support = transferred(rng.standard_normal(shape, dtype=np.float32), optics.nm_per_px, optics.defocus_nm)
    contrast = np.float32(optics.grain) * support / support.std()
    contrast -= 2 * transferred(phase, optics.nm_per_px, optics.defocus_nm)
    density = _optical_density(bodies, shape, optics, rng)
    image = np.float32(optics.background) * np.exp(-density) * (1 + contrast)
    return np.asarray(np.maximum(image, 0), dtype=np.float32)


def _scanning(bodies: Sequence[Body], shape: tuple[int, int], optics: Optics, rng: np.random.Generator) -> Floats:
    """Surface signal, painted from the lowest particle to the uppermost; each also shades what lies beside it."""
    image = np.float32(optics.background) * _support(shape, optics, rng)
    texture = cloud_noise(shape, optics.roughness_px, rng) * np.float32(optics.roughness) + 1
    for body in bodies:
        view = image[body.rows, body.columns]
        if optics.halo > 0:
            beside = np.maximum(body.relief.distance, 0) / np.float32(2 * optics.rim_px)
            view *= 1 - np.float32(optics.halo) * np.exp(-beside)
        surface = _surface_signal(body, optics) * texture[body.rows, body.columns]
        coverage = body.relief.coverage
        view += coverage * (surface - view)
    return image


def _surface_signal(body: Body, optics: Optics) -> Floats:
    relief = body.relief
    level: Floats | np.float32 = np.float32(optics.particle * body.contrast)
    if optics.modality == "BSE-SEM":
        depth = np.maximum(relief.thickness, 0) / np.float32(optics.reference_px)
        level = (
            level * (1 - np.exp(np.float32(-optics.absorption) * depth)) / np.float32(1 - np.exp(-optics.absorption))
        )
    slope_y, slope_x = np.gradient(relief.top)
    stretch = np.sqrt(1 + slope_x**2 + slope_y**2)
    slanted = (np.minimum(stretch, np.float32(_STEEPEST)) - 1) / np.float32(_STEEPEST - 1)
    towards = -(
        slope_x * np.float32(np.cos(optics.detector_angle)) + slope_y * np.float32(np.sin(optics.detector_angle))
    )
    rim = np.exp(np.minimum(relief.distance, 0) / np.float32(optics.rim_px))
    gain = 1 + np.float32(optics.edge) * slanted + np.float32(optics.rim) * rim
    return np.asarray(level * (gain + np.float32(optics.shading) * towards / stretch), dtype=np.float32)


def _optical_density(
    bodies: Sequence[Body], shape: tuple[int, int], optics: Optics, rng: np.random.Generator
) -> Floats:
    density = np.zeros(shape, dtype=np.float32)
    for body in bodies:
        thickness = body.relief.thickness
        mass = thickness + np.float32(body.core_contrast) * _core_thickness(thickness, body.core)
        scale = np.float32(optics.absorption * body.contrast / optics.reference_px)
        density[body.rows, body.columns] += scale * mass * _bands(body) * np.minimum(2 * body.relief.coverage, 1)
    if optics.roughness > 0:
        density *= 1 + np.float32(optics.roughness) * cloud_noise(shape, optics.roughness_px, rng)
    return density


def _core_thickness(thickness: Floats, core: float) -> Floats:
    """Chord through a concentric sphere of ``core`` times the radius, from the chord through the whole sphere."""
    diameter = float(thickness.max(initial=0))
    if core == 0 or diameter == 0:
        return np.zeros_like(thickness)
    from_centre = 1 - (thickness / np.float32(diameter)) ** 2
    return np.asarray(
        np.float32(diameter) * np.sqrt(np.maximum(np.float32(core**2) - from_centre, 0)), dtype=np.float32
    )


def _bands(body: Body) -> Floats | np.float32:
    pattern = body.pattern
    if pattern.amplitude == 0:
        return np.float32(1)
    cosine, sine = np.float32(np.cos(pattern.angle)), np.float32(np.sin(pattern.angle))
    across, along = body.x * cosine + body.y * sine, body.y * cosine - body.x * sine
    wave = np.cos(
        (across + np.float32(pattern.curvature) * along**2) * np.float32(2 * np.pi / pattern.period_px)
        + np.float32(pattern.phase)
    )
    return np.asarray(1 + np.float32(pattern.amplitude) * wave, dtype=np.float32)


def _support(shape: tuple[int, int], optics: Optics, rng: np.random.Generator) -> Floats:
    texture = np.ones(shape, dtype=np.float32)
    if optics.grain > 0:
        texture += np.float32(optics.grain) * band_noise(shape, optics.grain_px, rng)
    if optics.mottle > 0:
        texture += np.float32(optics.mottle) * cloud_noise(shape, optics.mottle_px, rng)
    return np.asarray(np.maximum(texture, 0), dtype=np.float32)


def _fresnel(image: Floats, optics: Optics) -> Floats:
    """Under-focus: a bright fringe outside edges and a dark one inside."""
    if optics.fringe == 0:
        return image
    detail = image - cv2.GaussianBlur(image, (0, 0), optics.fringe_px)
    return np.asarray(np.maximum(image + np.float32(optics.fringe) * detail, 0), dtype=np.float32)


def _illumination(shape: tuple[int, int], optics: Optics) -> Floats:
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    amplitude, angle = optics.gradient
    ramp = np.float32(amplitude * np.cos(angle)) * columns + np.float32(amplitude * np.sin(angle)) * rows
    return np.asarray((1 + ramp) * (1 - np.float32(optics.vignette / 2) * (rows**2 + columns**2)), dtype=np.float32)


def _detect(image: Floats, optics: Optics, rng: np.random.Generator) -> Floats:
    """Shot noise of the given dose, spread over ``noise_px`` without losing its variance, and scan noise."""
    expected = np.maximum(image, 0)
    counts = rng.poisson(expected * np.float32(optics.dose)).astype(np.float32)
    noise = counts / np.float32(optics.dose) - expected
    if optics.noise_px > 0:
        # A Gaussian of standard deviation s divides the variance of white noise by 4πs² (s not small).
        noise = cv2.GaussianBlur(noise, (0, 0), optics.noise_px) * np.float32(
            max(2 * np.sqrt(np.pi) * optics.noise_px, 1.0)
        )
    image = image + noise
    if optics.scan_noise > 0:
        rows = rng.standard_normal((image.shape[0], 1), dtype=np.float32)
        image = image * (1 + np.float32(optics.scan_noise) * rows)
    return np.asarray(image, dtype=np.float32)
