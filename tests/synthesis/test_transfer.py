import numpy as np
import pytest

from nanoseg_bench.synthesis.transfer import contrast_transfer, scherzer_defocus_nm, transferred


def test_scherzer_defocus_of_a_200_kv_microscope():
    """Cs = 1 mm: 60 nm, the value in every textbook."""
    assert scherzer_defocus_nm() == pytest.approx(60, abs=0.2)


def test_passband_at_scherzer_defocus_ends_at_the_point_resolution():
    """One sign from low frequencies to 1 / (0.66 Cs^(1/4) λ^(3/4)), about 0.24 nm."""
    k = np.linspace(1, 6, 2001, dtype=np.float32)
    transfer = contrast_transfer(k, scherzer_defocus_nm())
    crossing = float(k[np.flatnonzero(transfer < 0)[0]])
    assert 1 / crossing == pytest.approx(0.66 * 1e6**0.25 * 2.508e-3**0.75, rel=0.04)
    assert transfer[(k > 2) & (k < 3.5)].min() > 0.5


def test_nothing_is_transferred_at_zero_or_far_beyond_the_information_limit():
    assert contrast_transfer(np.zeros(1, np.float32), 60.0)[0] == 0
    assert np.abs(contrast_transfer(np.linspace(12, 20, 50, dtype=np.float32), 60.0)).max() < 0.01


@pytest.mark.parametrize("spacing_px", [4, 6.4, 8])
def test_a_wave_keeps_its_place_and_gets_its_transfer(spacing_px):
    nm_per_px, defocus = 0.04, 75.0
    wave = np.cos(2 * np.pi * (np.arange(256) + 0.5) / spacing_px) * np.ones((16, 1))
    image = transferred(wave.astype(np.float32), nm_per_px, defocus)
    k = np.array([1 / (spacing_px * nm_per_px)], dtype=np.float32)
    assert np.abs(image - contrast_transfer(k, defocus) * wave).max() < 1e-3
