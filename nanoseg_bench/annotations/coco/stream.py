"""A file of ``CocoWriter`` element by element: that of a large data set does not fit into memory at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

_LISTS = {b'{"annotations":[': "annotations", b'"images":[': "images"}
_LAST = b'"categories":['


def read_elements(path: Path) -> Iterator[tuple[str, Any]]:
    """``annotations``, ``images`` or ``categories``, and one element of that list, in the order of the file.

    ``CocoWriter`` gives each annotation and each image a line of its own, and the categories one line together.

    Raises:
        OSError: The file cannot be read.
        ValueError: It was not written by ``CocoWriter``, or is cut off.
    """
    key = ""
    with path.open("rb") as stream:
        for line in map(bytes.strip, stream):
            if line in _LISTS:
                key = _LISTS[line]
            elif line.startswith(_LAST):
                yield from (("categories", each) for each in orjson.loads(b"{" + line)["categories"])
                return
            elif line != b"],":
                if not key:
                    raise ValueError(f"{line[:40]!r} where a list of annotations is due")
                yield key, orjson.loads(line.removesuffix(b","))
    raise ValueError("it ends too early")
