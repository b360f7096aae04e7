"""Fingerprints of the micrographs that weights have seen, small enough to travel with them.

A test set that shows what a network was trained on flatters it, and everything that starts from it. The user of weights
has no list of those micrographs at hand, so it comes along: of each the perceptual hashes and the strongest local
features of ``preparation.fingerprint``, and a small view. Copies, crops and other magnifications are recognised by
``preparation.shared_sources``, as in the split audit. The views are ``VIEW_SIDE`` pixels wide: who may not show the
micrographs at that size does not pass the file on.
"""

import io
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.errors import ModelError
from nanoseg_bench.files import atomic_path
from nanoseg_bench.images import open_image
from nanoseg_bench.parallel import Workers, default_workers
from nanoseg_bench.preparation.begun_truth import in_splits
from nanoseg_bench.preparation.features import LocalFeatures
from nanoseg_bench.preparation.fingerprint import Fingerprint, canvas_fingerprint, read_fingerprint, write_fingerprint
from nanoseg_bench.preparation.prepared_set import SPLITS, PreparedImage, PreparedSet
from nanoseg_bench.preparation.shared_sources import find_shared_sources

SUFFIX = ".known-images.npz"
FORMAT = "nanoseg-known-images/1"

FEATURES = 150
DESCRIPTOR_STEP = 8
VIEW_SIDE = 128
"""Kept per image: the strongest features, what their descriptors are rounded to, the longer side of the view in px.

Measured on 60 EMPS images (10 kB each; whole fingerprints take 130 kB) with crops of half to eight tenths of the side,
0.7 to 1.4 times as large, of other brightness and compressed anew: 53 of 60 found, with whole fingerprints 56; none of
470 pairs of images from different papers was taken for one.
"""

_QUALITY = 60
_ALWAYS_UNPACKED, _BEST_RATIO = (
    2**26,
    100,
)  # they unpack to some 3 times their size, what fills the memory to 1000 times
_SEEN = ("train", "val")


@dataclass(frozen=True, slots=True)
class KnownImages:
    """The images of a prepared set that seem to show what weights have seen.

    Attributes:
        names: ``PreparedImage.name``, by split.
        totals: Images that were looked at, by split.
    """

    names: dict[str, list[str]]
    totals: dict[str, int]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(self.names.values())

    @property
    def words(self) -> str:
        """``3 of 10 val images, 12 of 40 test images``."""
        return in_splits({split: (len(names), self.totals[split]) for split, names in self.names.items() if names})

    @property
    def all_names(self) -> list[str]:
        """``PreparedImage.name`` of all images that were found, split by split."""
        return [name for names in self.names.values() for name in names]


@dataclass(frozen=True, slots=True)
class _Task:
    image: PreparedImage
    path: Path


def write_known_images(path: Path, prepared: PreparedSet, workers: int | None = None) -> int:
    """Write the fingerprints of the micrographs of train and val; copies are left out. Same set, same bytes.

    Args:
        path: Ends in ``SUFFIX``.
        prepared: The set that the weights were trained on.
        workers: Processes.

    Returns:
        Number of micrographs.
    """
    images = [image for split in _SEEN for image in prepared.images(split) if image.parent is None]
    with tempfile.TemporaryDirectory() as folder, Workers(workers or default_workers()) as processes:
        files = _take(images, Path(folder), processes, "fingerprints of the training images")
        kept = [_reduce(read_fingerprint(file)) for file in files]
    features = [each.features for each in kept]
    views = [_as_jpeg(each.view) for each in features]
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            format=np.array(FORMAT),
            train=np.array(sum(image.split == "train" for image in images)),
            hashes=np.packbits(np.stack([each.hashes for each in kept]), axis=2),
            counts=np.array([len(each.positions) for each in features], dtype=np.uint16),
            points=np.concatenate([np.column_stack([f.positions, f.sizes, f.angles]) for f in features]).astype(
                np.float16
            ),
            descriptors=np.concatenate([each.descriptors for each in features]),
            sizes=np.array([(each.width, each.height) for each in features], dtype=np.int32),
            views=np.frombuffer(b"".join(views), dtype=np.uint8),
            view_bytes=np.array([len(each) for each in views], dtype=np.uint32),
            covered=np.concatenate([np.packbits(each.covered) for each in features]),
        )
    return len(images)


def find_known_images(prepared: PreparedSet, known: Path, workers: int | None = None) -> KnownImages:
    """Look whether a set is judged by what weights have seen: its images of every split but train.

    Of a set with folds, every micrograph is tested in one, so all are looked at. What chose the weights' operating
    point counts too, but not where it would choose one again.

    Args:
        prepared: The set.
        known: What ``write_known_images`` wrote.
        workers: Processes.

    Raises:
        ModelError: The file is missing, damaged or of another version.
    """
    seen, trained = _kept(known, known.stat().st_mtime_ns if known.is_file() else 0)
    splits = [split for split in SPLITS if split != "train" and prepared.judged_images(split)]
    images = [image for split in splits for image in prepared.judged_images(split)]
    names: dict[str, list[str]] = {split: [] for split in splits}
    split_of = {image.name: split for split in splits for image in prepared.judged_images(split)}
    with tempfile.TemporaryDirectory() as folder, Workers(workers or default_workers()) as processes:
        ours = _take(images, Path(folder), processes, "comparing with the weights' training images")
        found = find_shared_sources(ours, processes, known=seen)
    for position in sorted({pair.second for pair in found}):
        name = images[position - len(seen)].name
        first = min(pair.first for pair in found if pair.second == position)
        if first < (trained if split_of[name] == "val" else len(seen)):
            names[split_of[name]].append(name)
    return KnownImages(names, dict(Counter(split_of[image.name] for image in images)))


