"""COCO instance files: the format of truth and predictions inside a prepared set, and an exchange format.

What is written is always compressed RLE, so that a particle's holes and parts survive. Annotation ids start at 1:
COCO's evaluation takes id 0 for "unmatched" and loses average precision by it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from nanoseg_bench.annotations.coco_regions import read_region
from nanoseg_bench.annotations.image_files import ImageFile, ImageFinder, checked_size, without_suffix
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph
from nanoseg_bench.annotations.json_values import (
    further_keys,
    is_number,
    is_storable,
    read_json_object,
    read_label,
    whole_number,
)
from nanoseg_bench.annotations.raster import area, bounding_box, to_rle
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import atomic_path
from nanoseg_bench.wording import counted

_MOST_PIXELS = 2**31 - 1  # pycocotools counts them in 32 bits
_FILES_SHOWN = 5
_LONGEST_ID = 20
_WHAT = "a COCO instance file"
_FILE_KEYS = frozenset({"images", "annotations", "categories"})
_IMAGE_KEYS = frozenset({"id", "file_name", "width", "height"})
# What is computed anew from the region counts as read.
_KEYS = frozenset({"id", "image_id", "category_id", "segmentation", "iscrowd", "score", "area", "bbox"})


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What a COCO file holds.

    Attributes:
        images: (width, height) in pixels by image name: ``file_name`` without its image suffix.
        instances: Instances by image name; every image of the file has an entry, maybe an empty one.
        classes: Category names in the order of their ids, without the extra category of ignore regions.
    """

    images: dict[str, tuple[int, int]]
    instances: dict[str, list[Instance]]
    classes: tuple[str, ...]


def read_coco(path: Path) -> CocoFile:
    """Read a COCO instance file: polygons, compressed or uncompressed RLE, ``iscrowd``, ``score`` where present.

    Raises:
        AnnotationError: The file is missing or malformed; the message names the annotation.
    """
    document = read_json_object(path, _WHAT)
    listed = _read_images(document, path)
    names: dict[int | str, str] = {}
    images: dict[str, tuple[int, int]] = {}
    for number, (identifier, image) in enumerate(listed.items(), start=1):
        where = f"{path}: image {number}"
        name = without_suffix(image.file_name.replace("\\", "/"))
        if name in images:
            raise AnnotationError(f"{where}: {name!r} (id {identifier!r}) stands there twice; keep one of them")
        if image.size is None:
            raise AnnotationError(f"{where}: {name!r} has no 'width' and 'height'; write the file again with them")
        names[identifier], images[name] = name, image.size
    categories = _read_categories(document, path)
    instances: dict[str, list[Instance]] = {name: [] for name in images}
    for identifier, annotations in _by_image(document, listed, path).items():
        name = names[identifier]
        instances[name] = [
            _read_instance(entry, categories, images[name], f"{path}: annotation {number}")
            for number, entry in annotations
        ]
    return CocoFile(images, instances, _classes(categories, document))


@dataclass(frozen=True, slots=True)
class CocoIndex:
    """What the ids in a COCO file stand for.

    Attributes:
        images: ``file_name`` by image id.
        sizes: (width, height) in pixels by image id; None where the file does not say.
        categories: Category name by id.
    """

    images: dict[int | str, str]
    sizes: dict[int | str, tuple[int, int] | None]
    categories: dict[int | str, str]


def read_coco_index(path: Path) -> CocoIndex:
    """Read the images and categories of a COCO file.

    Raises:
        AnnotationError: The file is missing or malformed.
    """
    document = read_json_object(path, _WHAT)
    images = _read_images(document, path)
    return CocoIndex(
        images={identifier: image.file_name for identifier, image in images.items()},
        sizes={identifier: image.size for identifier, image in images.items()},
        categories=_read_categories(document, path),
    )


