"""One door for all formats: look at a path, say what it is, open it."""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.checked_entry import CheckedEntry
from nanoseg_bench.annotations.json_values import read_json_object
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.errors import AnnotationError, UsageError
from nanoseg_bench.files import broken_link
from nanoseg_bench.imageio import IMAGE_SUFFIXES

FORMATS = ("labelme", "via", "coco", "yolo", "masks")
"""What annotations can be read from."""

CROWDS = ("ignore", "particle")
"""What COCO regions with ``iscrowd`` 1 can be."""

# So many of a known format are enough; among others, all are looked at, since the first may be a microscope's metadata.
_JSONS_RECOGNISED = 5
_TEXTS_LOOKED_AT = 1000
_FILES_LOOKED_AT = 20_000
_LARGEST_PARSED = 64 * 2**20
_START = 2**20
_LINE = 2**16
_YOLO_LINE = re.compile(r"\s*\d+(\s+[-+.\deE]+){6,}\s*$|\s*\d+(\s+[-+.\deE]+){4}\s*$")
# A JSON too large to be parsed only for this is told by the keys at its start.
_COCO_START = re.compile(rb'"(annotations|categories|images)"\s*:\s*\[')
_VIA_START = re.compile(rb'"_via_img_metadata"\s*:')
_LABELME_START = re.compile(rb'"(shapes|imageData)"\s*:')


def open_source(
    path: Path,
    format: str = "auto",
    *,
    image_folder: Path | None = None,
    extract_to: Path | None = None,
    classes: Sequence[str] | None = None,
    label_attribute: str | None = None,
    masks: MaskOptions | None = None,
    iscrowd: str | None = None,
    skip_faulty: bool = False,
    drop_duplicates: bool = False,
) -> Source:
    """List the annotated micrographs of a folder or file, whatever its format.

    Each is looked at as ``CheckedEntry`` says: ``Micrograph.tally`` tells what was left out and what is doubtful.

    Args:
        path: The folder, or the one file that holds the annotations.
        format: One of ``FORMATS``, or ``auto``.
        image_folder: Where the images are. VIA and COCO look there first; for masks, ``path`` is then the folder of
            the masks.
        extract_to: LabelMe: where to write images that are only stored inside their JSON.
        classes: YOLO: class names in the order of their numbers, in place of those in ``data.yaml``.
        label_attribute: VIA: the region attribute that holds the class.
        masks: How masks are read.
        iscrowd: COCO: what regions with ``iscrowd`` 1 are, ``ignore`` or ``particle``.
        skip_faulty: Leave out shapes that cannot be read, rather than their image.
        drop_duplicates: Of two outlines of one particle with one label, leave out the second.

    Raises:
        UsageError: The format is not known, or has no use for ``image_folder``, ``label_attribute``, ``masks`` or
            ``iscrowd``.
        AnnotationError: The path is missing, holds no annotations, or several formats.
    """
    if not path.exists():
        reason = broken_link(path) or "no such file or folder; give the path of the annotations"
        raise AnnotationError(f"{path}: {reason}")
    if format == "auto":
        format = "masks" if _is_mask_folder_of(path, image_folder) else detect_format(path)
    _check_options(format, image_folder, label_attribute, masks, iscrowd)
    source = _open(
        path,
        format,
        image_folder=image_folder,
        extract_to=extract_to,
        classes=classes,
        label_attribute=label_attribute,
        masks=masks,
        iscrowd=iscrowd,
    )
    checked = tuple(CheckedEntry(entry, skip_faulty, drop_duplicates) for entry in source.entries)
    return replace(source, entries=checked)


def _open(
    path: Path,
    format: str,
    *,
    image_folder: Path | None,
    extract_to: Path | None,
    classes: Sequence[str] | None,
    label_attribute: str | None,
    masks: MaskOptions | None,
    iscrowd: str | None,
) -> Source:
    if format == "labelme":
        from nanoseg_bench.annotations.labelme.reading import LabelmeEntry, open_labelme

        if path.is_file():
            return Source("labelme", (LabelmeEntry(path.stem, path, extract_to),))
        return open_labelme(path, extract_to)
    if format == "via":
        from nanoseg_bench.annotations.via.reading import open_via

        return open_via(path, image_folder, label_attribute)
    if format == "coco":
        from nanoseg_bench.annotations.coco.reading import open_coco

        return open_coco(path, image_folder, iscrowd)
    if format == "yolo":
        from nanoseg_bench.annotations.yolo.reading import open_yolo

        return open_yolo(path.parent if path.is_file() else path, classes)
    from nanoseg_bench.annotations.masks.reading import open_masks

    folders = (path, None) if image_folder is None else (image_folder, path)
    return open_masks(folders[0], folders[1], masks)


def detect_format(path: Path) -> str:
    """The format of the annotations in a file or folder, by a look at a few files.

    Raises:
        AnnotationError: There are no annotations, or of several formats; the message says what was found.
    """
    if not path.is_dir():
        return _format_of_file(path)
    found = _formats_in(path)
    if len(found) == 1:
        return next(iter(found))
    if found:
        listed = ", ".join(f"{name} ({evidence})" for name, evidence in found.items())
        raise AnnotationError(f"{path}: annotations of several formats: {listed}; say which with --from FORMAT")
    raise AnnotationError(
        f"{path}: no annotations of a known format ({', '.join(FORMATS)}); there is: {_inventory(path)}. "
        "Give the folder that holds them, or say what they are with --from FORMAT"
    )


