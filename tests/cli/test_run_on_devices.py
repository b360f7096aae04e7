"""``run --device A,B``: two processes on the CPU stand for two GPUs."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from kept_records import read_records

from nanoseg_bench.cli import main
from nanoseg_bench.preparation.prepared_set import PreparedSet

SECONDS = 280
"""At most, for what takes ten on a machine that has nothing else to do."""


@pytest.mark.faults
def test_two_devices_train_one_model_and_one_that_dies_is_named(tiny_set, tmp_path, runs_in_this_process):
    places = ["--runs", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "boards")]
    arguments = ["run", str(tiny_set), "--models", "mask-rcnn", "--preset", "smoke", "--device", "cpu,cpu", *places]
    run = tmp_path / "runs" / "mask-rcnn-smoke-seed0"

    def record():
        found = read_records(tmp_path / "boards", PreparedSet(tiny_set).name)
        return next(each for each in found if each.eval_set == "test")

    process = subprocess.Popen([sys.executable, "-m", "nanoseg_bench", *arguments])
    end = time.monotonic() + SECONDS
    while not (run / "state.pt").is_file():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    members = sorted(each.pid for each in children if "spawn_main" in " ".join(each.cmdline()))
    assert len(members) == 2
    os.kill(members[1], signal.SIGKILL)
    assert process.wait(SECONDS) == 1
    assert record().status == "oom"
    assert "cpu (process 2 of 2): its process was killed (SIGKILL)" in record().reason

    assert main(arguments) == 0
    assert record().status == "ok"
    assert record().training.resumes == 1
    assert record().device.startswith("2 x ")
    assert "loss " in (run / "log.txt").read_text("utf-8"), "what process 0 says is not in the log of the run"
    assert not (run / "state.pt").exists()
