"""Numbers, nouns and lists in messages and tables, and what a misspelt word was meant to be."""

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 image``, ``2 images``.

    Args:
        number: How many.
        noun: In the singular.
        plural: Where it is not the singular with an s.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def thousands_apart(number: float) -> str:
    """``12 345``, with narrow spaces at which no line breaks: a whole number for pages and charts."""
    return f"{number:,.0f}".replace(",", "\u202f")


def minus(number: str) -> str:
    """A formatted number with a minus sign, which is no hyphen."""
    return number.replace("-", "\N{MINUS SIGN}")


def without_middle(name: str, letters: int) -> str:
    """``speci…e-17``: a name without its middle where it is longer than ``letters``."""
    half = letters // 2
    return name if len(name) <= letters else f"{name[:half]}…{name[1 - half :]}"


def shortened(names: Sequence[str], most: int = 5, *, between: str = ", ", last: str = "and") -> str:
    """``a, b, c and 4 more``: the first of a list, and how many follow.

    Args:
        names: All of them, in order.
        most: How many are named.
        between: What stands between two.
        last: What stands before the number of those that are not named.
    """
    more = f" {last} {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more


def first_fault(error: "ValidationError", *above: str) -> str:
    """``inputs.seed: Input should be a valid integer``: the first thing that is wrong with a document.

    Args:
        error: Of pydantic.
        above: Keys under which the document stands in its file.
    """
    first = error.errors()[0]
    return f"{'.'.join(map(str, (*above, *first['loc']))) or 'document'}: {first['msg']}"


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that a misspelt one was probably meant to be; None where none is near.

    Args:
        word: As it was given; its case, and ``_`` for ``-``, do not count.
        known: All that there are.
        cutoff: Least similarity, from 0 to 1, as of ``difflib.get_close_matches``.
    """
    by_spelling = {_plain(each): each for each in known}
    close = difflib.get_close_matches(_plain(word), by_spelling, n=1, cutoff=cutoff)
    return by_spelling[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``did you mean 'prepare'? ``, to stand before the list of all; empty where no known word is near.

    Args:
        word: As of ``nearest``.
        known: Likewise.
        cutoff: Likewise.
    """
    near = nearest(word, known, cutoff)
    return "" if near is None else f"did you mean {near!r}? "


def _plain(word: str) -> str:
    return str(word).casefold().replace("_", "-")
