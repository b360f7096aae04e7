"""What a line of text on a micrograph says about lengths: ``200 nm``, ``0.5 µm``, ``5 1/nm``.

Readers of text confuse signs that look alike. Inside a number and a unit there are few ways to read each sign, so that
a line is repaired by what a scale can say, and trusted the less for it: ``lum`` is 1 µm, ``2OO n m`` is 200 nm. What
has two readings (``5 mm``, ``200 pm``) is trusted too little to be filled in unasked.
"""

import math
import re
import unicodedata
from dataclasses import dataclass

_MICRO = "\N{GREEK SMALL LETTER MU}"

# Brackets and rules that belong to the bar, and punctuation that noise is read as.
_ORNAMENT = " \t.,:;*'\"`´’‘“”_~=<>«»()[]{}|/\\+^-–—−°•·!&#→←↔⟷▶◀"
_POINTS = str.maketrans(
    {"。": ".", "·": ".", "•": ".", "．": ".", "、": ".", "‚": ",", "−": "-", "–": "-", "—": "-"}
    # Pieces of the bar are read as Chinese strokes, which are letters.
    | {"_": " ", "一": "-", "ー": "-", "丨": "|", "亅": "|"}
)
_LIKE_DIGITS = str.maketrans(
    {"O": "0", "o": "0", "Q": "0", "D": "0", "l": "1", "I": "1", "|": "1", "i": "1", "!": "1", "S": "5", "s": "5"}
    | {"Z": "2", "z": "2", "B": "8"}
)
_DIGITS = r"0-9OoQDlI|i!SsZzB"
_M = r"(?:m|rn|M)"
_UNIT = re.compile(
    rf"""
    (?P<over>(?:[1lI|]\s*)?/\s*)?                                  # 1/nm
    (?:
        (?P<nano>(?:n|N)\s?{_M}|nn|nanomet(?:er|re)s?)
      | (?P<micro>j?[u{_MICRO}yUv]\s?{_M}|j{_M}|micromet(?:er|re)s?|microns?)
      | (?P<pico>[pP]\s?{_M})
      | (?P<milli>m\s?{_M})
      | (?P<angstrom>Å|[Aa]ngstr(?:o|ö)ms?)
      | (?P<a>A)
    )
    (?P<inverse>\s*\^?\s*[-~]\s*1)?                           # nm-1
    (?P<digit>[0-9])?
    (?![^\W\d_])
    """,
    re.VERBOSE,
)
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:[ ,]\d{3})+(?:\.\d+)?")
_NM = {"nano": 1.0, "micro": 1e3, "pico": 1e-3, "milli": 1e6, "angstrom": 0.1, "a": 0.1}
_NAMES = {"nano": "nm", "micro": "µm", "pico": "pm", "milli": "mm", "angstrom": "Å", "a": "Å"}

_SMALLEST_NM, _LARGEST_NM = 0.05, 5e6
"""Lengths of scale bars, from the spacing of atoms to the lowest magnification of an electron microscope."""

_LARGEST_MM = 5.0
_SMALLEST_PM = 50.0
"""Millimetres beyond the one and picometres below the other are misread nanometres and micrometres."""

_REPAIRED = 0.85
_DOUBTFUL = 0.4
_HARDLY = 0.2
"""Trust in a number with signs that were replaced, in one of two readings, and in what has little to hold on to."""

_MANTISSAS = {1.0: 1.0, 2.0: 1.0, 5.0: 1.0, 2.5: 0.95, 3.0: 0.95, 4.0: 0.95, 6.0: 0.9, 8.0: 0.9, 1.5: 0.8, 7.5: 0.8}
_OTHER_MANTISSA = 0.6
"""Trust in a length by its leading digits: bars have round lengths."""


@dataclass(frozen=True, slots=True)
class ScaleText:
    """A length that a line of text names.

    Attributes:
        text: As it should read: ``200 nm``, ``0.5 µm``, ``5 1/nm``.
        nm: The length; for a diffraction pattern 1/nm.
        trust: From 0 to 1: how surely the line says so, if its signs were read right.
        reciprocal: Whether it is a length of reciprocal space, which is no scale of a micrograph.
        alone: Whether the line says nothing else.
        start: Where it begins, as part of the line.
        end: Where it ends, as part of the line.
        step_nm: One unit of its last digit.
        thousands: Whether a comma was taken to set thousands apart, which might be a decimal one: ``1,234``.
    """

    text: str
    nm: float
    trust: float
    reciprocal: bool = False
    alone: bool = True
    start: float = 0.0
    end: float = 1.0
    step_nm: float = 0.0
    thousands: bool = False


def read_lengths(line: str) -> list[ScaleText]:
    """All lengths that a line of text names, from the left.

    Args:
        line: As OCR read it.
    """
    plain = plain_text(line)
    if not plain.strip():
        return []
    found, begun = [], 0
    for unit in _UNIT.finditer(plain):
        length = _length(plain, begun, unit)
        if length is not None:
            found.append(length)
        begun = unit.end()
    return found


def is_unit(line: str) -> bool:
    """Whether a line says nothing but a unit of length: its number was overlooked."""
    return _UNIT.fullmatch(plain_text(line).strip(_ORNAMENT)) is not None


def begins_with_length(line: str) -> bool:
    """Whether nothing stands before the first length of a line."""
    lengths = read_lengths(line)
    return bool(lengths) and not plain_text(line)[: round(lengths[0].start * len(plain_text(line)))].strip(_ORNAMENT)


def plain_text(line: str) -> str:
    """A line with one sign for micro and for the decimal point, and without superscripts and full-width signs."""
    return unicodedata.normalize("NFKC", line.translate(_POINTS)).translate(_POINTS)


