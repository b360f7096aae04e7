"""Lists of names on the command line."""

from collections.abc import Sequence


def split_names(words: Sequence[str]) -> list[str]:
    """Names may be separated by spaces or commas."""
    return [name for word in words for name in word.split(",") if name]
