"""File names that every file system takes, for the names of micrographs."""

import hashlib
import re
import unicodedata

_UNUSUAL = re.compile(r"[^\w.-]+")
# Windows keeps the names of its devices to itself, whatever follows the first dot.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_LONGEST_BYTES = 120


class UniqueNames:
    """File names without suffix, each given once.

    They hold letters of any script, digits, ``_``, ``.`` and ``-`` only, are legal on Windows, too, and differ in more
    than case, since case tells no files apart there and on macOS.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def hold(self, stem: str) -> None:
        """Do not give a name that was given before; ``take`` would shorten a long one again, and hold another one."""
        self._taken.add(stem.casefold())

    def take(self, name: str, ending: str = "") -> str:
        """A file name for ``name``: ``a/b`` becomes ``a__b``; where it is taken, it gets a number.

        Args:
            name: Of a micrograph.
            ending: Put behind it, and never cut off.
        """
        stem = unique = _legal(name) + ending
        number = 1
        while unique.casefold() in self._taken:
            number += 1
            unique = f"{stem}-{number}"
        self._taken.add(unique.casefold())
        return unique


def _legal(name: str) -> str:
    # Composed, since macOS and archives may hand out an accent as a sign of its own, which is no letter.
    composed = unicodedata.normalize("NFC", name).strip()
    stem = _UNUSUAL.sub("_", composed.replace("/", "__")).strip(".") or "image"
    if _RESERVED.fullmatch(stem):
        stem = f"_{stem}"
    if len(stem.encode("utf-8")) > _LONGEST_BYTES:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        start = stem.encode("utf-8")[: _LONGEST_BYTES - 9].decode("utf-8", errors="ignore")
        stem = f"{start}-{digest}"
    return stem
