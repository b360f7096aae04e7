"""What to do when the program that reads our output has ended, as ``head`` does."""

import os
import sys

READER_GONE = 141
"""Exit code of a program that the signal SIGPIPE ended, in a shell."""


def flush_output() -> bool:
    """Write out what is still held back; afterwards nothing more is.

    Returns:
        Whether it could be written. Where the reader has gone, what is written from now on goes nowhere, so that the
        interpreter's end is quiet too.
    """
    gone = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            gone = True
            # Python writes what it holds back once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (AttributeError, ValueError):  # no stream, or a closed one
            continue
    return not gone
