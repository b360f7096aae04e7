"""Which images of a collection share a source: copies by their perceptual hash, shared fields by local features.

What it finds was measured on EMPS images of the train split with planted leaks, see tests/preparation.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.errors import PreparationError
from nanoseg_bench.parallel import Workers
from nanoseg_bench.preparation.audit import NEAR_DUPLICATES, OVERLAPPING_FIELDS
from nanoseg_bench.preparation.features import LocalFeatures
from nanoseg_bench.preparation.fingerprint import Fingerprint, one_opencv_thread, read_fingerprint
from nanoseg_bench.preparation.overlap import Overlap, find_overlap
from nanoseg_bench.preparation.perceptual import NearDuplicate, find_near_duplicates, inverse, is_mirrored
from nanoseg_bench.preparation.shortlist import Candidate, ImageWords, Index, image_words

_IMAGES_PER_TASK = 16
_PAIRS_PER_TASK = 16
_DECIMALS = 3


@dataclass(frozen=True, eq=False, slots=True)
class SharedSource:
    """Two images that seem to have one source.

    Attributes:
        first: Position of one image.
        second: Of the other, larger than ``first``.
        check: ``near-duplicates``: their hashes agree, which may be chance. ``overlapping-fields``: they show the
            same field, confirmed by geometry and on the pixels.
        evidence: Of near-duplicates ``differing_bits`` and ``orientation`` (row of ``perceptual_hashes`` of the
            second); of overlapping-fields ``inliers``, ``scale`` (pixels of the first per pixel of the second),
            ``rotation_degrees``, ``mirrored``, ``shared_first``, ``shared_second``, ``agreement`` and ``outline``
            (corners of the second in pixels of the first).
    """

    first: int
    second: int
    check: str
    evidence: dict[str, Any]


_Source = Path | Fingerprint
"""A file of ``write_fingerprint``, or what would stand in it."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    first: _Source
    second: _Source
    mirrored: bool


@dataclass(frozen=True, eq=False, slots=True)
class _Look:
    """What is needed of every image at once: 9 kB.

    Attributes:
        digest: Of its fingerprint.
        hashes: Of ``perceptual_hashes``.
        words: Its features' words.
        mirrored: Those of its mirror image; None where it is of ``paths``, for only known ones are asked so early.
    """

    digest: bytes
    hashes: NDArray[np.bool_]
    words: ImageWords
    mirrored: ImageWords | None


@dataclass(frozen=True, slots=True)
class _Query:
    """Images of the index in ``index``, each with its number there."""

    index: Path
    images: tuple[tuple[int, _Source], ...]


def find_shared_sources(
    paths: Sequence[Path], workers: Workers, *, known: Sequence[Fingerprint] = ()
) -> list[SharedSource]:
    """Compare images by their fingerprints.

    The images are put into an order of their own first, so the result depends neither on the order of ``paths`` nor
    on ``workers``. Fingerprints stay on disk; 27 kB per image are held while they are indexed, then 16 kB.

    Args:
        paths: Files of ``write_fingerprint``; a temporary folder is made beside the first.
        workers: Processes.
        known: Of another collection. Where there are any, only pairs of one of theirs with one of ``paths`` are looked
            for, and positions count these first, then ``paths``.

    Returns:
        Sorted by position and check. A pair may be found by both checks.

    Raises:
        PreparationError: A file is not a fingerprint.
    """
    sources: list[_Source] = [*known, *paths]
    if len(sources) < 2 or not paths:
        return []
    of_paths = workers.each(_look, paths, "indexing images", at_once=_IMAGES_PER_TASK)
    all_looks = [*_look_at_known(tuple(known)), *of_paths]
    # By content, so that no choice further on depends on where an image stands in the list.
    names = [*map(str, range(len(known))), *map(str, paths)]
    order = sorted(range(len(sources)), key=lambda position: (all_looks[position].digest, names[position]))
    ordered, looks = [sources[position] for position in order], [all_looks[position] for position in order]

    def is_known(number: int) -> bool:
        return order[number] < len(known)

    def wanted(pair: NearDuplicate | Candidate) -> bool:
        return not known or is_known(pair.first) != is_known(pair.second)

    asking = list(range(len(order)))
    if known:
        others = [number for number in asking if not is_known(number)]
        asking = sorted([*others, *_sharing_words(list(filter(is_known, asking)), others, looks)])
    duplicates = [pair for pair in find_near_duplicates(np.stack([look.hashes for look in looks])) if wanted(pair)]
    candidates = {Candidate(pair.first, pair.second, is_mirrored(pair.orientation)) for pair in duplicates}
    with tempfile.TemporaryDirectory(dir=paths[0].parent) as folder:
        Index.of([look.words for look in looks]).save(Path(folder))
        all_looks.clear()  # the index has what is needed of them
        looks.clear()
        queries = [(number, ordered[number]) for number in asking]
        candidates |= {pair for pair in _shortlist(Path(folder), queries, workers) if wanted(pair)}
    found = []
    for pair in duplicates:
        orientation = pair.orientation if order[pair.first] < order[pair.second] else inverse(pair.orientation)
        evidence = {"differing_bits": pair.differing_bits, "orientation": orientation}
        found.append(_shared(order, pair.first, pair.second, NEAR_DUPLICATES, evidence))
    found += _overlaps(ordered, order, sorted(candidates, key=lambda c: (c.first, c.second, c.mirrored)), workers)
    return sorted(found, key=lambda pair: (pair.first, pair.second, pair.check))


