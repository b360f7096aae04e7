"""Where a file that annotates many images may lie below the folder that a user gives."""

import os
from collections.abc import Iterator
from pathlib import Path


def json_levels(folder: Path) -> Iterator[list[Path]]:
    """Visible JSON files level by level, sorted; those in ``annotations`` before the others of the first level below.

    Links to folders are not followed, since they may lead back up.
    """
    yield _jsons(folder)
    level = _folders(folder)
    yield [path for each in level if each.name == "annotations" for path in _jsons(each)]
    while level:
        yield [path for each in level for path in _jsons(each)]
        level = [inner for each in level for inner in _folders(each)]


def _jsons(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.suffix.lower() == ".json" and path.is_file()]


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if not path.is_symlink() and path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    try:
        names = os.listdir(folder)  # noqa: PTH208, names are wanted
    except OSError:
        return []
    return [folder / name for name in sorted(names) if not name.startswith(".")]
