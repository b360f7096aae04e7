"""What was handed in: the format of a file or folder of predictions, and the files that belong to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.predictions import PredictionReader
from nanoseg_bench.annotations.registry import FORMATS
from nanoseg_bench.errors import PredictionsError, UsageError
from nanoseg_bench.evaluation.external import OURS
from nanoseg_bench.evaluation.predictions import SUFFIX
from nanoseg_bench.files import read_json, visible_files
from nanoseg_bench.wording import shortened


@dataclass(frozen=True, slots=True)
class HandedIn:
    """Predictions that were found.

    Attributes:
        format: ``OURS``, or one of ``registry.PREDICTED``.
        files: One file, or one for each image.
        root: The folder that the names of the images start below.
        reader: Reads them; None for ours.
    """

    format: str
    files: tuple[Path, ...]
    root: Path
    reader: PredictionReader | None


def find_predictions(path: Path, format: str, eval_set: str) -> HandedIn:
    """Look what lies at a path.

    Args:
        path: A file, or a folder.
        format: ``OURS``, one of ``registry.PREDICTED``, or ``auto``.
        eval_set: In a folder of a run, the predictions for this one are meant.

    Raises:
        UsageError: There is nothing at this path.
        PredictionsError: There are no predictions of the format, or of several formats.
    """
    if not path.exists():
        raise UsageError(f"--predictions {path}: no such file or folder")
    readers = {each.name: each.predictions() for each in FORMATS if each.reads_predictions}
    wanted = readers if format == "auto" else {name: each for name, each in readers.items() if name == format}
    found = _ours(path, eval_set) if format in ("auto", OURS) else {}
    if not found:
        found = _in_folder(path, wanted) if path.is_dir() else _as_file(path, wanted)
    if not found:
        what = "a known format" if format == "auto" else f"the format {format!r}"
        raise PredictionsError(f"{path}: no predictions of {what} there; {_known(readers)}")
    if len(found) > 1:
        listed = ", ".join(f"{name} ({files[0].name})" for name, files in found.items())
        raise PredictionsError(f"{path}: predictions of several formats: {listed}; say which with --from FORMAT")
    name, files = next(iter(found.items()))
    reader = readers.get(name)
    if len(files) > 1 and (reader is None or reader.one_file):
        shown = shortened([file.name for file in files])
        raise PredictionsError(f"{path}: {len(files)} files that hold predictions of all images ({shown}); give one")
    root = path.parent if path.is_file() else path if reader is None else reader.root(path)
    return HandedIn(name, tuple(files), root, reader)


def _known(readers: Mapping[str, PredictionReader]) -> str:
    words = ", ".join(reader.words for reader in readers.values())
    return f"predictions are read from {words} and this package's own predictions ({SUFFIX})"


def _ours(path: Path, eval_set: str) -> dict[str, list[Path]]:
    """This package's own predictions: the file itself, or that of the eval set in a folder, which may be a run's."""
    if not path.is_dir():
        return {OURS: [path]} if path.name.endswith(SUFFIX) else {}
    places = (path / f"{eval_set}{SUFFIX}", path / "predictions" / f"{eval_set}{SUFFIX}")
    return next(({OURS: [place]} for place in places if place.is_file()), {})


def _as_file(path: Path, readers: Mapping[str, PredictionReader]) -> dict[str, list[Path]]:
    if path.suffix.lower() == ".json":
        document = _read(path)
        return {name: [path] for name, reader in readers.items() if reader.rank_json(document) is not None}
    return {name: [path] for name, reader in readers.items() if reader.is_file(path)}


def _in_folder(folder: Path, readers: Mapping[str, PredictionReader]) -> dict[str, list[Path]]:
    files = sorted(path for path in visible_files(folder) if path.is_file())
    ranked: dict[str, dict[int, list[Path]]] = {}
    for file in files:
        if file.suffix.lower() == ".json":
            document = _read(file)
            for name, reader in readers.items():
                if (rank := reader.rank_json(document)) is not None:
                    ranked.setdefault(name, {}).setdefault(rank, []).append(file)
    found: dict[str, list[Path]] = {}
    # Images lie beside LabelMe files and beside what YOLO writes; they are predictions where there is nothing else.
    for each in sorted(FORMATS, key=lambda each: each.made_of_images):
        if each.name not in readers or (each.made_of_images and found):
            continue
        by_rank = ranked.get(each.name)
        selected = by_rank[min(by_rank)] if by_rank else readers[each.name].select(folder, files)
        if selected:
            found[each.name] = selected
    return found


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise PredictionsError(f"{path}: not JSON ({error}); the file may be cut off, copy it again") from error
