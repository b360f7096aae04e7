"""Which pairs of images are worth a geometric comparison: those whose features hash to the same rare words.

Each descriptor gets one word of 28 bits per table: the signs of its scalar products with random vectors (Charikar
2002). An inverted index finds the features of other images with the same word. A shared word counts the more the rarer
it is (idf), and only together with others that imply the same turn and change of size (weak geometric consistency,
Jégou et al. 2008), which is what tells one field from many alike particles.

Growth with n images: the index is sorted once, n log n. Each image looks up 2 x 5 x 400 words and takes at most 64
partners for each, then keeps 8 candidates: linear in n, whatever the images show. Memory: 16 kB per image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.preparation.features import LocalFeatures

CANDIDATES = 8
"""Pairs kept per image, those with most votes."""

_FEATURES = 400
_TABLES = 5
_WORD_BITS = 28
_ID_BITS = np.uint64(64 - _WORD_BITS)
_MAX_PARTNERS = 64
_LEAST_VOTES = 1.5
_ROUNDING = 1e-9  # of sums that add the same numbers in another order
_TURNS = 16
_SIZES = 8
_NO_CHANGE = _SIZES // 2
_ENTRIES, _TURNS_FILE, _SIZES_FILE = "entries.npy", "turns.npy", "log_sizes.npy"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two images to compare; ``first`` < ``second``, ``mirrored`` says in which sense they seem to agree."""

    first: int
    second: int
    mirrored: bool


@dataclass(frozen=True, eq=False, slots=True)
class ImageWords:
    """What the index keeps of an image: its strongest features.

    Attributes:
        words: (tables, n) uint32.
        turns: (n,) uint8, angles in 256ths of a turn.
        log_sizes: (n,) float16, base 2, of the diameters in px.
    """

    words: NDArray[np.uint32]
    turns: NDArray[np.uint8]
    log_sizes: NDArray[np.float16]


def image_words(features: LocalFeatures) -> ImageWords:
    """The words of an image's strongest features."""
    # Small whole numbers: their products are exact in float32, so words do not depend on the BLAS that adds them up.
    bits = features.descriptors[:_FEATURES].astype(np.float32) @ _directions() > 0
    weights = np.uint32(1) << np.arange(_WORD_BITS, dtype=np.uint32)
    words = np.where(bits.reshape(-1, _TABLES, _WORD_BITS), weights, np.uint32(0)).sum(axis=2, dtype=np.uint32)
    return ImageWords(
        words=np.ascontiguousarray(words.T),
        turns=np.floor(features.angles[:_FEATURES] / 360 * 256).astype(np.int64).astype(np.uint8),
        log_sizes=np.log2(np.maximum(features.sizes[:_FEATURES], 1e-3)).astype(np.float16),
    )


