"""Values of other tools' JSON files, checked: whatever stands there, the right type comes out or an AnnotationError."""

import math
from collections.abc import Mapping, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any, TypeGuard

from nanoseg_bench.annotations.errors import NoAnnotationsError
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import broken_link, parse_json

FARTHEST = 1_000_000.0
"""Coordinates and radii beyond this many pixels are a fault of the file: no image is that wide."""


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """Read a file that must be one JSON object.

    Args:
        path: The file.
        what: What it should be, for messages (``a COCO file``).

    Raises:
        AnnotationError: The file is missing, no JSON, or another kind of value.
    """
    try:
        return parse_json_object(path.read_bytes(), path, what)
    except FileNotFoundError as error:
        reason = broken_link(path) or f"there is no such file; give the path of {what}"
        raise NoAnnotationsError(f"{path}: {reason}") from error
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        why = getattr(error, "strerror", None) or error
        reason = broken_link(path) or f"cannot be read ({why}); give the path of {what}"
        raise AnnotationError(f"{path}: {reason}") from error


def parse_json_object(data: bytes, path: Path, what: str) -> dict[str, Any]:
    """Bytes of ``path`` that must be one JSON object; errors as of ``read_json_object``."""
    try:
        document = parse_json(data)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: not JSON ({error}); export it again as {what}") from error
    if not isinstance(document, dict):
        raise AnnotationError(f"{path}: {what} is a JSON object, this is a {type(document).__name__}")
    return document


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a finite number and no boolean."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


def is_coordinate(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a number that may be a position in an image, or a little outside of it."""
    return is_number(value) and -FARTHEST <= value <= FARTHEST


def first_wrong_point(points: Any) -> str:
    """``point 2 is [nan, 5]``: the first of a list that is no pair of coordinates; empty where there is none."""
    if not isinstance(points, list):
        return f"'points' is {_shown(points)}, and no list"
    for number, point in enumerate(points, start=1):
        if not isinstance(point, list) or len(point) != 2 or not all(map(is_coordinate, point)):
            return f"point {number} is {_shown(point)}"
    return ""


def first_wrong_number(name: str, numbers: Sequence[Any]) -> str:
    """``value 3 of x is nan``: the first that is no coordinate, and its place from 1; empty where there is none."""
    for number, value in enumerate(numbers, start=1):
        if not is_coordinate(value):
            return f"value {number} of {name} is {_shown(value)}"
    return ""


def whole_number(value: Any) -> int | None:
    """The value as int where it is a whole number, also as ``640.0``; else None."""
    return int(value) if is_number(value) and value == int(value) else None


def further_keys(entries: Sequence[Mapping[str, Any]], known: frozenset[str]) -> list[str]:
    """Keys besides the known ones under which an entry says something; empty values, 0 and unset flags say nothing."""
    keys: set[str] = set().union(*entries) - known
    # A file may hold thousands of entries, and mostly none of them says anything: they are asked without a loop here.
    return [key for key in keys if any(map(_says_something, filter(None, map(methodcaller("get", key), entries))))]


def read_label(value: Any, where: str) -> str:
    """A class name without blanks around it.

    Raises:
        AnnotationError: It is no text, empty, or holds half characters, which no file can be written with.
    """
    if not isinstance(value, str) or not value.strip() or not is_storable(value):
        raise AnnotationError(f"{where}: the label is {_shown(value)}; give the region a class name")
    return value.strip()


def is_storable(text: str) -> bool:
    """Whether a text can be written to a UTF-8 file and stand in a path; JSON's lone surrogates and NUL cannot."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _says_something(value: Any) -> bool:
    return any(map(_says_something, value.values())) if isinstance(value, dict) else bool(value)


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
