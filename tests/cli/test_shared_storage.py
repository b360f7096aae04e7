"""Sets, runs and records in a bucket, with a server that answers as S3 does: the command line, as on several machines.

A machine is a folder to work in and a cache of its own.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import impatient
import psutil
import pytest
from kills import command_of

from nanoseg_bench.cli import main
from nanoseg_bench.runs.record import read_record

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server")]

SMALL = ("--easy", "--images", "12", "--size", "64", "--augment-copies", "0", "--workers", "1")
NAME = "nanosynth-easy-12"


@pytest.fixture(scope="module")
def server():
    """The environment by which a server with nothing in it is found, here and in processes that are started."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    from s3_server import s3_server

    with s3_server() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield environment


@pytest.fixture
def bucket(server):
    """An empty one: its URL, and names(): what lies in it now, without a request."""
    import fsspec
    from moto.backends import get_backend

    name = f"lab-{time.monotonic_ns()}"
    fsspec.filesystem("s3").mkdir(name)
    objects = get_backend("s3")["123456789012"]["aws"].buckets[name].keys
    return Bucket(f"s3://{name}", objects)


class Bucket:
    def __init__(self, url, objects):
        self.url = url
        self._objects = objects

    def names(self, prefix=""):
        return [key for key in list(self._objects) if key.startswith(prefix)]

    def read(self, key):
        return self._objects[key].value

    def write(self, key, data):
        import fsspec

        fsspec.filesystem("s3").pipe_file(f"{self.url.removeprefix('s3://')}/{key}", data)

    def at(self, key):
        return f"{self.url}/{key}"

    def wait_for(self, condition, process, seconds=120):
        until = time.monotonic() + seconds
        while not condition():
            assert process.poll() is None, f"ended with {process.returncode} before that"
            assert time.monotonic() < until, f"it did not happen in {seconds} s: {self.names()}"
            time.sleep(0.005)


@pytest.fixture
def machine(tmp_path, monkeypatch, capfd):
    """machine(name): from now on commands run there, in this process; the answer is command(*words) -> (code, text)."""

    def become(name):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

        def command(*words):
            capfd.readouterr()
            code = main([str(word) for word in words])
            out, err = capfd.readouterr()
            return code, out + err

        return command

    return become


@pytest.fixture
def start(tmp_path):
    """start(machine, command): a process there; what it prints goes to a file beside."""
    started = []

    def begin(name, command):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        log = (tmp_path / f"{name}.txt").open("a")
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        process.log = Path(log.name)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def places(bucket):
    return ("--runs", bucket.at("runs"), "--leaderboards", bucket.at("leaderboards"))


def run_of(bucket, *models):
    return ("run", bucket.at("set"), "--models", *models, "--preset", "smoke", "--device", "cpu", *places(bucket))


@pytest.mark.usefixtures("runs_in_this_process")
def test_all_in_a_bucket(bucket, machine, tmp_path):
    first, out = bucket.at("set"), machine("a")
    code, text = out("prepare", *SMALL, "--out", first)
    assert code == 0 and f"next: nanoseg-bench run {first} --models all" in text, text
    code, text = out(*run_of(bucket, "otsu"))
    assert code == 0 and f"{bucket.at('leaderboards')}/{NAME}-test.csv" in text, text
    records = [f"leaderboards/records/{NAME}/otsu-smoke-seed0-{each}.1.json" for each in ("ood", "test")]
    assert bucket.names("leaderboards/records/") == records
    assert {"runs/otsu-smoke-seed0/run.json", "runs/otsu-smoke-seed0/fit.json"} <= set(bucket.names("runs/"))
    assert not [path for path in tmp_path.rglob("*") if "s3:" in path.name], "no folder of a strange name"
    table = bucket.read(f"leaderboards/{NAME}-test.csv")

    elsewhere = machine("b")
    code, text = elsewhere("leaderboard", first, "--leaderboards", bucket.at("leaderboards"), "--html")
    assert code == 0 and "Otsu" in text and (tmp_path / "b" / f"{NAME}.html").is_file(), text
    assert bucket.read(f"leaderboards/{NAME}-test.csv") == table
    code, text = elsewhere("leaderboard", NAME, "--leaderboards", bucket.at("leaderboards"), "--check")
    assert code == 0, text
    bucket.write(f"leaderboards/{NAME}-test.csv", table.replace(b"otsu", b"mine"))
    code, text = elsewhere("leaderboard", NAME, "--leaderboards", bucket.at("leaderboards"), "--check")
    assert code == 1 and f"{NAME}-test.csv" in text, text
    bucket.write(f"leaderboards/{NAME}-test.csv", table)
    before = {name: bucket.read(name) for name in bucket.names() if "writer-" not in name}
    for more in ([], ["--dry-run"]):
        code, text = elsewhere(*run_of(bucket, "otsu"), *more)
        assert code == 0, text
    assert {name: bucket.read(name) for name in bucket.names() if "writer-" not in name} == before, "all was done"

    lost = json.loads(bucket.read(records[1]))
    (tmp_path / "copied.json").write_text(json.dumps(lost))
    assert read_record(tmp_path / "copied.json").status == "ok", "what lies there is a record by itself"


