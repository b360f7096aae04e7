import dataclasses

import numpy as np
import pytest

from nanoseg_bench.preparation.features import LocalFeatures
from nanoseg_bench.preparation.shortlist import CANDIDATES, Candidate, Index, image_words


def features(seed, count=200):
    """Features at random, with descriptors as sparse as real ones."""
    rng = np.random.default_rng(seed)
    return LocalFeatures(
        positions=rng.uniform(0, 600, (count, 2)).astype(np.float32),
        sizes=rng.uniform(3, 20, count).astype(np.float32),
        angles=rng.uniform(0, 360, count).astype(np.float32),
        descriptors=(rng.gamma(0.4, 25, (count, 128))).clip(0, 255).astype(np.uint8),
        view=np.zeros((10, 10), np.uint8),
        covered=np.zeros((10, 10), bool),
        width=640,
        height=480,
    )


def seen_again(original, seed, share=0.3, zoom=2.0, turn=40.0, noise=3.0):
    """The same field zoomed and turned, most of its features lost and the descriptors disturbed."""
    rng = np.random.default_rng(seed)
    kept = rng.random(len(original.sizes)) < share
    other = features(seed + 1000, int((~kept).sum()))
    disturbed = original.descriptors[kept] + rng.normal(0, noise, (int(kept.sum()), 128))
    return dataclasses.replace(
        other,
        positions=np.vstack([original.positions[kept], other.positions]),
        sizes=np.concatenate([original.sizes[kept] * zoom, other.sizes]).astype(np.float32),
        angles=np.concatenate([(original.angles[kept] + turn) % 360, other.angles]).astype(np.float32),
        descriptors=np.vstack([disturbed.round().clip(0, 255).astype(np.uint8), other.descriptors]),
    )


def shortlist(images, folder):
    """Pairs of all images, through an index that was saved."""
    Index.of([image_words(image) for image in images]).save(folder)
    index = Index.open(folder)
    return {pair for number, image in enumerate(images) for pair in index.candidates(number, image)}


@pytest.mark.parametrize("mirrored", [False, True])
def test_images_that_share_a_field_are_candidates(mirrored, tmp_path):
    images = [features(seed) for seed in range(40)]
    again = seen_again(images[7], 99)
    images.append(again.mirrored() if mirrored else again)
    assert Candidate(7, 40, mirrored) in shortlist(images, tmp_path)


def test_unrelated_images_are_hardly_any(tmp_path):
    images = [features(seed) for seed in range(60)]
    assert len(shortlist(images, tmp_path)) <= 6


def test_features_that_agree_in_nothing_but_their_descriptor_count_little(tmp_path):
    one = features(1)
    rng = np.random.default_rng(5)
    scattered = dataclasses.replace(
        one,
        angles=rng.uniform(0, 360, len(one.sizes)).astype(np.float32),
        sizes=(one.sizes * 2 ** rng.uniform(-4, 4, len(one.sizes))).astype(np.float32),
    )
    # The best partner of image 0 is the one whose features all turned alike, not the one whose features did not.
    crowd = [
        one,
        *([scattered] * CANDIDATES),
        *(seen_again(one, seed, share=0.6, noise=0) for seed in range(CANDIDATES)),
    ]
    found = {pair.second for pair in shortlist(crowd, tmp_path) if pair.first == 0}
    assert found >= set(range(CANDIDATES + 1, 2 * CANDIDATES + 1))


def test_a_long_series_of_one_field_stays_linked_and_linear(tmp_path):
    frames = [features(3)] * 150
    pairs = shortlist(frames, tmp_path)
    assert len(pairs) <= 2 * CANDIDATES * len(frames)
    linked = {0}
    for _ in range(len(frames)):
        linked |= {
            member for pair in pairs if {pair.first, pair.second} & linked for member in (pair.first, pair.second)
        }
    assert linked == set(range(150))


def test_images_without_features_are_no_candidates(tmp_path):
    empty = features(0, 0)
    assert shortlist([empty] * 5, tmp_path) == set()
    assert shortlist([empty, features(0)], tmp_path) == set()
