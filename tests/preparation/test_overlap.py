import cv2
import numpy as np
import pytest

from nanoseg_bench.preparation.features import local_features
from nanoseg_bench.preparation.overlap import LEAST_INLIERS, find_overlap, fit_overlap


def grain(seed=0, height=900, width=1200):
    noise = np.random.default_rng(seed).normal(size=(height, width))
    mixed = sum(cv2.GaussianBlur(noise, (0, 0), s) * s for s in (2, 5, 11, 23))
    return np.clip(128 + mixed / mixed.std() * 45, 0, 255).astype(np.uint8)


def seen(image, scale, degrees, centre, mirrored, width=480, height=400):
    """A picture of a part of ``image``, and the true map from its pixels to those of ``image``."""
    turn = np.radians(degrees)
    linear = scale * np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    if mirrored:
        linear = linear @ np.diag((-1.0, 1.0))
    shift = np.asarray(centre) - linear @ (width / 2, height / 2)
    matrix = np.column_stack([linear, shift])
    # warpAffine counts from pixel centres, the map from the outer edge.
    pixels = np.column_stack([linear, linear @ (0.5, 0.5) + shift - 0.5])
    flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    blurred = cv2.GaussianBlur(image, (0, 0), 0.4 * scale) if scale > 1 else image
    return cv2.warpAffine(blurred, pixels, (width, height), flags=flags), matrix


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("scale", "degrees"), [(1.0, 0.0), (1.0, 90.0), (0.6, 33.0), (0.4, -120.0), (1.6, 171.0)])
def test_the_transform_is_recovered(scale, degrees, mirrored):
    image = grain(1, 800, 1000)
    part, matrix = seen(image, scale, degrees, (520, 420), mirrored)
    overlap = find_overlap(local_features(image), local_features(part), mirrored)
    assert overlap is not None
    assert overlap.scale == pytest.approx(scale, rel=0.01)
    assert (overlap.rotation_degrees - degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.5)
    corners = np.array([(0, 0), (480, 0), (480, 400), (0, 400)], dtype=float)
    expected = corners @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(overlap.outline(480, 400) - expected).max() < 4
    inside = cv2.intersectConvexConvex(
        expected.astype(np.float32), np.array([(0, 0), (1000, 0), (1000, 800), (0, 800)], np.float32)
    )[0]
    assert overlap.shared_first == pytest.approx(inside / 800_000, abs=0.01)
    assert overlap.shared_second == pytest.approx(inside / (scale**2 * 480 * 400), abs=0.02)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_inverse_is_the_overlap_seen_from_the_other_image(mirrored):
    image = grain(2, 800, 1000)
    first, second = local_features(image), local_features(seen(image, 0.7, 25, (450, 380), mirrored)[0])
    there, back = find_overlap(first, second, mirrored).inverted(), find_overlap(second, first, mirrored)
    assert there.scale == pytest.approx(back.scale, rel=0.01)
    assert (there.rotation_degrees - back.rotation_degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.5)
    assert (there.shared_first, there.shared_second) == pytest.approx((back.shared_first, back.shared_second), abs=0.02)
    assert np.abs(there.outline(1000, 800) - back.outline(1000, 800)).max() < 8


def test_the_wrong_sense_is_not_found():
    image = grain(3, 600, 800)
    part, _ = seen(image, 0.8, 10, (400, 300), mirrored=True)
    first, second = local_features(image), local_features(part)
    assert find_overlap(first, second, mirrored=False) is None
    assert find_overlap(first, second, mirrored=True) is not None


def test_unrelated_images_share_nothing():
    features = [local_features(grain(seed, 480, 640)) for seed in range(10, 16)]
    for i, first in enumerate(features):
        for second in features[:i]:
            assert find_overlap(first, second, False) is None
            assert find_overlap(first, second, True) is None


def test_shared_lettering_that_no_mask_knows_is_no_shared_field():
    images = [grain(seed, 480, 640) for seed in (20, 21)]
    for image in images:
        # Grey and large: neither flat black nor white, so it is not masked out.
        cv2.putText(image, "Fig. 3 B&W %@", (30, 420), cv2.FONT_HERSHEY_TRIPLEX, 2.0, 60, 5)
        cv2.putText(image, "Fig. 3 B&W %@", (30, 420), cv2.FONT_HERSHEY_TRIPLEX, 2.0, 200, 2)
    first, second = map(local_features, images)
    fitted = fit_overlap(first, second, False)
    assert fitted is not None, "the lettering agrees, so there is something to refuse"
    assert fitted.inliers >= LEAST_INLIERS
    assert find_overlap(first, second, False) is None


def test_images_without_features_are_answered():
    empty = local_features(np.full((100, 100), 90, dtype=np.uint8))
    full = local_features(grain(1, 300, 400))
    assert find_overlap(empty, full, False) is None
    assert find_overlap(full, empty, True) is None
