"""LabelMe JSON: the format that users annotate in, and that the embedded data set is written in.

Beyond what LabelMe defines, the top-level key ``nanoseg`` carries what else is known of a micrograph:
``{"nm_per_px": 0.42, "source_group": "specimen-07", "attributes": {"modality": "BF-TEM"}}``, every part optional.
``"begun_by": {"model": "nsyolo", "run": "nsyolo-paper-seed0", "weights_sha256": "..."}`` says that a model drew the
first outlines. LabelMe keeps the key when it saves the file, and the ``description`` of a shape, where a prediction's
score stands as LabelMe writes that of its own models: ``{"score": 0.93, "text": "cube"}``.
"""

import base64
import binascii
import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from nanoseg_bench.annotations.begun_by import BegunBy, read_begun_by
from nanoseg_bench.annotations.errors import (
    ImageMismatchError,
    MissingImageError,
    NoAnnotationsError,
    NotAnAnnotationError,
)
from nanoseg_bench.annotations.faults import refuse_faults, refuse_shapes
from nanoseg_bench.annotations.image_files import find_file, same_name, unusable_image
from nanoseg_bench.annotations.instance import BY_HAND, Instance, Micrograph, Origin, Polygon, Rle
from nanoseg_bench.annotations.json_values import further_keys, is_number
from nanoseg_bench.annotations.labelme.shapes import WITHOUT_AREA, plain_polygons, shape_region
from nanoseg_bench.annotations.labels import own_label, without_background
from nanoseg_bench.annotations.left_out import note_without_area
from nanoseg_bench.annotations.raster import mask_to_rle, to_mask
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.annotations.tally import Tally
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import broken_link, read_json, write_bytes
from nanoseg_bench.images import IMAGE_SUFFIXES, image_size, open_image