@dataclass(frozen=True, slots=True)
class CocoEntry:
    """One image of a COCO file, with its own annotations only.

    Attributes:
        name: The image's ``file_name`` without suffix.
        path: The image; the COCO file where there is none.
        source: The COCO file.
        fault: Why the image cannot be used; empty when it can.
        size: (width, height) as the file states it; None where it does not.
        annotations: Their numbers in the file, and what stands there.
        categories: Category name by id.
        not_carried: Keys of the image and of the file that nothing here reads.
    """

    name: str
    path: Path
    source: Path
    fault: str
    size: tuple[int, int] | None
    annotations: tuple[tuple[int, dict[str, Any]], ...]
    categories: Mapping[int | str, str]
    not_carried: tuple[str, ...] = ()

    def read(self) -> Micrograph:
        """Read the annotations and the image's size.

        Raises:
            AnnotationError: The image is missing, turned or of another size, or an annotation is malformed.
            ImageError: The image cannot be read.
        """
        if self.fault:
            raise AnnotationError(f"{self.source}: {self.fault}")
        width, height = checked_size(self.path, self.size, f"{self.source}: image {self.name!r}")
        instances = tuple(
            _read_instance(entry, self.categories, (width, height), f"{self.source}: annotation {number}")
            for number, entry in self.annotations
        )
        crowds = sum(instance.crowd and instance.label != IGNORE_LABEL for instance in instances)
        notes = (f"{counted(crowds, 'region')} with iscrowd 1: ignore regions, not particles",) if crowds else ()
        keys = further_keys([entry for _, entry in self.annotations], _KEYS)
        not_carried = sorted([*self.not_carried, *(f"annotations.{key}" for key in keys)])
        return Micrograph(self.name, self.path, width, height, instances, notes=notes, not_carried=tuple(not_carried))


def open_coco(path: Path, image_folder: Path | None = None) -> Source:
    """List the images of a COCO instance file.

    An image is looked for by its ``file_name`` in ``image_folder``, beside the file, and in the folders ``images`` and
    that of the file's own name next to it (and next to ``annotations``, where the file lies in such a folder). An
    image without annotations is background. Categories keep the order of their ids; one that only serves as the
    others' ``supercategory`` is left out.

    Args:
        path: The JSON, or a folder with exactly one COCO file.
        image_folder: Where to look first.

    Raises:
        AnnotationError: There is no such file, or several, or it is no COCO instance file.
    """
    if path.is_dir():
        path = _only_file(path)
    document = read_json_object(path, _WHAT)
    images = _read_images(document, path)
    categories = _read_categories(document, path)
    annotations = _by_image(document, images, path)
    finder = ImageFinder(_image_folders(path, image_folder), below=[image_folder or path.parent, path.parent])
    files = finder.find_all([image.file_name for image in images.values()])
    of_the_file = tuple(further_keys([document], _FILE_KEYS))
    entries = [
        _entry(path, file, image, annotations[identifier], categories, of_the_file)
        for file, (identifier, image) in zip(files, images.items(), strict=True)
    ]
    entries.sort(key=lambda entry: entry.name)
    return Source("coco", tuple(entries), _classes(categories, document))


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


