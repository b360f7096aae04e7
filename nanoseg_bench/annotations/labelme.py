"""LabelMe JSON: the format that users annotate in, and that the embedded data set is written in.

Beyond what LabelMe defines, the top-level key ``nanoseg`` carries what else is known of a micrograph:
``{"nm_per_px": 0.42, "source_group": "specimen-07", "attributes": {"modality": "BF-TEM"}}``, every part optional.
LabelMe keeps the key when it saves the file.
"""

import base64
import binascii
import difflib
import io
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph, Polygon, Rle
from nanoseg_bench.annotations.labelme_shapes import WITHOUT_AREA, encode_mask, shape_region
from nanoseg_bench.annotations.raster import mask_to_rle, to_mask
from nanoseg_bench.errors import AnnotationError, NanosegError
from nanoseg_bench.files import read_json, write_bytes, write_json
from nanoseg_bench.imageio import IMAGE_SUFFIXES, image_size, open_image

_LOG = logging.getLogger(__name__)
_VERSION = "5.5.0"
_PROBLEMS_SHOWN = 10
_NAMES_SHOWN = 5


class _OtherJsonError(AnnotationError):
    """JSON of something else, which may well lie in the same folder."""


class _MissingImageError(AnnotationError):
    """The JSON is there, its image is not."""


def read_labelme(path: Path, image_root: Path | None = None) -> Micrograph:
    """Read one LabelMe JSON, of any release, with its image's size.

    Shapes of the same label and ``group_id`` are one Instance of several parts. Lines and points have no area; they
    are left out with a warning. The flag ``crowd`` of a shape marks COCO's crowd region. The Micrograph's name is the
    file's name without suffix.

    Args:
        path: The JSON file.
        image_root: A second folder to look for the image, after the JSON's own. In each, ``imagePath`` is tried, then
            its file name alone, then the JSON's own name with an image suffix.

    Raises:
        AnnotationError: The file is not LabelMe JSON, a shape is malformed, the image is missing or of another size.
        ImageError: The image cannot be read.
    """
    document = _read_document(path)
    image_path = _find_image(path, document.get("imagePath"), image_root)
    width, height = image_size(image_path)
    _check_size(path, document, image_path, width, height)
    nm_per_px, source_group, attributes = _read_extras(path, document.get("nanoseg"))
    return Micrograph(
        name=path.stem,
        image_path=image_path,
        width=width,
        height=height,
        instances=tuple(_read_instances(path, document, height, width)),
        source_group=source_group,
        nm_per_px=nm_per_px,
        attributes=attributes,
    )


def embedded_image(path: Path) -> bytes | None:
    """The image file that LabelMe stored inside the JSON (``imageData``); None when there is none.

    Raises:
        AnnotationError: The file is not LabelMe JSON, or the stored image is broken.
    """
    data = _read_document(path).get("imageData")
    if data is None:
        return None
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise AnnotationError(f"{path}: 'imageData' is not base64; put the image beside the file") from error


def extract_embedded_image(path: Path, folder: Path) -> Path:
    """Write the image that is stored inside a LabelMe JSON to ``folder``, under the JSON's name; return its path.

    Raises:
        AnnotationError: The file holds no image, or one of a format that this package does not read.
    """
    data = embedded_image(path)
    if data is None:
        raise AnnotationError(f"{path}: holds no imageData to extract")
    try:
        with open_image(io.BytesIO(data)) as image:
            suffix = f".{(image.format or '').lower()}"
    except (OSError, SyntaxError, ValueError) as error:
        raise AnnotationError(f"{path}: 'imageData' is no image; put the image beside the file") from error
    if suffix not in IMAGE_SUFFIXES:
        raise AnnotationError(f"{path}: 'imageData' is a {suffix[1:]} image; put it beside the file as PNG or TIFF")
    target = folder / f"{path.stem}{suffix}"
    write_bytes(target, data)
    return target


def read_labelme_folder(
    folder: Path, classes: Sequence[str] | None = None, extract_to: Path | None = None
) -> list[Micrograph]:
    """Read every LabelMe JSON below a folder, sorted by name; hidden files and other JSON are passed over.

    A Micrograph's name is the JSON's path below the folder without suffix. Images that have no JSON are counted in a
    warning: an unannotated image is not an image without particles.

    Args:
        folder: The folder.
        classes: The labels that may occur, besides ``ignore``; None allows any.
        extract_to: Where to write the images that are missing but stored inside their JSON; None makes them an error.

    Raises:
        AnnotationError: There is no LabelMe JSON, or there are faulty ones; the first ten are listed.
        ImageError: The only fault is an image that cannot be read.
    """
    if not folder.is_dir():
        raise AnnotationError(f"{folder}: no such folder; give the folder with the LabelMe JSON files and their images")
    micrographs: list[Micrograph] = []
    problems: list[NanosegError] = []
    seen: dict[Path, Path] = {}
    for path in _visible_files(folder, (".json",)):
        try:
            micrograph = _read_or_extract(path, folder, extract_to)
            if classes is not None:
                _check_labels(path, micrograph, classes)
            _check_once(path, micrograph, seen)
        except _OtherJsonError:
            continue
        except NanosegError as error:
            problems.append(error)
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        micrographs.append(replace(micrograph, name=name))
    _raise_all(folder, problems)
    if not micrographs:
        raise AnnotationError(f"{folder}: no LabelMe JSON in this folder; annotate its images with LabelMe first")
    _warn_of_bare_images(folder, seen)
    return sorted(micrographs, key=lambda micrograph: micrograph.name)