def _check_options(
    format: str,
    image_folder: Path | None,
    label_attribute: str | None,
    masks: MaskOptions | None,
    iscrowd: str | None,
) -> None:
    if format not in FORMATS:
        raise UsageError(f"format {format!r} is not one of {', '.join(FORMATS)}")
    if image_folder is not None and format not in ("via", "coco", "masks"):
        raise UsageError(f"{format} annotations say where their images are: leave the image folder out")
    if iscrowd not in (None, *CROWDS):
        raise UsageError(f"iscrowd {iscrowd!r}: give one of {', '.join(CROWDS)}")
    if iscrowd is not None and format != "coco":
        raise UsageError(f"iscrowd is COCO's, and these are {format} annotations: leave it out")
    if label_attribute is not None and format != "via":
        raise UsageError(f"a label attribute is VIA's, and these are {format} annotations: leave it out")
    if masks is not None and format != "masks" and (given := masks.given):
        raise UsageError(f"{', '.join(given)}: for masks, and these are {format} annotations: leave it out")


def _is_mask_folder_of(path: Path, image_folder: Path | None) -> bool:
    """Whether two folders were given and the first holds images only: the masks of the second."""
    if image_folder is None or not path.is_dir():
        return False
    files = itertools.islice(_walk(path), _FILES_LOOKED_AT)
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in files) and not _formats_in(path)


def _format_of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".json":
        found = _sniff_json(path)
        if found is not None:
            return found
        raise AnnotationError(f"{path}: JSON of no known format (LabelMe, VIA or COCO); say which with --from FORMAT")
    if suffix in (".yaml", ".yml"):
        return "yolo"
    if suffix == ".csv":
        raise AnnotationError(f"{path}: tables are not read; from VIA, export the annotations as JSON")
    if not path.exists():
        reason = broken_link(path) or "no such file or folder; give the path of the annotations"
        raise AnnotationError(f"{path}: {reason}")
    raise AnnotationError(f"{path}: not a JSON or data.yaml; give the folder that holds the annotations")


def _formats_in(folder: Path) -> dict[str, str]:
    """Formats that a folder holds, each with what speaks for it."""
    found: dict[str, str] = {}
    jsons, texts = _first_files(folder)
    recognised = ((name, path) for path in jsons if (name := _sniff_json(path)) is not None)
    for name, path in itertools.islice(recognised, _JSONS_RECOGNISED):
        found.setdefault(name, path.relative_to(folder).as_posix())
    evidence = _yolo_evidence(folder, texts)
    if evidence:
        found["yolo"] = evidence
    evidence = _masks_evidence(folder)
    if evidence:
        found["masks"] = evidence
    return found


def _first_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """JSONs and the first texts, those at the top before those below."""
    jsons: list[Path] = []
    texts: list[Path] = []
    for path in itertools.islice(_walk(folder), _FILES_LOOKED_AT):
        suffix = path.suffix.lower()
        if suffix == ".json":
            jsons.append(path)
        elif suffix == ".txt" and len(texts) < _TEXTS_LOOKED_AT:
            texts.append(path)
    return jsons, texts


def _yolo_evidence(folder: Path, texts: Sequence[Path]) -> str:
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        start = _start_of(path).decode("utf-8", errors="replace")
        if re.search(r"^names\s*:", start, re.MULTILINE):
            return path.name
    for path in texts:
        lines = _start_of(path, _LINE).decode("utf-8", errors="replace").splitlines()
        if lines and _YOLO_LINE.match(lines[0]):
            return path.relative_to(folder).as_posix()
    return ""


def _masks_evidence(folder: Path) -> str:
    from nanoseg_bench.annotations.masks.pairs import find_mask_folders, is_mask_name

    try:
        images, masks = find_mask_folders(folder)
    except AnnotationError:
        return "several folders of masks"
    if masks is not None:
        return f"{masks.name}/ beside {images.name}/"
    named = (path for path in itertools.islice(_walk(folder), _FILES_LOOKED_AT) if is_mask_name(path))
    return next((path.relative_to(folder).as_posix() for path in named), "")


def _sniff_json(path: Path) -> str | None:
    from nanoseg_bench.annotations.coco.document import is_coco
    from nanoseg_bench.annotations.via.reading import is_via

    try:
        if path.stat().st_size > _LARGEST_PARSED:
            return _sniff_start(_start_of(path))
    except OSError:
        return None  # a link that leads nowhere, or a file that may not be looked at
    try:
        document: dict[str, Any] = read_json_object(path, "annotations")
    except AnnotationError:
        return None
    if isinstance(document.get("shapes"), list):
        return "labelme"
    if is_coco(document):
        return "coco"
    return "via" if is_via(document) else None


def _sniff_start(start: bytes) -> str | None:
    for name, pattern in (("via", _VIA_START), ("labelme", _LABELME_START), ("coco", _COCO_START)):
        if pattern.search(start):
            return name
    return None


def _start_of(path: Path, length: int = _START) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(length)
    except OSError:
        return b""


def _walk(folder: Path) -> Iterator[Path]:
    """Visible files, sorted, those of a folder before those below it."""
    for top, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(top, name)


def _inventory(folder: Path) -> str:
    counts: dict[str, int] = {}
    for path in itertools.islice(_walk(folder), _FILES_LOOKED_AT):
        suffix = path.suffix.lower() or "no suffix"
        if broken_link(path):
            suffix += " (links that lead nowhere)"
        counts[suffix] = counts.get(suffix, 0) + 1
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]
    return ", ".join(f"{count} {suffix}" for suffix, count in listed) or "nothing"
