"""The process of ``trial``: reads a file for each line of its input, and answers what is wrong with it."""

import json
import signal
import sys
from pathlib import Path

from nanoseg_bench.errors import ImageError
from nanoseg_bench.images.em import read_untried
from nanoseg_bench.images.errors import image_errors

if sys.platform == "win32":
    import faulthandler
elif sys.platform == "linux":
    import resource


def main() -> None:
    """Read until the input ends; where a file takes too long, end without an answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        path, seconds = json.loads(line)
        _end_after(seconds)
        fault = _fault_of(Path(path))
        _end_after(0)
        print(json.dumps(fault), file=answers, flush=True)


def _fault_of(path: Path) -> str:
    """What is wrong with a file, without its path; empty where it can be read."""
    try:
        with image_errors(path):
            read_untried(path, _limit_memory)
    except ImageError as error:
        return str(error).removeprefix(f"{path}: ")
    return ""


if sys.platform == "linux":

    def _limit_memory(most: int) -> None:
        """Beyond what this process has now; other systems know no such limit, or do not keep to it."""
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = pages * resource.getpagesize() + most
        resource.setrlimit(
            resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )

else:

    def _limit_memory(most: int) -> None:
        pass


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