def write_labelme(path: Path, micrograph: Micrograph, image_file: str) -> None:
    """Write one LabelMe JSON atomically; same input, same bytes.

    Polygons stay polygons, the parts of one particle share a ``group_id``. Masks, and polygons with holes, become
    LabelMe ``mask`` shapes, since LabelMe's polygons have no holes. Scores are not written.

    Args:
        path: The JSON file.
        micrograph: Its size, instances and what else is known of it; its ``image_path`` is not used.
        image_file: The image, relative to the JSON.

    Raises:
        AnnotationError: An instance has no label, or its mask is empty.
    """
    shapes: list[dict[str, Any]] = []
    groups = 0
    for position, instance in enumerate(micrograph.instances, start=1):
        where = f"{path}: instance {position}"
        if instance.label is None:
            raise AnnotationError(f"{where} has no label, and LabelMe needs one; name its class")
        regions = _write_regions(instance, micrograph.height, micrograph.width, where)
        group_id = None
        if len(regions) > 1:
            groups += 1
            group_id = groups
        flags = {"crowd": True} if instance.crowd else {}
        shapes += [_shape(instance.label, region, group_id, flags) for region in regions]
    document: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_file,
        "imageData": None,
        "imageHeight": micrograph.height,
        "imageWidth": micrograph.width,
        "nanoseg": {
            "nm_per_px": micrograph.nm_per_px,
            "source_group": micrograph.source_group,
            "attributes": dict(micrograph.attributes),
        },
    }
    write_json(path, document)


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = read_json(path)
    except FileNotFoundError as error:
        raise AnnotationError(f"{path}: no such LabelMe file") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not UTF-8 text; save it again as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: not JSON ({error}); the file may be cut off, copy it again") from error
    if not isinstance(document, dict) or "shapes" not in document:
        raise _OtherJsonError(f"{path}: not LabelMe JSON, it has no 'shapes'")
    if not isinstance(document["shapes"], list):
        raise AnnotationError(f"{path}: 'shapes' is not a list; annotate the image again")
    return document


def _find_image(path: Path, image_path: Any, image_root: Path | None) -> Path:
    # LabelMe on Windows wrote back-slashes until 5.1.
    stored = PurePosixPath(image_path.replace("\\", "/")) if isinstance(image_path, str) else PurePosixPath()
    suffixes = [case for suffix in IMAGE_SUFFIXES for case in (suffix, suffix.upper())]
    relative = [Path(stored), Path(stored.name)] if stored.suffix.lower() in IMAGE_SUFFIXES else []
    relative += [Path(path.stem + suffix) for suffix in suffixes]
    folders = [path.parent] if image_root is None else [path.parent, image_root]
    for folder in folders:
        for candidate in relative:
            if (folder / candidate).is_file():
                return folder / candidate
    raise _MissingImageError(
        f"{path}: its image {image_path!r} is missing, and there is no {path.stem}{IMAGE_SUFFIXES[0]} (or other image "
        "suffix) beside it; put the image beside the JSON, or delete the JSON"
    )


def _check_size(path: Path, document: dict[str, Any], image_path: Path, width: int, height: int) -> None:
    stored = (document.get("imageWidth"), document.get("imageHeight"))
    if any(value not in (None, size) for value, size in zip(stored, (width, height), strict=True)):
        raise AnnotationError(
            f"{path}: made for an image of {stored[0]}x{stored[1]} px, but {image_path.name} is {width}x{height} px; "
            "put back the image that was annotated, or annotate this one"
        )


def _read_extras(path: Path, extras: Any) -> tuple[float | None, str | None, dict[str, str]]:
    if extras is None:
        return None, None, {}
    if not isinstance(extras, dict):
        raise AnnotationError(f"{path}: 'nanoseg' is {extras!r}; it must be an object, or be left out")
    scale, group, attributes = extras.get("nm_per_px"), extras.get("source_group"), extras.get("attributes") or {}
    if scale is not None and (isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 < scale < 1e9):
        raise AnnotationError(f"{path}: nanoseg.nm_per_px is {scale!r}; it must be nanometres per pixel, above 0")
    if group is not None and not (isinstance(group, str) and group):
        raise AnnotationError(f"{path}: nanoseg.source_group is {group!r}; it must be a text")
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise AnnotationError(f"{path}: nanoseg.attributes is {attributes!r}; it must be an object of texts")
    return (None if scale is None else float(scale)), group, attributes


