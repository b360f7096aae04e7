"""Lines ``Name=value`` and other text, as programs of microscopes write them."""

import math
import re
from collections.abc import Mapping

_LINE = re.compile(r"^(\w+)[ \t]*=[ \t]*(\S.*)$", re.MULTILINE)
_NUMBER = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")
_COMMA = re.compile(r",\d")


def named_values(text: str) -> Mapping[str, str]:
    """Values by their names; what lies between such lines is passed over."""
    return dict(_LINE.findall(text))


def plain_text(data: bytes, encoding: str = "ascii") -> str:
    """The text of a file or a tag, with plain ends of lines; what is no text, or in no known encoding, is replaced."""
    return data.decode(encoding, errors="replace").replace("\r\n", "\n")


def leading_number(text: str | None) -> float | None:
    """The one that a text begins with: of ``15000 Volt`` 15000, of ``1280x960`` 1280; None of ``3,97``."""
    match = _NUMBER.match(text or "")
    # Decimals or thousands, which nobody can tell: a scale of none is better than a wrong one.
    if match is None or _COMMA.match(match.string, match.end()):
        return None
    try:
        number = float(match[0])
    except ValueError:
        return None
    return number if math.isfinite(number) else None
