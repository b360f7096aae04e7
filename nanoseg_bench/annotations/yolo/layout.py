"""Where the images, the labels and the class names of a YOLO data set lie: the layouts that Ultralytics reads.

A ``data.yaml`` with ``train``, ``val`` and ``test`` (folders, lists of folders, or text files that list images), or
none; ``images/`` beside ``labels/``, above or below the split's folder; or labels beside their images.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.errors import NoAnnotationsError
from nanoseg_bench.annotations.image_files import find_file, find_other_form, unusable_image
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import broken_link, read_yaml, visible_files
from nanoseg_bench.images import IMAGE_SUFFIXES
from nanoseg_bench.wording import counted, shortened

_SPLITS = ("train", "val", "test")
_CLASS_FILES = ("classes.txt", "labels/classes.txt", "obj.names", "_classes.txt")
# Text files that lie among labels and are none, besides the class files.
_OTHER_TEXTS = ("classes.txt", "_classes.txt", "train.txt", "val.txt", "test.txt", "requirements.txt", "license.txt")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image of the data set.

    Attributes:
        name: Its path below the folder without suffix and without ``images``: the split's folder stays.
        image: The image; None for a label whose image is missing.
        label: Its label file; None where there is none, and the image is background.
        problem: Why it cannot be used; empty when all is well.
    """

    name: str
    image: Path | None
    label: Path | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class YoloLayout:
    """What was found in a folder.

    Attributes:
        images: Sorted by name.
        classes: Class names by index.
        split: ``train``, ``val`` or ``test`` by image name, where ``data.yaml`` names more than one of them.
    """

    images: tuple[LabelledImage, ...]
    classes: tuple[str, ...]
    split: Mapping[str, str] | None = None


def find_layout(folder: Path, classes: Sequence[str] | None, data_yaml: Path | None = None) -> YoloLayout:
    """Find images, labels and class names below a folder.

    Args:
        folder: The folder.
        classes: Class names by index; None takes those of ``data.yaml`` or ``classes.txt``.
        data_yaml: The ``data.yaml``, whatever its name; None looks for it in the folder.

    Raises:
        AnnotationError: No images, no labels or no class names, or ``data.yaml`` is malformed.
    """
    if not folder.is_dir():
        raise NoAnnotationsError(f"{folder}: no such folder; give the folder with data.yaml, or with images and labels")
    document_path = data_yaml or _find_data_yaml(folder)
    document = _read_data_yaml(document_path)
    names = tuple(classes) if classes is not None else _class_names(folder, document_path, document)
    if names is None:
        raise AnnotationError(
            f"{document_path or folder}: names no classes; add 'names' to data.yaml or write classes.txt, one name a "
            "line, or give the classes in the order of their indices"
        )
    if classes is not None:
        _warn_of_other_order(folder, document_path, document, names)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AnnotationError(f"{document_path or folder}: two classes are called {twice!r}; give them different names")
    parts: dict[Path, str] = {}
    listed_again: set[Path] = set()
    for part, image in _images(folder, document_path, document):
        if parts.setdefault(image, part) != part:
            listed_again.add(image)
    images = sorted(parts)
    if listed_again and len(set(parts.values())) > 1:  # one folder for all parts is no split
        _LOG.warning(
            "%s: %s listed in more than one part, of which only the first counts (%s); list each image in one",
            document_path,
            counted(len(listed_again), "image is", "images are"),
            shortened([image.name for image in sorted(listed_again)]),
        )
    if not images:
        raise NoAnnotationsError(f"{folder}: no images; expected images/ and labels/, or images with .txt beside them")
    found = [_with_label(folder, image) for image in images]
    if not any(each.label for each in found):
        raise NoAnnotationsError(
            f"{folder}: {counted(len(images), 'image')} without any label file, {_label_places(images[0])[0]} for "
            "instance; "
            "put the labels into labels/ beside images/, or beside the images"
        )
    split = {_name(folder, image.with_suffix("")): part for image, part in parts.items()}
    found += _labels_without_image(folder, found)
    ordered = sorted(found, key=lambda each: (each.name, str(each.image)))
    return YoloLayout(tuple(_refuse_doubles(ordered)), names, split if len(set(split.values())) > 1 else None)


def find_class_names(folder: Path) -> tuple[str, ...] | None:
    """Class names by index, from ``data.yaml`` or ``classes.txt`` in a folder; None where it names none.

    Raises:
        AnnotationError: ``data.yaml`` is malformed.
    """
    path = _find_data_yaml(folder)
    return _class_names(folder, path, _read_data_yaml(path))


