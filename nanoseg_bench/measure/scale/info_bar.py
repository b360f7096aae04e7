"""What the information bar of an instrument says in words: width of the field, pixel size, magnification."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nanoseg_bench.measure.scale.line import Line
from nanoseg_bench.measure.scale.text import ScaleText, parse_number, plain_text, read_lengths, roundness

_FIELD = r"(?:HFW|HFOV|FOV|view\s*field|field\s*of\s*view|width)"
_PIXEL = r"(?:image\s*)?pixel\s*size"
_STATED = r"\s*[:=]?\s*"
_FIELD_STATED = re.compile(rf"\b{_FIELD}{_STATED}(?=[\d.])", re.IGNORECASE)
_FIELD_HEAD = re.compile(rf"\b{_FIELD}\b", re.IGNORECASE)
_PIXEL_STATED = re.compile(rf"\b{_PIXEL}{_STATED}(?=[\d.])", re.IGNORECASE)
_MAGNIFICATION = (
    re.compile(r"\bmag(?:nification)?\b\W{0,4}([\d][\d., ]*)\s*(k?)\s*x", re.IGNORECASE),
    re.compile(r"(?:^|\s)[x×]\s?(\d[\d.,]*)\s*(k?)\b", re.IGNORECASE),
    re.compile(r"(?:^|\s)(\d[\d., ]*)\s*(k?)\s?[x×](?:\s|$)", re.IGNORECASE),
)

_TWO_NUMBERS = 0.4
"""Trust in a number whose comma may be a decimal one: a pixel of ``2,481 nm`` is a thousandth of what it would be
otherwise. Bars are round, so that theirs is none."""


@dataclass(frozen=True, slots=True)
class InfoText:
    """What the text of an information bar says about the scale.

    Attributes:
        field_nm: Width of the field.
        pixel_nm: Extent of a pixel.
        magnification: Times; of which screen or print nobody knows.
        text: The line that the scale is from.
        score: How surely it was read.
        relative_uncertainty: Standard uncertainty that the digits of the number leave, as a part of it.
    """

    field_nm: float | None = None
    pixel_nm: float | None = None
    magnification: float | None = None
    text: str = ""
    score: float = 0.0
    relative_uncertainty: float | None = None


def read_info(lines: Sequence[Line]) -> InfoText:
    """Width of the field (HFW, FOV, view field), pixel size and magnification from the lines of an information bar.

    FEI writes a row of names over a row of values; the value of a name is the length below it.
    """
    magnification = next((value for line in lines for value in _magnifications(plain_text(line.text))), None)
    for line in lines:
        pixel = _stated(_PIXEL_STATED, line.text)
        if pixel is not None:
            return InfoText(None, pixel.nm, magnification, line.text, line.score * _unrounded(pixel), _rounding(pixel))
    for line in lines:
        field = _stated(_FIELD_STATED, line.text)
        if field is not None:
            return InfoText(field.nm, None, magnification, line.text, line.score * _unrounded(field), _rounding(field))
    for head in lines:
        if _FIELD_HEAD.search(head.text):
            for line, field in _below(head, lines):
                score = min(line.score, head.score) * _unrounded(field)
                return InfoText(field.nm, None, magnification, f"HFW {field.text}", score, _rounding(field))
    return InfoText(None, None, magnification)


def _unrounded(field: ScaleText) -> float:
    """Trust in a width, which unlike a bar has any digits."""
    value = float(field.text.split()[0])
    return field.trust / roundness(value) * (_TWO_NUMBERS if field.thousands else 1.0)


def _stated(name: re.Pattern[str], line: str) -> ScaleText | None:
    plain = plain_text(line)
    match = name.search(plain)
    lengths = read_lengths(plain[match.end() :]) if match else []
    # The number follows the name at once, so that no other quantity is taken for it.
    return lengths[0] if lengths and lengths[0].start == 0 else None


def _below(head: Line, lines: Sequence[Line]) -> Iterator[tuple[Line, ScaleText]]:
    """Lengths under a name, or beside it on its right, other than working distances, which are millimetres."""
    match = _FIELD_HEAD.search(head.text)
    middle = head.left + head.width * ((match.start() + match.end()) / 2 if match else 0) / max(len(head.text), 1)
    near: list[tuple[float, Line, ScaleText]] = []
    for line in lines:
        if line is head:
            continue
        under = head.bottom - head.height / 2 <= line.top <= head.bottom + 1.5 * head.height
        for length in read_lengths(line.text):
            if length.text.endswith("mm") or length.reciprocal:
                continue
            centre = line.left + line.width * (length.start + length.end) / 2
            if under and abs(centre - middle) <= max(4 * head.height, head.width):
                near.append((abs(centre - middle), line, length))
    for _, line, length in sorted(near, key=lambda each: each[0]):
        yield line, length


def _magnifications(plain: str) -> Iterator[float]:
    for pattern in _MAGNIFICATION:
        for match in pattern.finditer(plain):
            value = parse_number(match[1].strip().rstrip(".,"))
            if value is not None and value > 0:
                value *= 1e3 if match[2] else 1.0
                if 10 <= value <= 1e7:
                    yield value


def _rounding(length: ScaleText) -> float:
    """Standard deviation of what was rounded to the last digit, evenly distributed, as a part of the length."""
    return length.step_nm / 12**0.5 / length.nm
