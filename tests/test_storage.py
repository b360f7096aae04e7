"""Folders at URLs, without any network: fsspec's memory, and folders of this machine as file://."""

import threading
import time
import uuid

import pytest

from nanoseg_bench import storage
from nanoseg_bench.errors import MissingExtraError, StorageError, UsageError
from nanoseg_bench.extras import way_to
from nanoseg_bench.files import parse_json
from nanoseg_bench.storage import (
    CONTENTS,
    StoredFolder,
    cache_folder,
    contents_of,
    fetch_folder,
    is_url,
    name_of,
    path_or_url,
    read_contents,
    upload_folder,
)

pytest.importorskip("fsspec")

MARKER = "marker.json"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(params=["memory", "file"])
def stored(request, tmp_path):
    """An empty folder: in memory, where no write is conditional, and on this machine, where a link is."""
    path = f"/{uuid.uuid4().hex}" if request.param == "memory" else str(tmp_path / "shared" / "folder")
    return StoredFolder(f"{request.param}://{path}")


@pytest.fixture
def folder(tmp_path):
    """A folder of three files, and a hidden one."""
    root = tmp_path / "made"
    (root / "inner").mkdir(parents=True)
    (root / MARKER).write_text('{"it": "is"}')
    (root / "inner" / "a.bin").write_bytes(bytes(range(256)))
    (root / "b ü.txt").write_text("text")
    (root / ".b.lock").write_text("")
    return root


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


def test_two_urls_have_two_folders_of_this_machine(tmp_path):
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


def test_a_folder_goes_up_and_comes_back(stored, folder):
    upload_folder(folder, stored, MARKER)
    assert stored.list().keys() == {MARKER, "inner/a.bin", "b ü.txt", CONTENTS}, "hidden files stay"
    assert read_contents(stored) == contents_of(folder)["files"]
    back = fetch_folder(stored, "sets", MARKER)
    assert contents_of(back) == contents_of(folder)
    kept = (back / MARKER).stat().st_mtime_ns
    again = fetch_folder(stored, "sets", MARKER)
    assert again == back and (back / MARKER).stat().st_mtime_ns == kept, "carried once"


def test_what_is_changed_there_has_another_place_here(stored, folder):
    upload_folder(folder, stored, MARKER)
    before = fetch_folder(stored, "sets", MARKER)
    (folder / "inner" / "a.bin").write_bytes(b"other")
    (folder / "b ü.txt").unlink()
    with pytest.raises(StorageError, match="exists already"):
        upload_folder(folder, stored, MARKER)
    upload_folder(folder, stored, MARKER, replace=True)
    assert "b ü.txt" not in stored.list()
    after = fetch_folder(stored, "sets", MARKER)
    assert (before / "inner" / "a.bin").read_bytes() == bytes(range(256)), "whoever reads it is not disturbed"
    assert (after / "inner" / "a.bin").read_bytes() == b"other" and not (after / "b ü.txt").exists()


@pytest.mark.parametrize("replace", [False, True])
def test_an_upload_that_ends_early_leaves_nothing_to_take_for_a_folder(stored, folder, monkeypatch, replace):
    if replace:
        upload_folder(folder, stored, MARKER)
        (folder / "b ü.txt").write_text("newer")

    class PowerCut(BaseException):
        """No error that anything catches."""

    def cut(self, root, names):
        self.write(names[0], (root / names[0]).read_bytes())
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(StoredFolder, "upload", cut)
        with pytest.raises(PowerCut):
            upload_folder(folder, stored, MARKER, replace=replace)
    assert MARKER not in stored.list()
    with pytest.raises(StorageError, match="nothing to read there"):
        fetch_folder(stored, "sets", MARKER)
    upload_folder(folder, stored, MARKER)
    assert contents_of(fetch_folder(stored, "sets", MARKER)) == contents_of(folder)


def test_other_files_are_not_written_over(stored, folder):
    stored.write("thesis.docx", b"years of work")
    with pytest.raises(StorageError, match=r"holds other files \(no marker.json\)"):
        upload_folder(folder, stored, MARKER)
    assert stored.list().keys() == {"thesis.docx"}


def test_two_uploads_at_a_time_do_not_make_one_folder(stored, folder, monkeypatch):
    """The other one's list of contents comes between."""
    whole = StoredFolder.upload

    def beside_another(self, root, names):
        whole(self, root, names)
        self.write(CONTENTS, b"of another machine")

    monkeypatch.setattr(StoredFolder, "upload", beside_another)
    with pytest.raises(StorageError, match="another machine writes it at the same time"):
        upload_folder(folder, stored, MARKER)
    assert MARKER not in stored.list()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda stored: stored.write("inner/a.bin", bytes(256)), "inner/a.bin: damaged"),
        (lambda stored: stored.write("inner/a.bin", b"cut off"), "inner/a.bin: damaged"),
        (lambda stored: stored.delete(["inner/a.bin"]), "inner/a.bin: is missing"),
        (lambda stored: stored.write(CONTENTS, b"{}"), f"{CONTENTS}: damaged"),
        (lambda stored: stored.write(CONTENTS, stored.read(CONTENTS).replace(b"256", b"255")), f"{CONTENTS}: damaged"),
    ],
)
def test_a_damaged_object_is_named(stored, folder, tmp_path, damage, named):
    upload_folder(folder, stored, MARKER)
    damage(stored)
    with pytest.raises(StorageError, match=rf"^{stored.url}/{named}.*upload the folder again"):
        fetch_folder(stored, "sets", MARKER)
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert left == [], "nothing half-fetched is left"


def test_a_folder_that_came_there_by_hand_is_looked_at(stored, folder):
    for name in contents_of(folder)["files"]:
        stored.write(name, (folder / name).read_bytes())
    seen = []
    back = fetch_folder(
        stored, "sets", MARKER, lambda fetched: seen.append(parse_json((fetched / MARKER).read_bytes()))
    )
    assert seen == [{"it": "is"}] and contents_of(back) == contents_of(folder)


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