def is_label_file(path: Path) -> bool:
    """Whether a text file may be a label, by its name: class lists, lists of images and notes are none."""
    return (
        path.suffix.lower() == ".txt"
        and path.name.lower() not in _OTHER_TEXTS
        and not path.name.startswith((".", "README", "readme"))
    )


def _find_data_yaml(folder: Path) -> Path | None:
    candidates = [folder / name for name in ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")]
    found = next((path for path in candidates if path.is_file()), None)
    if found is not None:
        return found
    others = [path for path in folder.iterdir() if path.suffix.lower() in (".yaml", ".yml")]
    return others[0] if len(others) == 1 else None


def _read_data_yaml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        document = read_yaml(path)
    except ValueError as error:
        raise AnnotationError(f"{path}: not a YAML file in UTF-8 ({error}); mend it") from error
    if not isinstance(document, dict):
        raise AnnotationError(f"{path}: holds no keys; it needs at least 'names', the list of classes")
    return document


def _class_names(folder: Path, path: Path | None, document: dict[str, Any]) -> tuple[str, ...] | None:
    names = document.get("names")
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise AnnotationError(f"{path}: the indices of 'names' are not 0, 1, 2, ...; number the classes so")
        names = [names[index] for index in range(len(names))]
    if isinstance(names, list) and names:
        if any(isinstance(name, bool) for name in names):
            raise AnnotationError(f"{path}: 'names' holds on, off, yes, no, true or false; put these names into quotes")
        texts = tuple(str(name).strip() for name in names if isinstance(name, (str, int, float)))
        if len(texts) < len(names) or not all(texts):
            raise AnnotationError(f"{path}: 'names' holds something that is no name; list the classes by name")
        return texts
    if names:
        raise AnnotationError(f"{path}: 'names' is {names!r}; it must be a list of class names")
    for name in _CLASS_FILES:
        if (folder / name).is_file():
            return tuple(_read_classes(folder / name))
    return None


def _read_classes(path: Path) -> list[str]:
    lines = _read_lines(path)
    while lines and not lines[-1]:
        lines.pop()
    if not all(lines):
        raise AnnotationError(
            f"{path}: line {lines.index('') + 1} is empty, and the number of a class is that of its line; name the "
            "class, or take the line away where no label counts it"
        )
    return lines


def _warn_of_other_order(folder: Path, path: Path | None, document: dict[str, Any], given: Sequence[str]) -> None:
    """The given names go by number here: in an order of their own, all particles would change their class."""
    try:
        there = _class_names(folder, path, document) or ()
    except (AnnotationError, OSError):
        return  # the given ones are to stand for it
    if sorted(there) != sorted(given):
        return
    moved = next((number for number, pair in enumerate(zip(there, given, strict=True)) if len(set(pair)) > 1), None)
    if moved is not None:
        _LOG.warning(
            "%s: class %d is %r there and %r in the classes that are given, which go by number; give them in the order "
            "that they have there, unless that is wrong",
            path or folder,
            moved,
            there[moved],
            given[moved],
        )


def _read_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    return [line.strip() for line in lines]


def _images(folder: Path, path: Path | None, document: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    """The part that ``data.yaml`` names, empty where it names none, and an image of it."""
    named = [(key, entry) for key in _SPLITS for entry in _as_list(document.get(key))]
    if path is None or not named:
        below = visible_files(folder / "images" if (folder / "images").is_dir() else folder, IMAGE_SUFFIXES)
        yield from (("", image) for image in below)
        return
    roots = [path.parent]
    if isinstance(document.get("path"), str):
        # An absolute path of another machine is passed over: the folder was moved with its data.yaml.
        roots.insert(0, path.parent / document["path"])
    for key, entry in named:
        place = _resolve(roots, entry)
        if place is None:
            raise AnnotationError(f"{path}: {key} is {entry!r}, which is not there; mend the path, or remove the key")
        if (
            Path(os.path.realpath(place)) in Path(os.path.realpath(path.parent)).parents[1:]
        ):  # such as the root: all of the disk would be searched
            raise AnnotationError(f"{path}: {key} is {entry!r}, far above the data set; name the folder of its images")
        found = visible_files(place, IMAGE_SUFFIXES) if place.is_dir() else _listed_images(place)
        yield from ((key, image) for image in found)


def _as_list(value: Any) -> list[str]:
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str) and entry]


