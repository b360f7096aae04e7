"""Copies of stored folders, in real processes that use them and are killed."""

import os
import subprocess
import sys

import pytest

from nanoseg_bench import cached
from nanoseg_bench.errors import UsageError
from nanoseg_bench.storage import StoredFolder, cache_folder
from nanoseg_bench.stored_copies import fetch_folder, upload_folder

pytest.importorskip("fsspec")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is removed there")

MARKER = "marker.json"

USE = """
import sys
from pathlib import Path
from nanoseg_bench.cached import use
use(Path(sys.argv[1]))
print("used", flush=True)
sys.stdin.read()
"""

FETCH = """
import sys
from nanoseg_bench.storage import StoredFolder
from nanoseg_bench.stored_copies import fetch_folder
print(fetch_folder(StoredFolder(sys.argv[1]), "sets", "marker.json"))
"""


@pytest.fixture
def sets(tmp_path):
    """Copies of 1000 bytes each, in the order in which they were used."""
    folder = tmp_path / "sets"
    for hour, name in enumerate(("a", "b", "c", "d")):
        (folder / name / "inner").mkdir(parents=True)
        (folder / name / "inner" / "x").write_bytes(bytes(1000))
        lock = folder / f".{name}.used"
        lock.touch()
        os.utime(lock, (3600 * hour, 3600 * hour))
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("most", "left"), [(5000, "abcd"), (4999, "bcd"), (3000, "cd"), (2999, "d"), (1, "")])
def test_the_longest_unused_make_room(sets, monkeypatch, most, left):
    monkeypatch.setenv(cached.LIMIT, str(most / 1e9))
    cached.make_room(sets / "new", 1000)
    assert names(sets) == sorted([*left, *(f".{name}.used" for name in left)])


def test_what_a_process_uses_stays_until_it_ends(sets, monkeypatch):
    monkeypatch.setenv(cached.LIMIT, "0")
    commands = [[sys.executable, "-c", USE, str(sets / "b")]] * 2
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(commands[0], **pipes) as first, subprocess.Popen(commands[1], **pipes) as second:
        assert first.stdout.readline() == second.stdout.readline() == "used\n"
        cached.make_room(sets / "new", 1)
        assert names(sets) == [".b.used", "b"]
        first.kill()
        first.wait()
        cached.make_room(sets / "new", 1)
        assert names(sets) == [".b.used", "b"], "the other one is still there"
        second.kill()
        second.wait()
    cached.make_room(sets / "new", 1)
    assert names(sets) == []


def test_use_counts_as_use(sets, monkeypatch):
    monkeypatch.setenv(cached.LIMIT, str(2000 / 1e9))
    done = subprocess.run([sys.executable, "-c", USE, str(sets / "a")], input="", check=True, capture_output=True)
    assert done.stdout == b"used\n"
    cached.make_room(sets / "new", 1000)
    assert names(sets) == [".a.used", "a"]


def test_what_a_killed_process_left_of_a_removal_goes(sets):
    (sets / "a").rename(sets / ".a.removed")
    cached.make_room(sets / "new", 1)
    assert ".a.removed" not in names(sets) and {"b", "c", "d"} <= set(names(sets))


def test_a_copy_that_another_process_removes_meanwhile(sets, monkeypatch):
    """Of two commands that made room at the same time, one ended with the folder that the other had taken away."""
    monkeypatch.setenv(cached.LIMIT, str(3000 / 1e9))
    look_into = os.scandir

    def too_late(path="."):
        if str(path) == str(sets / "a" / "inner"):
            (sets / "a").rename(sets / ".a.removed")
        return look_into(path)

    monkeypatch.setattr(os, "scandir", too_late)
    cached.make_room(sets / "new", 1000)
    assert {"c", "d"} <= set(names(sets)) and not {"a", "b"} & set(names(sets))


def test_a_changed_set_takes_the_place_of_its_earlier_copy(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(cached.LIMIT, "0")
    url = f"file://{tmp_path}/shared/mine"
    made = tmp_path / "made"
    made.mkdir()
    (made / MARKER).write_text("1")
    upload_folder(made, StoredFolder(url), MARKER)
    done = subprocess.run([sys.executable, "-c", FETCH, url], check=True, capture_output=True, text=True)
    (made / MARKER).write_text("two")
    upload_folder(made, StoredFolder(url), MARKER, replace=True)
    copy = fetch_folder(StoredFolder(url), "sets", MARKER)
    assert (copy / MARKER).read_text() == "two"
    earlier = done.stdout.strip()
    assert earlier != str(copy) and names(cache_folder("sets", url).parent) == sorted([copy.name, f".{copy.name}.used"])
    assert fetch_folder(StoredFolder(url), "sets", MARKER) == copy, "which is in use here, whatever the limit"


@pytest.mark.parametrize("text", ["much", "inf", "nan"])
def test_a_limit_that_is_no_size(sets, monkeypatch, text):
    monkeypatch.setenv(cached.LIMIT, text)
    with pytest.raises(UsageError, match=rf"NANOSEG_BENCH_STORAGE_GB={text}: give a number of gigabytes"):
        cached.make_room(sets / "new", 1)
