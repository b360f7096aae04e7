"""Numbers as people write them: with a decimal point, or with a comma as half of the world does."""

import re


def read_decimal(text: str) -> float:
    """A number with a decimal point or comma: ``0.42``, ``0,42``, ``1e3``.

    Of ``1,234`` nobody knows whether it is 1.234 or 1234: it is refused, and so are thousands that are set apart.

    Args:
        text: As it was typed.

    Raises:
        ValueError: It is no number, or may be two; the message says why and what to write, without the text itself.
    """
    written = text.strip()
    if written.count(",") + written.count(".") > 1:
        raise ValueError("write it without separators of thousands, and decimals with a point")
    if re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", written):
        point, plain = written.replace(",", "."), written.replace(",", "")
        raise ValueError(f"may be {point} or {plain}; write {point} or {plain}")
    try:
        return float(written.replace(",", "."))
    except ValueError:
        raise ValueError("give a number") from None