def parse_number(text: str) -> float | None:
    """A number that is written with a decimal point or comma, and perhaps with thousands set apart; None for others."""
    text = text.strip().replace("\N{NO-BREAK SPACE}", " ")
    if _GROUPED.fullmatch(text):
        return float(text.replace(",", "").replace(" ", ""))
    if re.fullmatch(r"\d*[.,]?\d+|\d+[.,]", text):
        return float(text.replace(",", "."))
    return None


def _length(plain: str, begun: int, unit: re.Match[str]) -> ScaleText | None:
    number = _number_before(plain, begun, unit.start())
    if number is None:
        return None
    kind = next(kind for kind in _NM if unit[kind])
    trust = number.trust * (_HARDLY if unit["digit"] else 1.0) * (_DOUBTFUL if kind == "a" else 1.0)
    kind, sure = _likely_unit(kind, number.value)
    reciprocal = bool(unit["over"] or unit["inverse"])
    nm = number.value / _NM[kind] if reciprocal else number.value * _NM[kind]
    if not reciprocal and not _SMALLEST_NM <= nm <= _LARGEST_NM:
        return None
    before, after = plain[: number.start].strip(_ORNAMENT), plain[unit.end() :].strip(_ORNAMENT)
    return ScaleText(
        f"{number.value:g} {'1/' if reciprocal else ''}{_NAMES[kind]}",
        nm,
        trust * sure * roundness(number.value),
        reciprocal,
        alone=len(before) <= 1 and len(after) <= 1,
        start=number.start / len(plain),
        end=unit.end() / len(plain),
        step_nm=10.0**-number.decimals * _NM[kind],
        thousands=number.thousands,
    )


def _likely_unit(kind: str, value: float) -> tuple[str, float]:
    """The unit that is meant, and the trust in it."""
    if kind == "milli":
        # Bars are round; what is not is a working distance.
        if value <= _LARGEST_MM:
            return "milli", _DOUBTFUL
        return ("nano", _REPAIRED) if roundness(value) > _OTHER_MANTISSA and value.is_integer() else ("milli", _HARDLY)
    if kind == "pico":
        return ("micro", _REPAIRED) if value < _SMALLEST_PM else ("micro", _DOUBTFUL)
    return kind, 1.0


@dataclass(frozen=True, slots=True)
class _Number:
    """A number before a unit: where it begins, what it is, how surely, its digits behind the point, ``thousands``."""

    start: int
    value: float
    trust: float
    decimals: int
    thousands: bool


def _number_before(plain: str, begun: int, end: int) -> _Number | None:
    tokens = [(begun + match.start(), match[0].rstrip("-")) for match in re.finditer(r"\S+", plain[begun:end])]
    tokens = [token for token in tokens if token[1]]
    if not tokens:
        return None
    start, text = _trailing_number(*tokens[-1])
    trust = 1.0
    if text and start == tokens[-1][0]:
        for earlier, previous in reversed(tokens[:-1]):
            joined, sure = _joined(previous, text)
            if joined is None:
                break
            start, text, trust = earlier, joined, trust * sure
    digits, sure = _as_digits(text)
    value = parse_number(digits)
    if value is None or value <= 0:
        return None
    grouped = _GROUPED.fullmatch(digits) is not None
    fraction = (digits if grouped else digits.replace(",", ".")).partition(".")[2]
    return _Number(start, value, trust * sure, len(fraction), grouped and not fraction)


def _trailing_number(start: int, token: str) -> tuple[int, str]:
    """The end of a word that can be a number, and where it begins: of ``bar=200`` and ``|200`` it is ``200``."""
    match = re.search(rf"(?:[|!](?=[1-9]))?([{_DIGITS}.,]*)$", token)
    return (start + match.start(1), match[1]) if match else (start, "")


def _joined(previous: str, text: str) -> tuple[str | None, float]:
    """A number that was read with a gap in it, and the trust in it: ``0. 5``, ``0 .5``, ``0 5``."""
    if not re.fullmatch(rf"[{_DIGITS}]*[.,]?", previous):
        return None, 0.0
    if previous[-1] in ".," or text[0] in ".,":
        return previous + text, 1.0
    if previous in ("0", "O", "o") and text.isdigit():
        return f"0.{text}", _REPAIRED
    return None, 0.0


def _as_digits(text: str) -> tuple[str, float]:
    """A number in digits, and the trust in it; empty where it is none."""
    trust = 1.0
    if not re.search(r"[0-9]", text):
        # Letters alone are a number when all of them look like digits; one of them only when it is a stroke.
        if not re.fullmatch(r"[lI|i!]", text) and len(text) < 2:
            return "", 0.0
        trust = _REPAIRED if text in ("l", "I", "|") else _DOUBTFUL
    elif not re.fullmatch(r"[0-9.,]+", text):
        trust = _REPAIRED
    digits = text.translate(_LIKE_DIGITS)
    if re.fullmatch(r"0\d+", digits):
        # No length begins with a zero but before a point, which was overlooked.
        return f"0.{digits[1:]}", trust * _REPAIRED
    return digits, trust


def roundness(value: float) -> float:
    """Trust in a length by its leading digits, from 0 to 1: bars have round lengths."""
    mantissa = value / 10.0 ** math.floor(math.log10(value) + 1e-9)
    near = min(_MANTISSAS, key=lambda known: abs(known - mantissa))
    return _MANTISSAS[near] if math.isclose(near, mantissa, rel_tol=1e-6) else _OTHER_MANTISSA
