"""Reading the COCO files of a prepared set piece by piece: those of a large set do not fit into memory at once."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Rle
from nanoseg_bench.errors import DatasetError

_CHUNK = 1 << 20


class Region(NamedTuple):
    """One annotation of a COCO file, without its mask."""

    image: str
    label: str
    area: float  # px
    ignored: bool


class _Index(NamedTuple):
    images: dict[Any, str]
    categories: dict[Any, str]


def list_regions(path: Path) -> tuple[list[str], Iterator[Region]]:
    """The image names of a COCO file, and its annotations one after the other.

    Raises:
        DatasetError: The file is missing or malformed.
    """
    with _faults_of(path):
        index = _read_index(path)

    def regions() -> Iterator[Region]:
        with _faults_of(path):
            for entry in _annotations(path):
                label = index.categories[entry["category_id"]]
                ignored = bool(entry.get("iscrowd")) or label == IGNORE_LABEL
                yield Region(index.images[entry["image_id"]], label, float(entry["area"]), ignored)

    return list(index.images.values()), regions()


def read_instances(path: Path, names: Collection[str]) -> dict[str, list[Instance]]:
    """The instances of a few images of a COCO file; only theirs are kept in memory.

    Args:
        path: The file, as a prepared set holds it (compressed RLE).
        names: Image names.

    Returns:
        Instances by name, for every name that the file has.

    Raises:
        DatasetError: The file is missing or malformed.
    """
    with _faults_of(path):
        index = _read_index(path)
        wanted = {identifier: name for identifier, name in index.images.items() if name in names}
        instances: dict[str, list[Instance]] = {name: [] for name in wanted.values()}
        for entry in _annotations(path):
            if entry["image_id"] in wanted:
                instances[wanted[entry["image_id"]]].append(_instance(entry, index.categories))
    return instances


def _instance(entry: Mapping[str, Any], categories: Mapping[Any, str]) -> Instance:
    height, width = entry["segmentation"]["size"]
    region = Rle(height, width, entry["segmentation"]["counts"].encode("ascii"))
    return Instance(categories[entry["category_id"]], region, crowd=bool(entry.get("iscrowd")))


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: not a COCO file of a prepared set ({error}); prepare the set again") from error


def _read_index(path: Path) -> _Index:
    index = _Index({}, {})
    for key, element in _elements(path):
        if key == "images":
            index.images[element["id"]] = element["file_name"].removesuffix(".png")
        elif key == "categories":
            index.categories[element["id"]] = element["name"]
    return index


def _annotations(path: Path) -> Iterator[dict[str, Any]]:
    return (element for key, element in _elements(path) if key == "annotations")


def _elements(path: Path) -> Iterator[tuple[str, Any]]:
    """(key, element) for every element of every list at the top of a JSON object."""
    with path.open(encoding="utf-8") as stream:
        yield from _Scanner(stream).elements()


class _Scanner:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0

    def elements(self) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        while self._peek() != "}":
            key = self._value()
            if not isinstance(key, str):
                raise ValueError(f"{key!r} where a key is due")
            self._expect(":")
            if self._peek() == "[":
                self._expect("[")
                while self._peek() != "]":
                    yield key, self._value()
                    self._skip_comma()
                self._expect("]")
            else:
                self._value()
            self._skip_comma()

    def _peek(self) -> str:
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise ValueError("it ends too early")

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise ValueError(f"{self._peek()!r} where {character!r} is due")
        self._at += 1

    def _skip_comma(self) -> None:
        if self._peek() == ",":
            self._at += 1

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError:
                if not self._more():
                    raise
                continue
            # A number that touches the end of the text may go on in the next piece.
            if end < len(self._text) or not self._more():
                self._at = end
                return value

    def _more(self) -> bool:
        """Read on; at least as much as is left over, so that a long value is not tried again and again."""
        rest = self._text[self._at :]
        piece = self._stream.read(max(_CHUNK, len(rest)))
        self._text, self._at = rest + piece, 0
        return bool(piece)