def test_a_set_is_kept_refused_or_replaced_as_in_a_folder(bucket, machine):
    url, command = bucket.at("set"), machine("a")
    assert command("prepare", *SMALL, "--out", url)[0] == 0
    before = {key: bucket.read(key) for key in bucket.names()}
    other = (*SMALL, "--seed", "5", "--out", url)
    command = machine("b")
    assert command("prepare", *SMALL, "--out", url)[0] == 0
    code, text = command("prepare", *other)
    assert code == 1 and f"{url}: holds a prepared set of other inputs" in text and "cache" not in text, text
    code, text = command("prepare", *other, "--overwrite", "never")
    assert code == 0, text
    assert {key: bucket.read(key) for key in bucket.names()} == before
    code, text = command("prepare", *other, "--overwrite", "always")
    assert code == 0, text
    assert bucket.read("set/prepared.json") != before["set/prepared.json"]
    code, text = command("run", url, "--models", "otsu", "--preset", "smoke", "--device", "cpu", "--dry-run")
    assert code == 0, text
    bucket.write("thesis/chapter-1.docx", b"years of work")
    code, text = command("prepare", *SMALL, "--out", bucket.at("thesis"))
    assert code == 1 and "holds other files" in text and bucket.names("thesis/") == ["thesis/chapter-1.docx"], text


def test_a_killed_upload_leaves_no_set(bucket, machine, start):
    process = start("a", command_of("prepare", *SMALL, "--out", bucket.at("set")))
    bucket.wait_for(lambda: len(bucket.names("set/")) > 3, process)
    process.kill()
    process.wait()
    left = bucket.names("set/")
    assert "set/contents.json" in left and "set/prepared.json" not in left, left
    command = machine("b")
    code, text = command(*run_of(bucket, "otsu"))
    assert code == 1 and f"{bucket.at('set')}: nothing to read there (no prepared.json)" in text, text
    assert command("prepare", *SMALL, "--out", bucket.at("set"))[0] == 0
    assert command(*run_of(bucket, "otsu"), "--dry-run")[0] == 0


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_damaged_object_is_named(bucket, machine, by_hand):
    command = machine("a")
    assert command("prepare", *SMALL, "--out", bucket.at("set"))[0] == 0
    if by_hand:  # a folder that other tools have copied there
        import fsspec

        fsspec.filesystem("s3").rm_file(f"{bucket.at('set')}/contents.json")
    image = next(key for key in bucket.names("set/images/train/"))
    intact = bucket.read(image)
    bucket.write(image, intact[:200] + bytes(20) + intact[220:])
    code, text = machine("b")(*run_of(bucket, "otsu"))
    named = Path(image).stem if by_hand else bucket.at(image)
    assert code == 1 and bucket.at("set") in text and named in text, text
    assert bucket.names("runs/") == [] == bucket.names("leaderboards/")
    bucket.write(image, intact)
    assert machine("b")(*run_of(bucket, "otsu"), "--dry-run")[0] == 0


