"""The process of ``trial``: reads a file for each line of its input, and answers when it is through."""

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

from nanoseg_bench.images.em import read_untried

if sys.platform == "win32":
    import faulthandler


def main() -> None:
    """Read until the input ends; where a file takes too long, end without an answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        path, seconds = json.loads(line)
        _end_after(seconds)
        with suppress(Exception):
            read_untried(Path(path))
        _end_after(0)
        print("read", file=answers, flush=True)


if sys.platform == "win32":

    def _end_after(seconds: float) -> None:
        """By the clock, which a thread in C looks at: Python runs no more in a circle of HDF5."""
        if seconds:
            faulthandler.dump_traceback_later(seconds, exit=True)
        else:
            faulthandler.cancel_dump_traceback_later()

else:

    def _end_after(seconds: float) -> None:
        """By the processor's time, so that a slow disk or a busy machine does no harm; the system sees to it."""
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
