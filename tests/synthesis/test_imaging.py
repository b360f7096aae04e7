import numpy as np
import pytest

from nanoseg_bench.synthesis import shapes
from nanoseg_bench.synthesis.imaging import HRTEM, MODALITIES, Body, Fringes, Pattern, band_noise, cloud_noise, render
from nanoseg_bench.synthesis.specimen import draw_optics, magnified

SHAPE = (120, 140)
CENTRE = (70.5, 60.5)
FLAT = Pattern(0, 10, 0, 0, 0)


def body(solid, contrast=1.0, core=0.0, core_contrast=0.0):
    x = (np.arange(SHAPE[1]) + 0.5 - CENTRE[0]).astype(np.float32)[None, :]
    y = (np.arange(SHAPE[0]) + 0.5 - CENTRE[1]).astype(np.float32)[:, None]
    rows, columns = slice(0, SHAPE[0]), slice(0, SHAPE[1])
    return Body(rows, columns, x, y, solid.relief(x, y), contrast, core, core_contrast, FLAT)


@pytest.mark.parametrize("modality", MODALITIES)
def test_particle_stands_out_in_the_direction_of_its_modality(modality):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        optics = magnified(draw_optics(modality, rng), 60)
        particle = body(shapes.nanosphere(60))
        pixels = render([particle], SHAPE, optics, rng).astype(float)
        inside = pixels[particle.relief.distance < -3].mean()
        outside = pixels[particle.relief.distance > 8].mean()
        assert inside < outside - 20 if modality == "BF-TEM" else inside > outside + 20


def test_bright_field_obeys_beer_lambert():
    from dataclasses import replace

    rng = np.random.default_rng(0)
    plain = replace(
        draw_optics("BF-TEM", rng),
        background=0.9, particle=0.0, absorption=1.0, gradient=(0.0, 0.0), vignette=0.0, grain=0.0, mottle=0.0,
        roughness=0.0, fringe=0.0, blur_px=0.0, dose=1e7, noise_px=0.0, gamma=1.0,
    )  # fmt: skip
    pixels = render([body(shapes.nanocube(60, 6))], SHAPE, magnified(plain, 60), rng)
    assert pixels[60, 70] == pytest.approx(255 * 0.9 * np.exp(-1), abs=1.5)
    assert pixels[5, 5] == pytest.approx(255 * 0.9, abs=1.5)


def test_hollow_sphere_is_brighter_in_its_middle_than_a_solid_one():
    rng = np.random.default_rng(1)
    optics = magnified(draw_optics("BF-TEM", rng, easy=True), 60)
    hollow = render(
        [body(shapes.nanosphere(60), core=0.8, core_contrast=-0.9)], SHAPE, optics, np.random.default_rng(2)
    )
    solid = render([body(shapes.nanosphere(60))], SHAPE, optics, np.random.default_rng(2))
    middle = (slice(50, 70), slice(60, 80))
    assert hollow[middle].mean() > solid[middle].mean() + 10


def high_resolution(lattice, **changes):
    """A cube of 60 px at 0.04 nm per pixel, 2.4 nm."""
    from dataclasses import replace

    optics = magnified(draw_optics(HRTEM, np.random.default_rng(0)), 60)
    optics = replace(optics, nm_per_px=0.04, defocus_nm=60.0, gradient=(0.0, 0.0), vignette=0.0, dose=1e5, **changes)
    particle = replace(body(shapes.nanocube(60, 3)), lattice=lattice)
    return render([particle], SHAPE, optics, np.random.default_rng(1)).astype(float)


def test_lattice_planes_are_fringes_of_their_spacing():
    """0.25 nm are 6.25 px: in the spectrum of the particle's middle, their wave stands out."""
    middle = (slice(36, 86), slice(46, 96))
    spectra = []
    for lattice in ((Fringes(6.25, 0.0, 0.5, 0.0),), ()):
        pixels = high_resolution(lattice, grain=0.03)[middle]
        spectra.append(np.abs(np.fft.rfft(pixels - pixels.mean(), axis=1)).mean(axis=0))
    assert int(spectra[0].argmax()) == 8
    assert spectra[0][8] > 8 * spectra[1][8]


def test_high_resolution_particle_has_little_contrast_but_its_fringes():
    pixels = high_resolution(())
    middle, support = pixels[40:80, 50:90], np.concatenate([pixels[:, :20].ravel(), pixels[:, 120:].ravel()])
    assert 0 < support.mean() - middle.mean() < 0.3 * support.mean()


def test_upper_particle_hides_the_lower_in_sem():
    rng = np.random.default_rng(5)
    optics = magnified(draw_optics("BSE-SEM", rng, easy=True), 60)
    bright, dark = body(shapes.nanosphere(40), 1.0), body(shapes.nanosphere(60), 0.4)
    below = render([bright, dark], SHAPE, optics, np.random.default_rng(2))
    above = render([dark, bright], SHAPE, optics, np.random.default_rng(2))
    middle = (slice(55, 66), slice(65, 76))
    assert above[middle].mean() > below[middle].mean() + 40


@pytest.mark.parametrize(("noise", "size"), [(band_noise, 3.0), (cloud_noise, 40.0)])
def test_texture_is_normalised(noise, size):
    texture = noise((200, 300), size, np.random.default_rng(0))
    assert texture.shape == (200, 300)
    assert abs(float(texture.mean())) < 1e-3
    assert float(texture.std()) == pytest.approx(1, abs=1e-3)
