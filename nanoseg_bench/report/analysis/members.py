"""The micrographs that an analysis is asked for, their names and samples."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.file_names import UniqueNames
from nanoseg_bench.inference.image_files import find_images
from nanoseg_bench.measure.sampling_by import assign_samples
from nanoseg_bench.report.formats import ANNOTATIONS


@dataclass(frozen=True, slots=True)
class Member:
    """A micrograph that was asked for.

    Attributes:
        name: Its path below the folder that was given, without suffix, as tables of the user name it.
        image_path: The file.
        stem: In all tables, and of the files that are written of it.
        sample: That it belongs to.
    """

    name: str
    image_path: Path
    stem: str
    sample: str


def find_members(images: Sequence[Path], out: Path, sample_by: str | None = None) -> list[Member]:
    """Find the files; none of them is opened.

    Args:
        images: Files and folders.
        out: Folder that will be written.
        sample_by: Rule of ``measure.sampling_by``; None puts all micrographs together.

    Raises:
        UsageError: There is no image, ``out`` would be read the next time, or the rule is unknown.
        PreparationError: The rule does not fit all images.
    """
    return members_of(find_images(images, out), images, sample_by)


def members_of(sources: Sequence[Path], given: Sequence[Path], sample_by: str | None) -> list[Member]:
    """The same of files that were found; ``given`` is what led to them.

    Raises:
        UsageError: The rule is unknown.
        PreparationError: It does not fit all images.
    """
    names = UniqueNames()
    root = _root(given, sources)
    folder = root.resolve()
    # An analysis keeps outlines in folders that are called by their format alone.
    whole = folder.parent.name if folder.name in ANNOTATIONS else folder.name
    found = assign_samples(sources, root, sample_by, whole)
    if len(sources) == 1 and sample_by is None:
        found = {sources[0]: sources[0].stem}  # a folder's name says nothing of a single micrograph
    return [
        Member(path.relative_to(root).with_suffix("").as_posix(), path, names.take(path.stem), found[path])
        for path in sources
    ]


def _root(given: Sequence[Path], sources: Sequence[Path]) -> Path:
    """The folder that was given, or the one that holds all that was."""
    if len(given) == 1 and given[0].is_dir() and all(path.is_relative_to(given[0].absolute()) for path in sources):
        return given[0].absolute()
    return Path(os.path.commonpath([path.parent for path in sources]))
