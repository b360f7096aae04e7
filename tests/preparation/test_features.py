import cv2
import numpy as np
import pytest

from nanoseg_bench.preparation.features import MAX_FEATURES, VIEW_SIDE, local_features


def grain(seed=0, height=480, width=640):
    noise = np.random.default_rng(seed).normal(size=(height, width))
    mixed = sum(cv2.GaussianBlur(noise, (0, 0), s) * s for s in (2, 5, 11))
    return np.clip(128 + mixed / mixed.std() * 45, 0, 255).astype(np.uint8)


def matches(first, second):
    """Place in the second of each of the first's features: the nearest descriptor within a small angle."""
    a, b = (
        each.descriptors.astype(float) / np.linalg.norm(each.descriptors, axis=1)[:, None].astype(float)
        for each in (first, second)
    )
    product = a @ b.T
    good = product.max(axis=1) > 0.98
    return np.flatnonzero(good), product.argmax(axis=1)[good]


def test_features_are_bounded_placed_inside_and_strongest_first():
    image = grain()
    features = local_features(image)
    assert 100 < len(features.sizes) <= MAX_FEATURES
    assert (features.positions > 0).all()
    assert (features.positions < (640, 480)).all()
    assert features.descriptors.dtype == np.uint8
    assert features.view.shape == features.covered.shape == (VIEW_SIDE * 480 // 640, VIEW_SIDE)
    assert (features.width, features.height) == (640, 480)


def test_mirroring_the_features_is_mirroring_the_image():
    image = grain(1)
    mirrored = local_features(np.ascontiguousarray(image[:, ::-1]))
    permuted = local_features(image).mirrored()
    ours, theirs = matches(permuted, mirrored)
    assert len(ours) > 0.8 * len(permuted.sizes)
    distance = np.linalg.norm(permuted.positions[ours] - mirrored.positions[theirs], axis=1)
    assert np.median(distance) < 0.5
    turn = (permuted.angles[ours] - mirrored.angles[theirs] + 180) % 360 - 180
    assert np.median(np.abs(turn)) < 2
    assert (permuted.mirrored().descriptors == local_features(image).descriptors).all()


def test_positions_are_those_of_the_image_whatever_its_size():
    image = grain(2)
    large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    first, second = local_features(image), local_features(large)
    ours, theirs = matches(first, second)
    assert len(ours) > 50
    assert np.median(np.linalg.norm(first.positions[ours] * 2 - second.positions[theirs], axis=1)) < 1


def test_brightness_and_contrast_change_little():
    image = grain(3)
    first, second = local_features(image), local_features((image * 0.4 + 30).astype(np.uint8))
    assert len(matches(first, second)[0]) > 0.7 * len(first.sizes)


def test_nothing_is_detected_on_an_info_bar():
    image = grain(4)
    image[440:] = 0
    cv2.putText(image, "SU8020 15.0kV x100k SE", (8, 468), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 1)
    features = local_features(image)
    assert len(features.sizes) > 100
    assert features.positions[:, 1].max() < 440
    assert features.covered[-10:].all()


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (40, 640), (480, 640)])
def test_an_empty_image_has_no_features(grey, shape):
    features = local_features(np.full(shape, grey, dtype=np.uint8))
    assert features.positions.shape == (0, 2)
    assert features.descriptors.shape == (0, 128)
    assert features.mirrored().descriptors.shape == (0, 128)
