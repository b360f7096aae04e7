"""Files of HDF5 are read in a process of their own first, which may be ended.

HDF5 walks through a file by the lengths that stand in it. A wrong one leads it round in a circle, in which nothing
reaches this process any more: no signal, no thread; or it asks for gigabytes, which the other process may not have (on
Linux). What that process read, this one reads, too.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from nanoseg_bench.errors import ImageError

SECONDS = 60
"""Processor time that a file may take (on Windows: time on the clock). The first one takes a second, for the imports;
those that follow take some hundredths, and large compressed ones seconds."""

_child: tuple[int, subprocess.Popen[str]] | None = None
"""The process that reads, and whose it is: a fork of this process needs one of its own."""
_one_at_a_time = threading.Lock()


def require_readable(path: Path) -> None:
    """Refuse a file that an EMD reader would read for ever, crash with, take too much memory for, or not read.

    The process that tries it stays for the files that follow, since its imports take a second. It ends with this one,
    or, where that was killed meanwhile, at the end of the time.

    Raises:
        ImageError: It is such a file, or the process cannot be started.
    """
    about = path.stat()
    if fault := _fault_of(path.absolute(), about.st_size, about.st_mtime_ns):
        raise ImageError(f"{path}: {fault}")


@lru_cache(maxsize=256)  # size, scale and pixels are asked for one after the other
def _fault_of(path: Path, size: int, modified_ns: int) -> str:
    with _one_at_a_time:
        child = _running(path)
        assert child.stdin is not None and child.stdout is not None  # noqa: S101
        try:
            print(json.dumps([str(path), SECONDS]), file=child.stdin, flush=True)
            answer = child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        except BaseException:  # Ctrl-C: the next answer would be to this question
            _end(child)
            raise
        if not answer:
            _end(child)
            return (
                f"reading it comes to no end ({SECONDS} s of the processor were given), or crashes HDF5; the file may "
                "be damaged: copy it again, or export the image as TIFF"
            )
        return str(json.loads(answer))


def _running(path: Path) -> subprocess.Popen[str]:
    global _child
    if _child is None or _child[0] != os.getpid() or _child[1].poll() is not None:
        # Its modules come from where those of this process do, and never from the folder that it happens to be in.
        modules = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
        command = [sys.executable, "-P", "-m", "nanoseg_bench.images.trial_process"]
        child = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": modules},
        )
        _child = os.getpid(), child
        atexit.register(_end, child)
        assert child.stdout is not None  # noqa: S101
        if not child.stdout.readline():
            _end(child)
            raise ImageError(
                f"{path}: the process that tries EMD files does not start; say `{' '.join(command)}` to see why, or "
                "export the image as TIFF"
            )
    return _child[1]


def _end(child: subprocess.Popen[str]) -> None:
    with suppress(BrokenPipeError), child:  # waits, and closes its pipes
        child.kill()
