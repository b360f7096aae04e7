"""A length in px or in nm, as the user has it: the minimum diameter."""

import math
import re
from dataclasses import dataclass

from nanoseg_bench.decimals import read_decimal
from nanoseg_bench.errors import MeasurementError, UsageError
from nanoseg_bench.images.scale import nm_per_unit

_TEXT = re.compile(r"\s*(\d+(?:[.,]\d*)?|[.,]\d+)\s*([^\s\d.,].*?)\s*")
_PIXELS = ("px", "pixel", "pixels")


@dataclass(frozen=True, slots=True)
class Length:
    """A length in one of two units.

    Attributes:
        value: From 0 upwards.
        unit: ``px`` or ``nm``.
    """

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}"

    def in_px(self, nm_per_px: float | None, image: str = "") -> float:
        """The same in pixels of a micrograph.

        Args:
            nm_per_px: Scale of the micrograph; None where it is unknown.
            image: For the message.

        Raises:
            MeasurementError: It is in nm, and there is no scale.
        """
        if self.unit == "px":
            return self.value
        if nm_per_px is None:
            raise MeasurementError(
                f"{image + ': ' if image else ''}{self} in pixels needs the scale, which is unknown; give the scale, "
                "or the length in px"
            )
        return self.value / nm_per_px


def parse_min_diameter(text: str) -> Length:
    """Read a length with its unit: ``12px``, ``5 nm``, ``0.2 µm``.

    Raises:
        UsageError: It has no unit, or one that is no length, or is no positive number.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r}: is no length with a unit; write it as 5nm or 12px")
    try:
        value, unit = read_decimal(match[1]), match[2]
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}") from error
    if not math.isfinite(value):
        raise UsageError(f"{text!r}: is too large")
    if unit.lower() in _PIXELS:
        return Length(value, "px")
    factor = nm_per_unit(unit)
    if factor is None:
        raise UsageError(f"{text!r}: {unit!r} is no unit of length; write it as 5nm or 12px")
    return Length(value * factor, "nm")
