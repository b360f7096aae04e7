"""COCO instance files: the format of truth and predictions inside a prepared set, and an exchange format.

What is written is always compressed RLE, so that a particle's holes and parts survive. Annotation ids start at 1:
COCO's evaluation takes id 0 for "unmatched" and loses average precision by it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Polygon, Rle
from nanoseg_bench.annotations.raster import area, bounding_box, from_coco, to_rle
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import read_json, write_text
from nanoseg_bench.imageio import IMAGE_SUFFIXES


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
    document = _read_document(path)
    names: dict[Any, str] = {}
    images: dict[str, tuple[int, int]] = {}
    for number, entry in enumerate(_list_of(document, "images", path), start=1):
        where = f"{path}: image {number}"
        name = _without_suffix(_take(entry, "file_name", str, where))
        identifier = _take(entry, "id", (int, str), where)
        if name in images or identifier in names:
            raise AnnotationError(f"{where}: {name!r} (id {identifier!r}) stands there twice; keep one of them")
        names[identifier] = name
        images[name] = (_take(entry, "width", int, where), _take(entry, "height", int, where))
    categories = _read_categories(document, path)
    instances: dict[str, list[Instance]] = {name: [] for name in images}
    for number, entry in enumerate(_list_of(document, "annotations", path), start=1):
        where = f"{path}: annotation {number}"
        image_id = _take(entry, "image_id", (int, str), where)
        if image_id not in names:
            raise AnnotationError(f"{where}: image_id {image_id!r} is not among the file's images")
        name = names[image_id]
        instances[name].append(_read_instance(entry, categories, images[name], where))
    classes = tuple(
        categories[key] for key in sorted(categories, key=_numbers_first) if categories[key] != IGNORE_LABEL
    )
    return CocoFile(images, instances, classes)


def write_coco(
    path: Path,
    images: Mapping[str, tuple[int, int]],
    instances: Mapping[str, Sequence[Instance]],
    classes: Sequence[str],
    *,
    suffix: str = ".png",
) -> None:
    """Write a COCO instance file with compressed RLE, atomically; same input, same bytes.

    Args:
        path: The file to write.
        images: (width, height) in pixels by image name; ids are given in this order, from 1.
        instances: Instances by image name; an image without an entry has none.
        classes: Class names; the category id is the position + 1. Ignore regions get one extra category ``ignore``
            after them, written only when there are any, and ``iscrowd`` 1.
        suffix: Added to the image name to make ``file_name``.

    Raises:
        AnnotationError: An instance has no pixel inside its image, a label outside ``classes``, or an unknown image.
            Nothing is written.
    """
    unknown = [name for name in instances if name not in images]
    if unknown:
        raise AnnotationError(f"{path}: instances for images that are not listed: {', '.join(map(repr, unknown[:5]))}")
    category_ids = {name: position for position, name in enumerate((*classes, IGNORE_LABEL), start=1)}
    annotations: list[dict[str, Any]] = []
    for image_id, (name, (width, height)) in enumerate(images.items(), start=1):
        for position, instance in enumerate(instances.get(name, ()), start=1):
            where = f"{path}: instance {position} of {name!r}"
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": _category_id(instance, category_ids, where),
                    **_region_fields(instance, height, width, where),
                }
            )
    names = list(classes)
    if any(annotation["category_id"] > len(classes) for annotation in annotations):
        names.append(IGNORE_LABEL)
    document = {
        "images": [
            {"id": image_id, "file_name": name + suffix, "width": width, "height": height}
            for image_id, (name, (width, height)) in enumerate(images.items(), start=1)
        ],
        "categories": [{"id": position, "name": name} for position, name in enumerate(names, start=1)],
        "annotations": annotations,
    }
    write_text(path, json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n")


def _numbers_first(value: int | str) -> tuple[bool, int | str]:
    """Sort key for ids: numbers by value, then texts."""
    return isinstance(value, str), value


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = read_json(path)
    except FileNotFoundError as error:
        raise AnnotationError(f"{path}: no such COCO file") from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: not JSON ({error}); write the file again") from error
    if not isinstance(document, dict):
        raise AnnotationError(f"{path}: a COCO file is a JSON object, this is a {type(document).__name__}")
    return document


def _list_of(document: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise AnnotationError(f"{path}: {key!r} is missing or not a list of objects; is this a COCO instance file?")
    return entries


def _take(entry: dict[str, Any], key: str, kind: type | tuple[type, ...], where: str) -> Any:
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise AnnotationError(f"{where}: {key!r} is {value!r}, which a COCO file does not allow")
    return value


def _without_suffix(file_name: str) -> str:
    name = file_name.replace("\\", "/")
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def _read_categories(document: dict[str, Any], path: Path) -> dict[int | str, str]:
    categories: dict[int | str, str] = {}
    for number, entry in enumerate(_list_of(document, "categories", path), start=1):
        where = f"{path}: category {number}"
        categories[_take(entry, "id", (int, str), where)] = _take(entry, "name", str, where)
    return categories


def _read_instance(
    entry: dict[str, Any], categories: dict[int | str, str], size: tuple[int, int], where: str
) -> Instance:
    category_id = _take(entry, "category_id", (int, str), where)
    if category_id not in categories:
        raise AnnotationError(f"{where}: category_id {category_id!r} is not among the file's categories")
    score = None if entry.get("score") is None else float(_take(entry, "score", (int, float), where))
    region = _read_region(entry.get("segmentation"), size, where)
    return Instance(categories[category_id], region, score, crowd=bool(entry.get("iscrowd", 0)))


def _read_region(segmentation: Any, size: tuple[int, int], where: str) -> tuple[Polygon, ...] | Rle:
    if isinstance(segmentation, dict):
        return _read_rle(segmentation, size, where)
    if isinstance(segmentation, list) and segmentation:
        return tuple(Polygon(_read_outline(flat, where)) for flat in segmentation)
    raise AnnotationError(f"{where}: 'segmentation' is empty or missing; it must be polygons or RLE")


def _read_outline(flat: Any, where: str) -> NDArray[np.float64]:
    if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2 or not all(_is_finite(value) for value in flat):
        raise AnnotationError(f"{where}: a polygon is a flat list x1, y1, x2, y2, ... of at least three points")
    return np.array(flat, dtype=np.float64).reshape(-1, 2)


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))


def _read_rle(segmentation: dict[str, Any], size: tuple[int, int], where: str) -> Rle:
    width, height = size
    if segmentation.get("size") != [height, width]:
        raise AnnotationError(
            f"{where}: RLE of size {segmentation.get('size')} on an image of {width}x{height} px; "
            f"it must be [{height}, {width}] (height, width)"
        )
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        runs = _uncompress(counts)
    elif isinstance(counts, list) and all(isinstance(run, int) for run in counts):
        runs = counts
    else:
        raise AnnotationError(f"{where}: RLE 'counts' must be a text or a list of whole numbers")
    # pycocotools' C code trusts the runs: wrong ones read and write past the end of its arrays.
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise AnnotationError(f"{where}: the RLE does not add up to {width}x{height} px; write the file again")
    if isinstance(counts, str):
        return Rle(height, width, counts.encode("ascii"))
    return from_coco(coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width))


def _uncompress(counts: str) -> list[int]:
    """Run lengths of COCO's compressed text; [-1] when it is malformed.

    5 bits a character, the sixth says "goes on"; from the third run on, the difference to the last but one.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return [-1]
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs if shift == 0 else [-1]


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
