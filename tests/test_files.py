import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from nanoseg_bench.files import (
    atomic_path,
    broken_link,
    read_json,
    sha256_file,
    sha256_json,
    visible_files,
    write_bytes,
    write_json,
    write_text,
)


def test_writing_creates_folders_and_leaves_only_the_file(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    write_text(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["c.txt"]


def test_exception_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    with pytest.raises(RuntimeError, match="half"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("half way")
    assert read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "never.txt"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [path]


def test_old_file_stands_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "a.png"
    write_bytes(path, b"old")
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".png"
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_mode_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"x")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    finally:
        os.umask(old)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_threads_that_write_leave_the_umask_alone(tmp_path, monkeypatch):
    """It belongs to the whole process, and can only be asked for by changing it."""
    old = os.umask(0o027)
    umask = os.umask
    monkeypatch.setattr(os, "umask", lambda mask: [umask(mask), time.sleep(0.001)][0])
    try:
        threads = [
            threading.Thread(target=lambda n=n: [write_bytes(tmp_path / f"{n}-{k}", b"x") for k in range(20)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}
    finally:
        assert umask(old) == 0o027


@pytest.mark.faults
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_kill_leaves_the_old_or_the_new_file(tmp_path):
    path = tmp_path / "a.json"
    code = (
        "import sys, pathlib\n"
        "from nanoseg_bench.files import write_json\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    write_json(pathlib.Path(sys.argv[1]), {'n': n, 'rows': [n] * 20000})\n"
    )
    last = 0
    for attempt in range(5):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)])
        deadline = time.monotonic() + 300
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        document = read_json(path)
        assert document["rows"] == [document["n"]] * 20000
        last = max(last, document["n"])
    assert last > 0


def test_same_value_same_bytes_and_byte_order_mark(tmp_path):
    value = {"b": [1, 2.5], "a": "é"}
    write_json(tmp_path / "1.json", value)
    write_json(tmp_path / "2.json", json.loads(json.dumps(value)))
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    (tmp_path / "bom.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "1.json").read_bytes())
    assert read_json(tmp_path / "bom.json") == value


def test_hashes(tmp_path):
    write_bytes(tmp_path / "a", b"abc")
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_json({"a": 1, "b": [2]}) == sha256_json({"b": [2], "a": 1})
    assert sha256_json({"a": 1}) != sha256_json({"a": 2})


def test_links_that_lead_nowhere(tmp_path):
    (tmp_path / "file").write_text("x")
    for name, target in (
        ("good", "file"),
        ("gone", ".git/annex/x"),
        ("round", "round"),
        ("chain", "gone"),
        ("in", "file/x"),
        ("long", "x" * 300),
    ):
        (tmp_path / name).symlink_to(target)
    assert [broken_link(tmp_path / name) for name in ("file", "good", "none")] == ["", "", ""]
    assert broken_link(tmp_path / "gone").startswith("a link to .git/annex/x, which is not there; fetch the file")
    assert broken_link(tmp_path / "chain").startswith("a link to gone, which is not there")
    assert broken_link(tmp_path / "in").startswith("a link to file/x, which is not there")
    assert broken_link(tmp_path / "round").startswith("a link that leads round to itself")
    assert broken_link(tmp_path / "long").startswith(f"a link to {'x' * 300}, which cannot be reached (File name too")


def test_visible_files(tmp_path):
    for name in ("b.png", "a.PNG", ".c.png", "d.txt", "in/e.png", "in/.deep/f.png", ".hidden/g.png", "left/h.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(*arguments):
        return [path.relative_to(tmp_path).as_posix() for path in visible_files(tmp_path, *arguments)]

    assert found() == ["a.PNG", "b.png", "d.txt", "in/e.png", "left/h.png"]
    assert found((".png", ".tif"), tmp_path / "left") == ["a.PNG", "b.png", "in/e.png"]
