"""Tables that users write by hand or save from a spreadsheet."""

from typing import TextIO

_SEPARATORS = ",;\t"


def separator_of(stream: TextIO) -> str:
    """What parts the cells of a table: of comma, semicolon and tab, the one that its first line holds most often.

    Args:
        stream: At its beginning, where it is again afterwards.
    """
    header = stream.readline()
    stream.seek(0)
    return max(_SEPARATORS, key=header.count)
