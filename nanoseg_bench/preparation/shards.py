"""Shards, read: the images, labels and instances of a large prepared set in a few tar files instead of three each.

    shards/shards.json         the shards: split, number of images, size, SHA-256; and the SHA-256 of samples.csv
    shards/samples.csv         where in which shard each file of each canvas image lies, in the manifest's order
    shards/train-000000.tar    files of the same images one after another: 00000012.png, .txt, .json, .truth.json

A shard is a plain tar as WebDataset reads it: the files of one sample share what precedes the first dot, which is the
number of the image's row in the manifest (a name may hold dots, and letters that tar spells in several ways). Each JSON
is a COCO file of its one image, ``.json`` on the canvas and ``.truth.json`` in original pixels; ``.txt`` is its YOLO
label. ``shard_writing`` writes them.

Every file is read by its offset, so a training that wants images in any order reads those and nothing else. Its CRC-32
is compared each time; the SHA-256 of whole shards by the audit.
"""

import csv
import os
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.coco.reading import read_coco_bytes
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.files import parse_json, read_json, sha256_file
from nanoseg_bench.preparation.instance_stream import trusted_instances
from nanoseg_bench.seals import unsealed

FOLDER = "shards"
SHARDS_FILE = "shards.json"
SAMPLES_FILE = "samples.csv"
FORMAT = "nanoseg-shards/1"

SUFFIXES = {"image": ".png", "label": ".txt", "canvas": ".json", "truth": ".truth.json"}
"""What the files of a sample are, in their order in a shard, and what their names end with.

A copy has no ``truth``, and what is judged on only may have no ``label``.
"""
_KINDS = tuple(SUFFIXES)
SAMPLE_COLUMNS = ("name", "shard", *(f"{kind}_{what}" for kind in SUFFIXES for what in ("start", "bytes", "crc32")))

_NOWHERE = -1
_AGAIN = "copy it again from where it came from, or prepare the set again with `--overwrite always`"


class Extent(NamedTuple):
    """Where the bytes of one file lie.

    Attributes:
        shard: The tar.
        start: Of the first byte in it.
        length: Number of bytes.
        crc32: Of the bytes.
    """

    shard: Path
    start: int
    length: int
    crc32: int

    def read(self, what: str) -> bytes:
        """The bytes.

        The shard is opened for each: no more often than a file of its own would be, and no process holds on to a set
        that another one replaces meanwhile.

        Args:
            what: Whose they are, for messages.

        Raises:
            DatasetError: The shard is missing, or other bytes lie there.
        """
        try:
            with self.shard.open("rb", buffering=0) as stream:
                data = _read_at(stream.fileno(), self.start, self.length)
        except OSError as error:
            raise DatasetError(f"{self.shard}: cannot be read ({error.strerror or error}); {_AGAIN}") from error
        if len(data) != self.length or zlib.crc32(data) != self.crc32:
            raise DatasetError(f"{self.shard}: damaged at {what}: not the bytes that prepare wrote; {_AGAIN}")
        return data


@dataclass(frozen=True, slots=True)
class Shard:
    """One tar file.

    Attributes:
        path: Where it lies.
        split: Whose images it holds.
        images: How many.
        bytes: Its size.
        sha256: Of its bytes.
    """

    path: Path
    split: str
    images: int
    bytes: int
    sha256: str


