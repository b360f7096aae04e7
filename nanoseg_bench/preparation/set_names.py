"""How data sets and prepared sets are called, and where a set lies that is called by its name."""

import re
from pathlib import Path

NANOSYNTH = "nanosynth"
"""The data set that is rendered here; it is taken where no other is named."""

DATA = Path("data")
"""Folder of the sets of which nobody said where they are to lie."""

MARKER = "prepared.json"
"""The file that makes a folder a prepared set."""

FOLDERS = frozenset({"canvas", "images", "labels", "shards", "truth"})
"""All that a prepared set may hold, but for files."""

_NANOSYNTH_IMAGES = 721  # repeated here, so that a name takes no module that renders


def dataset_name(own: Path | None, dataset: str | None, name: str | None) -> str:
    """What the annotations of a set are called: a data set's name, or that of the user's folder.

    Args:
        own: The user's annotations; None for a data set with a card.
        dataset: The data set; None for the rendered one.
        name: Of the set, where the user gives one.
    """
    if own is not None:
        return name or slug(own.resolve().stem if own.is_file() else own.resolve().name)
    return dataset or NANOSYNTH


def set_name(
    dataset: str,
    name: str | None = None,
    *,
    easy: bool = False,
    images: int | None = None,
    folds: int | None = None,
    tile: int | None = None,
) -> str:
    """What a set is called; a subset, a set of tiles and one with folds say so in their names.

    Args:
        dataset: What its annotations are called.
        name: As the user calls the set; None for the data set's.
        easy: Easy scenes.
        images: Of a subset; None for all, as is their published number of the rendered data set.
        folds: For cross-validation.
        tile: Side of tiles in pixels.
    """
    found = name or dataset + ("-easy" if easy else "")
    if images is not None and not (dataset == NANOSYNTH and images == _NANOSYNTH_IMAGES):
        found = with_ending(found, f"-{images}")
    if tile is not None:
        found = with_ending(found, f"-tile{tile}")
    return found if folds is None else with_ending(found, f"-{folds}fold")


def with_ending(name: str, end: str) -> str:
    """A name that ends so, which is not said twice."""
    return name if name.endswith(end) else name + end


def is_set(folder: Path) -> bool:
    """Whether ``prepare`` wrote this folder."""
    return (folder / MARKER).is_file()


def set_folder(given: Path | str) -> Path | None:
    """The folder of a prepared set, by its path or by its name among the others; None where none is called so."""
    return next((folder for folder in (Path(given), DATA / given) if is_set(folder)), None)


def slug(text: str) -> str:
    """Letters, digits, dot, - and _ of a name, as files and folders of a set have it."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "set"
