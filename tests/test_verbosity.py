"""What is said on standard error, in real processes."""

import logging
import os
import subprocess
import sys

import pytest

from nanoseg_bench.verbosity import QUIET, VERBOSE, shows_progress, verbosity

SPEAK = """
import logging, subprocess, sys
from nanoseg_bench.verbosity import start_logging, verbosity
log, other = logging.getLogger("nanoseg_bench.some"), logging.getLogger("other")
def speak():
    for level in ("debug", "info", "warning"):
        getattr(log, level)(f"our {level}")
        getattr(other, level)(f"other {level}")
if len(sys.argv) > 1:
    with verbosity(sys.argv[1] or None):
        speak()
        sys.stderr.flush()
        subprocess.run([sys.executable, "-c", sys.stdin.read()], check=True)
else:
    start_logging()
    speak()
"""


def said(level, **more):
    """(parent's words, child's words)."""
    environment = {name: value for name, value in os.environ.items() if name != "NANOSEG_BENCH_LOG"} | more
    done = subprocess.run(
        [sys.executable, "-c", SPEAK, level], input=SPEAK, capture_output=True, text=True, env=environment, check=True
    )
    lines = done.stderr.splitlines()
    return lines[: len(lines) // 2], lines[len(lines) // 2 :]


WARNINGS = ["our warning", "other warning"]
INFO = ["our info", "other info", *WARNINGS]


@pytest.mark.parametrize(
    ("level", "expected"), [("", INFO), (QUIET, WARNINGS), (VERBOSE, ["our debug", *INFO])], ids=["default", "-q", "-v"]
)
def test_a_command_and_its_children_say_as_much_as_was_asked_for(level, expected):
    assert said(level) == (expected, expected)


def test_the_variable_counts_where_no_option_is_given():
    assert said("", NANOSEG_BENCH_LOG="warning") == (WARNINGS, WARNINGS)
    assert said(VERBOSE, NANOSEG_BENCH_LOG="warning")[0][0] == "our debug"


def test_what_was_asked_of_one_command_ends_with_it(monkeypatch):
    monkeypatch.delenv("NANOSEG_BENCH_LOG", raising=False)
    package = logging.getLogger("nanoseg_bench")
    level = package.level
    assert shows_progress()
    with verbosity(QUIET):
        assert not shows_progress() and package.level == logging.WARNING
    assert shows_progress() and package.level == level


def call(*words):
    return subprocess.run([sys.executable, "-m", "nanoseg_bench", *words], capture_output=True, text=True)


def test_verbose_says_where_an_error_comes_from(tmp_path):
    words = ("prepare", str(tmp_path), "--out", f"{tmp_path}-set")
    plain, verbose = call(*words), call(*words, "-v")
    assert plain.returncode == verbose.returncode == 1, plain.stderr
    assert "Traceback" not in plain.stderr and "Traceback" in verbose.stderr
    assert verbose.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]