class ShardIndex:
    """What lies where in the shards of a prepared set. In memory it takes about 300 bytes for each image.

    Args:
        root: Folder of the set.

    Raises:
        DatasetError: A file of the index is missing, damaged or of another format.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / FOLDER
        self.shards_path = self.folder / SHARDS_FILE
        expected, self.shards = _read_shards_file(self.shards_path)
        self.path = samples = self.folder / SAMPLES_FILE
        try:
            found = sha256_file(samples)
        except OSError as error:
            raise DatasetError(f"{samples}: cannot be read ({error.strerror or error}); {_AGAIN}") from error
        if found != expected:
            raise DatasetError(f"{samples}: damaged, or of another set: not the bytes that prepare wrote; {_AGAIN}")
        self._rows, self._shard_of, self._extents = _read_samples(samples, self.shards)

    def extent(self, kind: str, name: str) -> Extent | None:
        """Where a file of an image lies; None where there is no such image, or no such file of it.

        Args:
            kind: A key of ``SUFFIXES``.
            name: Of the image.
        """
        row = self._rows.get(name)
        if row is None:
            return None
        start, length, crc32 = self._extents[row, _KINDS.index(kind)].tolist()
        return None if start == _NOWHERE else Extent(self.shards[self._shard_of[row]].path, start, length, crc32)

    def require_whole(self) -> None:
        """Refuse shards that are missing or cut off, which takes no reading: better known before hours of work.

        Raises:
            DatasetError: Names the first.
        """
        for shard in self.shards:
            try:
                size = shard.path.stat().st_size
            except OSError as error:
                raise DatasetError(f"{shard.path}: cannot be read ({error.strerror or error}); {_AGAIN}") from error
            if size != shard.bytes:
                raise DatasetError(f"{shard.path}: damaged: {size} bytes, and prepare wrote {shard.bytes}; {_AGAIN}")


class ShardedInstances(Mapping[str, list[Instance]]):
    """The instances of images by name, each read from its shard when it is asked for.

    Args:
        index: Of the set.
        kind: ``canvas`` or ``truth``.
        names: Of the images; those that have no such file are left out.
    """

    def __init__(self, index: ShardIndex, kind: str, names: Iterable[str]) -> None:
        self._index = index
        self._kind = kind
        self._names = {name: None for name in names if index.extent(kind, name) is not None}

    def __getitem__(self, name: str) -> list[Instance]:
        """Raises KeyError where there is no such image, and DatasetError or AnnotationError where it is damaged."""
        if name not in self._names:
            raise KeyError(name)
        data, path = self._read(name)
        # What is trained on is read over and over; truth goes through C code, which needs checked runs.
        if self._kind == "canvas":
            return trusted_instances(parse_json(data), path)
        return read_coco_bytes(data, path).instances[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names  # a Mapping's own reads the instances to find out

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def documents(self) -> Iterator[dict[str, Any]]:
        """The COCO document of every image, one after the other."""
        return (parse_json(self._read(name)[0]) for name in self._names)

    def _read(self, name: str) -> tuple[bytes, Path]:
        extent = self._index.extent(self._kind, name)
        if extent is None:
            raise KeyError(name)
        return extent.read(f"the {self._kind} of {name}"), extent.shard


def damaged_shard(shard: Shard) -> str:
    """What is wrong with a shard, by all of its bytes; empty where nothing is."""
    try:
        size = shard.path.stat().st_size
        whole = size == shard.bytes and sha256_file(shard.path) == shard.sha256
    except OSError:
        return "missing or unreadable"
    return "" if whole else "changed since prepare wrote it"


def _read_at(handle: int, start: int, length: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(handle, length, start)
    os.lseek(handle, start, os.SEEK_SET)  # Windows
    return os.read(handle, length)


def _read_shards_file(path: Path) -> tuple[str, tuple[Shard, ...]]:
    """SHA-256 of samples.csv, and the shards."""
    try:
        document: dict[str, Any] = read_json(path)
        found = document.get("format")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{path}: no index of shards ({error}); {_AGAIN}") from error
    if found != FORMAT:
        raise DatasetError(f"{path}: format {found!r}, expected {FORMAT!r}; prepare the set again")
    try:
        document = unsealed(document)
        shards = tuple(
            Shard(path.parent / each["file"], each["split"], each["images"], each["bytes"], each["sha256"])
            for each in document["shards"]
        )
        return document["samples_sha256"], shards
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: damaged ({error!r}); {_AGAIN}") from error


def _read_samples(path: Path, shards: Sequence[Shard]) -> tuple[dict[str, int], NDArray[np.int64], NDArray[np.int64]]:
    """Row by name; (N,) number of its shard; (N, kinds, 3) start, length and CRC-32 of its files."""
    number_of = {shard.path.name: number for number, shard in enumerate(shards)}
    rows: dict[str, int] = {}
    # Plain numbers: lists of them would take ten times the memory.
    shard_of, extents = array("q"), array("q")
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            next(reader)
            for row, (name, shard, *numbers) in enumerate(reader):
                if len(numbers) != 3 * len(_KINDS):
                    raise ValueError(f"row {row + 1} has {2 + len(numbers)} cells")
                rows[name] = row
                shard_of.append(number_of[shard])
                extents.extend(int(number) if number else _NOWHERE for number in numbers)
        shaped = np.array(extents, dtype=np.int64).reshape(-1, len(_KINDS), 3)
    except (OSError, ValueError, LookupError, OverflowError, StopIteration, csv.Error) as error:
        # Its hash is that of the other file, which was edited, too.
        raise DatasetError(f"{path}: damaged ({error!r}); {_AGAIN}") from error
    return rows, np.array(shard_of, dtype=np.int64), shaped
