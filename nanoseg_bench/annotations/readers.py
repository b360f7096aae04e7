"""Annotations of any format: look at a path, say what it is, open it."""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nanoseg_bench.annotations.checked_ref import CheckedRef
from nanoseg_bench.annotations.coco.format import CROWDS
from nanoseg_bench.annotations.errors import NoAnnotationsError, NotAnAnnotationError, UnclearFormatError
from nanoseg_bench.annotations.format import JSON, ReadOptions
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.json_values import read_json_object
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.registry import FORMATS, READ, get_format
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.annotations.via.format import CSV_NOT_READ, is_csv_export
from nanoseg_bench.argument_names import errors_name_arguments
from nanoseg_bench.errors import AnnotationError, ImageError, UsageError
from nanoseg_bench.files import broken_link, require_path, visible_files
from nanoseg_bench.images import IMAGE_SUFFIXES

# So many of a known format are enough; among others, all are looked at, since the first may be a microscope's metadata.
_JSONS_RECOGNISED = 5
_FILES_LOOKED_AT = 20_000
_LARGEST_PARSED = 64 * 2**20
_START = 2**20

_LOG = logging.getLogger(__name__)


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

    Each is looked at as ``CheckedRef`` says: ``Micrograph.tally`` tells what was left out and what is doubtful.

    Args:
        path: The folder, or the one file that holds the annotations.
        format: One of ``registry.READ``, or ``auto``.
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
        raise _missing(path)
    if format == "auto":
        format = _made_of_images(path, image_folder) or detect_format(path)
    chosen = get_format(format)
    if iscrowd not in (None, *CROWDS):
        raise UsageError(f"iscrowd {iscrowd!r}: give one of {', '.join(CROWDS)}")
    options = ReadOptions(image_folder, extract_to, classes, label_attribute, masks, iscrowd)
    options.require_used_by(chosen)
    source = chosen.open(path, options)
    checked = tuple(CheckedRef(entry, skip_faulty, drop_duplicates) for entry in source.entries)
    return replace(source, entries=checked)


@errors_name_arguments
def read_annotations(
    path: Path | str,
    format: str = "auto",
    *,
    image_folder: Path | str | None = None,
    classes: Sequence[str] | None = None,
    skip_faulty: bool = False,
) -> list[Micrograph]:
    """Read annotated micrographs: their particles, scale and source group; pixels stay where they are.

    Args:
        path: The folder, or the one file that holds the annotations.
        format: ``labelme``, ``via``, ``coco``, ``yolo`` or ``masks``; ``auto`` finds it out.
        image_folder: ``via``, ``coco`` and ``masks``: where the images are, if not beside.
        classes: ``yolo``: class names in the order of their numbers, in place of those in ``data.yaml``.
        skip_faulty: Leave out files and shapes that cannot be read, with a warning; otherwise the first is an error.

    Returns:
        Micrographs, sorted by name. ``images.read_image(micrograph.image_path)`` reads the pixels.

    Raises:
        AnnotationError: The path is missing, holds no annotations or several formats, or an annotation is malformed.
        ImageError: The image of an annotation cannot be read.
        UsageError: The format is not known, or has no use for ``image_folder``, or what is given is no path.
    """
    require_path(path, "path")
    if image_folder is not None:
        require_path(image_folder, "image_folder")
    images = None if image_folder is None else Path(image_folder)
    source = open_source(Path(path), format, image_folder=images, classes=classes, skip_faulty=skip_faulty)
    for problem in source.problems:
        if not skip_faulty:
            raise problem.error
        _LOG.warning("left out: %s", problem.error)
    found = []
    for ref in source.entries:
        try:
            found.append(ref.read())
        except NotAnAnnotationError as error:
            _LOG.info("passed over: %s", error)
        except (AnnotationError, ImageError) as error:
            if not skip_faulty:
                raise
            _LOG.warning("left out: %s", error)
    return found


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
        raise UnclearFormatError(f"{path}: annotations of several formats: {listed}; say which with --from FORMAT")
    if (table := next(filter(is_csv_export, _files_in(path)), None)) is not None:
        raise NoAnnotationsError(f"{table}: {CSV_NOT_READ}")
    raise NoAnnotationsError(
        f"{path}: no annotations of a known format ({', '.join(READ)}); there is: {_inventory(path)}. "
        "Give the folder that holds them, or say what they are with --from FORMAT"
    )