class CocoWriter:
    """Write a COCO instance file image by image, so that a set may be larger than memory.

    The file appears, atomically, when the block ends; nothing is left of it when the block raises. Annotations are
    written as they come; of each image only its line at the end of the file is kept. Same calls, same bytes.

        with CocoWriter(path, ["cube", "rod"]) as writer:
            writer.add("a", (640, 480), instances)

    Segmentations are compressed RLE. Ids of images and annotations count from 1 in the order of the calls; the
    category id is the position in ``classes`` + 1. Ignore regions have ``iscrowd`` 1 and one extra category
    ``ignore`` after the classes, which is only there when it is used.

    Args:
        path: The file to write.
        classes: Class names.
        suffix: Added to the image name to make ``file_name``.
    """

    def __init__(self, path: Path, classes: Sequence[str], suffix: str = ".png") -> None:
        self._path = path
        self._classes = tuple(classes)
        self._suffix = suffix
        self._images: dict[str, str] = {}
        self._annotations = 0
        self._ignore_prefix = f'{{"category_id":{len(self._classes) + 1},'
        self._any_ignored = False
        self._open = ExitStack()
        self._stream: TextIO | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path))
            self._stream = stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
            self._stream.write('{"annotations":[')
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stream, self._stream = self._stream, None
        if error is not None or stream is None:
            self._open.__exit__(kind, error, traceback)
            return
        with self._open:  # a failure at the end leaves nothing behind either
            self._write_end(stream)

    def add(self, name: str, size: tuple[int, int], instances: Iterable[Instance]) -> None:
        """Write one image's instances.

        Args:
            name: Image name, without suffix.
            size: (width, height) in pixels.
            instances: Its particles and ignore regions, maybe none.

        Raises:
            AnnotationError: The image came before, an instance has no pixel inside it, or a label is not a class.
        """
        self.add_encoded(name, size, encode_annotations(instances, size, self._classes, f"{self._path}: {name!r}"))

    def add_encoded(self, name: str, size: tuple[int, int], fragments: Iterable[str]) -> None:
        """Write one image whose instances went through ``encode_annotations``, with the same size and classes.

        Raises:
            AnnotationError: The image came before.
        """
        if self._stream is None:
            raise ValueError(f"{self._path}: CocoWriter is used outside of its with block")
        if name in self._images:
            raise AnnotationError(f"{self._path}: image {name!r} is there twice; keep one of them")
        image_id, (width, height) = len(self._images) + 1, size
        image = {"id": image_id, "file_name": name + self._suffix, "width": width, "height": height}
        self._images[name] = _compact(image)
        for fragment in fragments:
            self._annotations += 1
            self._any_ignored = self._any_ignored or fragment.startswith(self._ignore_prefix)
            comma = ",\n" if self._annotations > 1 else "\n"
            self._stream.write(f'{comma}{{"id":{self._annotations},"image_id":{image_id},{fragment[1:]}')

    def _write_end(self, stream: TextIO) -> None:
        names = (*self._classes, IGNORE_LABEL) if self._any_ignored else self._classes
        categories = [{"id": position, "name": name} for position, name in enumerate(names, start=1)]
        stream.write('\n],\n"images":[')
        for position, image in enumerate(self._images.values()):
            stream.write(f"{',' if position else ''}\n{image}")
        stream.write(f'\n],\n"categories":{_compact(categories)}}}\n')


def encode_annotations(
    instances: Iterable[Instance], size: tuple[int, int], classes: Sequence[str], where: str
) -> list[str]:
    """One image's instances as JSON objects, without the ids that the file gives; made to run in a worker process.

    Args:
        instances: Particles and ignore regions.
        size: (width, height) in pixels.
        classes: Class names of the file.
        where: File and image, for messages.

    Returns:
        Texts for ``CocoWriter.add_encoded``, in the order of the instances.

    Raises:
        AnnotationError: An instance has no pixel inside its image, or a label outside ``classes``.
    """
    width, height = size
    category_ids = {name: position for position, name in enumerate((*classes, IGNORE_LABEL), start=1)}
    fragments: list[str] = []
    for position, instance in enumerate(instances, start=1):
        place = f"{where}, instance {position}"
        category_id = _category_id(instance, category_ids, place)
        fragments.append(_compact({"category_id": category_id, **_region_fields(instance, height, width, place)}))
    return fragments