# Colours of early releases are those of the screen.
_KEYS = frozenset({"version", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth", "nanoseg"})
_KEYS |= {"lineColor", "fillColor"}
OF_ITS_NAME = ", which has the JSON's name"
"""End of a note of an image that was taken for its name."""
_SHAPE_KEYS = frozenset({"label", "points", "shape_type", "group_id", "mask", "flags", "line_color", "fill_color"})
_READ_FLAGS = frozenset({"crowd", "on_mark", *BY_HAND})


@dataclass(frozen=True, slots=True)
class LabelmeRef:
    """One JSON of a folder; it may turn out to be something else than LabelMe's.

    Attributes:
        name: Its path below the folder without suffix.
        path: The JSON.
        extract_to: Folder for the image, when it is missing but stored inside the JSON; None makes that an error.
    """

    name: str
    path: Path
    extract_to: Path | None = None

    def read(self) -> Micrograph:
        """Read the JSON and its image's size; see ``read_labelme``."""
        return _read_or_extract(self.path, self.extract_to, self.name)


def open_labelme(folder: Path, extract_to: Path | None = None) -> Source:
    """List the JSON files below a folder; hidden files are passed over.

    Images that no JSON names are listed as unannotated. To find them without reading everything, an image is taken as
    annotated by the JSON of its own name; a JSON without such an image is read for its ``imagePath``.

    Args:
        folder: The folder.
        extract_to: Where to write the images that are missing but stored inside their JSON; None makes them an error.

    Raises:
        AnnotationError: There is no such folder, or no JSON in it.
    """
    if not folder.is_dir():
        raise NoAnnotationsError(
            f"{folder}: no such folder; give the folder with the LabelMe JSON files and their images"
        )
    documents, images = _visible_files(folder)
    if not documents:
        raise NoAnnotationsError(f"{folder}: no LabelMe JSON in this folder; annotate its images with LabelMe first")
    entries = []
    for relative in documents:
        name = relative[: -len(".json")]
        parent = os.path.dirname(name)  # noqa: PTH120, ten thousand files: pathlib takes a second for them
        target = None if extract_to is None else extract_to / parent
        entries.append(LabelmeRef(name.replace(os.sep, "/"), folder / relative, target))
    entries.sort(key=lambda entry: entry.name)
    return Source("labelme", tuple(entries), unannotated=_unannotated(folder, documents, images))


def read_labelme(path: Path, image: Path | None = None, name: str = "") -> Micrograph:
    """Read one LabelMe JSON, of any release, with its image's size.

    Shapes of the same label and ``group_id`` are one Instance of several parts. Lines and points have no area; they
    are left out, and counted in ``notes``. The flag ``crowd`` of a shape marks COCO's crowd region, the flag
    ``on_mark`` a prediction on lettering: an ignore region, until a person clears the flag. ``__ignore__`` is an
    ignore region and ``_background_`` none of the particles, as in LabelMe's own exporters. Scores of predictions are
    not read: truth has none.

    Args:
        path: The JSON file.
        image: Its image, where that is known. Else it is looked for in the folder of the JSON: by ``imagePath``, then
            by its file name alone, then by the JSON's own name with an image suffix.
        name: Of the Micrograph; the file's name without suffix by default.

    Raises:
        NotAnAnnotationError: The file is JSON of something else.
        FaultyShapesError: Names every malformed shape, and holds what remains without them.
        AnnotationError: The file is not JSON, the image is missing or of another size.
        ImageError: The image cannot be read.
    """
    document = _read_document(path)
    stated = document.get("imagePath")
    image_path, notes = _find_image(path, stated) if image is None else (image, _note_of_other_image(stated, image))
    width, height = image_size(image_path)
    _check_size(path, document, image_path, width, height)
    extras = _read_extras(path, document.get("nanoseg"))
    read = _read_instances(document["shapes"], height, width)
    instances, background = without_background(read.instances)
    micrograph = Micrograph(
        name=name or path.stem,
        image_path=image_path,
        width=width,
        height=height,
        instances=instances,
        source_group=extras.source_group,
        nm_per_px=extras.nm_per_px,
        attributes=extras.attributes,
        notes=notes + note_without_area(read.without_area),
        without_area=read.without_area,
        not_carried=_not_carried(document),
        tally=Tally(background=background),
        begun_by=extras.begun_by,
    )
    refuse_shapes(path, read.faults, micrograph)
    return micrograph


def read_labelme_regions(path: Path, width: int, height: int) -> tuple[Instance, ...]:
    """Read the regions of one LabelMe JSON whose image need not be at hand, with scores; see ``read_labelme``.

    A score stands in the shape's ``description``, as LabelMe and ``write_labelme`` put it there; of several parts, the
    highest counts.

    Args:
        path: The JSON file.
        width: Columns of the image.
        height: Rows.

    Raises:
        NotAnAnnotationError: The file is JSON of something else.
        AnnotationError: The file is not JSON, a shape is malformed, or it states another size.
    """
    document = _read_document(path)
    _check_size(path, document, path.with_suffix(""), width, height)
    read = _read_instances(document["shapes"], height, width, scored=True)
    refuse_faults(path, read.faults)
    return without_background(read.instances)[0]


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
    except Exception as error:  # on a broken header Pillow raises nearly anything
        raise AnnotationError(f"{path}: 'imageData' is no image; put the image beside the file") from error
    if suffix not in IMAGE_SUFFIXES:
        raise AnnotationError(f"{path}: 'imageData' is a {suffix[1:]} image; put it beside the file as PNG or TIFF")
    target = folder / f"{path.stem}{suffix}"
    write_bytes(target, data)
    return target


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = read_json(path)
    except FileNotFoundError as error:
        raise NoAnnotationsError(f"{path}: {broken_link(path) or 'no such LabelMe file'}") from error
    except OSError as error:
        reason = broken_link(path) or f"cannot be read ({error.strerror or error}); check its rights"
        raise AnnotationError(f"{path}: {reason}") from error
    except UnicodeDecodeError as error:
        # Which encoding it is cannot be told from the bytes, and a wrong guess garbles the labels without a word.
        raise AnnotationError(
            f"{path}: not UTF-8 text (byte {error.start + 1}); early LabelMe releases wrote the code page of their "
            "Windows, such as GBK in China; open the file with that encoding in an editor and save it as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: not JSON ({error}); the file may be cut off, copy it again") from error
    if not isinstance(document, dict) or "shapes" not in document:
        raise NotAnAnnotationError(f"{path}: not LabelMe JSON, it has no 'shapes'")
    if not isinstance(document["shapes"], list):
        raise AnnotationError(f"{path}: 'shapes' is not a list; annotate the image again")
    return document


def _find_image(path: Path, image_path: Any) -> tuple[Path, tuple[str, ...]]:
    """The image of a JSON, and a note where it is not the one that the file names."""
    stored, named = _stated_image(image_path)
    folder, stem = path.parent, path.stem
    own = [stem + case for suffix in IMAGE_SUFFIXES for case in (suffix, suffix.upper())]
    for candidate in [stored, named, *own] if named else own:
        found = find_file(folder, candidate)
        if found is None:
            continue
        notes = _note_of_other_image(image_path, found)
        if not notes and not same_name(PurePosixPath(named).stem, stem):
            notes = _note_of_own_image(path, found, own)
        return found, notes
    unusable = next(filter(None, (unusable_image(folder, name) for name in (stored, stem))), "")
    if unusable:
        raise MissingImageError(f"{path}: its image {unusable}")
    states = isinstance(image_path, str) and image_path.strip()
    what = f"its image {_as_stored(image_path)} is missing" if states else "it names no image ('imagePath')"
    raise MissingImageError(
        f"{path}: {what}, and no image with the JSON's name, such as {stem}{IMAGE_SUFFIXES[0]}, lies beside it; put "
        "the image beside the JSON, or delete the JSON"
    )


def _as_stored(image_path: str) -> str:
    """In quotes, with back-slashes as they are; what would command a terminal stays escaped."""
    return repr(image_path).replace("\\\\", "\\")


def _stated_image(image_path: Any) -> tuple[str, str]:
    """The path of its image that a JSON states, with ``/``, and its last part; that is empty where it is no image's."""
    # LabelMe on Windows wrote back-slashes until 5.1.
    stored = image_path.replace("\\", "/") if isinstance(image_path, str) else ""
    return stored, PurePosixPath(stored).name if stored.lower().endswith(IMAGE_SUFFIXES) else ""


def _note_of_other_image(image_path: Any, taken: Path) -> tuple[str, ...]:
    named = _stated_image(image_path)[1]
    if not named or same_name(taken.name, named):
        return ()
    return (f"its image {_as_stored(image_path)} is missing; took {taken.name}{OF_ITS_NAME}",)


def _note_of_own_image(path: Path, found: Path, own: Sequence[str]) -> tuple[str, ...]:
    beside = next((path.parent / name for name in own if (path.parent / name).is_file()), found)
    if beside.name == found.name:
        return ()
    return (f"annotates {found.name}, as the file says, and not {beside.name}{OF_ITS_NAME}",)


def _check_size(path: Path, document: dict[str, Any], image_path: Path, width: int, height: int) -> None:
    stored = (document.get("imageWidth"), document.get("imageHeight"))
    if all(value is None or _is_number(value, size) for value, size in zip(stored, (width, height), strict=True)):
        return
    turned = _is_number(stored[0], height) and _is_number(stored[1], width)
    way_out = (
        "width and height are swapped: turn the image back if it was turned after annotation, or exchange the numbers"
        if turned
        else "put back the image that was annotated, or annotate this one"
    )
    raise ImageMismatchError(
        f"{path}: made for an image of {stored[0]}x{stored[1]} px, but {image_path.name} is {width}x{height} px; "
        f"{way_out}"
    )


def _is_number(value: Any, wanted: int) -> bool:
    """Whether a stored size is this number; some exporters write it as text or with decimals."""
    try:
        return not isinstance(value, bool) and float(value) == wanted
    except (TypeError, ValueError, OverflowError):
        return False


@dataclass(frozen=True, slots=True)
class _Extras:
    """What stands under ``nanoseg``."""

    nm_per_px: float | None = None
    source_group: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    begun_by: BegunBy | None = None


def _read_extras(path: Path, extras: Any) -> _Extras:
    if extras is None:
        return _Extras()
    if not isinstance(extras, dict):
        raise AnnotationError(f"{path}: 'nanoseg' is {extras!r}; it must be an object, or be left out")
    scale, group, attributes = extras.get("nm_per_px"), extras.get("source_group"), extras.get("attributes") or {}
    if scale is not None and (isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 < scale < 1e9):
        raise AnnotationError(f"{path}: nanoseg.nm_per_px is {scale!r}; it must be nanometres per pixel, above 0")
    if group is not None and not (isinstance(group, str) and group):
        raise AnnotationError(f"{path}: nanoseg.source_group is {group!r}; it must be a text")
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise AnnotationError(f"{path}: nanoseg.attributes is {attributes!r}; it must be an object of texts")
    begun_by = read_begun_by(path, extras.get("begun_by"))
    return _Extras(None if scale is None else float(scale), group, attributes, begun_by)


@dataclass(frozen=True, slots=True)
class _Shapes:
    """What the shapes of a file are: instances, kinds without area, and faults."""

    instances: tuple[Instance, ...]
    without_area: Counter[str]
    faults: tuple[str, ...]


def _read_instances(shapes: list[Any], height: int, width: int, *, scored: bool = False) -> _Shapes:
    parts: dict[tuple[str, Any], list[Polygon | Rle]] = {}
    crowds: set[tuple[str, Any]] = set()
    scores: dict[tuple[str, Any], float] = {}
    on_marks: set[tuple[str, Any]] = set()
    origins: dict[tuple[str, Any], Origin] = {}
    without_area: Counter[str] = Counter()
    faults: list[str] = []
    polygons = plain_polygons(shapes)
    for number, shape in enumerate(shapes, start=1):
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"].strip():
            faults.append(f"shape {number} has no label; name its class in LabelMe")
            continue
        label, kind, group_id = own_label(shape["label"].strip()), shape.get("shape_type"), shape.get("group_id")
        if kind in WITHOUT_AREA:
            without_area[kind] += 1
            continue
        try:
            region = polygons[number - 1] or shape_region(shape, height, width, f"shape {number} ({label!r})")
        except AnnotationError as error:
            faults.append(str(error))
            continue
        # A shape without group is one of its own; its number cannot collide with a group's id in a pair.
        key = (label, ("shape", number) if group_id is None else ("group", str(group_id)))
        parts.setdefault(key, []).append(region)
        flags = shape["flags"] if isinstance(shape.get("flags"), dict) else {}
        if flags.get("crowd") is True:
            crowds.add(key)
        if flags.get("on_mark") is True:
            on_marks.add(key)
        for origin in BY_HAND:
            if flags.get(origin) is True:
                origins[key] = origin
        score = _score(shape) if scored else None
        if score is not None:
            scores[key] = max(score, scores.get(key, score))
    instances = [
        Instance(
            key[0],
            _merge(regions, height, width),
            scores.get(key),
            crowd=key in crowds,
            on_mark=key in on_marks,
            origin=origins.get(key),
        )
        for key, regions in parts.items()
    ]
    return _Shapes(tuple(instances), without_area, tuple(faults))


def _score(shape: Mapping[str, Any]) -> float | None:
    """The score in the description; None where that says anything else."""
    text = shape.get("description")
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return None
    try:
        score = json.loads(text).get("score")
    except (ValueError, RecursionError):
        return None
    return float(score) if is_number(score) else None


def _not_carried(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys of LabelMe and of other tools that say something, and that nothing here reads."""
    shapes = [shape for shape in document["shapes"] if isinstance(shape, dict)]
    found = [*further_keys([document], _KEYS), *(f"shapes.{key}" for key in further_keys(shapes, _SHAPE_KEYS))]
    flags = [shape["flags"] for shape in shapes if isinstance(shape.get("flags"), dict)]
    if further_keys(flags, _READ_FLAGS):
        found.append("shapes.flags")
    return tuple(sorted(found))


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


def _read_or_extract(path: Path, extract_to: Path | None, name: str) -> Micrograph:
    try:
        return read_labelme(path, name=name)
    except MissingImageError:
        if extract_to is None or embedded_image(path) is None:
            raise
    # Not looked for: in that folder, what ``imagePath`` names may be the image of another JSON.
    return read_labelme(path, extract_embedded_image(path, extract_to), name)


def _visible_files(folder: Path) -> tuple[list[str], list[str]]:
    """JSON files and images below a folder, as sorted texts relative to it; nothing hidden."""
    documents: list[str] = []
    images: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        prefix = "" if parent == str(folder) else os.path.relpath(parent, folder) + os.sep
        for name in files:
            lowered = name.lower()
            if name.startswith("."):
                continue
            if lowered.endswith(".json"):
                documents.append(prefix + name)
            elif lowered.endswith(IMAGE_SUFFIXES):
                images.append(prefix + name)
    return sorted(documents), sorted(images)


def _unannotated(folder: Path, documents: Sequence[str], images: Sequence[str]) -> tuple[Path, ...]:
    stems = {os.path.splitext(name)[0] for name in documents}  # noqa: PTH122, as above
    own = {name for name in images if os.path.splitext(name)[0] in stems}  # noqa: PTH122
    candidates = {folder / name: None for name in images if name not in own}
    if not candidates:
        return ()
    with_image = {os.path.splitext(name)[0] for name in own}  # noqa: PTH122
    named = set()
    for name in documents:
        if name[: -len(".json")] in with_image:
            continue
        path = folder / name
        try:
            named.add(os.path.realpath(_find_image(path, _read_document(path).get("imagePath"))[0]))
        except AnnotationError:
            continue  # reported when the file's turn comes
    return tuple(path for path in candidates if os.path.realpath(path) not in named)
