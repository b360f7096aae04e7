"""What to do when the program that reads our output has ended, as ``head`` does."""

import os
import select
import sys
from typing import TextIO

READER_GONE = 141
"""Exit code of a program that the signal SIGPIPE ended, in a shell."""


def flush_output() -> bool:
    """Write out what is still held back.

    Returns:
        Whether it could be written. Where the reader has gone, all that comes later goes nowhere, so that the
        interpreter's end is quiet too.
    """
    gone = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            gone = True
            _silence(stream)
        except (AttributeError, ValueError):  # no stream, or a closed one
            continue
    return not gone


def has_lost_reader() -> bool:
    """Whether a ``BrokenPipeError`` was ours, not that of a worker's pipe; afterwards nothing more is written."""
    gone = not flush_output()
    # Where output is not buffered, what could not be written is not held back.
    for stream in (sys.stdout, sys.stderr):
        if _is_broken(stream):
            gone = True
            _silence(stream)
    return gone


def _is_broken(stream: TextIO) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return False
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # errors are always reported
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return False


def _silence(stream: TextIO) -> None:
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, stream.fileno())
    os.close(sink)
