"""Commands in a process whose clock is wrong, and jumps while they run: see ``other_clock.c``."""

import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("other_clock.c")
DAY, YEAR = 86_400.0, 365.25 * 86_400.0


def to_1970():
    """By how many seconds the clock is wrong of a computer whose battery is empty."""
    return DAY - time.time()


class OtherClock:
    """A clock of its own for processes that are started with it.

    Args:
        folder: For its files.
    """

    def __init__(self, folder):
        compiler = shutil.which("cc")
        assert compiler, "ask is_there first"
        self._library = folder / "other_clock.so"
        self._file = folder / "shift"
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(SOURCE), "-ldl", "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        self._file.write_bytes(bytes(8))

    @staticmethod
    def is_there():
        """Whether clocks can be set here."""
        return sys.platform == "linux" and shutil.which("cc") is not None

    def set(self, seconds):
        """Set the clock by so many seconds ahead of the true time; of running processes, too."""
        with self._file.open("r+b") as stream:
            stream.write(struct.pack("d", seconds))

    def start(self, *words, cwd, **variables):
        """``python WORDS``."""
        environment = {**os.environ, "LD_PRELOAD": str(self._library), "NANOSEG_BENCH_CLOCK_FILE": str(self._file)}
        return subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=cwd,
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def command(self, *words, cwd, **variables):
        """``nanoseg-bench WORDS``."""
        return self.start("-m", "nanoseg_bench", *words, cwd=cwd, **variables)
