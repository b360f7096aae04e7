"""A seal: the hash that a JSON document carries of itself, by which a flipped bit or an edit by hand shows.

A parser finds what is cut off; a digit that became another one only a hash finds. Documents of earlier versions have no
seal and are read all the same.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

SEAL = "document_sha256"
"""The key; it stands last."""


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its seal.

    Args:
        document: A JSON value: its keys are texts.
    """
    return {**document, SEAL: _digest(document)}


def unsealed(document: Any) -> Any:
    """What was sealed, without the seal; a document that has none is as it is.

    Args:
        document: What was read from a file.

    Raises:
        ValueError: It is not what was sealed.
    """
    if not isinstance(document, dict) or SEAL not in document:
        return document
    content = {key: value for key, value in document.items() if key != SEAL}
    try:
        expected = _digest(content)
    except TypeError:  # a number beyond 64 bits, which nothing that was sealed holds
        expected = None
    if document[SEAL] != expected or expected is None:
        raise ValueError(f"it is not as it was written: its {SEAL} is of something else; it was edited or is damaged")
    return content


def _digest(document: Mapping[str, Any]) -> str:
    """Of the values, whatever their order and layout: a file that was indented anew keeps its seal."""
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