@pytest.mark.timeout(900)
def test_a_killed_training_goes_on_on_another_machine(bucket, machine, start):
    assert machine("a")("prepare", *SMALL, "--out", bucket.at("set"))[0] == 0
    train = [sys.executable, impatient.__file__, *run_of(bucket, "unet"), "--recipe", "images_seen=96"]
    first = start("a", train)
    bucket.wait_for(lambda: [key for key in bucket.names("runs/") if key.endswith("state.pt")], first, 300)
    (training,) = [each for each in psutil.Process(first.pid).children() if impatient.JOB in each.cmdline()]
    training.suspend()  # it takes long, while its machine gives signs of life
    beside = start("b", train)
    assert beside.wait(300) == 1, beside.log.read_text()
    assert re.search(rf"is being run by \S+ \(process {first.pid}\)", beside.log.read_text()), beside.log.read_text()
    assert first.poll() is None, "it was at work all the time"
    first.kill()
    first.wait()
    training.kill()
    second = start("c", train)
    assert second.wait(600) == 0, second.log.read_text()
    (key,) = [key for key in bucket.names("leaderboards/records/") if "-test." in key]
    record = json.loads(bucket.read(key))
    assert record["status"] == "ok" and record["training"]["images_seen"] == 96
    assert record["training"]["resumes"] >= 1, "it began with what the first had reached"
    assert record["written_by"]["process"] == second.pid
    assert not [key for key in bucket.names("runs/") if key.endswith("state.pt")], "as the finished run has none"


@pytest.mark.timeout(900)
def test_of_two_writers_of_a_record_one_wins(bucket, machine, start, tmp_path):
    """Each trains in a folder of its own, so neither knows of the other before the record."""
    assert machine("a")("prepare", *SMALL, "--out", "set")[0] == 0
    words = ["run", tmp_path / "a" / "set", "--models", "otsu", "--preset", "smoke", "--device", "cpu"]
    command = command_of(*words, "--leaderboards", bucket.at("leaderboards"))
    processes = {"c": start("c", command)}
    while "otsu-smoke-seed0" not in processes["c"].log.read_text():  # it has looked which records there are
        time.sleep(0.02)
        assert processes["c"].poll() is None
    processes["c"].send_signal(signal.SIGSTOP)
    processes["b"] = start("b", command)
    assert processes["b"].wait(300) == 0, processes["b"].log.read_text()
    processes["c"].send_signal(signal.SIGCONT)
    codes = {name: process.wait(300) for name, process in processes.items()}
    told = {name: process.log.read_text() for name, process in processes.items()}
    assert sorted(codes.values()) == [0, 1], told
    winner, loser = sorted(codes, key=codes.get)
    assert f"(process {processes[winner].pid})" in told[loser] and "was written meanwhile by" in told[loser]
    records = bucket.names("leaderboards/records/")
    assert len(records) == 2 and all(key.endswith(".1.json") for key in records)
    owners = {json.loads(bucket.read(key))["written_by"]["process"] for key in records}
    assert processes[winner].pid in owners


def test_urls_are_refused_where_they_mean_nothing(bucket, machine, tmp_path):
    command = machine("a")
    for words in (
        ("score", "x", "--leaderboards", bucket.at("leaderboards")),
        ("predict", bucket.at("images"), "--out", "found"),
        ("prepare", bucket.at("images")),
        ("run", "mine", f"--runs={bucket.at('runs')}", "--executor", "ray"),
        ("audit", bucket.at("set")),
        ("leaderboard", "mine", "--leaderboards", bucket.at("leaderboards"), "--drop", "unet-smoke-seed0"),
    ):
        code, text = command(*words)
        assert code == 2, (words, text)
    assert not [path for path in tmp_path.rglob("*") if "s3:" in path.name]
    code, text = command("leaderboard", "mine", "--leaderboards", bucket.at("leaderboards"))
    assert code == 2 and "no records" in text, text
    code, text = command("run", "s3://no-such-bucket/set", "--models", "otsu")
    assert code == 1 and "s3://no-such-bucket/set" in text and "AWS_ENDPOINT_URL" in text, text
