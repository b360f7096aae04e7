"""Several runs at a time, in real processes."""

import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest
from kept_records import read_records

from nanoseg_bench.cli import main
from nanoseg_bench.environment import available_cores
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs import executors
from nanoseg_bench.runs.side_by_side import Children

LONG = ("--recipe", "images_seen=120", "images_per_epoch=8", "batch=2")
QUICK = ("images_seen=8", "images_per_epoch=8", "canvas=64")


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """Latency is measured although something else may be at work on this machine."""
    monkeypatch.setenv("NANOSEG_BENCH_LOCKS", str(tmp_path / "locks"))


def arguments(data, root, *more):
    places = ["--runs", str(root / "runs"), "--leaderboards", str(root / "boards"), "--device", "cpu"]
    return ["run", str(data), "--preset", "smoke", "--jobs", "2", *places, *more]


def on_test(data, root):
    records = read_records(root / "boards", PreparedSet(data).name)
    return {(each.model, each.seed): each for each in records if each.eval_set == "test"}


def start(words, **options):
    return subprocess.Popen([sys.executable, "-m", "nanoseg_bench", *words], stdout=subprocess.DEVNULL, **options)


def wait_for(condition, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


SEEDS = ("--models", "otsu", "--seeds", "0", "1")


def test_runs_side_by_side_are_all_in_the_table_with_a_latency_that_was_measured_after_them(
    rendered_set, tmp_path, caplog
):
    caplog.set_level("INFO")
    assert main(arguments(rendered_set.root, tmp_path, *SEEDS)) == 0
    table = pd.read_csv(tmp_path / "boards" / f"{rendered_set.name}-test.csv")
    assert sorted(table["seed"]) == [0, 1] and table["latency_ms_per_image"].notna().all()
    told = caplog.text
    assert "2 runs, 2 at a time" in told
    ends = [told.index(f"{number}/2] otsu-smoke-seed") for number in (1, 2)]
    measured = [told.index(f"otsu-smoke-seed{seed}: latency") for seed in (0, 1)]
    assert max(ends) < min(measured), "latency comes after all runs"
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.json.gz")}
    assert before
    assert main(arguments(rendered_set.root, tmp_path, *SEEDS)) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "nothing is left to be done"


@pytest.mark.slow
def test_runs_side_by_side_give_what_they_give_one_after_the_other(tiny_set, tmp_path):
    words = ("--models", "yolo11n", "--seeds", "0", "1", "--recipe", *QUICK)
    assert main(arguments(tiny_set, tmp_path / "two", *words)) == 0
    assert main([*arguments(tiny_set, tmp_path / "one", *words), "--jobs", "1"]) == 0
    two, one = on_test(tiny_set, tmp_path / "two"), on_test(tiny_set, tmp_path / "one")
    assert list(two) == list(one) == [("yolo11n", 0), ("yolo11n", 1)]
    for row, record in two.items():
        same = {name: value for name, value in record.scores.items() if not name.startswith(("latency", "energy"))}
        assert same == {name: one[row].scores[name] for name in same}


@pytest.mark.slow
def test_a_run_that_fails_stops_no_other_and_lines_name_their_run(tiny_set, tmp_path, caplog):
    caplog.set_level("INFO")
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"not weights")
    assert main(arguments(tiny_set, tmp_path, "--models", "unet", "otsu", "--weights", str(foreign))) == 1
    status = {model: record for (model, _), record in on_test(tiny_set, tmp_path).items()}
    assert status["unet"].status == "failed" and "foreign.safetensors" in status["unet"].reason
    assert status["otsu"].status == "ok"
    assert not [line for line in caplog.text.splitlines() if "\r" in line or "\x1b" in line], "no bars in between"


def test_a_time_limit_holds_for_all(tiny_set, tmp_path):
    few = ("--models", "otsu", "--seeds", "0", "1", "--time-limit", "0.001s")
    assert main(arguments(tiny_set, tmp_path, *few)) == 1
    assert {record.status for record in on_test(tiny_set, tmp_path).values()} == {"skipped"}


def test_fewer_than_one_job_is_usage(tiny_set, tmp_path, capsys):
    assert main([*arguments(tiny_set, tmp_path, "--models", "otsu"), "--jobs", "0"]) == 2
    assert "--jobs 0" in capsys.readouterr().err


TELL = "import os; from nanoseg_bench.environment import available_cores, threads_are_given as given; "
TELL += "print(os.environ.get('OMP_NUM_THREADS'), available_cores(), given())"