def _look(path: Path) -> _Look:
    try:
        digest = hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise PreparationError(f"{path}: the fingerprint cannot be read ({error}); take it again") from error
    with _one_thread():
        image = read_fingerprint(path)
        return _Look(digest, image.hashes, image_words(image.features), None)


@lru_cache(maxsize=2)  # several sets are compared with the same collection
def _look_at_known(known: tuple[Fingerprint, ...]) -> list[_Look]:
    with _one_thread():
        return [
            _Look(_digest(each), each.hashes, image_words(each.features), image_words(each.features.mirrored()))
            for each in known
        ]


def _digest(known: Fingerprint) -> bytes:
    digest = hashlib.sha256(known.hashes.tobytes())
    for part in (known.features.positions, known.features.descriptors):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.digest()


def _sharing_words(asking: Sequence[int], asked: Sequence[int], looks: Sequence[_Look]) -> list[int]:
    """Those of ``asking``, which are known, that share a word with one of ``asked``, as they are or mirrored."""
    found = np.zeros(len(looks), dtype=bool)
    owners = np.repeat(asking, [len(looks[number].words.turns) for number in asking])
    there = np.concatenate([looks[number].words.words for number in asked], axis=1)
    for mirrored in (False, True):
        of_each = (looks[number].mirrored if mirrored else looks[number].words for number in asking)
        words = np.concatenate([each.words for each in of_each if each is not None], axis=1)
        for table, same in zip(words, there, strict=True):
            found[owners[np.isin(table, same)]] = True
    return [int(number) for number in np.flatnonzero(found)]


def _shortlist(index: Path, queries: Sequence[tuple[int, _Source]], workers: Workers) -> set[Candidate]:
    tasks = [
        _Query(index, tuple(queries[start : start + _IMAGES_PER_TASK]))
        for start in range(0, len(queries), _IMAGES_PER_TASK)
    ]
    return {pair for found in workers.each(_candidates, tasks, "looking for partners") for pair in found}


def _candidates(task: _Query) -> list[Candidate]:
    index = Index.open(task.index)
    with _one_thread():
        return [pair for number, source in task.images for pair in index.candidates(number, _read(source).features)]


def _overlaps(
    sources: Sequence[_Source], order: Sequence[int], candidates: Sequence[Candidate], workers: Workers
) -> list[SharedSource]:
    tasks = [
        [
            _Comparison(sources[each.first], sources[each.second], each.mirrored)
            for each in candidates[start : start + _PAIRS_PER_TASK]
        ]
        for start in range(0, len(candidates), _PAIRS_PER_TASK)
    ]
    results = (result for part in workers.each(_compare, tasks, "comparing images") for result in part)
    best: dict[tuple[int, int], tuple[Overlap, tuple[int, int], tuple[int, int]]] = {}
    for candidate, result in zip(candidates, results, strict=True):
        key = (candidate.first, candidate.second)
        # A symmetric field agrees with its mirror image too; the better fit is reported.
        if result is not None and (key not in best or result[0].agreement > best[key][0].agreement):
            best[key] = result
    found = []
    for (first, second), (overlap, first_size, second_size) in best.items():
        if order[first] > order[second]:
            overlap, second_size = overlap.inverted(), first_size
        found.append(_shared(order, first, second, OVERLAPPING_FIELDS, _field_evidence(overlap, second_size)))
    return found


def _compare(task: Sequence[_Comparison]) -> list[tuple[Overlap, tuple[int, int], tuple[int, int]] | None]:
    """The overlap and the sizes of both images, for each pair that has one; in a worker process."""
    results: list[tuple[Overlap, tuple[int, int], tuple[int, int]] | None] = []
    with _one_thread():
        for comparison in task:
            first, second = _features(comparison.first), _features(comparison.second)
            overlap = find_overlap(first, second, comparison.mirrored)
            sizes = (first.width, first.height), (second.width, second.height)
            results.append(None if overlap is None else (overlap, *sizes))
    return results


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV and BLAS to one thread."""
    with one_opencv_thread(), _thread_pools().limit(limits=1):
        yield


@cache
def _thread_pools() -> Any:
    """Those of the libraries that are loaded by now; looking for them takes as long as an image does."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def _read(source: _Source) -> Fingerprint:
    return source if isinstance(source, Fingerprint) else read_fingerprint(source)


# Candidates are sorted by their first image, which is therefore read once for all its partners.
@lru_cache(maxsize=32)
def _cached(path: Path, modified: int) -> LocalFeatures:
    return read_fingerprint(path).features


def _features(source: _Source) -> LocalFeatures:
    return source.features if isinstance(source, Fingerprint) else _cached(source, source.stat().st_mtime_ns)


def _shared(order: Sequence[int], first: int, second: int, check: str, evidence: dict[str, Any]) -> SharedSource:
    low, high = sorted((order[first], order[second]))
    return SharedSource(low, high, check, evidence)


def _field_evidence(overlap: Overlap, second_size: tuple[int, int]) -> dict[str, Any]:
    return {
        "inliers": overlap.inliers,
        "scale": round(overlap.scale, _DECIMALS),
        "rotation_degrees": round(overlap.rotation_degrees, 1),
        "mirrored": overlap.mirrored,
        "shared_first": round(overlap.shared_first, _DECIMALS),
        "shared_second": round(overlap.shared_second, _DECIMALS),
        "agreement": round(overlap.agreement, _DECIMALS),
        "outline": [[round(float(x), 1), round(float(y), 1)] for x, y in overlap.outline(*second_size)],
    }