def write_coco(
    path: Path,
    images: Mapping[str, tuple[int, int]],
    instances: Mapping[str, Sequence[Instance]],
    classes: Sequence[str],
    *,
    suffix: str = ".png",
) -> None:
    """Write a COCO instance file of images at hand, as ``CocoWriter`` does.

    Args:
        path: The file to write.
        images: (width, height) in pixels by image name; ids are given in this order.
        instances: Instances by image name; an image without an entry has none.
        classes: Class names.
        suffix: Added to the image name to make ``file_name``.

    Raises:
        AnnotationError: An instance has no pixel inside its image, a label outside ``classes``, or an unknown image.
            Nothing is written.
    """
    unknown = [name for name in instances if name not in images]
    if unknown:
        raise AnnotationError(f"{path}: instances for images that are not listed: {', '.join(map(repr, unknown[:5]))}")
    with CocoWriter(path, classes, suffix) as writer:
        for name, size in images.items():
            writer.add(name, size, instances.get(name, ()))


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Image:
    file_name: str
    size: tuple[int, int] | None
    further_keys: tuple[str, ...]


def _read_images(document: dict[str, Any], path: Path) -> dict[int | str, _Image]:
    images: dict[int | str, _Image] = {}
    for number, entry in enumerate(_list_of(document, "images", path), start=1):
        where = f"{path}: image {number}"
        identifier = _identifier(entry, "id", where)
        file_name = entry.get("file_name")
        if not isinstance(file_name, str) or not file_name or not is_storable(file_name):
            raise AnnotationError(f"{where}: 'file_name' is {file_name!a}, which a COCO file does not allow")
        if identifier in images:
            raise AnnotationError(f"{where}: {file_name!r} (id {identifier!r}) stands there twice; keep one of them")
        further = tuple(f"images.{key}" for key in further_keys([entry], _IMAGE_KEYS))
        images[identifier] = _Image(file_name, _stated_size(entry, where), further)
    return images


def _stated_size(entry: dict[str, Any], where: str) -> tuple[int, int] | None:
    """Some exports leave the size out, or write null or 0."""
    stated = (entry.get("width") or None, entry.get("height") or None)
    if stated == (None, None):
        return None
    width, height = (whole_number(value) for value in stated)
    if width is None or height is None or min(width, height) < 1 or width * height > _MOST_PIXELS:
        raise AnnotationError(f"{where}: 'width' and 'height' are {stated[0]!r} and {stated[1]!r}, which is no size")
    return width, height


def _by_image(
    document: dict[str, Any], images: Mapping[int | str, _Image], path: Path
) -> dict[int | str, list[tuple[int, dict[str, Any]]]]:
    """Annotations with their number in the file; every image has an entry."""
    annotations: dict[int | str, list[tuple[int, dict[str, Any]]]] = {identifier: [] for identifier in images}
    for number, entry in enumerate(_list_of(document, "annotations", path), start=1):
        image_id = _identifier(entry, "image_id", f"{path}: annotation {number}")
        if image_id not in annotations:
            raise AnnotationError(f"{path}: annotation {number}: image_id {image_id!r} is not among the file's images")
        annotations[image_id].append((number, entry))
    return annotations


def _read_categories(document: dict[str, Any], path: Path) -> dict[int | str, str]:
    categories: dict[int | str, str] = {}
    for number, entry in enumerate(_list_of(document, "categories", path), start=1):
        where = f"{path}: category {number}"
        identifier = _identifier(entry, "id", where)
        label = read_label(entry.get("name"), where)
        if categories.setdefault(identifier, label) != label:
            raise AnnotationError(f"{where}: id {identifier} is {categories[identifier]!r} and {label!r}; keep one")
    return categories


def _classes(categories: Mapping[int | str, str], document: dict[str, Any]) -> tuple[str, ...]:
    """Names in the order of the ids, without ignore regions and without mere headings (Roboflow's category 0)."""
    used = {as_id(entry.get("category_id")) for entry in document["annotations"]}
    headings = {
        str(entry["supercategory"])
        for entry in document["categories"]
        if entry.get("supercategory") not in (None, entry.get("name"))
    }
    names = (
        categories[key]
        for key in sorted(categories, key=_numbers_first)
        if categories[key] != IGNORE_LABEL and (key in used or categories[key] not in headings)
    )
    return tuple(dict.fromkeys(names))


