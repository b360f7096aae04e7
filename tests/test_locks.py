"""Locks between real processes, which may be killed."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from nanoseg_bench.errors import BusyError
from nanoseg_bench.locks import hold
from nanoseg_bench.staging import staged_folder

HOLD = """
import sys, time
from pathlib import Path
from nanoseg_bench.locks import hold
with hold(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    sys.stdin.read()
"""

COUNT = """
import sys, time
from pathlib import Path
from nanoseg_bench.locks import hold
target = Path(sys.argv[1])
for _ in range(20):
    with hold(target, wait=True):
        number = int(target.read_text())
        time.sleep(0.002)
        target.write_text(str(number + 1))
"""

STAGE = """
import sys
from pathlib import Path
from nanoseg_bench.staging import staged_folder
with staged_folder(Path(sys.argv[1]), "marker") as root:
    (root / "marker").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def start(code, target):
    command = [sys.executable, "-c", code, str(target)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process


def test_a_held_target_is_refused_by_name_and_free_again_after_its_end(tmp_path):
    target = tmp_path / "Größe [x]"
    with start(HOLD, target) as process:
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(BusyError, match=rf"Größe \[x\]: another nanoseg-bench command \(process {process.pid} on"),
            hold(target, wait=False),
        ):
            pass
        process.stdin.close()
        assert process.wait(120) == 0
    with hold(target, wait=False):
        pass
    assert list(tmp_path.iterdir()) == [], "the lock's file goes with the lock"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX only")
def test_a_killed_holder_blocks_nobody(tmp_path):
    target = tmp_path / "set"
    with start(HOLD, target) as process:
        process.stdout.readline()
        process.kill()
    assert [path.name for path in tmp_path.iterdir()] == [".set.lock"]
    with hold(target, wait=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_one_at_a_time_although_the_file_of_the_lock_comes_and_goes(tmp_path):
    target = tmp_path / "count"
    target.write_text("0")
    processes = [start(COUNT, target) for _ in range(4)]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert target.read_text() == "80"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_a_lock_whose_holder_ends_while_it_is_looked_at_is_free(tmp_path, monkeypatch):
    """It was refused: "another command is writing it", and none was."""
    fcntl = pytest.importorskip("fcntl")
    target, flock = tmp_path / "set", fcntl.flock

    def after_its_holder(descriptor, operation):
        monkeypatch.setattr(fcntl, "flock", flock)
        (tmp_path / ".set.lock").unlink()  # as its holder does at the end
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", after_its_holder)
    with hold(target, wait=False):
        assert [path.name for path in tmp_path.iterdir()] == [".set.lock"]
    assert list(tmp_path.iterdir()) == []


def test_the_same_thread_may_take_it_again_and_another_may_not(tmp_path):
    target = tmp_path / "set"
    seen = []

    def other():
        try:
            with hold(target, wait=False):
                seen.append("held")
        except BusyError:
            seen.append("refused")

    with hold(target, wait=False):
        with hold(tmp_path / "." / "set", wait=False):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == ["refused"]


def test_what_a_killed_writer_left_goes_and_what_a_live_one_writes_stays(tmp_path):
    target = tmp_path / "set"
    with start(STAGE, target) as killed:
        killed.stdout.readline()
        killed.kill()
    (left,) = tmp_path.glob(".set.incomplete*")
    with start(STAGE, target) as live:
        live.stdout.readline()
        assert not left.exists()
        (written,) = tmp_path.glob(".set.incomplete*")
        done = threading.Event()

        def replace():
            with staged_folder(target, "marker") as root:
                (root / "marker").write_text("second")
            done.set()

        second = threading.Thread(target=replace)
        second.start()
        assert not done.wait(0.5)
        assert (written / "marker").read_text() == "half"
        live.stdin.close()
        assert live.wait(120) == 0
        second.join(120)
    assert (target / "marker").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_link_is_the_folder_that_it_leads_to(tmp_path):
    place, link = tmp_path / "big disk", tmp_path / "set"
    place.mkdir()
    link.symlink_to(place, target_is_directory=True)
    with staged_folder(link, "marker") as root:
        (root / "marker").write_text("one")
        with pytest.raises(BusyError, match="big disk"):
            with_another_process(place)
    assert link.is_symlink() and os.listdir(place) == ["marker"]


def with_another_process(target):
    code = HOLD.replace("sys.stdin.read()", "pass")
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BusyError(done.stderr)
