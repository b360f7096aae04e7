import cv2
import numpy as np
import pytest

from nanoseg_bench.preparation.overlays import overlay_mask


def grain(seed=0, height=400, width=500, level=120, spread=25):
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(height, width)), (0, 0), 2)
    return np.clip(level + noise / noise.std() * spread, 30, 225).astype(np.uint8)


def write(image, text, place, grey, scale=0.7, thickness=2):
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, int(grey), thickness)


@pytest.mark.parametrize("ground", [0, 128, 255])
@pytest.mark.parametrize("on_top", [False, True])
def test_an_info_bar_is_masked_whole_and_little_more(ground, on_top):
    image = grain()
    rows = slice(0, 40) if on_top else slice(360, 400)
    bar = np.full((40, 500), ground, dtype=np.uint8)
    write(bar, "SU8020 15.0kV 8.2mm x100k SE(U)", (8, 27), 255 - ground if ground != 128 else 255, 0.6, 1)
    noisy = cv2.imdecode(cv2.imencode(".jpg", bar, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE)
    image[rows] = noisy
    mask = overlay_mask(image)
    assert mask[rows].all()
    beyond = np.delete(mask, rows, axis=0)
    assert beyond.mean() < 0.03


def test_a_micrograph_without_overlays_is_not_masked():
    image = grain()
    for x, y in ((100, 100), (300, 200), (420, 330)):
        cv2.circle(image, (x, y), 45, 250, -1)
        cv2.circle(image, (x - 60, y + 40), 9, 5, -1)
    assert overlay_mask(image).mean() < 0.01


def test_a_flat_background_is_no_bar():
    image = np.full((400, 500), 12, dtype=np.uint8)
    for x in range(60, 480, 80):
        for y in range(150, 380, 80):
            cv2.circle(image, (x, y), 30, 170, -1)
    assert not overlay_mask(image)[200:].any()


@pytest.mark.parametrize("grey", [0, 255])
def test_a_line_of_text_and_a_scale_bar_are_masked(grey):
    image = grain()
    ink = image.copy()
    write(ink, "200 nm", (350, 360), grey)
    cv2.rectangle(ink, (350, 370), (440, 378), grey, -1)
    drawn = ink != image
    mask = overlay_mask(ink)
    assert mask[drawn].mean() > 0.95
    assert mask[:300].mean() < 0.01


def test_the_box_under_a_scale_bar_is_masked_and_a_round_particle_is_not():
    image = grain()
    image[330:380, 400:490] = 255
    write(image, "20 nm", (410, 350), 0, 0.6)
    cv2.rectangle(image, (415, 360), (470, 366), 0, -1)
    cv2.circle(image, (150, 150), 40, 255, -1)
    mask = overlay_mask(image)
    assert mask[330:380, 400:490].all()
    assert not mask[110:190, 110:190].any()


def test_saturated_particles_everywhere_are_not_lettering():
    image = np.full((400, 500), 255, dtype=np.uint8)
    image[:] = grain(1, level=200, spread=10)
    for x in range(15, 490, 30):
        cv2.ellipse(image, (x, 200), (9, 120), 0, 0, 360, 0, -1)
    assert overlay_mask(image)[100:300].mean() < 0.5


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3)])
def test_tiny_images_are_answered(shape):
    assert overlay_mask(np.zeros(shape, dtype=np.uint8)).shape == shape
