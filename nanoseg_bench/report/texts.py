"""Texts of users in files that other programs open: none may break a document or be run as a formula."""

import re

# The characters that XML 1.0 allows, https://www.w3.org/TR/xml/#charsets
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WHITE_SPACE = re.compile(r"\s+")
# Excel, LibreOffice and Google Sheets take what begins so for a formula; the wide ones are those of Asian keyboards.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def xml_text(text: str) -> str:
    """The text with what XML cannot hold, control characters and half surrogate pairs, as U+FFFD."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """``xml_text`` without line breaks and tabs."""
    return _WHITE_SPACE.sub(" ", xml_text(text)).strip()


def csv_text(text: str) -> str:
    """``one_line``, with an apostrophe before what a spreadsheet would run as a formula.

    The apostrophe is how spreadsheets themselves mark a cell as text. Numbers are not texts: they stay as they are.
    """
    line = one_line(text)
    return f"'{line}" if line.startswith(_FORMULA_STARTS) else line
