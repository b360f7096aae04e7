"""The clock is wrong by decades, or is put right while a command runs: no work is lost, and nothing waits for ever."""

import random
import threading
import time

import pytest
from kept_records import read_records
from other_clock import YEAR, OtherClock, to_1970

from nanoseg_bench.locks import hold
from nanoseg_bench.models.run_files import STATE_FILE

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not OtherClock.is_there(), reason="Linux and a C compiler, to set the clock of a process alone"),
]

PREPARE = "prepare --dataset nanosynth --easy --images 12 --size 64 --augment-copies 0 --workers 1 --out set".split()  # noqa: SIM905
SECONDS = 600  # that a command may take on a machine that others use, too


@pytest.fixture
def clock(tmp_path):
    (tmp_path / "clock").mkdir()
    return OtherClock(tmp_path / "clock")


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "desk").mkdir()
    return tmp_path / "desk"


def end_of(process):
    """(exit code, what it printed)."""
    told = process.communicate(timeout=SECONDS)[0]
    assert "Traceback" not in told, told
    return process.returncode, told


def run_of(model, data, *more):
    places = ("--runs", "runs", "--leaderboards", "boards")
    return ("run", data, "--models", model, "--preset", "smoke", "--device", "cpu", *places, *more)


def files_below(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_the_clock_of_these_processes_is_set(clock, desk):
    clock.set(to_1970())
    code, told = end_of(clock.start("-c", "import datetime; print(datetime.datetime.now().year)", cwd=desk))
    assert (code, told.strip()) in ((0, "1970"), (0, "1969")), "else nothing here is tested"


def test_work_of_an_empty_battery_is_work(clock, desk):
    """Made in 1970, and what is finished is not done again in the true year, nor in 2100."""
    clock.set(to_1970())
    commands = (PREPARE, run_of("otsu", "set"))
    for words in commands:
        code, told = end_of(clock.command(*words, cwd=desk))
        assert code == 0, told
    before = {**files_below(desk / "set"), **files_below(desk / "boards" / "records")}
    assert len(before) > 20
    for shift in (0.0, 75 * YEAR):
        clock.set(shift)
        for words in commands:
            code, told = end_of(clock.command(*words, cwd=desk))
            assert code == 0, told
        assert {**files_below(desk / "set"), **files_below(desk / "boards" / "records")} == before
    image = next((desk / "set" / "images" / "test").glob("*.png"))
    analyze = ("analyze", image, "--model", "runs/otsu-smoke-seed0", "--no-ocr", "--out", "sizes", "--to", "excel")
    clock.set(to_1970())
    code, told = end_of(clock.command(*analyze, "word", cwd=desk))
    assert code == 1 and "Word report: the clock of this computer says 19" in told and "set the clock" in told, told
    assert not (desk / "sizes").exists(), "refused before any work"
    code, told = end_of(clock.command(*analyze, cwd=desk))
    assert code == 0 and (desk / "sizes" / "particles.csv").is_file(), told
    clock.set(0.0)
    code, told = end_of(clock.command(*analyze, "word", cwd=desk))
    assert code == 0 and len(list((desk / "sizes" / "reports").glob("*.docx"))) == 1, told


def test_a_clock_that_jumps_while_a_network_is_trained(clock, tiny_set, desk):
    """Neither does the time limit end it, nor is any number of it a time of the wall clock."""
    done, chance = threading.Event(), random.Random(0)

    def jump():
        while not done.wait(0.1):
            clock.set(chance.choice([0.0, to_1970(), -YEAR, 3600.0, -3600.0, 75 * YEAR]))

    began = time.monotonic()
    process = clock.command(*run_of("unet", tiny_set, "--time-limit", "15m"), cwd=desk)
    thread = threading.Thread(target=jump)
    thread.start()
    try:
        code, told = end_of(process)
    finally:
        done.set()
        thread.join()
    took = time.monotonic() - began
    assert code == 0, told
    records = read_records(desk / "boards", next((desk / "boards" / "records").iterdir()).name)
    assert {record.status for record in records} == {"ok"}, told
    assert all(0 < record.training.seconds < took and record.training.resumes == 0 for record in records)
    latencies = [value for each in records for name, value in each.scores.items() if name.startswith("latency_ms")]
    assert all(value is None or 0 < value < 1000 * took for value in latencies)


def test_a_training_is_resumed_in_another_decade(clock, tiny_set, desk):
    clock.set(10 * YEAR)
    words = run_of("unet", tiny_set, "--recipe", "epochs=6")
    process = clock.command(*words, cwd=desk)
    end = time.monotonic() + SECONDS
    while not list(desk.glob(f"runs/**/{STATE_FILE}")) and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert list(desk.glob(f"runs/**/{STATE_FILE}")), "killed in mid-training"
    assert not list(desk.glob("boards/records/**/*.json"))
    clock.set(-20 * YEAR)
    code, told = end_of(clock.command(*words, cwd=desk))
    assert code == 0, told
    records = read_records(desk / "boards", next((desk / "boards" / "records").iterdir()).name)
    assert [(record.status, record.training.resumes) for record in records] == [("ok", 1)] * len(records), told


@pytest.mark.parametrize("shift", [75 * YEAR, -50 * YEAR])
def test_who_waits_for_a_lock_gets_it_whatever_the_clock_does(clock, desk, shift):
    with hold(desk / "set", wait=False):
        process = clock.command(*PREPARE, cwd=desk)
        for line in process.stdout:
            if "waiting for its end" in line:
                break
        clock.set(shift)
        time.sleep(0.5)
        assert process.poll() is None, "it waits"
    code, told = end_of(process)
    assert code == 0, told
    assert sorted(path.name for path in desk.iterdir()) == ["set", "set-source"]


def test_what_a_killed_prepare_left_in_the_future_keeps_nobody_waiting(clock, desk):
    clock.set(75 * YEAR)
    process = clock.command(*PREPARE, cwd=desk)
    end = time.monotonic() + SECONDS
    while not list(desk.glob(".set*")) and time.monotonic() < end and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    clock.set(0.0)
    code, told = end_of(clock.command(*PREPARE, cwd=desk))
    assert code == 0, told
    assert sorted(path.name for path in desk.iterdir()) == ["set", "set-source"]
