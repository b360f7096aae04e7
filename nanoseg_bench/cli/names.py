"""Lists on the command line."""

from collections.abc import Sequence

from nanoseg_bench.errors import UsageError


def split_names(words: Sequence[str]) -> list[str]:
    """Names may be separated by spaces or commas, or both."""
    return [name for word in words for part in word.split(",") if (name := part.strip())]


def split_integers(words: Sequence[str], flag: str) -> list[int]:
    """Whole numbers, separated in the same ways.

    Raises:
        UsageError: A word is none.
    """
    found = []
    for word in split_names(words):
        try:
            found.append(int(word))
        except ValueError as error:
            raise UsageError(f"{flag} {word}: give whole numbers, such as 0 1 2") from error
    return found
