"""Folders of the user, by the rules of the system; a user without a home, as in containers, has none."""

import os
from pathlib import Path

from nanoseg_bench.errors import UsageError


def user_caches() -> Path:
    """Where this package keeps what can be made anew; it need not exist.

    Raises:
        UsageError: The user has no home, and ``XDG_CACHE_HOME`` names no other place.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    caches = Path(given) if given else home("set XDG_CACHE_HOME to a folder that may be written") / ".cache"
    return caches / "nanoseg-bench"


def home(way_out: str) -> Path:
    """The user's home.

    Args:
        way_out: What to do where there is none.

    Raises:
        UsageError: There is none.
    """
    try:
        return Path.home()
    except RuntimeError as error:
        raise UsageError(f"this user has no home folder; {way_out}") from error
