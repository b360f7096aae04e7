"""Who is at work and who measures, in real processes."""

import gzip
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

import pytest

from nanoseg_bench.cli import main
from nanoseg_bench.runs import quiet
from nanoseg_bench.runs.quiet import NO_LOCK, OTHERS, alone, at_work, is_quiet
from nanoseg_bench.runs.record import read_record
from nanoseg_bench.runs.timing import LEAST_MEASUREMENTS, MEASUREMENTS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no locks that are held together")

HOLD = """
import sys
from nanoseg_bench.runs.quiet import alone, at_work
with {what}() as reason:
    print(repr(reason), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOSEG_BENCH_LOCKS", str(tmp_path / "locks"))


@contextmanager
def another(what):
    """Another process at work, or alone; its standard input ends it."""
    command = [sys.executable, "-c", HOLD.format(what=what)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.readline().strip()
        yield process, said
        process.kill()


def test_whoever_is_alone_may_measure_even_if_it_works_itself():
    with alone() as reason:
        assert reason == ""
    with at_work(), at_work():
        with alone() as reason:
            assert reason == ""
        with another("alone") as (_, said):
            assert said == repr(OTHERS), "it is at work again"
    assert is_quiet()


def test_nobody_measures_beside_another_at_work():
    with another("at_work"):
        assert not is_quiet()
        with at_work():
            with alone() as reason:
                assert reason == OTHERS
            with another("alone") as (_, said):
                assert said == repr(OTHERS), "the lock is held on after the attempt"


def test_a_killed_process_is_at_work_no_more():
    with another("at_work") as (process, _):
        process.kill()
        process.wait()
        assert is_quiet()


def test_work_begins_when_the_measurement_is_over():
    with another("alone") as (process, said):
        assert said == repr("")
        waiting = subprocess.Popen(
            [sys.executable, "-c", HOLD.format(what="at_work")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        time.sleep(1.5)
        os.set_blocking(waiting.stdout.fileno(), False)
        assert not waiting.stdout.read(), "it waits"
        os.set_blocking(waiting.stdout.fileno(), True)
        process.stdin.close()
        assert waiting.stdout.readline() == b"None\n"
        waiting.communicate()


def test_without_a_place_for_the_lock_nothing_is_measured_and_everything_else_works(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NANOSEG_BENCH_LOCKS", str(tmp_path / "file"))
    with at_work(), alone() as reason:
        assert reason == NO_LOCK


def test_a_latency_that_was_not_measured_is_added_later_without_predicting_anew(
    runs_in_this_process, tiny_set, tmp_path
):
    command = ["run", str(tiny_set), "--models", "otsu", "--preset", "smoke", "--runs", str(tmp_path / "r")]
    command += ["--leaderboards", str(tmp_path / "b")]
    record = tmp_path / "b" / "records" / "nanosynth-easy-24" / "otsu-smoke-seed0-test.json"
    run = tmp_path / "r" / "otsu-smoke-seed0"
    predictions = run / "predictions" / "test.json.gz"
    with another("at_work"):
        assert main(command) == 0
        first, kept = read_record(record), json.loads(gzip.decompress(predictions.read_bytes()))
        assert first.status == "ok" and first.scores["map_50_95_agnostic"] is not None
        assert first.scores["latency_ms_per_image"] is None and first.scores["latency_measurements"] is None
        log = (run / "log.txt").read_text(encoding="utf-8")
        assert f"latency of otsu on test: not measured: {OTHERS}; the same `run` measures it later" in log
        before = predictions.stat().st_mtime_ns
        assert main(command) == 0
        assert predictions.stat().st_mtime_ns == before, "the other is still at work: up to date"
    made_from = predictions.with_name("test.made-from.json").read_bytes()
    assert main(command) == 0
    second, timed = read_record(record), json.loads(gzip.decompress(predictions.read_bytes()))
    assert second.scores["latency_ms_per_image"] > 0 and kept["timing"] is None
    # As many as go into the seconds for which others wait: on most machines MEASUREMENTS.
    measured = len(timed["timing"]["total_ms"])
    assert LEAST_MEASUREMENTS <= measured == second.scores["latency_measurements"] <= MEASUREMENTS
    assert {**timed, "timing": None} == kept, "every particle is as it was"
    assert predictions.with_name("test.made-from.json").read_bytes() == made_from
    untimed = {name: value for name, value in second.scores.items() if not name.startswith("latency")}
    assert untimed == {name: value for name, value in first.scores.items() if not name.startswith("latency")}
    assert (second.finished, second.device) == (first.finished, first.device)
    before = predictions.stat().st_mtime_ns
    assert main(command) == 0
    assert predictions.stat().st_mtime_ns == before, "nothing is left to be done"


def test_a_user_without_a_home_and_a_name_has_a_place_for_the_lock(tmp_path, monkeypatch):
    """As in containers: every command that computes ended with a traceback."""
    import pwd  # not on Windows

    for name in ("NANOSEG_BENCH_LOCKS", "XDG_CACHE_HOME", "HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with at_work(), alone() as reason:
        assert reason == ""
    assert list(tmp_path.glob(f"nanoseg-bench-{os.getuid()}/at-work-*.lock"))


def test_on_windows_what_fails_while_it_is_measured_is_told(monkeypatch):
    """It was taken for a place that cannot be written, and the next one was tried: "generator didn't stop"."""
    import filelock  # by this platform's rules

    assert filelock and platform.node()
    monkeypatch.setattr(sys, "platform", "win32")
    spec = importlib.util.spec_from_file_location("quiet_on_windows", quiet.__file__)
    on_windows = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(on_windows)
    with pytest.raises(OSError, match="an image cannot be read"), on_windows.alone() as reason:
        assert reason == ""
        with on_windows.alone() as of_another:
            assert of_another == OTHERS
        raise OSError("an image cannot be read")
    assert on_windows.is_quiet(), "it is held no more"
