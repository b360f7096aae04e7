"""The COCO files of a folder: one, or one for each part of a data set, as Roboflow and COCO itself hand them out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanoseg_bench.annotations.coco.document import WHAT, is_coco
from nanoseg_bench.annotations.errors import NoAnnotationsError, UnclearFormatError
from nanoseg_bench.annotations.json_search import json_levels
from nanoseg_bench.annotations.json_values import read_json_object
from nanoseg_bench.errors import AnnotationError

_FILES_SHOWN = 5
_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True, slots=True)
class CocoPart:
    """One COCO file.

    Attributes:
        path: The file.
        split: ``train``, ``val`` or ``test``; empty where it is the only file.
        prefix: What the names of its images begin with, ``/`` included; two parts may number their images alike.
    """

    path: Path
    split: str = ""
    prefix: str = ""


def find_parts(folder: Path) -> tuple[CocoPart, ...]:
    """The COCO files nearest below a folder: those at its top, else in ``annotations``, else one level down, and so on.

    Raises:
        AnnotationError: There is none, or there are several whose names do not say which is train, val and test.
    """
    for paths in json_levels(folder):
        found = [path for path in paths if _holds_coco(path)]
        if len(found) == 1:
            return (CocoPart(found[0]),)
        if found:
            return _joined(folder, found)
    raise NoAnnotationsError(f"{folder}: no COCO file in it; give the path of the JSON")


def _joined(folder: Path, found: Sequence[Path]) -> tuple[CocoPart, ...]:
    splits = [_split_of(path.relative_to(folder)) for path in found]
    if None in splits or len(set(splits)) < len(splits):
        shown = ", ".join(path.relative_to(folder).as_posix() for path in found[:_FILES_SHOWN])
        raise UnclearFormatError(
            f"{folder}: {len(found)} COCO files ({shown}); give the path of the one that is meant. They are joined "
            "where their names, or those of their folders, say which is train, val and test"
        )
    # Each in a folder of its own: the images then have the names that the YOLO export of the same data gives them.
    apart = len({path.parent for path in found}) == len(found)
    return tuple(
        CocoPart(path, str(split), f"{path.parent.relative_to(folder).as_posix() if apart else split}/")
        for path, split in zip(found, splits, strict=True)
    )


def _split_of(path: Path) -> str | None:
    """The one part that the words of a path name; None where it is none or several."""
    words = re.findall("[a-z]+", path.as_posix().lower())
    named = {_WORDS[word] for word in words if word in _WORDS}
    return named.pop() if len(named) == 1 else None


def _holds_coco(path: Path) -> bool:
    try:
        return is_coco(read_json_object(path, WHAT))
    except AnnotationError:
        return False
