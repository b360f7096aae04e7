import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nanoseg_bench.preparation.perceptual import (
    MAX_PARTNERS,
    NEAR_DUPLICATE_BITS,
    find_near_duplicates,
    inverse,
    is_mirrored,
    perceptual_hashes,
)


def texture(seed, height=120, width=160):
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(height, width)), 12)
    return np.clip(128 + smooth / smooth.std() * 50, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_hash_knows_an_image_in_all_orientations_and_which_are_mirrored(turns, mirrored):
    image = texture(5, 128, 128)
    turned = np.rot90(image, turns)
    turned = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
    there = (perceptual_hashes(image)[0] != perceptual_hashes(turned)).sum(axis=1)
    back = (perceptual_hashes(turned)[0] != perceptual_hashes(image)).sum(axis=1)
    assert there.min() == 0
    assert is_mirrored(int(there.argmin())) == mirrored
    assert inverse(int(there.argmin())) == int(back.argmin())


def test_altered_copies_stay_near_and_other_images_do_not():
    image = texture(1)
    darker = (image * 0.7 + 10).astype(np.uint8)
    smaller = np.ascontiguousarray(darker[::2, ::2][::-1].T)
    hashes = [perceptual_hashes(each) for each in (image, smaller, *map(texture, range(2, 30)))]
    pairs = find_near_duplicates(np.stack(hashes))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 1)]
    assert pairs[0].differing_bits <= NEAR_DUPLICATE_BITS


@pytest.mark.parametrize("most_bits", [0, 1, 4, 7])
def test_index_finds_what_comparing_all_pairs_finds(most_bits):
    rng = np.random.default_rng(most_bits)
    hashes = rng.random((60, 8, 64)) < 0.5
    for copy, original in zip(range(30, 60), rng.integers(0, 30, 30), strict=True):
        changed = rng.permutation(64)[: rng.integers(0, 9)]
        hashes[copy, rng.integers(0, 8)] = hashes[original, 0]
        hashes[copy, :, changed] ^= True
    expected = {}
    for i, j in itertools.combinations(range(60), 2):
        bits = (hashes[i, 0] != hashes[j]).sum(axis=1)
        if bits.min() <= most_bits:
            expected[i, j] = (bits.min(), bits.argmin())
    found = {
        (pair.first, pair.second): (pair.differing_bits, pair.orientation)
        for pair in find_near_duplicates(hashes, most_bits)
    }
    assert found == expected
    assert len(expected) > 0


def test_a_long_series_of_alike_images_is_linked_throughout_without_all_of_its_pairs():
    count = 300
    pairs = find_near_duplicates(np.repeat(perceptual_hashes(texture(3))[None], count, axis=0))
    # Source groups are made of the pairs: what they do not link may lie in train and in test.
    places = np.array([(each.first, each.second) for each in pairs]).T
    links = coo_array((np.ones(len(pairs)), places), shape=(count, count))
    assert connected_components(links, directed=False)[0] == 1
    assert len(pairs) <= count * (MAX_PARTNERS / 2 + 1)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_have_no_pairs(count):
    assert find_near_duplicates(np.zeros((count, 8, 64), dtype=bool)) == []
