"""Each corruption against its equation."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import j1

from nanoseg_bench.evaluation.corruptions import corrupt
from nanoseg_bench.evaluation.corruptions.charging import charging
from nanoseg_bench.evaluation.corruptions.contamination import contamination
from nanoseg_bench.evaluation.corruptions.drift import draw_displacement
from nanoseg_bench.evaluation.corruptions.fields import smooth_field
from nanoseg_bench.evaluation.corruptions.point_spread import blur, defocus, down_sampling
from nanoseg_bench.evaluation.corruptions.signal import low_contrast, shot_noise
from nanoseg_bench.evaluation.corruptions.table import CORRUPTIONS
from nanoseg_bench.evaluation.corruptions.view import View


def view_of(intensity, px=1.0, modality=None):
    return View(np.asarray(intensity, dtype=np.float32), px, modality)


def rng(seed=0):
    return np.random.default_rng(seed)


def texture(shape=(96, 128), seed=0, mean=0.5, contrast=0.1):
    values = ndimage.gaussian_filter(rng(seed).normal(size=shape), 2)
    return mean + contrast * values / values.std()


def cosine_image(cycles, amplitude, shape=(8, 256)):
    """Half-integer-phase cosine: an eigenfunction of every symmetric filter with mirror images at the border."""
    x = np.arange(shape[1]) + 0.5
    return 0.5 * (1 + amplitude * np.cos(2 * np.pi * cycles * x)) * np.ones(shape)


def measured_transfer(changed, cycles, amplitude, mean=0.5):
    x = np.arange(changed.shape[1]) + 0.5
    return float(2 * (changed[0] * np.cos(2 * np.pi * cycles * x)).mean() / (mean * amplitude))


@pytest.mark.parametrize("sigma", [0.8, 2.0, 6.0])
def test_blur_is_a_gaussian_of_the_given_width(sigma):
    image = np.zeros((81, 81))
    image[40, 40] = 1
    spread = blur(view_of(image, px=2.0), rng(), sigma_px=sigma / 2).astype(float)
    offset = np.arange(81) - 40
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    assert (spread.sum(axis=0) * offset**2).sum() == pytest.approx(sigma**2, rel=0.05)


@pytest.mark.parametrize("modality", [None, "BF-TEM"])
@pytest.mark.parametrize("name", ["blur", "defocus"])
def test_lost_resolution_keeps_the_mean(name, modality):
    image = texture()
    corruption = next(one for one in CORRUPTIONS if one.name == name)
    for severity in (1, 3, 5):
        changed = corruption.apply(view_of(image, modality=modality), rng(), **corruption.at(severity))
        assert changed.mean() == pytest.approx(image.mean(), abs=1e-4)


@pytest.mark.parametrize("cycles", [1 / 64, 1 / 32, 5 / 64, 1 / 8])
def test_disc_has_the_transfer_of_a_disc(cycles):
    radius, amplitude = 6.0, 0.4
    changed = defocus(view_of(cosine_image(cycles, amplitude)), rng(), disc_px=radius, fresnel_px=1.0)
    argument = 2 * np.pi * radius * cycles
    assert measured_transfer(changed, cycles, amplitude) == pytest.approx(2 * j1(argument) / argument, abs=0.02)


def test_disc_reverses_contrast_where_a_gaussian_does_not():
    cycles, amplitude = 1 / 8, 0.4
    image = view_of(cosine_image(cycles, amplitude))
    assert measured_transfer(defocus(image, rng(), disc_px=6.0, fresnel_px=1.0), cycles, amplitude) < -0.1
    assert measured_transfer(blur(image, rng(), sigma_px=3.0), cycles, amplitude) > 0


@pytest.mark.parametrize("cycles", [1 / 64, 1 / 32, 1 / 16, 1 / 8])
def test_bright_field_has_the_contrast_transfer_function(cycles):
    """Weak contrast: cos χ ± γ sin χ with the envelope of the source; either side of focus occurs."""
    fresnel, amplitude = 6.0, 0.01
    chi = np.pi * fresnel**2 * cycles**2
    envelope = np.exp(-((np.pi * 0.04 * fresnel**2 * cycles) ** 2))
    gamma = 2 * np.exp(-2 * (np.pi * 1.5 * cycles) ** 2)
    expected = {side: envelope * (np.cos(chi) + side * gamma * np.sin(chi)) for side in (1, -1)}
    image = view_of(cosine_image(cycles, amplitude), modality="BF-TEM")
    found = set()
    for seed in range(8):
        changed = defocus(image, rng(seed), disc_px=1.0, fresnel_px=fresnel)
        transfer = measured_transfer(changed, cycles, amplitude)
        found |= {side for side, value in expected.items() if abs(transfer - value) < 0.03}
    assert found == {1, -1}


def test_under_focus_has_a_bright_fringe_outside_of_a_dark_particle():
    image = np.full((64, 128), 0.8)
    image[:, 64:] = 0.2
    profiles = [
        defocus(view_of(image, modality="BF-TEM"), rng(seed), disc_px=1.0, fresnel_px=5.0)[32] for seed in range(8)
    ]
    beside = np.array([profile[60:63].mean() for profile in profiles])
    assert set(np.sign(beside - 0.8)) == {1, -1}
    assert np.abs(beside - 0.8).min() > 0.05


def test_down_sampling_averages_over_its_pixels():
    image = rng().uniform(size=(60, 80))
    changed = down_sampling(view_of(image), rng(), pixel_px=4.0)
    blocks = image.reshape(15, 4, 20, 4).mean(axis=(1, 3))
    assert changed.shape == (60, 80)
    assert changed.reshape(15, 4, 20, 4).mean(axis=(1, 3))[3:-3, 3:-3] == pytest.approx(
        ndimage.convolve(blocks, np.outer([1, 6, 1], [1, 6, 1]) / 64)[3:-3, 3:-3], abs=1e-5
    )


def test_image_that_is_smaller_than_the_low_magnification_stays():
    image = rng().uniform(size=(60, 80)).astype(np.float32)
    assert np.array_equal(down_sampling(view_of(image, px=80 / 640), rng(), pixel_px=1.6), image)


@pytest.mark.parametrize("px", [1.0, 2.0])
def test_shot_noise_has_the_variance_of_its_dose(px):
    image, dose = np.full((400, 400), 0.3), 40.0
    changed = shot_noise(view_of(image, px=px), rng(), dose_e=dose)
    assert changed.mean() == pytest.approx(0.3, abs=0.003)
    assert changed.var() == pytest.approx(0.3 * px**2 / dose, rel=0.02)


def test_low_contrast_scales_differences_from_the_mean():
    image = texture()
    changed = low_contrast(view_of(image), rng(), contrast=0.25)
    assert changed == pytest.approx(image.mean() + 0.25 * (image - image.mean()), abs=1e-5)


def test_contamination_is_a_veil_between_its_thinnest_and_its_thickest():
    image, depth, haze = texture((480, 640)), 1.0, 0.5
    changed = contamination(view_of(image), rng(), depth=depth, haze=haze)
    veil = haze * image.mean()
    transmitted = (changed - veil) / (image - veil)
    assert transmitted.min() == pytest.approx(np.exp(-depth), abs=0.02)
    assert transmitted.max() == pytest.approx(np.exp(-0.35 * depth), abs=0.02)
    assert np.abs(np.diff(transmitted, axis=1)).max() < 0.02
    assert changed.mean() < image.mean()


def test_smooth_field_is_even_and_the_same_at_every_resolution():
    small = smooth_field(view_of(np.zeros((480, 640))), 100, rng())
    large = smooth_field(view_of(np.zeros((960, 1280)), px=2.0), 100, rng())
    assert 0 <= small.min() < 0.1 and 0.9 < small.max() <= 1
    assert np.quantile(small, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.12)
    assert np.abs(large.reshape(480, 2, 640, 2).mean(axis=(1, 3)) - small).max() < 0.01


def discs(particle, support, shape=(320, 640)):
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    image = np.full(shape, support)
    for column in (100, 300, 500):
        image[np.hypot(x - column, y - 160) < 40] = particle
    return image


GAINS = {"share": 1.0, "streak": 0.8, "streak_px": 30.0, "halo": 0.2, "halo_px": 10.0}


def test_bright_particle_trails_a_streak_to_the_right():
    image = discs(0.6, 0.2)
    gain = charging(view_of(image), rng(), **GAINS) - image
    right, left = gain[150:170, 145:170].mean(), gain[150:170, 30:55].mean()
    assert right > 0.15
    assert right > 4 * abs(left)
    # Lines differ, and far above the particles there is nothing.
    assert gain[130:190, 150].std() > 0.05
    assert np.abs(gain[:60]).max() < 0.01


def test_halo_lies_around_the_particle():
    image = discs(0.6, 0.2)
    gain = charging(view_of(image), rng(), **{**GAINS, "streak": 0.0}) - image
    around = [gain[160, 100 - 45], gain[160, 100 + 45], gain[160 - 45, 100], gain[160 + 45, 100]]
    assert min(around) > 0.04
    assert np.ptp(around) < 0.02
    assert gain[160, 200] < 0.01


def test_streak_decays_over_its_length_and_leaves_a_shadow():
    image = np.full((64, 900), 0.2)
    image[:, 60:120] = 0.7
    gain = charging(view_of(image), rng(), **{**GAINS, "halo": 0.0}) - image
    mean = gain.mean(axis=0)
    assert mean[125] > mean[150] > mean[175]
    assert -0.2 < mean[250:400].min() < -0.005
    assert abs(mean[-1]) < abs(mean[300])


@pytest.mark.parametrize(("modality", "dark"), [("BF-TEM", True), ("SE-SEM", False), (None, True)])
def test_dark_particles_of_bright_field_stay_dark(modality, dark):
    image = discs(0.15, 0.6) if dark else discs(0.6, 0.15)
    gain = charging(view_of(image, modality=modality), rng(), **GAINS) - image
    on, beside = gain[150:170, 90:110].mean(), gain[150:170, 145:160].mean()
    assert beside > 0.1
    assert (on < beside) == dark


def test_known_modality_decides_which_side_is_the_particle():
    """Particles that cover more than half of the field are the more frequent side."""
    image = np.full((200, 640), 0.6)
    image[:, np.arange(640) % 40 < 10] = 0.2
    known = charging(view_of(image, modality="SE-SEM"), rng(), **{**GAINS, "halo": 0.0})
    unknown = charging(view_of(image), rng(), **{**GAINS, "halo": 0.0})
    assert not np.allclose(known, unknown)


def test_only_a_share_of_the_particles_charges():
    shape = (480, 640)
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    on = np.hypot(x % 40 - 20, y % 40 - 20) < 12
    image = np.where(on, 0.6, 0.2)
    centre = np.hypot(x % 40 - 20, y % 40 - 20) < 6
    charged = []
    for share in (0.0, 0.25, 0.75, 1.0):
        gain = charging(view_of(image), rng(), **{**GAINS, "share": share, "streak": 0.0, "halo_px": 1.0}) - image
        charged.append(float((gain[centre] > 0.1).mean()))
    assert charged[0] < 0.08 and charged[3] > 0.92
    assert charged[1] == pytest.approx(0.25, abs=0.15)
    assert charged[2] == pytest.approx(0.75, abs=0.15)


@pytest.mark.parametrize("seed", range(5))
def test_displacement_stays_inside_the_field(seed):
    displacement = draw_displacement(300, 400, 1.0, rng(seed), drift_px=34.0, jitter_px=2.2)
    x = displacement.columns()[None, :] + displacement.x[:, None]
    assert x.min() >= 0 and x.max() <= 400
    assert displacement.y.min() >= 0 and displacement.y.max() <= 300
    assert 0.75 < displacement.zoom < 1
    assert (np.diff(displacement.y) > 0).all()


def test_drift_is_a_shear_with_jittering_lines():
    sheared = []
    for seed in range(40):
        calm = draw_displacement(480, 640, 1.0, rng(seed), drift_px=30.0, jitter_px=0.0)
        shaky = draw_displacement(480, 640, 1.0, rng(seed), drift_px=30.0, jitter_px=1.0)
        assert (shaky.x - calm.x).std() == pytest.approx(1.0, rel=0.15)
        fall = calm.y - 240 - calm.zoom * (np.arange(480) + 0.5 - 240)
        sheared.append(np.hypot(calm.x[-1] - calm.x[0], fall[-1] - fall[0]))
    # The wave takes or adds up to a quarter.
    assert 30 * 0.7 < min(sheared) < max(sheared) < 30 * 1.3


def test_drift_shows_the_same_grey_levels():
    image = (texture((160, 200)) * 255).astype(np.uint8)
    changed = corrupt(image, "drift", 3, 0, "a")
    assert changed.mean() == pytest.approx(image.mean(), rel=0.02)
    assert changed.std() == pytest.approx(image.std(), rel=0.1)
