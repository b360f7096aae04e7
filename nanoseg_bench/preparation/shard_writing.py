"""Shards, written: see ``shards`` for what they are. Same set, same bytes."""

import csv
import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nanoseg_bench.annotations.coco.writing import coco_text
from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import atomic_path, sha256_file, write_json
from nanoseg_bench.preparation.canvases import WrittenMicrograph
from nanoseg_bench.preparation.plan import PlannedMicrograph
from nanoseg_bench.preparation.shards import FOLDER, FORMAT, SAMPLE_COLUMNS, SAMPLES_FILE, SHARDS_FILE, SUFFIXES
from nanoseg_bench.seals import sealed

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_END = bytes(2 * tarfile.BLOCKSIZE)


def parse_size(text: str) -> int:
    """A number of bytes: ``256M`` are 256 million.

    Raises:
        UsageError: It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip(), re.IGNORECASE)
    size = round(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size < 1:
        raise UsageError(f"--shards {text!r}: give their size, such as 256M or 1G")
    return size


def in_bytes(size: int) -> str:
    """A size as ``parse_size`` takes it, in the largest unit in which it is whole: ``256M``."""
    unit = next(name for name in reversed(_UNITS) if size % _UNITS[name] == 0)
    return f"{size // _UNITS[unit]}{unit}"


class ShardedFiles:
    """Takes the files of a set, micrograph by micrograph, into shards; a context manager.

    In memory are the files of one micrograph. Each split has shards of its own.

    Args:
        root: Folder of the set, in which the shards appear; the caller renames it into place when it is complete.
        size: Bytes that a shard has at most, unless one sample is larger.
        canvas: Side of the canvas in pixels.
        classes: Class names of each split.
    """

    def __init__(self, root: Path, size: int, canvas: int, classes: Mapping[str, Sequence[str]]) -> None:
        self._folder = root / FOLDER
        self._size = size
        self._canvas = canvas
        self._classes = classes
        self._open: dict[str, _OpenShard] = {}
        self._numbers = dict.fromkeys(classes, 0)  # of shards, by split
        self._images = {(kind, split): 0 for kind in ("canvas", "truth") for split in classes}
        self._shards: list[dict[str, Any]] = []
        self._row = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._folder / SAMPLES_FILE))
            stream = stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
            self._samples = csv.DictWriter(stream, SAMPLE_COLUMNS, lineterminator="\n")
            self._samples.writeheader()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            for split in list(self._open):
                self._close(split)
        for shard in self._open.values():
            shard.stream.close()
        self._stack.__exit__(kind, error, traceback)
        if error is None:
            document = {
                "format": FORMAT,
                "samples_sha256": sha256_file(self._folder / SAMPLES_FILE),
                "shards": sorted(self._shards, key=lambda shard: str(shard["file"])),
            }
            write_json(self._folder / SHARDS_FILE, sealed(document))

    def add(self, planned: PlannedMicrograph, written: WrittenMicrograph) -> None:
        """Add a micrograph and its copies, in the manifest's order."""
        split, micrograph = planned.split, planned.seen.micrograph
        for number, image in enumerate(written.canvases):
            files = {"image": image.png}
            if image.label is not None:
                files["label"] = image.label
            files["canvas"] = self._coco("canvas", split, image.name, (self._canvas, self._canvas), image.annotations)
            if number == 0:
                size = (micrograph.width, micrograph.height)
                files["truth"] = self._coco("truth", split, image.name, size, written.truth)
            self._write(image.name, split, files)

    def _coco(self, kind: str, split: str, name: str, size: tuple[int, int], fragments: Sequence[str]) -> bytes:
        # Images are counted as in the one COCO file of a set of single files: results of other tools name their ids.
        self._images[kind, split] += 1
        text = coco_text(name, size, fragments, self._classes[split], self._images[kind, split])
        return text.encode("utf-8")

    def _write(self, name: str, split: str, files: Mapping[str, bytes]) -> None:
        needed = sum(_in_tar(len(data)) for data in files.values()) + len(_END)
        shard = self._open.get(split)
        if shard is not None and shard.bytes + needed > self._size:
            self._close(split)
            shard = None
        if shard is None:
            shard = _OpenShard(self._folder / f"{split}-{self._numbers[split]:06d}.tar")
            self._open[split] = shard
            self._numbers[split] += 1
        row: dict[str, Any] = {"name": name, "shard": shard.path.name}
        for kind, data in files.items():
            row[f"{kind}_start"] = shard.add(f"{self._row:08d}{SUFFIXES[kind]}", data)
            row |= {f"{kind}_bytes": len(data), f"{kind}_crc32": zlib.crc32(data)}
        shard.images += 1
        self._samples.writerow(row)
        self._row += 1

    def _close(self, split: str) -> None:
        shard = self._open.pop(split)
        shard.close()
        about = {"file": shard.path.name, "split": split, "images": shard.images, "bytes": shard.bytes}
        self._shards.append({**about, "sha256": shard.hash.hexdigest()})


class _OpenShard:
    """A tar that grows at its end; what is written is hashed on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images = 0
        self.bytes = 0
        self.hash = hashlib.sha256()
        self.stream = path.open("wb")

    def add(self, name: str, data: bytes) -> int:
        """Append a file; the offset of its first byte comes back."""
        about = tarfile.TarInfo(name)  # of nobody, at no time: same files, same bytes
        about.size = len(data)
        self._append(about.tobuf(tarfile.USTAR_FORMAT))
        start = self.bytes
        self._append(data)
        self._append(bytes(-len(data) % tarfile.BLOCKSIZE))
        return start

    def close(self) -> None:
        self._append(_END)
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()

    def _append(self, data: bytes) -> None:
        self.stream.write(data)
        self.hash.update(data)
        self.bytes += len(data)


def _in_tar(length: int) -> int:
    """Bytes that a file of this length takes in a tar: a header and whole blocks."""
    return tarfile.BLOCKSIZE + length + -length % tarfile.BLOCKSIZE
