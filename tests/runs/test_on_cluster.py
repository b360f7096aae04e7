"""Runs on two machines of a Ray cluster: two nodes on this one, in real processes."""

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
from ray_nodes import raylet_of, two_nodes

from nanoseg_bench.cli import main
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.record import find_records


def arguments(data, root, *more):
    places = ["--runs", str(root / "runs"), "--leaderboards", str(root / "boards"), "--device", "cpu"]
    return ["run", str(data), "--preset", "smoke", *places, *more]


def start(words):
    return subprocess.Popen(
        [sys.executable, "-m", "nanoseg_bench", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def trainings_of(raylet):
    """(process, folder) of the runs that train on a node, once they have a checkpoint."""
    found = []
    for process in raylet.children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "nanoseg_bench.runs.job" in words:
            folder = os.path.dirname(words[-1])
            if os.path.exists(f"{folder}/state.pt") and not os.path.exists(f"{folder}/fit.json"):
                found.append((process, folder))
    return found


def has_ended(process):
    """Also where nobody asks for its exit code, as who started it has died."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.faults
def test_a_machine_that_dies_costs_no_record_and_none_comes_twice(tiny_set, tmp_path):
    name = PreparedSet(tiny_set).name
    with two_nodes() as (cluster, second):
        words = (
            "--models",
            "unet",
            "otsu",
            "--seeds",
            "0",
            "1",
            "2",
            "--executor",
            "ray",
            "--address",
            cluster.address,
        )
        command = start(arguments(tiny_set, tmp_path, *words))
        raylet = raylet_of(second)
        ((process, folder), *_) = wait_for(lambda: trainings_of(raylet))
        before = {path: path.stat().st_mtime_ns for path in find_records(tmp_path / "boards", name)}
        raylet.kill()
        wait_for(lambda: has_ended(process), 120)  # a run whose machine is lost does not write on
        _, told = command.communicate(timeout=500)
        assert command.returncode == 0, told
    records = read_records(tmp_path / "boards", name)
    rows = [(each.model, each.seed) for each in records if each.eval_set == "test"]
    assert sorted(rows) == [(model, seed) for model in ("otsu", "unet") for seed in (0, 1, 2)]
    assert {each.status for each in records} == {"ok"}
    assert len(pd.read_csv(tmp_path / "boards" / f"{name}-test.csv")) == 6
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was there is not written again"
    lost = os.path.basename(folder)
    (again,) = (each for each in records if (each.eval_set, f"{each.model}-smoke-seed{each.seed}") == ("test", lost))
    assert again.training.resumes == 1, "it went on from its checkpoint"
    assert re.search(rf"{lost}: on .*, try 2", told)
    ends = re.findall(r"^\[(\d)/6\] (\S+): ok$", told, re.MULTILINE)
    assert [number for number, _ in ends] == list("123456") and len({run for _, run in ends}) == 6


@pytest.mark.faults
def test_ctrl_c_ends_the_tasks_and_the_same_command_goes_on(tiny_set, tmp_path):
    words = arguments(tiny_set, tmp_path, "--models", "unet", "--recipe", "images_seen=120", "images_per_epoch=8")
    command = start([*words, "--executor", "ray"])
    wait_for(lambda: list((tmp_path / "runs").glob("*/state.pt")))
    children = psutil.Process(command.pid).children(recursive=True)
    command.send_signal(signal.SIGINT)
    _, told = command.communicate(timeout=300)
    assert command.returncode == 130 and "the same command goes on from here" in told and "Traceback" not in told
    wait_for(lambda: all(map(has_ended, children)), 120)
    assert not read_records(tmp_path / "boards", PreparedSet(tiny_set).name), "an interrupted run has no row"
    assert main(words) == 0
    for record in read_records(tmp_path / "boards", PreparedSet(tiny_set).name):
        assert record.status == "ok" and record.training.resumes == 1


@pytest.mark.slow
def test_a_cluster_of_this_machine_alone_gives_the_rows_of_local_runs(tiny_set, tmp_path, caplog, capfd):
    caplog.set_level("INFO")
    words = ("--models", "otsu", "--seeds", "0", "1")
    assert main([*arguments(tiny_set, tmp_path / "ray", *words), "--executor", "ray"]) == 0
    assert "otsu-smoke-seed1: on " in caplog.text
    assert "ray" not in capfd.readouterr().err.lower(), "Ray itself says nothing"
    assert main([*arguments(tiny_set, tmp_path / "local", *words)]) == 0
    name = PreparedSet(tiny_set).name
    remote, local = (read_records(tmp_path / place / "boards", name) for place in ("ray", "local"))
    assert len(remote) == len(local) > 0
    for one, other in zip(remote, local, strict=True):
        assert one.predictions_sha256 is not None
        same = {each: value for each, value in other.scores.items() if not each.startswith(("latency", "energy"))}
        assert {each: one.scores[each] for each in same} == same
        assert one.scores.get("latency_ms_per_image") is None, "others may work beside it"


@pytest.mark.slow
def test_a_time_limit_holds_for_what_waits_for_its_turn(tiny_set, tmp_path):
    limit = ("--models", "otsu", "--time-limit", "0.001s", "--executor", "ray")
    assert main(arguments(tiny_set, tmp_path, *limit)) == 1
    assert {each.status for each in read_records(tmp_path / "boards", PreparedSet(tiny_set).name)} == {"skipped"}


def test_an_address_goes_with_ray(tiny_set, tmp_path, capsys):
    assert main(arguments(tiny_set, tmp_path, "--models", "otsu", "--address", "auto")) == 2
    assert "--address auto: goes with --executor ray" in capsys.readouterr().err