class Index:
    """The words of all images, table by table, each sorted together with where it comes from.

    Args:
        entries: (tables, words) uint64: word and feature's id, sorted in each table.
        turns: (images x features kept,) uint8 by feature's id.
        log_sizes: float16, likewise.
    """

    def __init__(self, entries: NDArray[np.uint64], turns: NDArray[np.uint8], log_sizes: NDArray[np.float16]) -> None:
        self._entries = entries
        self._turns = turns
        self._log_sizes = log_sizes

    @classmethod
    def of(cls, images: Sequence[ImageWords]) -> "Index":
        """The index of images that are numbered as they stand."""
        features = len(images) * _FEATURES
        entries = np.empty((_TABLES, features), dtype=np.uint64)
        turns, log_sizes = np.zeros(features, dtype=np.uint8), np.zeros(features, dtype=np.float16)
        filled = 0
        for number, image in enumerate(images):
            ids = number * _FEATURES + np.arange(len(image.turns))
            entries[:, filled : filled + len(ids)] = (image.words.astype(np.uint64) << _ID_BITS) | ids.astype(np.uint64)
            turns[ids], log_sizes[ids] = image.turns, image.log_sizes
            filled += len(ids)
        entries = entries[:, :filled]
        entries.sort(axis=1)
        return cls(entries, turns, log_sizes)

    def save(self, folder: Path) -> None:
        """Write the index into an empty folder, from where several processes share it."""
        np.save(folder / _ENTRIES, self._entries)
        np.save(folder / _TURNS_FILE, self._turns)
        np.save(folder / _SIZES_FILE, self._log_sizes)

    @classmethod
    def open(cls, folder: Path) -> "Index":
        """The index in ``folder``, mapped into memory: what is looked at is read, once for all processes."""
        files = (_ENTRIES, _TURNS_FILE, _SIZES_FILE)
        return cls(*(np.asarray(np.load(folder / name, mmap_mode="r")) for name in files))

    def candidates(self, number: int, features: LocalFeatures) -> list[Candidate]:
        """The best partners of image ``number``, whose features are given; at most ``CANDIDATES``."""
        ranked: list[tuple[float, int, bool]] = []
        for mirrored in (False, True):
            owners, votes = self._votes(number, image_words(features.mirrored() if mirrored else features))
            enough = votes >= _LEAST_VOTES
            ranked += [
                (-vote, owner, mirrored)
                for owner, vote in zip(owners[enough].tolist(), votes[enough].tolist(), strict=True)
            ]
        return [
            Candidate(min(number, owner), max(number, owner), mirrored)
            for _, owner, mirrored in sorted(ranked)[:CANDIDATES]
        ]

    def _votes(self, number: int, image: ImageWords) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Images that share enough words with this one, and the votes of the best turn and change of size."""
        words = image.words.astype(np.uint64)
        asking, partners, weights = (
            np.concatenate(parts)
            for parts in zip(
                *(self._look_up(number, *each) for each in zip(self._entries, words, strict=True)), strict=True
            )
        )
        owners = partners // _FEATURES
        # Most images share a word or two with this one by chance, whose weights all together are too few.
        in_all = np.bincount(owners, weights)
        in_all[number : number + 1] = 0
        other = in_all[owners] >= _LEAST_VOTES - _ROUNDING
        asking, partners, weights, owners = asking[other], partners[other], weights[other], owners[other]
        if not len(owners):
            return np.zeros(0, np.int64), np.zeros(0)
        turn = (image.turns[asking].astype(np.int64) - self._turns[partners]) % 256 * _TURNS // 256
        change = image.log_sizes[asking].astype(np.float64) - self._log_sizes[partners]
        size = np.clip(np.floor(change + _NO_CHANGE + 0.5), 0, _SIZES - 1).astype(np.int64)
        names, place = np.unique(owners, return_inverse=True)
        votes = np.bincount(
            (place * _SIZES + size) * _TURNS + turn, weights, minlength=len(names) * _SIZES * _TURNS
        ).reshape(len(names), _SIZES, _TURNS)
        # What falls on the border of two bins counts in full.
        votes = votes + np.roll(votes, 1, axis=2)
        votes[:, 1:] = votes[:, 1:] + votes[:, :-1]
        return names, votes.max(axis=(1, 2))

    def _look_up(
        self, number: int, table: NDArray[np.uint64], words: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """(asking feature, partner's id, weight) of the equal words in one table."""
        low = np.searchsorted(table, words << _ID_BITS)
        high = np.searchsorted(table, (words << _ID_BITS) | ((np.uint64(1) << _ID_BITS) - np.uint64(1)), side="right")
        own = np.searchsorted(table, (words << _ID_BITS) | np.uint64(number * _FEATURES))
        count = high - low
        taken = np.minimum(count, _MAX_PARTNERS)
        asking = np.repeat(np.arange(len(words)), taken)
        step = np.arange(len(asking)) - np.repeat(np.cumsum(taken) - taken, taken)
        # Of a common word, the partners next to the asking image: a long series of one field stays linked throughout.
        row = low[asking] + (own[asking] - low[asking] + step) % np.maximum(count[asking], 1)
        partners = (table[row] & ((np.uint64(1) << _ID_BITS) - np.uint64(1))).astype(np.int64)
        rarity = np.log(len(table) / np.maximum(count, 1) + 1) / np.log(len(table) + 1)
        return asking, partners, rarity[asking] ** 2


@cache
def _directions() -> NDArray[np.float32]:
    """(128, tables x bits) random whole numbers, columns adding up to about 0: no entry of a descriptor is negative."""
    drawn = np.random.default_rng(0).normal(size=(128, _TABLES * _WORD_BITS))
    return np.asarray(np.rint(8 * (drawn - drawn.mean(axis=0))), dtype=np.float32)