def _read_instances(path: Path, document: dict[str, Any], height: int, width: int) -> list[Instance]:
    parts: dict[tuple[str, Any], list[Polygon | Rle]] = {}
    crowds: set[tuple[str, Any]] = set()
    skipped: Counter[str] = Counter()
    for number, shape in enumerate(document["shapes"], start=1):
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"].strip():
            raise AnnotationError(f"{path}: shape {number} has no label; name its class in LabelMe")
        label, kind, group_id = shape["label"], shape.get("shape_type"), shape.get("group_id")
        if kind in WITHOUT_AREA:
            skipped[kind] += 1
            continue
        region = shape_region(shape, height, width, f"{path}: shape {number} ({label!r})")
        # A shape without group is one of its own; its number cannot collide with a group's id in a pair.
        key = (label, ("shape", number) if group_id is None else ("group", str(group_id)))
        parts.setdefault(key, []).append(region)
        if isinstance(shape.get("flags"), dict) and shape["flags"].get("crowd") is True:
            crowds.add(key)
    if skipped:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(skipped.items()))
        _LOG.warning("%s: left out shapes without area: %s", path, counts)
    return [Instance(key[0], _merge(regions, height, width), crowd=key in crowds) for key, regions in parts.items()]


def _merge(regions: Sequence[Polygon | Rle], height: int, width: int) -> tuple[Polygon, ...] | Rle:
    polygons = tuple(region for region in regions if isinstance(region, Polygon))
    if len(polygons) == len(regions):
        return polygons
    if len(regions) == 1 and isinstance(regions[0], Rle):
        return regions[0]
    masks = [
        to_mask(Instance(None, (region,) if isinstance(region, Polygon) else region), height, width)
        for region in regions
    ]
    return mask_to_rle(np.logical_or.reduce(masks))


def _read_or_extract(path: Path, folder: Path, extract_to: Path | None) -> Micrograph:
    try:
        return read_labelme(path)
    except _MissingImageError:
        if extract_to is None or embedded_image(path) is None:
            raise
    target = extract_to / path.parent.relative_to(folder)
    extract_embedded_image(path, target)
    return read_labelme(path, target)


def _check_labels(path: Path, micrograph: Micrograph, classes: Sequence[str]) -> None:
    known = (*classes, IGNORE_LABEL)
    labels = [instance.label for instance in micrograph.instances if instance.label is not None]
    unknown = next((label for label in labels if label not in known), None)
    if unknown is None:
        return
    close = difflib.get_close_matches(unknown.strip().lower(), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise AnnotationError(
        f"{path}: label {unknown!r} is not in the class list ({', '.join(classes)}); {hint}"
        "rename it in LabelMe, or add it to the classes"
    )


def _check_once(path: Path, micrograph: Micrograph, seen: dict[Path, Path]) -> None:
    image = micrograph.image_path.resolve()
    if image in seen:
        raise AnnotationError(f"{path}: annotates {image.name}, and so does {seen[image]}; keep one of the two")
    seen[image] = path


def _raise_all(folder: Path, problems: Sequence[NanosegError]) -> None:
    if len(problems) == 1:
        raise problems[0]
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:_PROBLEMS_SHOWN])
        more = f"\n  and {len(problems) - _PROBLEMS_SHOWN} more" if len(problems) > _PROBLEMS_SHOWN else ""
        raise AnnotationError(f"{folder}: {len(problems)} files cannot be used:\n{shown}{more}")


def _warn_of_bare_images(folder: Path, seen: Iterable[Path]) -> None:
    annotated = set(seen)
    bare = [path for path in _visible_files(folder, IMAGE_SUFFIXES) if path.resolve() not in annotated]
    if bare:
        names = ", ".join(path.relative_to(folder).as_posix() for path in bare[:_NAMES_SHOWN])
        more = ", ..." if len(bare) > _NAMES_SHOWN else ""
        _LOG.warning("%s: %d images have no LabelMe JSON and are left out: %s%s", folder, len(bare), names, more)


def _visible_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def _write_regions(instance: Instance, height: int, width: int, where: str) -> list[dict[str, Any]]:
    if not isinstance(instance.region, Rle) and not any(part.holes for part in instance.region):
        return [{"points": part.exterior.tolist(), "shape_type": "polygon", "mask": None} for part in instance.region]
    mask = to_mask(instance, height, width)
    if not mask.any():
        raise AnnotationError(f"{where} ({instance.label}) covers no pixel; leave it out")
    points, encoded = encode_mask(mask)
    return [{"points": points, "shape_type": "mask", "mask": encoded}]


def _shape(label: str, region: dict[str, Any], group_id: int | None, flags: dict[str, bool]) -> dict[str, Any]:
    return {
        "label": label,
        "points": region["points"],
        "group_id": group_id,
        "description": "",
        "shape_type": region["shape_type"],
        "flags": flags,
        "mask": region["mask"],
    }
