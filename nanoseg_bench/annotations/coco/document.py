"""What a COCO instance file lists, before any region is read: images, annotations of each, categories, and faults.

A fault of one image or one annotation leaves the others usable; all faults of a file are found at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.coco.regions import read_region
from nanoseg_bench.annotations.faults import refuse_faults
from nanoseg_bench.annotations.instance import BY_HAND, Instance
from nanoseg_bench.annotations.json_values import (
    further_keys,
    is_number,
    is_storable,
    read_json_object,
    read_label,
    whole_number,
)
from nanoseg_bench.annotations.labels import classes_among, own_label
from nanoseg_bench.errors import AnnotationError

WHAT = "a COCO instance file"

_MOST_PIXELS = 2**31 - 1  # pycocotools counts them in 32 bits
_LONGEST_ID = 20
_FILE_KEYS = frozenset({"images", "annotations", "categories"})
_IMAGE_KEYS = frozenset({"id", "file_name", "width", "height"})
# What is computed anew from the region counts as read.
_ANNOTATION_KEYS = frozenset(
    {"id", "image_id", "category_id", "segmentation", "iscrowd", "score", "area", "bbox", "origin"}
)

_CROWD = (1, "1")  # true, too; tools that make JSON of a table quote numbers
_NO_CROWD = (0, "0", None, "")

Numbered = tuple[int, dict[str, Any]]
"""An annotation, and its number in the file."""


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image of the list.

    Attributes:
        number: Its place in the list, from 1.
        file_name: As it stands there.
        size: (width, height) in pixels; None where the file does not say.
        further_keys: Keys that nothing here reads.
    """

    number: int
    file_name: str
    size: tuple[int, int] | None
    further_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CocoDocument:
    """What a file lists.

    Attributes:
        path: The file.
        images: Those that can be used, by id.
        annotations: Of each image in ``images``, maybe none.
        categories: Names by id.
        classes: Names of those that are classes of particles, in the order of the ids, without mere headings
            (Roboflow's category 0).
        further_keys: Keys of the file that nothing here reads.
        faults: Images that cannot be used, and annotations that belong to no image of the list.
    """

    path: Path
    images: Mapping[int | str, CocoImage]
    annotations: Mapping[int | str, Sequence[Numbered]]
    categories: Mapping[int | str, str]
    classes: tuple[str, ...]
    further_keys: tuple[str, ...]
    faults: tuple[str, ...]

    def label_of(self, entry: Mapping[str, Any]) -> str | None:
        """The category's name of an annotation; None where it has no known one."""
        identifier = as_id(entry.get("category_id"))
        return None if identifier is None else self.categories.get(identifier)


def read_document(path: Path) -> CocoDocument:
    """Read what a COCO instance file lists.

    Raises:
        AnnotationError: The file is missing or no COCO instance file, or a category is malformed: what the classes are
            concerns all images. All faults are named, those of images and annotations too.
    """
    return understand_document(read_json_object(path, WHAT), path)


def understand_document(document: dict[str, Any], path: Path) -> CocoDocument:
    """What a COCO instance document lists; ``path`` is the file that it was read from, and errors are the same."""
    faults: list[str] = []
    categories = _read_categories(_list_of(document, "categories", path), faults)
    without_class = bool(faults)
    images, refused = _read_images(_list_of(document, "images", path), faults)
    annotations: dict[int | str, list[Numbered]] = {identifier: [] for identifier in images}
    for number, entry in enumerate(_list_of(document, "annotations", path), start=1):
        image_id = as_id(entry.get("image_id"))
        if image_id in annotations:
            annotations[image_id].append((number, entry))
        elif image_id is None:
            faults.append(f"annotation {number}: 'image_id' is {entry.get('image_id')!r}, which names no image")
        elif image_id not in refused:
            faults.append(f"annotation {number}: image_id {image_id!r} is not among the file's images; delete it")
    if without_class:
        refuse_faults(path, faults)
    return CocoDocument(
        path=path,
        images=images,
        annotations=annotations,
        categories=categories,
        classes=_classes(categories, document),
        further_keys=tuple(further_keys([document], _FILE_KEYS)),
        faults=tuple(faults),
    )


def read_instances(
    annotations: Sequence[Numbered], categories: Mapping[int | str, str], size: tuple[int, int]
) -> tuple[list[Instance], list[str]]:
    """The instances of one image, and what is wrong with each annotation that is none.

    Args:
        annotations: Of the image.
        categories: Names by id.
        size: (width, height) of the image in pixels.
    """
    instances: list[Instance] = []
    faults: list[str] = []
    for number, entry in annotations:
        try:
            instances.append(_read_instance(entry, categories, size, f"annotation {number}"))
        except AnnotationError as error:
            faults.append(str(error))
    return instances, faults


def further_keys_of(annotations: Sequence[Numbered]) -> list[str]:
    """Keys under which annotations say something that nothing here reads."""
    return further_keys([entry for _, entry in annotations], _ANNOTATION_KEYS)


def is_crowd(entry: Mapping[str, Any]) -> bool:
    """Whether an annotation says ``iscrowd``; ``"0"`` says no."""
    return entry.get("iscrowd") in _CROWD