def _entry(
    path: Path,
    file: ImageFile,
    image: _Image,
    annotations: list[tuple[int, dict[str, Any]]],
    categories: Mapping[int | str, str],
    of_the_file: tuple[str, ...],
) -> CocoEntry:
    return CocoEntry(
        name=file.name,
        path=file.path or path,
        source=path,
        fault=file.fault,
        size=image.size,
        annotations=tuple(annotations),
        categories=categories,
        not_carried=(*of_the_file, *image.further_keys),
    )


def _image_folders(path: Path, image_folder: Path | None) -> list[Path]:
    beside = path.parent
    folders = [beside, beside / "images", beside / path.stem]
    if beside.name == "annotations":  # the layout of COCO itself and of CVAT: annotations/ and images/ side by side
        folders += [beside.parent / "images", beside.parent]
    return [image_folder, *folders] if image_folder is not None else folders


def _only_file(folder: Path) -> Path:
    for pattern in ("*.json", "annotations/*.json", "*/*.json"):
        found = [path for path in sorted(folder.glob(pattern)) if _holds_coco(path)]
        if len(found) == 1:
            return found[0]
        if found:
            shown = ", ".join(path.relative_to(folder).as_posix() for path in found[:_FILES_SHOWN])
            raise AnnotationError(
                f"{folder}: {len(found)} COCO files ({shown}); give the path of the one that is meant"
            )
    raise AnnotationError(f"{folder}: no COCO file in it; give the path of the JSON")


def _holds_coco(path: Path) -> bool:
    try:
        return is_coco(read_json_object(path, _WHAT))
    except AnnotationError:
        return False


def _numbers_first(value: int | str) -> tuple[bool, int | str]:
    """Sort key for ids: numbers by value, then texts."""
    return isinstance(value, str), value


def _list_of(document: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise AnnotationError(f"{path}: {key!r} is missing or not a list of objects; is this a COCO instance file?")
    return entries


def _identifier(entry: dict[str, Any], key: str, where: str) -> int | str:
    identifier = as_id(entry.get(key))
    if identifier is None:
        raise AnnotationError(f"{where}: {key!r} is {entry.get(key)!r}, which a COCO file does not allow")
    return identifier


def _read_instance(
    entry: dict[str, Any], categories: Mapping[int | str, str], size: tuple[int, int], where: str
) -> Instance:
    category_id = _identifier(entry, "category_id", where)
    if category_id not in categories:
        raise AnnotationError(f"{where}: category_id {category_id!r} is not among the file's categories")
    score = entry.get("score")
    if score is not None and not is_number(score):
        raise AnnotationError(f"{where}: 'score' is {score!r}, which a COCO file does not allow")
    region = read_region(entry.get("segmentation"), size, where)
    return Instance(
        categories[category_id], region, None if score is None else float(score), crowd=bool(entry.get("iscrowd", 0))
    )


def _category_id(instance: Instance, category_ids: dict[str, int], where: str) -> int:
    label = IGNORE_LABEL if instance.crowd and instance.label is None else instance.label
    if label is None or label not in category_ids:
        raise AnnotationError(
            f"{where}: label {label!r} is not one of the classes {', '.join(list(category_ids)[:-1])}"
        )
    return category_ids[label]


def _region_fields(instance: Instance, height: int, width: int, where: str) -> dict[str, Any]:
    rle = to_rle(instance, height, width)
    pixels = area(rle)
    if pixels == 0:
        raise AnnotationError(f"{where} ({instance.label}) covers no pixel of its {width}x{height} px; leave it out")
    fields: dict[str, Any] = {
        "segmentation": {"size": [height, width], "counts": rle.counts.decode("ascii")},
        "area": pixels,
        "bbox": list(bounding_box(rle)),
        "iscrowd": int(instance.ignored),
    }
    if instance.score is not None:
        fields["score"] = instance.score
    return fields
