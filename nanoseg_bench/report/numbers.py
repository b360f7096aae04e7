"""Numbers as tables and captions print them; ``webapp/static/js/format.js`` prints the same on the page."""

import math

_LENGTH_DIGITS, _UNCERTAINTY_DIGITS = 4, 2  # significant ones
_RATIO_DIGITS = 3  # after the point

NONE = "–"
"""In place of what was not measured."""


def length_text(value: float) -> str:
    """A length or an area: four significant digits, never in powers of ten."""
    return _significant(value, _LENGTH_DIGITS)


def uncertainty_text(value: float) -> str:
    """An uncertainty: two significant digits, since it is not known better itself (GUM, JCGM 100, 7.2.6)."""
    return _significant(value, _UNCERTAINTY_DIGITS)


def text_with_uncertainty(value: float, uncertainty: float) -> str:
    """A length to the last digit of its uncertainty (GUM, 7.2.6); as without one where that is 0 or not known."""
    if not uncertainty or math.isnan(uncertainty):
        return length_text(value)
    return f"{value:.{_decimals(uncertainty, _UNCERTAINTY_DIGITS)}f}"


def ratio_text(value: float) -> str:
    """A ratio: three decimals."""
    return NONE if math.isnan(value) else f"{value:.{_RATIO_DIGITS}f}"


def statistic_text(value: float, of_unit: bool) -> str:
    """A length, or a ratio where it has no unit."""
    return length_text(value) if of_unit else ratio_text(value)


def _significant(value: float, digits: int) -> str:
    if math.isnan(value):
        return NONE
    if value == 0:
        return "0"
    return f"{value:.{_decimals(value, digits)}f}"


def _decimals(value: float, digits: int) -> int:
    """How many stand after the point of a number of so many significant digits."""
    # Of the rounded number: 9.9996 is 10.00 and not 10.000.
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return min(max(digits - 1 - exponent, 0), 12)