def is_coco(document: object) -> bool:
    """Whether a JSON value looks like a COCO instance file."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("images"), list)
        and isinstance(document.get("annotations"), list)
    )


def as_id(value: Any) -> int | str | None:
    """An id, or None where it is none; some tools write the same one as ``7``, ``7.0`` and ``"7"``."""
    number = whole_number(value)
    if number is not None or not isinstance(value, str):
        return number
    return int(value) if value.isascii() and value.isdigit() and len(value) < _LONGEST_ID else value


def _read_images(
    entries: Sequence[dict[str, Any]], faults: list[str]
) -> tuple[dict[int | str, CocoImage], set[int | str]]:
    """Images by id, and the ids of those that cannot be used; their faults join the others."""
    images: dict[int | str, CocoImage] = {}
    refused: set[int | str] = set()
    for number, entry in enumerate(entries, start=1):
        where = f"image {number}"
        identifier = as_id(entry.get("id"))
        try:
            if identifier is None:
                raise AnnotationError(f"{where}: 'id' is {entry.get('id')!r}, which a COCO file does not allow")
            image = _read_image(entry, number, where)
        except AnnotationError as error:
            faults.append(str(error))
            if identifier is not None:
                refused.add(identifier)
            continue
        if identifier in images:
            # Whose the annotations are, nothing tells: neither of the two can be used.
            faults.append(f"{where}: {image.file_name!r} (id {identifier!r}) stands there twice; keep one of them")
            refused.add(identifier)
        images.setdefault(identifier, image)
    return {identifier: image for identifier, image in images.items() if identifier not in refused}, refused


def _read_image(entry: dict[str, Any], number: int, where: str) -> CocoImage:
    file_name = entry.get("file_name")
    if not isinstance(file_name, str) or not file_name or not is_storable(file_name):
        raise AnnotationError(f"{where}: 'file_name' is {file_name!a}, which a COCO file does not allow")
    further = tuple(f"images.{key}" for key in further_keys([entry], _IMAGE_KEYS))
    return CocoImage(number, file_name, _stated_size(entry, where), further)


def _stated_size(entry: dict[str, Any], where: str) -> tuple[int, int] | None:
    """Some exports leave the size out, or write null or 0."""
    stated = (entry.get("width") or None, entry.get("height") or None)
    if stated == (None, None):
        return None
    width, height = (whole_number(value) for value in stated)
    if width is None or height is None or min(width, height) < 1 or width * height > _MOST_PIXELS:
        raise AnnotationError(f"{where}: 'width' and 'height' are {stated[0]!r} and {stated[1]!r}, which is no size")
    return width, height


def _read_categories(entries: Sequence[dict[str, Any]], faults: list[str]) -> dict[int | str, str]:
    categories: dict[int | str, str] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"category {number}"
        identifier = as_id(entry.get("id"))
        if identifier is None:
            faults.append(f"{where}: 'id' is {entry.get('id')!r}, which a COCO file does not allow")
            continue
        try:
            label = own_label(read_label(entry.get("name"), where))
        except AnnotationError as error:
            faults.append(str(error))
            continue
        if categories.setdefault(identifier, label) != label:
            faults.append(f"{where}: id {identifier} is {categories[identifier]!r} and {label!r}; keep one")
    return categories


def _classes(categories: Mapping[int | str, str], document: Mapping[str, Any]) -> tuple[str, ...]:
    used = {as_id(entry.get("category_id")) for entry in document["annotations"]}
    headings = {
        str(entry["supercategory"])
        for entry in document["categories"]
        if entry.get("supercategory") not in (None, entry.get("name"))
    }
    return classes_among(
        categories[key]
        for key in sorted(categories, key=_numbers_first)
        if key in used or categories[key] not in headings
    )


def _numbers_first(value: int | str) -> tuple[bool, int | str]:
    """Sort key for ids: numbers by value, then texts."""
    return isinstance(value, str), value


def _list_of(document: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise AnnotationError(f"{path}: {key!r} is missing or not a list of objects; is this a COCO instance file?")
    return entries


def _read_instance(
    entry: dict[str, Any], categories: Mapping[int | str, str], size: tuple[int, int], where: str
) -> Instance:
    category_id = as_id(entry.get("category_id"))
    if category_id is None:
        raise AnnotationError(
            f"{where}: 'category_id' is {entry.get('category_id')!r}, which a COCO file does not allow"
        )
    if category_id not in categories:
        raise AnnotationError(f"{where}: category_id {category_id!r} is not among the file's categories")
    score = entry.get("score")
    if score is not None and not is_number(score):
        raise AnnotationError(f"{where}: 'score' is {score!r}, which a COCO file does not allow")
    if not is_crowd(entry) and entry.get("iscrowd") not in _NO_CROWD:
        raise AnnotationError(
            f"{where}: 'iscrowd' is {entry['iscrowd']!a}; write 0 for a particle, or 1 for a region to ignore"
        )
    region = read_region(entry.get("segmentation"), size, where)
    return Instance(
        categories[category_id],
        region,
        None if score is None else float(score),
        crowd=is_crowd(entry),
        # Another tool's word under this key is none of ours.
        origin=next((name for name in BY_HAND if name == entry.get("origin")), None),
    )
