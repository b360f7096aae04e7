"""Perceptual hash: 64 bits that a re-encoded, resized or brightened copy keeps, in all 8 flips and rotations."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.images import as_grey

NEAR_DUPLICATE_BITS = 4
"""Two images are reported as possibly the same when their hashes differ in at most so many of 64 bits."""

MAX_PARTNERS = 20
"""Nearest partners that are kept per image: a thousand empty images would be half a million pairs. Further ones are
kept only as far as they link what nothing else links: source groups are made of the pairs."""

_HASH_SIDE = 8
_SAMPLE_SIDE = 32
_BATCH = 1 << 20


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two images whose hashes agree; ``orientation`` is the row of the second's hashes that is nearest."""

    first: int
    second: int
    differing_bits: int
    orientation: int


def perceptual_hashes(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """64-bit DCT hash of an image in its 8 orientations.

    The image is averaged to 32x32 and transformed (DCT-II); the bits say which of the 8x8 lowest frequencies exceed
    their median. A flip changes the sign of every other coefficient and a transposition transposes them, so one
    transform gives all eight.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.

    Returns:
        (8, 64) bool; row 0 is the image as it is, rows 1 to 3 mirrored left-right, upside down and both (turned by
        180 degrees), rows 4 to 7 the transposes of rows 0 to 3.
    """
    from scipy.fft import dctn

    small = Image.fromarray(as_grey(pixels)).resize((_SAMPLE_SIDE, _SAMPLE_SIDE), Image.Resampling.BOX)
    low = dctn(np.asarray(small, dtype=np.float64), norm="ortho")[:_HASH_SIDE, :_HASH_SIDE]
    signs = np.where(np.arange(_HASH_SIDE) % 2, -1.0, 1.0)
    flipped = [low, low * signs, low * signs[:, None], low * signs * signs[:, None]]
    oriented = np.stack([*flipped, *(each.T for each in flipped)]).reshape(8, -1)
    return np.asarray(oriented > np.median(oriented, axis=1, keepdims=True))


def is_mirrored(orientation: int) -> bool:
    """Whether a row of ``perceptual_hashes`` is of a mirror image, not of a turned one."""
    return orientation in (1, 2, 4, 7)


def inverse(orientation: int) -> int:
    """The row that turns the second image's view of the first back: quarter turns go the other way round."""
    return {5: 6, 6: 5}.get(orientation, orientation)


def find_near_duplicates(hashes: NDArray[np.bool_], most_bits: int = NEAR_DUPLICATE_BITS) -> list[NearDuplicate]:
    """All pairs whose hashes differ in at most ``most_bits`` bits in one of 8 orientations.

    Multi-index hashing (Norouzi, Punjani and Fleet 2012): cut into ``most_bits`` + 1 chunks, two such hashes agree in
    one chunk at least, so only images that share a chunk are compared: about 40 n n / 2^13 comparisons for hashes
    without structure. Images that are alike in a chunk without being the same (nearly empty ones) cost more.

    Args:
        hashes: (n, 8, 64) bool from ``perceptual_hashes``.
        most_bits: Below 64.

    Returns:
        Sorted by ``first`` and ``second``, ``first`` < ``second``; of each image the ``MAX_PARTNERS`` nearest ones, and
        of the others those that link images which would be in two parts without them.
    """
    if len(hashes) < 2:
        return []
    best: dict[tuple[int, int], tuple[int, int]] = {}
    packed = np.packbits(hashes, axis=2)
    for chunk in np.array_split(np.arange(64), most_bits + 1):
        words = hashes[:, :, chunk].astype(np.int64) @ (1 << np.arange(len(chunk), dtype=np.int64))
        for first, second, orientation in _equal_words(words):
            bits = np.bitwise_count(packed[first, 0] ^ packed[second, orientation]).sum(axis=1)
            near = bits <= most_bits
            for i, j, bit, turn in zip(
                first[near].tolist(),
                second[near].tolist(),
                bits[near].tolist(),
                orientation[near].tolist(),
                strict=True,
            ):
                found = (bit, turn)
                if found < best.get((i, j), (65, 0)):
                    best[i, j] = found
    pairs = [NearDuplicate(i, j, *found) for (i, j), found in best.items()]
    return _nearest_partners(pairs)


def _equal_words(
    words: NDArray[np.int64],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Batches of (first, second, orientation) with first < second and words[first, 0] == words[second, orientation]."""
    order = np.argsort(words[:, 0], kind="stable")
    ordered = words[order, 0]
    for orientation in range(8):
        start = np.searchsorted(ordered, words[:, orientation], side="left")
        stop = np.searchsorted(ordered, words[:, orientation], side="right")
        lengths = stop - start
        # Rows whose partners fit into one batch go together, so memory stays bounded whatever the hashes.
        batch = np.cumsum(lengths) // _BATCH
        for number in np.unique(batch):
            rows = np.flatnonzero((batch == number) & (lengths > 0))
            second = np.repeat(rows, lengths[rows])
            ends = np.cumsum(lengths[rows])
            inside = np.arange(len(second)) - np.repeat(ends - lengths[rows], lengths[rows])
            first = order[inside + np.repeat(start[rows], lengths[rows])]
            # Each orientation of the second meets the first as it is; the pair the other way round is the inverse.
            kept = first < second
            yield first[kept], second[kept], np.full(int(kept.sum()), orientation)


def _nearest_partners(pairs: list[NearDuplicate]) -> list[NearDuplicate]:
    from scipy.cluster.hierarchy import DisjointSet

    linked = DisjointSet({member for pair in pairs for member in (pair.first, pair.second)})
    partners: dict[int, int] = {}
    kept = []
    for pair in sorted(pairs, key=lambda each: (each.differing_bits, each.first, each.second)):
        links = linked.merge(pair.first, pair.second)
        if links or max(partners.get(pair.first, 0), partners.get(pair.second, 0)) < MAX_PARTNERS:
            kept.append(pair)
            for member in (pair.first, pair.second):
                partners[member] = partners.get(member, 0) + 1
    return sorted(kept, key=lambda each: (each.first, each.second))
