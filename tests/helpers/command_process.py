"""A process that carries out commands of ``nanoseg-bench`` one after the other: it imports once what all need."""

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import NamedTuple

_PROGRAM = """
import contextlib, io, json, logging, os, sys
from nanoseg_bench.cli import main
handler = logging.StreamHandler()
logging.basicConfig(format="%(message)s", handlers=[handler])
for line in sys.stdin:
    folder, command = json.loads(line)
    os.chdir(folder)
    out, err = io.StringIO(), io.StringIO()
    handler.setStream(err)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(command)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


class End(NamedTuple):
    """How a command ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@contextmanager
def command_process(environment=None, before=()):
    """Yield ``run(folder, *command)``, which carries out a command, whose words may be paths, in a folder.

    Args:
        environment: Of the process; None for that of this one.
        before: What starts it, such as ``setpriv`` with its arguments.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    start = [*before, sys.executable, "-P", "-c", _PROGRAM]  # PYTHONPATH counts, the current folder does not
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(start, stderr=errors, env=environment, **pipes) as process,
    ):

        def run(folder, *command):
            process.stdin.write(json.dumps([str(folder), list(map(str, command))]) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                errors.seek(0)
                raise AssertionError(f"the process ended: {errors.read()}")
            return End(*json.loads(answer))

        yield run
