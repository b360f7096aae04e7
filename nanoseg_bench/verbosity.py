"""How much a command says on standard error: ``-q``, the default, or ``-v``; its child processes say as much.

Levels mean: error, what was asked for did not happen; warning, it did, but look at this; info, what is being done and
how far it is; debug, why, for whoever looks for a fault. A run's own log file has them all.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

QUIET, NORMAL, VERBOSE = "warning", "info", "debug"

_VARIABLE = "NANOSEG_BENCH_LOG"
_PACKAGE = "nanoseg_bench"


@contextmanager
def verbosity(level: str | None) -> Iterator[None]:
    """Log on standard error at this level, and let child processes inherit it.

    Args:
        level: ``QUIET``, ``NORMAL`` or ``VERBOSE``; None for what the environment variable ``NANOSEG_BENCH_LOG`` names.
    """
    before = os.environ.get(_VARIABLE)
    loggers = logging.getLogger(), logging.getLogger(_PACKAGE)
    levels = [logger.level for logger in loggers]
    if level is not None:
        os.environ[_VARIABLE] = level
    start_logging()
    try:
        yield
    finally:
        for logger, own in zip(loggers, levels, strict=True):
            logger.setLevel(own)
        if level is not None and before is None:
            del os.environ[_VARIABLE]
        elif level is not None and before is not None:
            os.environ[_VARIABLE] = before


def start_logging() -> None:
    """Log on standard error as this process was told by its parent."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    level = _level()
    # What other packages have to say at the level debug helps nobody here.
    logging.getLogger().setLevel(max(level, logging.INFO))
    logging.getLogger(_PACKAGE).setLevel(level)
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            # A run's own file wants more, and raises the package's level for it.
            handler.setLevel(level)


def inherited_level() -> dict[str, str]:
    """The variable that tells a child process how much to say, for one that is started on another machine."""
    return {_VARIABLE: os.environ[_VARIABLE]} if _VARIABLE in os.environ else {}


def shows_progress() -> bool:
    """Whether bars and lines of progress are wanted."""
    return _level() <= logging.INFO


def _level() -> int:
    names = {QUIET: logging.WARNING, NORMAL: logging.INFO, VERBOSE: logging.DEBUG}
    return names.get(os.environ.get(_VARIABLE, NORMAL).lower(), logging.INFO)
