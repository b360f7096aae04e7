"""Folders at URLs, without any network: fsspec's memory, and folders of this machine as file://."""

import threading
import time
import uuid

import pytest

from nanoseg_bench import storage
from nanoseg_bench.errors import MissingExtraError, StorageError, UsageError
from nanoseg_bench.extras import way_to
from nanoseg_bench.storage import StoredFolder, cache_folder, is_url, name_of, path_or_url

pytest.importorskip("fsspec")


def at_once(number, act):
    """What ``number`` threads that begin together get from act(index)."""
    barrier, found = threading.Barrier(number), {}

    def work(index):
        barrier.wait()
        found[index] = act(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[index] for index in range(number)]


def test_a_url_is_told_from_a_path(tmp_path):
    assert is_url("s3://bucket/set") and is_url("file:///data") and not is_url("data/set") and not is_url(tmp_path)
    assert path_or_url("s3://bucket/set/") == "s3://bucket/set"
    assert path_or_url("data/set").parts == ("data", "set")
    for scheme in ("s3://", "s3:///"):
        with pytest.raises(StorageError, match=f"^{scheme}: names no place; give a bucket and a folder"):
            StoredFolder(path_or_url(scheme))
    assert not is_url(path_or_url(str(tmp_path)))


def test_two_urls_have_two_folders_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    places = {cache_folder(kind, f"s3://{bucket}/set") for kind in ("sets", "runs") for bucket in ("a", "b")}
    assert len(places) == 4 and all(place.is_relative_to(tmp_path / "cache") for place in places)
    assert name_of("s3://bucket/set/") == "set"


def test_files_are_written_read_listed_and_deleted(stored):
    assert stored.list() == {} and stored.read("a/b.json") is None
    stored.write("a/b.json", b"1")
    stored.write("a/b.json", b"22")
    stored.write("c", b"333")
    assert {name: entry.size for name, entry in stored.list().items()} == {"a/b.json": 2, "c": 3}
    assert stored.below("a").list().keys() == {"b.json"} and stored.below("a").read("b.json") == b"22"
    before = stored.list()["c"].tag
    time.sleep(0.02)  # the clock of a file system ticks every 4 or 10 ms
    stored.write("c", b"444")
    assert stored.list()["c"].tag != before
    stored.delete(["c", "not there"])
    assert stored.list().keys() == {"a/b.json"}


def test_a_name_is_put_once(stored):
    assert stored.put_if_absent("records/a.json", b"first")
    assert not stored.put_if_absent("records/a.json", b"second")
    assert stored.read("records/a.json") == b"first"
    assert stored.list().keys() == {"records/a.json"}, "no claim, no temporary file is left"


@pytest.mark.parametrize("turn", range(5))
def test_of_several_writers_exactly_one_owns_a_name(stored, turn):
    wins = at_once(4, lambda index: stored.put_if_absent("record.json", str(index).encode()))
    assert wins.count(True) == 1
    assert stored.read("record.json") == str(wins.index(True)).encode()


def test_a_claim_that_a_kill_left_is_named(monkeypatch):
    monkeypatch.setattr(storage, "_TURNS", 2)
    stored = StoredFolder(f"memory:///{uuid.uuid4().hex}")
    stored.write("x/.claim-record.json-0f", b'{"machine": "lab-3", "process": 7, "at": "noon"}')
    with pytest.raises(StorageError, match=r"\.claim-record\.json-0f: .*lab-3 \(process 7\).*delete that file"):
        stored.put_if_absent("x/record.json", b"mine")
    assert stored.read("x/record.json") is None
    stored.delete(["x/.claim-record.json-0f"])
    assert stored.put_if_absent("x/record.json", b"mine")


def test_an_object_does_not_lead_out_of_its_folder(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a").write_text("a")
    with pytest.raises(StorageError, match="leads out of its folder"):
        StoredFolder(f"file://{tmp_path}/there").download(["../there/a"], tmp_path / "here")


def test_what_cannot_be_opened_says_so(monkeypatch):
    with pytest.raises(StorageError, match=r"^nosuch://x/y: .*Protocol not known"):
        StoredFolder("nosuch://x/y")
    with pytest.raises(StorageError, match=r"^memory:///nothing/a: .*look at the URL"):
        StoredFolder("memory:///nothing").download(["a"], cache_folder("sets", "memory:///nothing"))
    monkeypatch.setattr("nanoseg_bench.extras.is_installed", lambda package: package != "s3fs")
    with pytest.raises(MissingExtraError) as told:
        StoredFolder("s3://bucket/set")
    assert "s3://bucket/set needs s3fs" in str(told.value) and way_to("s3") in str(told.value)


def test_python_takes_folders(tmp_path, monkeypatch):
    """A URL would become a folder that is called ``s3:``."""
    from nanoseg_bench import prepare, read_leaderboard, run

    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: run("set", ["otsu"], runs="s3://lab/runs"),
        lambda: run("s3://lab/set", ["otsu"]),
        lambda: read_leaderboard("mine", "s3://lab/leaderboards"),
        lambda: prepare(images=12, out="s3://lab/set"),
    ):
        with pytest.raises(UsageError, match=r"s3://lab/.*takes a folder of this machine"):
            call()
    assert not list(tmp_path.iterdir())