@lru_cache(maxsize=2)
def _kept(path: Path, modified: int) -> tuple[tuple[Fingerprint, ...], int]:
    """What ``read_known_images`` gives, read once: a campaign prepares and trains on many sets in one process."""
    found, trained = read_known_images(path)
    return tuple(found), trained


def read_known_images(path: Path) -> tuple[list[Fingerprint], int]:
    """Read what ``write_known_images`` wrote.

    Returns:
        The fingerprints, and how many of them, the first ones, are of images that were trained on.

    Raises:
        ModelError: The file is missing, damaged or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["format"]) != FORMAT:
                raise ValueError(f"its format is {stored['format']}")
            most = _ALWAYS_UNPACKED + _BEST_RATIO * path.stat().st_size
            if sum(member.file_size for member in stored.zip.infolist()) > most:
                raise ValueError(f"it unpacks to more than {most} bytes, which fingerprints of its size never do")
            return _unpack({name: stored[name] for name in stored.files}), int(stored["train"])
    except Exception as error:  # zipfile, zlib, NumPy and Pillow raise another type for every kind of damage
        raise ModelError(
            f"{path}: not readable as fingerprints of training images ({error}); copy it again from where the weights "
            "come from"
        ) from error


def _take(images: Sequence[PreparedImage], folder: Path, processes: Workers, description: str) -> list[Path]:
    tasks = [_Task(image, folder / f"{number:06d}.npz") for number, image in enumerate(images)]
    for _ in processes.each(_fingerprint, tasks, description):
        pass
    return [task.path for task in tasks]


def _fingerprint(task: _Task) -> None:
    write_fingerprint(task.path, canvas_fingerprint(task.image.letterbox, task.image.read_pixels()))


def _reduce(whole: Fingerprint) -> Fingerprint:
    features = whole.features
    size = _view_size(features.width, features.height)
    covered = Image.fromarray(features.covered.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    return Fingerprint(
        whole.hashes,
        replace(
            features,
            positions=features.positions[:FEATURES],
            sizes=features.sizes[:FEATURES],
            angles=features.angles[:FEATURES],
            descriptors=_round(features.descriptors[:FEATURES]),
            view=np.asarray(Image.fromarray(features.view).resize(size, Image.Resampling.BOX)),
            covered=np.asarray(covered) > 0,
        ),
    )


def _round(descriptors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    coarse = (descriptors.astype(np.int64) + DESCRIPTOR_STEP // 2) // DESCRIPTOR_STEP * DESCRIPTOR_STEP
    return np.minimum(coarse, 255).astype(np.uint8)


def _unpack(stored: dict[str, NDArray[np.generic]]) -> list[Fingerprint]:
    hashes = np.unpackbits(stored["hashes"].astype(np.uint8), axis=2).astype(bool)
    last = np.cumsum(stored["counts"].astype(np.int64))
    view_last = np.cumsum(stored["view_bytes"].astype(np.int64))
    points, views, covered = stored["points"].astype(np.float32), stored["views"].tobytes(), stored["covered"]
    if len(points) != (last[-1] if len(last) else 0) or len(views) != (view_last[-1] if len(last) else 0):
        raise ValueError("it is incomplete")
    found, first_covered = [], 0
    for number, (width, height) in enumerate(stored["sizes"].astype(int).tolist()):
        rows = slice(last[number - 1] if number else 0, last[number])
        columns, lines = _view_size(width, height)
        packed = -(-columns * lines // 8)
        bits = np.unpackbits(covered[first_covered : first_covered + packed].astype(np.uint8), count=columns * lines)
        first_covered += packed
        jpeg = views[view_last[number - 1] if number else 0 : view_last[number]]
        features = LocalFeatures(
            positions=points[rows, :2],
            sizes=points[rows, 2],
            angles=points[rows, 3],
            descriptors=stored["descriptors"][rows].astype(np.uint8),
            view=_from_jpeg(jpeg, (columns, lines)),
            covered=bits.reshape(lines, columns).astype(bool),
            width=width,
            height=height,
        )
        found.append(Fingerprint(hashes[number], features))
    return found


def _view_size(width: int, height: int) -> tuple[int, int]:
    """Columns and lines of the small view; it is never larger than the image."""
    factor = min(VIEW_SIDE / max(width, height), 1.0)
    return max(int(width * factor + 0.5), 1), max(int(height * factor + 0.5), 1)


def _as_jpeg(view: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(view).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _from_jpeg(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A view of the size that it is to have; an EPS, for which Pillow runs Ghostscript, is no image here."""
    with open_image(io.BytesIO(data)) as view:
        if view.format != "JPEG" or view.size != size:
            raise ValueError(f"a view of {view.size[0]} × {view.size[1]} pixels, where {size[0]} × {size[1]} belong")
        return np.asarray(view.convert("L"))
