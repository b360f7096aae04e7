"""Lost resolution: Gaussian blur, defocus, and pixels that are too large. All keep the mean intensity."""

import cv2
import numpy as np
import scipy.fft

from nanoseg_bench.evaluation.corruptions.view import BRIGHT_FIELD, Floats, View

_PHASE_PER_ATTENUATION = 2.0
_SOURCE_PER_FRESNEL = 0.04
_SMOOTHING_PX = 1.5
_DARKEST = 0.02
_SUBPIXELS = 9


def blur(view: View, rng: np.random.Generator, *, sigma_px: float) -> Floats:
    """Convolve with a Gaussian of standard deviation ``sigma_px``: vibration, a large probe, a poor detector."""
    return _gaussian(view.intensity, sigma_px * view.px)


def defocus(view: View, rng: np.random.Generator, *, disc_px: float, fresnel_px: float) -> Floats:
    """Take the image out of focus, as the instrument does it.

    Bright-field TEM: the wave behind the specimen is propagated over the defocus (see ``_propagate``), to either side
    of focus at random. Everything else, and where the modality is unknown: each point becomes a disc of even
    brightness, as a probe or a bundle of rays of semi-angle α does at a distance Δf from its focus,

        R = |Δf| α,    transfer 2 J1(2πRk) / (2πRk) at the spatial frequency k,

    which reverses contrast beyond 0.61 / R, where a Gaussian only fades (Goldstein et al., Scanning Electron Microscopy
    and X-Ray Microanalysis, 4th ed., on depth of focus; Born & Wolf, Principles of Optics, 8.8).

    Args:
        view: The field.
        rng: Side of the focus.
        disc_px: Radius R of the disc.
        fresnel_px: √(λ|Δf|), the length over which an edge's fringes spread (bright-field TEM).
    """
    if view.modality in BRIGHT_FIELD:
        return _propagate(view.intensity, fresnel_px * view.px, view.px, bool(rng.random() < 0.5))
    return np.asarray(
        cv2.filter2D(view.intensity, -1, _disc(disc_px * view.px), borderType=cv2.BORDER_REFLECT), dtype=np.float32
    )


def down_sampling(view: View, rng: np.random.Generator, *, pixel_px: float) -> Floats:
    """Average over pixels of side ``pixel_px`` and interpolate back to the size before: a low magnification."""
    height, width = view.intensity.shape
    side = pixel_px * view.px
    small = (max(round(width / side), 1), max(round(height / side), 1))
    # Enlarging first is no lower magnification: an image smaller than that stays as it is.
    if small[0] >= width and small[1] >= height:
        return view.intensity
    reduced = cv2.resize(view.intensity, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _propagate(intensity: Floats, fresnel: float, px: float, under: bool) -> Floats:
    """Defocused bright-field image of an image in focus.

    The wave is that of a specimen of one material, whose phase goes with the logarithm of its attenuation,
    ψ = √I exp(-i γ/2 ln G*I); the Gaussian G of 1.5 px keeps the recorded noise, which was not in the wave, out of its
    phase. A lens that is too weak by Δf images a plane before the specimen: the spectrum of ψ is
    multiplied by exp(iχ), χ = πλΔf k², and I' = |ψ'|². For weak contrast the transfer is

        cos χ + γ sin χ,

    the contrast transfer function without spherical aberration, which does not count at the resolution of whole
    particles (Reimer & Kohl, Transmission Electron Microscopy, 5th ed., 6.4; for one material: Cloetens et al., Appl.
    Phys. Lett. 75, 2912, 1999). Under focus gives the bright fringe outside of a dark particle. A source that is seen
    under the semi-angle α damps it by exp(-(πα Δf k)²) (Frank, Optik 38, 519, 1973). γ = 2 is far from a weak phase
    object: the particles are thick, and what scatters is largely stopped at the aperture.

    Args:
        intensity: (H, W), in focus.
        fresnel: √(λ|Δf|), px.
        px: Pixels per pixel of the reference.
        under: Whether the lens is too weak, or else too strong.
    """
    height, width = intensity.shape
    # Half-sample mirror images around the field: the cosine transform. Propagation is unitary, so the mean stays.
    k_y = np.arange(height, dtype=np.float32)[:, None] / np.float32(2 * height)
    k_x = np.arange(width, dtype=np.float32)[None, :] / np.float32(2 * width)
    chi = np.float32((1 if under else -1) * np.pi * fresnel**2) * (k_y**2 + k_x**2)
    # What is black on the screen still passes some electrons, and the logarithm needs them.
    passed = np.maximum(intensity, np.float32(_DARKEST))
    phase = np.float32(-_PHASE_PER_ATTENUATION / 2) * np.log(_gaussian(passed, _SMOOTHING_PX * px))
    amplitude = np.sqrt(passed)
    real, imaginary = (
        scipy.fft.dctn(part, norm="ortho") for part in (amplitude * np.cos(phase), amplitude * np.sin(phase))
    )
    cosine, sine = np.cos(chi), np.sin(chi)
    far = [
        scipy.fft.idctn(part, norm="ortho")
        for part in (real * cosine - imaginary * sine, imaginary * cosine + real * sine)
    ]
    image = far[0] ** 2 + far[1] ** 2 + (intensity - passed)
    # α = 0.1 mrad at λ = 2.51 pm (200 kV) and 1 nm per pixel: α|Δf| = (α/λ) λ|Δf|, and exp(-(παΔf k)²) is a Gaussian.
    source = _SOURCE_PER_FRESNEL * (fresnel / px) ** 2 * px
    return _gaussian(image, source / np.sqrt(2))


def _gaussian(intensity: Floats, sigma: float) -> Floats:
    # A symmetric kernel on half-sample mirror images keeps the mean exactly.
    return np.asarray(cv2.GaussianBlur(intensity, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def _disc(radius: float) -> Floats:
    """Disc of sum 1; pixels at its edge hold the share that lies inside."""
    # An odd number of samples per pixel: the centre is one of them, and lies inside of the smallest disc.
    reach = int(np.ceil(radius + 0.5))
    side = (2 * reach + 1) * _SUBPIXELS
    offset = (np.arange(side) + 0.5) / _SUBPIXELS - (reach + 0.5)
    inside = (offset[:, None] ** 2 + offset[None, :] ** 2 <= radius**2).astype(np.float64)
    kernel = inside.reshape(2 * reach + 1, _SUBPIXELS, 2 * reach + 1, _SUBPIXELS).mean(axis=(1, 3))
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)
