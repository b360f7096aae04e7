"""Contrast transfer of a transmission electron microscope at atomic resolution.

One instrument, typical of published micrographs: 200 kV, field-emission gun, no corrector.
"""

import numpy as np
import scipy  # see shapes

from nanoseg_bench.synthesis.shapes import Floats

WAVELENGTH_NM = 2.508e-3
SPHERICAL_ABERRATION_NM = 1.0e6
_FOCAL_SPREAD_NM = 3.5
_SEMI_ANGLE = 0.3e-3


def scherzer_defocus_nm() -> float:
    """Under-focus at which most of the spectrum is transferred with one sign: 1.2 √(Cs λ)."""
    return float(1.2 * np.sqrt(SPHERICAL_ABERRATION_NM * WAVELENGTH_NM))


def contrast_transfer(frequency: Floats, defocus_nm: float) -> Floats:
    """Transfer from projected phase to contrast, to be multiplied by -2 for intensity: sin χ · E_t · E_s.

        χ = πλΔf k² - π/2 Cs λ³ k⁴
        E_t = exp(-½ (πλδ)² k⁴)                          spread δ of the focus
        E_s = exp(-(πα/λ)² (Cs λ³ k³ - Δf λ k)²)         semi-angle α of the illumination

    (Reimer & Kohl, Transmission Electron Microscopy, 5th ed., 6.4; Frank, Optik 38, 519, 1973).

    Args:
        frequency: Spatial frequency k, 1/nm, of any shape.
        defocus_nm: Δf, positive under focus.
    """
    k = frequency.astype(np.float64)
    cubic = SPHERICAL_ABERRATION_NM * WAVELENGTH_NM**3
    chi = np.pi * WAVELENGTH_NM * defocus_nm * k**2 - np.pi / 2 * cubic * k**4
    temporal = -0.5 * (np.pi * WAVELENGTH_NM * _FOCAL_SPREAD_NM) ** 2 * k**4
    spatial = -((np.pi * _SEMI_ANGLE / WAVELENGTH_NM) ** 2) * (cubic * k**3 - defocus_nm * WAVELENGTH_NM * k) ** 2
    return np.asarray(np.sin(chi) * np.exp(temporal + spatial), dtype=np.float32)


def transferred(phase: Floats, nm_per_px: float, defocus_nm: float) -> Floats:
    """(H, W) projected phase as contrast; the field is continued by its mirror images."""
    height, width = phase.shape
    k_y = np.arange(height, dtype=np.float32)[:, None] / np.float32(2 * height * nm_per_px)
    k_x = np.arange(width, dtype=np.float32)[None, :] / np.float32(2 * width * nm_per_px)
    spectrum = scipy.fft.dctn(phase, norm="ortho") * contrast_transfer(np.hypot(k_x, k_y), defocus_nm)
    return np.asarray(scipy.fft.idctn(spectrum, norm="ortho"), dtype=np.float32)
