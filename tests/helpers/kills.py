"""Commands killed by SIGKILL at random moments, in processes of their own."""

import subprocess
import sys
import time

import psutil


def command_of(*words):
    """The command line of a verb."""
    return [sys.executable, "-m", "nanoseg_bench", *map(str, words)]


def run_to_the_end(command, cwd=None, timeout=600):
    """(exit code, what it printed, seconds) of a command that nobody disturbs."""
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
    )
    return done.returncode, done.stdout, time.monotonic() - began


def kill_after(command, seconds, cwd=None):
    """Start a command and kill it after so many seconds, unless it has ended by then.

    Returns:
        Whether it was killed. Its own processes are gone, too, when this returns: they end with it.
    """
    process = psutil.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return False
    except psutil.TimeoutExpired:
        children = process.children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=120)
        assert not alive, f"outlive the process that was killed: {alive}"
        return True