def _made_of_images(path: Path, image_folder: Path | None) -> str | None:
    """Whose annotations a folder of nothing but images holds, where their micrographs are in another one."""
    if image_folder is None or not path.is_dir():
        return None
    if not any(file.suffix.lower() in IMAGE_SUFFIXES for file in _files_in(path)) or _formats_in(path):
        return None
    return next((each.name for each in FORMATS if each.made_of_images), None)


def _missing(path: Path) -> NoAnnotationsError:
    reason = broken_link(path) or "no such file or folder; give the path of the annotations"
    return NoAnnotationsError(f"{path}: {reason}")


def _format_of_file(path: Path) -> str:
    if path.suffix.lower() == ".json":
        found = _sniff_json(path)
        if found is not None:
            return found
        titles = [each.title for each in FORMATS if each.single_file == JSON]
        known = f"{', '.join(titles[:-1])} or {titles[-1]}"
        raise NoAnnotationsError(f"{path}: JSON of no known format ({known}); say which with --from FORMAT")
    told = next((each.name for each in FORMATS if each.is_file(path)), None)
    if told is not None:
        return told
    if path.suffix.lower() == ".csv":
        raise NoAnnotationsError(f"{path}: tables are not read; from VIA, export the annotations as JSON")
    if not path.exists():
        raise _missing(path)
    kinds = " or ".join(dict.fromkeys(each.single_file for each in FORMATS if each.single_file))
    raise NoAnnotationsError(f"{path}: not a {kinds}; give the folder that holds the annotations")


def _formats_in(folder: Path) -> dict[str, str]:
    """Formats that a folder holds, each with what speaks for it."""
    files = _files_in(folder)
    jsons = (path for path in files if path.suffix.lower() == ".json")
    recognised = ((name, path) for path in jsons if (name := _sniff_json(path)) is not None)
    found: dict[str, str] = {}
    for name, path in itertools.islice(recognised, _JSONS_RECOGNISED):
        found.setdefault(name, path.relative_to(folder).as_posix())
    for each in FORMATS:
        evidence = each.find_evidence(folder, files)
        if evidence:
            found.setdefault(each.name, evidence)
    return found


def _sniff_json(path: Path) -> str | None:
    try:
        if path.stat().st_size > _LARGEST_PARSED:
            return _sniff_start(path)
    except OSError:
        return None  # a link that leads nowhere, or a file that may not be looked at
    try:
        document = read_json_object(path, "annotations")
    except AnnotationError:
        return None
    return next((each.name for each in FORMATS if each.is_json(document)), None)


def _sniff_start(path: Path) -> str | None:
    """The format whose words come first: further inside, a value may hold those of another."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_START)
    except OSError:
        return None
    matches = [(each.json_start.search(start), each.name) for each in FORMATS if each.json_start is not None]
    places = [(match.start(), name) for match, name in matches if match is not None]
    return min(places)[1] if places else None


def _files_in(folder: Path) -> list[Path]:
    """Visible files, sorted, those of a folder before those below it; the first of very many."""
    return list(itertools.islice(visible_files(folder), _FILES_LOOKED_AT))


def _inventory(folder: Path) -> str:
    counts: dict[str, int] = {}
    for path in _files_in(folder):
        suffix = path.suffix.lower() or "no suffix"
        if broken_link(path):
            suffix += " (links that lead nowhere)"
        counts[suffix] = counts.get(suffix, 0) + 1
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]
    return ", ".join(f"{count} {suffix}" for suffix, count in listed) or "nothing"
