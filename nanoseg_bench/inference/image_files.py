"""The image files that are meant by paths of files and folders."""

import os
from collections.abc import Sequence
from pathlib import Path

from nanoseg_bench.annotations.json_values import is_storable
from nanoseg_bench.errors import UsageError
from nanoseg_bench.files import visible_files
from nanoseg_bench.images import IMAGE_SUFFIXES


def require_outside(out: Path, path: Path) -> None:
    """Refuse to write into a folder that is read.

    Raises:
        UsageError: ``out`` lies inside ``path``, and would be read the next time.
    """
    if path.is_dir() and Path(os.path.realpath(out)).is_relative_to(os.path.realpath(path)):
        raise UsageError(f"--out {out}: lies inside {path}, and would be read next time")


def find_images(given: Sequence[Path], out: Path) -> list[Path]:
    """The files that are named, and the images below the folders that are, each once, whatever path leads to it.

    A link keeps its own name: what it points to may be called by its hash.

    Args:
        given: Files and folders.
        out: Folder that will be written.

    Raises:
        UsageError: There is no image, or ``out`` would be read the next time, or a path is not in UTF-8.
    """
    sources: list[Path] = []
    for path in given:
        require_outside(out, path)
        sources += visible_files(path, IMAGE_SUFFIXES) if path.is_dir() else [path]
    if not sources:
        raise UsageError(
            f"{', '.join(map(str, given))}: no image there; give a folder that holds some, and save those of another "
            f"format as one that is read ({', '.join(IMAGE_SUFFIXES)})"
        )
    once: dict[str, Path] = {}
    for path in sources:
        once.setdefault(os.path.realpath(path), path.absolute())
    odd = next((path for path in once.values() if not is_storable(str(path))), None)
    if odd is not None:
        raise UsageError(f"{odd}: the path is not in UTF-8, in which results name their image; rename it")
    return list(once.values())
