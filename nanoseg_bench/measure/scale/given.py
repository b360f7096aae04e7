"""The scale as a user states it: ``0.42nm``, ``200nm`` for the bar, ``12,480,112,480`` for a line that was drawn."""

import math
import re

from nanoseg_bench.decimals import read_decimal
from nanoseg_bench.errors import ScaleError
from nanoseg_bench.images.scale import PLAUSIBLE_NM_PER_PX, nm_per_unit

_QUANTITY = re.compile(r"(?P<number>[\d.,]+(?:[eE][-+]?\d+)?)\s*(?P<unit>[^\d\s/.,]*)")
_PER_PIXEL = re.compile(r"\s*(?:/|per)\s*(?:px|pixels?)\s*$")


def parse_scale(text: str) -> float:
    """Nanometres per pixel from ``0.42nm``, ``0,42 nm/px``, ``1.2 µm``; a number alone is nanometres.

    Raises:
        ScaleError: It is no plausible scale.
    """
    nm = _nanometres(_PER_PIXEL.sub("", text), "a scale", "0.42nm (nanometres per pixel), 1.2um, 420pm")
    if not PLAUSIBLE_NM_PER_PX[0] <= nm <= PLAUSIBLE_NM_PER_PX[1]:
        raise ScaleError(
            f"{text!r} is a scale that no electron microscope takes images at; give what one pixel spans (1 µm per "
            "pixel is 1um; 2 pixels per nm are 0.5nm)"
        )
    return nm


def parse_length(text: str) -> float:
    """Nanometres from ``200nm``, ``0.5 µm``; the unit is needed.

    Raises:
        ScaleError: It is no length.
    """
    if _PER_PIXEL.search(text):
        raise ScaleError(f"{text!r} is what a pixel spans, and no length; write what stands at the bar: 200nm, 0.5um")
    if re.fullmatch(r"[\d\s.,]+", text):
        raise ScaleError(f"{text!r} is a length without a unit; write it as on the bar: 200nm, 0.5um")
    return _nanometres(text, "the length of a scale bar", "200nm, 0.5um, 10Å")


def parse_line(text: str) -> tuple[float, float, float, float]:
    """Both ends of a line in px from ``x0,y0,x1,y1``.

    Raises:
        ScaleError: There are not four numbers, or the ends are one point.
    """
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ScaleError(f"{text!r} is no line; give both ends in pixels, as x0,y0,x1,y1: 12,480,112,480") from error
    line = (x0, y0, x1, y1)
    line_length(line)
    return line


def line_length(line: tuple[float, float, float, float]) -> float:
    """Length of a line in px.

    Raises:
        ScaleError: It is shorter than 2 px, or no number.
    """
    x0, y0, x1, y1 = line
    length = math.hypot(x1 - x0, y1 - y0)
    if not (math.isfinite(length) and length >= 2):
        raise ScaleError(f"a line of {length:g} px tells no scale; draw it along the whole bar")
    return length


def _nanometres(text: str, what: str, examples: str) -> float:
    match = _QUANTITY.fullmatch(text.strip())
    factor = None if match is None else nm_per_unit(match["unit"] or "nm")
    if match is None or factor is None:
        reciprocal = re.search(r"1\s*/|/\s*nm|-1", text)
        hint = "; a diffraction pattern has no lengths" if reciprocal else ""
        raise ScaleError(f"{text!r} is not {what}; write it like {examples}{hint}")
    try:
        nm = read_decimal(match["number"]) * factor
    except ValueError as error:
        raise ScaleError(f"{text!r} is not {what}: {error}; write it like {examples}") from error
    if not (math.isfinite(nm) and nm > 0):
        raise ScaleError(f"{text!r} is not {what}: it must be above 0; write it like {examples}")
    return nm
