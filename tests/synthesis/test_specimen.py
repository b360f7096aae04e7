import numpy as np

from nanoseg_bench.synthesis.imaging import HRTEM, MODALITIES
from nanoseg_bench.synthesis.specimen import draw_lattice, draw_specimen


def test_high_resolution_is_drawn_on_request_only():
    for seed in range(60):
        drawn = draw_specimen("one", ["nanocube"], np.random.default_rng(seed))
        assert drawn.optics.modality in MODALITIES
        assert draw_lattice(drawn, 0.04, np.random.default_rng(seed)) == ()
    asked = draw_specimen("one", ["nanocube"], np.random.default_rng(0), modality=HRTEM)
    assert asked.optics.modality == HRTEM
    assert asked.transmission


def test_particles_without_a_lattice_draw_nothing():
    """Or every later draw, and with it every published micrograph, would change."""
    rng = np.random.default_rng(0)
    draw_lattice(draw_specimen("one", ["nanocube"], np.random.default_rng(0)), 0.04, rng)
    assert rng.random() == np.random.default_rng(0).random()


def test_zone_axes_show_the_planes_of_an_fcc_crystal():
    specimen = draw_specimen("one", ["nanocube"], np.random.default_rng(0), modality=HRTEM)
    rng = np.random.default_rng(1)
    counts = set()
    for _ in range(200):
        lattice = draw_lattice(specimen, 0.04, rng)
        counts.add(len(lattice))
        spacings = [fringes.period_px * 0.04 / specimen.spacing_nm for fringes in lattice]
        angles = [np.rad2deg(fringes.angle - lattice[0].angle) for fringes in lattice]
        if len(lattice) == 2:  # [100]: {200} twice, at right angles
            assert np.allclose(spacings, np.sqrt(3) / 2)
            assert np.allclose(angles, [0, 90])
        if len(lattice) == 3:  # [110]: {111} twice, and {200}, which their difference is
            assert np.allclose(spacings, [1, 1, np.sqrt(3) / 2])
            waves = [np.exp(1j * np.deg2rad(angle)) / spacing for angle, spacing in zip(angles, spacings, strict=True)]
            assert abs(waves[1] - waves[0] - waves[2]) < 1e-3
    assert counts == {0, 1, 2, 3}
