"""What differs between two states of the same thing, by name: people cannot read two hashes."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MISSING: Final = object()
"""Stands for a value that is not there, where None is a value."""

_SHOWN = 60  # characters of a value
_DIGITS = 12  # of a hash
_HASH = 64


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs.

    Attributes:
        name: Dotted where it is nested: ``augmentation.mosaic``.
        old: Before; ``MISSING`` where there was none.
        new: Now; ``MISSING`` where there is none.
    """

    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """``canvas 640 -> 256``."""
        return f"{self.name} {_shown(self.old)} -> {_shown(self.new)}"


def dict_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """The keys whose values differ, in the order of ``new``."""
    keys = dict.fromkeys((*new, *old))
    pairs = ((key, old.get(key, MISSING), new.get(key, MISSING)) for key in keys)
    return [Change(key, before, now) for key, before, now in pairs if before != now]


def list_changes(changes: Iterable[Change]) -> str:
    """``canvas 640 -> 256, seed 0 -> 1``."""
    return ", ".join(str(change) for change in changes)


def _shown(value: Any) -> str:
    if value is MISSING:
        return "(not set)"
    if value is None:
        return "none"
    if isinstance(value, str):
        is_hash = len(value) == _HASH and set(value) <= set("0123456789abcdef")
        return value[:_DIGITS] if is_hash else value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
