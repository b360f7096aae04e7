"""What a misspelt word or path was probably meant to be."""

import difflib
from collections.abc import Iterable
from pathlib import Path

_CLOSE = 0.6


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'prepare'?``, or nothing where no known word is near."""
    # Mostly it is another case or another sign between words.
    plain = {_plain(each): each for each in known}
    close = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=_CLOSE)
    return f"; did you mean {plain[close[0]]!r}?" if close else ""


def nearest_path(path: Path) -> Path | None:
    """A path that exists and differs from a missing one in the spelling of its parts; None where none is near."""
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        step = found / part
        if not step.exists():
            wanted = Path(part)
            try:
                beside = sorted(found.iterdir(), key=lambda each: (each.suffix == wanted.suffix, each.name))
            except OSError:
                return None
            # Endings are too much alike to tell names apart; of two names that differ in nothing else, the same counts.
            names = {_plain(each.stem): each.name for each in beside}
            close = difflib.get_close_matches(_plain(wanted.stem), names, n=1, cutoff=_CLOSE)
            if not close:
                return None
            step = found / names[close[0]]
        found = step
    return found


def _plain(word: str) -> str:
    return word.casefold().replace("_", "-")