def told_by_a_child(at_once, caplog):
    caplog.clear()
    with caplog.at_level("INFO", "nanoseg_bench"):
        assert Children(at_once).run([sys.executable, "-c", TELL], "child") == 0
    (line,) = [record.getMessage() for record in caplog.records]
    return line


def test_children_share_the_cores(monkeypatch, caplog):
    for name in ("OMP_NUM_THREADS", "NANOSEG_BENCH_FREE_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("nanoseg_bench.environment.psutil.cpu_count", lambda logical: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    # The child counts the cores of the real machine, and takes no more of them than its share.
    told = [told_by_a_child(at_once, caplog) for at_once in (2, 3, 9)]
    assert [int(re.fullmatch(r"child: (\d+) \d+ False", line)[1]) for line in told] == [4, 2, 1]
    assert told[2] == "child: 1 1 False"


def test_the_users_number_of_threads_stays(monkeypatch, caplog):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("NANOSEG_BENCH_FREE_THREADS", raising=False)
    assert told_by_a_child(64, caplog) == f"child: 3 {min(3, available_cores())} True"


def test_runs_keep_the_memory_that_they_free_alone_and_beside_others(monkeypatch, tmp_path):
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    told = tmp_path / "told"
    tell = [sys.executable, "-c", f"import os; open({str(told)!r}, 'a').write(os.environ.get('MALLOC_MMAP_MAX_', '-'))"]
    monkeypatch.setattr(executors, "_command", lambda job_file: tell)
    assert executors._run_alone(tmp_path / "job.json") == 0
    assert Children(1).run(tell, "child") == 0
    assert told.read_text() == "00"


def test_stopped_children_end_and_no_more_are_started():
    children = Children(2)
    children.stop()
    with pytest.raises(KeyboardInterrupt):
        children.run([sys.executable, "-c", "raise SystemExit(0)"], "late")


@pytest.mark.faults
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
@pytest.mark.parametrize("to_all", [True, False], ids=["as a terminal does", "to the command alone"])
def test_one_ctrl_c_stops_all_with_their_checkpoints_and_the_same_command_goes_on(tiny_set, tmp_path, to_all):
    words = arguments(tiny_set, tmp_path, "--models", "yolo11n", "--seeds", "0", "1", *LONG)
    process = start(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    runs = tmp_path / "runs"
    wait_for(lambda: len(list(runs.glob("*/state.pt"))) == 2)
    children = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "interrupted; the same command goes on from here" in told
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not alive
    assert len(list(runs.glob("*/state.pt"))) == 2
    assert not on_test(tiny_set, tmp_path), "an interrupted run has no row"
    assert main(words) == 0
    for record in on_test(tiny_set, tmp_path).values():
        assert record.status == "ok" and record.training.resumes == 1
        assert record.scores["latency_ms_per_image"] > 0


@pytest.mark.faults
def test_a_killed_worker_is_a_row_and_its_neighbour_goes_on(tiny_set, tmp_path):
    process = start(arguments(tiny_set, tmp_path, "--models", "yolo11n", "otsu"), stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "runs" / "yolo11n-smoke-seed0" / "state.pt").is_file)
    for child in psutil.Process(process.pid).children():
        if "yolo11n" in " ".join(child.cmdline()):
            child.kill()
    assert process.wait(timeout=240) == 1
    assert {row[0]: record.status for row, record in on_test(tiny_set, tmp_path).items()} == {
        "yolo11n": "oom",
        "otsu": "ok",
    }


@pytest.mark.slow
def test_overwrite_always_trains_anew_once(tiny_set, tmp_path):
    words = arguments(tiny_set, tmp_path, "--models", "yolo11n", "--seeds", "0", "1", "--recipe", *QUICK)
    assert main(words) == 0
    first = {path: path.read_bytes() for path in tmp_path.glob("runs/*/history.csv")}
    before = {path: path.stat().st_mtime_ns for path in first}
    assert main([*words, "--overwrite", "always"]) == 0
    assert all(path.stat().st_mtime_ns > before[path] for path in before) and len(before) == 2
    rows = on_test(tiny_set, tmp_path)
    assert {record.status for record in rows.values()} == {"ok"}
    assert all(record.scores["latency_ms_per_image"] > 0 for record in rows.values())
    assert all(record.training.resumes == 0 for record in rows.values())