def _resolve(roots: Sequence[Path], entry: str) -> Path | None:
    entry = entry.replace("\\", "/")
    # Roboflow writes ../train/images for what lies in train/images; Ultralytics forgives it, too.
    for text in (entry, entry.removeprefix("../")):
        for root in roots:
            place = root / text
            if not os.path.exists(place):  # noqa: PTH110 - Path.exists raises on a name that is too long
                place = find_other_form(root, text) or place
            if os.path.exists(place):  # noqa: PTH110
                return Path(os.path.normpath(place))
    return None


def _listed_images(path: Path) -> Iterator[Path]:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        yield path
        return
    for line in filter(None, _read_lines(path)):
        named = line.replace("\\", "/")
        image = find_file(path.parent, named) or path.parent / named
        if image.suffix.lower() in IMAGE_SUFFIXES:
            yield Path(os.path.normpath(image))


def _with_label(folder: Path, image: Path) -> LabelledImage:
    places = _label_places(image)
    label = next((found for place in places if (found := find_file(place.parent, place.name)) is not None), None)
    problem = ""
    if not _is_file(image):
        problem = f"{image}: {broken_link(image) or 'no such image, though the data set lists it'}"
    elif label is None:
        # A label that leads nowhere must not make its image background.
        problem = next((f"{place}: {reason}" for place in places if (reason := broken_link(place))), "")
    return LabelledImage(_name(folder, image.with_suffix("")), image, label, problem)


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises on a name that is too long


def _label_places(image: Path) -> list[Path]:
    """Ultralytics' place, with the last ``images`` of the path made ``labels``, and the place beside the image.

    Then the same in capitals, as old programs write them: an image whose label is overlooked would be background.
    """
    beside = image.with_suffix(".txt")
    parts = list(beside.parts)
    turned = [number for number, part in enumerate(parts[:-1]) if part == "images"]
    places = [beside]
    if turned:
        parts[turned[-1]] = "labels"
        places.insert(0, Path(*parts))
    return [*places, *(place.with_suffix(".TXT") for place in places)]


def _name(folder: Path, path: Path) -> str:
    relative = path.relative_to(folder) if path.is_relative_to(folder) else Path(*path.parts[-2:])
    *folders, last = relative.parts
    for word in ("images", "labels"):
        if word in folders:
            del folders[len(folders) - 1 - folders[::-1].index(word)]
            break
    return "/".join((*folders, last))


def _labels_without_image(folder: Path, found: Iterable[LabelledImage]) -> list[LabelledImage]:
    """Labels in the folders of the labels that were found; an image may be missing, and nobody should miss it."""
    used = {each.label for each in found if each.label is not None}
    told = {
        place
        for each in found
        if each.label is None and each.problem and each.image is not None
        for place in _label_places(each.image)
    }
    lost = []
    for place in sorted({label.parent for label in used}):
        for path in sorted({*place.glob("*.txt"), *place.glob("*.TXT")}):
            if path in used or path in told or not is_label_file(path):
                continue
            reason = broken_link(path) or _image_of_label(folder, path)
            problem = f"{path}: {reason or 'a label whose image is missing; put the image back, or delete the label'}"
            lost.append(LabelledImage(_name(folder, path.with_suffix("")), None, path, problem))
    return lost


def _image_of_label(folder: Path, label: Path) -> str:
    """Why the image of a label is there and cannot be read; empty where there is none."""
    parts = list(label.parts)
    places = [label.parent]
    if "labels" in parts[:-1]:
        last = len(parts) - 2 - parts[:-1][::-1].index("labels")
        places.insert(0, Path(*parts[:last], "images", *parts[last + 1 : -1]))
    told = (unusable_image(place, label.stem) for place in places if place.is_relative_to(folder))
    reason = next(filter(None, told), "")
    return f"its image {reason}" if reason else ""


def _refuse_doubles(found: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Images of one name (``a.png`` and ``a.jpg``) share one label, which belongs to one of them at most."""
    by_name: dict[str, list[LabelledImage]] = defaultdict(list)
    for each in found:
        by_name[each.name].append(each)
    checked = []
    for name, group in by_name.items():
        if len(group) == 1:
            checked += group
            continue
        paths = [each.image or each.label for each in group]
        shown = ", ".join(str(path) for path in paths)
        checked += [
            LabelledImage(name, each.image, each.label, f"{path}: several are called {name!r} ({shown}); rename")
            for each, path in zip(group, paths, strict=True)
        ]
    return checked
