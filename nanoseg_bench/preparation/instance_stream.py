"""Reading the COCO files of a prepared set piece by piece: those of a large set do not fit into memory at once."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nanoseg_bench.annotations.coco.stream import read_elements
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Rle
from nanoseg_bench.errors import DatasetError


class Region(NamedTuple):
    """One annotation of a COCO file, without its mask."""

    image: str
    label: str
    area: float  # px
    ignored: bool


class _Index(NamedTuple):
    images: dict[Any, str]
    categories: dict[Any, str]


def read_regions(path: Path) -> Iterator[Region]:
    """The annotations of a COCO file, one after the other.

    Raises:
        DatasetError: The file is missing or malformed.
    """
    with _faults_of(path):
        index = _read_index(path)
        for entry in _annotations(path):
            yield _region(entry, index)


def trusted_instances(document: Mapping[str, Any], path: Path) -> list[Instance]:
    """The instances of a COCO document of one image, whose runs are taken as they are: see ``raster.rle_to_window``.

    Checking them takes longer than all else that a training does with a particle. What computes in pycocotools reads
    them through ``read_coco_bytes``.

    Args:
        document: As ``CocoWriter`` writes it.
        path: What it was read from, for messages.

    Raises:
        DatasetError: It is malformed.
    """
    with _faults_of(path):
        categories = {each["id"]: each["name"] for each in document["categories"]}
        return [_instance(entry, categories) for entry in document["annotations"]]


def regions_of(document: Mapping[str, Any], path: Path) -> list[Region]:
    """The annotations of a COCO document that holds few images.

    Args:
        document: As ``CocoWriter`` writes it.
        path: What it was read from, for messages.

    Raises:
        DatasetError: It is malformed.
    """
    with _faults_of(path):
        images = {each["id"]: each["file_name"].removesuffix(".png") for each in document["images"]}
        index = _Index(images, {each["id"]: each["name"] for each in document["categories"]})
        return [_region(entry, index) for entry in document["annotations"]]


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


def _region(entry: Mapping[str, Any], index: _Index) -> Region:
    label = index.categories[entry["category_id"]]
    ignored = bool(entry.get("iscrowd")) or label == IGNORE_LABEL
    return Region(index.images[entry["image_id"]], label, float(entry["area"]), ignored)


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
    for key, element in read_elements(path):
        if key == "images":
            index.images[element["id"]] = element["file_name"].removesuffix(".png")
        elif key == "categories":
            index.categories[element["id"]] = element["name"]
    return index


def _annotations(path: Path) -> Iterator[dict[str, Any]]:
    return (element for key, element in read_elements(path) if key == "annotations")
