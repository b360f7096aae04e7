"""The process of ``trial``: reads a file for each line of its input, and answers when it is through."""

import faulthandler
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

from nanoseg_bench.images.em import read_untried


def main() -> None:
    """Read until the input ends; where a file takes too long, end without an answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        path, seconds = json.loads(line)
        # A thread in C, the one thing that still runs then.
        faulthandler.dump_traceback_later(seconds, exit=True)
        with suppress(Exception):
            read_untried(Path(path))
        faulthandler.cancel_dump_traceback_later()
        print("read", file=answers, flush=True)


if __name__ == "__main__":
    main()
