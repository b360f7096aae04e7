"""What was handed in: the format of a file or folder of predictions, and the files that belong to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.coco.document import is_coco
from nanoseg_bench.annotations.coco.results import is_coco_results
from nanoseg_bench.annotations.masks.pairs import find_mask_folders, is_mask_name
from nanoseg_bench.annotations.yolo.layout import is_label_file
from nanoseg_bench.errors import NanosegError, PredictionsError, UsageError
from nanoseg_bench.files import read_json
from nanoseg_bench.imageio import IMAGE_SUFFIXES

FORMATS = ("predictions", "coco", "masks", "yolo", "labelme")
"""What predictions can be read from."""

_OURS = ".json.gz"
_READ = (
    "predictions are read from COCO results or COCO files (.json), instance maps (.png, .tif), YOLO-seg labels (.txt), "
    f"LabelMe files (.json) and this package's own predictions ({_OURS})"
)


@dataclass(frozen=True, slots=True)
class HandedIn:
    """Predictions that were found.

    Attributes:
        format: One of ``FORMATS``.
        files: One file, or one for each image.
        root: The folder that the names of the images start below.
    """

    format: str
    files: tuple[Path, ...]
    root: Path


def find_predictions(path: Path, format: str, eval_set: str) -> HandedIn:
    """Look what lies at a path.

    Args:
        path: A file, or a folder.
        format: One of ``FORMATS``, or ``auto``.
        eval_set: In a folder of a run, the predictions for this one are meant.

    Raises:
        UsageError: There is nothing at this path.
        PredictionsError: There are no predictions of the format, or of several formats.
    """
    if not path.exists():
        raise UsageError(f"--predictions {path}: no such file or folder")
    found = _in_folder(path, eval_set) if path.is_dir() else _as_file(path)
    if format != "auto":
        found = {name: files for name, files in found.items() if name == format}
        if not found:
            raise PredictionsError(f"{path}: no predictions of the format {format!r} there; {_READ}")
    if not found:
        raise PredictionsError(f"{path}: no predictions of a known format there; {_READ}")
    if len(found) > 1:
        listed = ", ".join(f"{name} ({files[0].name})" for name, files in found.items())
        raise PredictionsError(f"{path}: predictions of several formats: {listed}; say which with --from FORMAT")
    name, files = next(iter(found.items()))
    if name in ("predictions", "coco") and len(files) > 1:
        shown = ", ".join(file.name for file in files[:5])
        raise PredictionsError(f"{path}: {len(files)} files that hold predictions of all images ({shown}); give one")
    return HandedIn(name, tuple(files), _root(path, name))


def _as_file(path: Path) -> dict[str, list[Path]]:
    if path.name.endswith(_OURS):
        return {"predictions": [path]}
    if path.suffix.lower() == ".json":
        kind = _kind_of_json(path)
        return {} if kind is None else {kind.removesuffix("-results"): [path]}
    if path.suffix.lower() == ".txt":
        return {"yolo": [path]}
    return {"masks": [path]} if path.suffix.lower() in IMAGE_SUFFIXES else {}


def _in_folder(folder: Path, eval_set: str) -> dict[str, list[Path]]:
    for ours in (folder / f"{eval_set}{_OURS}", folder / "predictions" / f"{eval_set}{_OURS}"):
        if ours.is_file():
            return {"predictions": [ours]}
    files = list(_files(folder))
    found: dict[str, list[Path]] = {}
    by_kind: dict[str, list[Path]] = {}
    for file in files:
        if file.suffix.lower() == ".json" and (kind := _kind_of_json(file)):
            by_kind.setdefault(kind, []).append(file)
    # Beside results lies the COCO file that their ids come from.
    if coco := by_kind.get("coco-results") or by_kind.get("coco"):
        found["coco"] = coco
    if "labelme" in by_kind:
        found["labelme"] = by_kind["labelme"]
    below = _root(folder, "yolo")
    labels = [file for file in files if is_label_file(file) and file.is_relative_to(below)]
    if labels:
        found["yolo"] = labels
    # Images lie beside LabelMe files and beside what YOLO writes; they are maps where there is nothing else.
    if not found and (maps := _maps(folder, files)):
        found["masks"] = maps
    return found


def _maps(folder: Path, files: list[Path]) -> list[Path]:
    _, mask_folder = find_mask_folders(folder)
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if mask_folder is not None:
        return [file for file in images if file.is_relative_to(mask_folder)]
    # NAME_mask.png beside NAME.png
    return [file for file in images if is_mask_name(file)] or images


def _root(path: Path, format: str) -> Path:
    """Names of images are paths below this folder."""
    if path.is_file():
        return path.parent
    if format == "masks":
        return find_mask_folders(path)[1] or path
    return path / "labels" if format == "yolo" and (path / "labels").is_dir() else path


def _kind_of_json(path: Path) -> str | None:
    try:
        document: Any = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise PredictionsError(f"{path}: not JSON ({error}); the file may be cut off, copy it again") from error
    if is_coco_results(document):
        return "coco-results"
    if is_coco(document):
        return "coco"
    return "labelme" if isinstance(document, dict) and isinstance(document.get("shapes"), list) else None


def _files(folder: Path) -> Iterator[Path]:
    """Visible files below a folder, sorted."""
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
                yield path
    except OSError as error:
        raise NanosegError(f"{folder}: cannot be read ({error}); give a folder of predictions") from error
