"""One writer at a time: who is alive keeps the folder, who is gone loses it, and sees that if it comes back."""

import threading
import time
from contextlib import contextmanager

import pytest

from nanoseg_bench.runs import stored_writer
from nanoseg_bench.runs.stored_writer import Writer, is_writer, last_writer
from nanoseg_bench.storage import StoredFolder

pytest.importorskip("fsspec")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_writer, "LEASE", 0.6)
    monkeypatch.setattr(stored_writer, "BEAT", 0.15)
    return StoredFolder(f"file://{tmp_path}/run")


@pytest.fixture
def patient(monkeypatch):
    """A sign of life is seen when it comes, and not missed where this machine has other work for a second."""
    monkeypatch.setattr(stored_writer, "LEASE", 300.0)


@contextmanager
def living(writer, pause=0.15):
    """Its signs of life come as long as this lasts, one after so many seconds."""
    stop = threading.Event()

    def live():
        while not stop.wait(pause):
            writer.beat()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_numbers_follow_each_other(folder):
    first, second = Writer(folder), Writer(folder)
    assert last_writer(folder) == (0, {}) and first.take() == "" and first.before == ""
    first.release()
    assert second.take() == "" and second.before == first.token
    assert list(folder.list()) == ["writer-2.json"] and is_writer("writer-2.json") and not is_writer("writer-x.json")


def test_a_lost_answer_makes_nobody_wait_for_itself(folder, patient):
    """The storage wrote, the answer was lost, and the client's second try found the file there."""

    class Losing(StoredFolder):
        def put_if_absent(self, name, data):
            super().put_if_absent(name, data)
            return super().put_if_absent(name, data)

    writer = Writer(Losing(folder.url))
    began = time.monotonic()
    assert writer.take() == "" and writer.is_mine() == "" and writer.before == ""
    assert time.monotonic() - began < stored_writer.LEASE


def test_a_writer_that_lives_keeps_the_folder(folder, patient):
    first, second = Writer(folder), Writer(folder)
    first.take()
    with living(first):
        who = second.take()
    assert "(process " in who and first.is_mine() == ""


def test_a_writer_that_is_gone_loses_the_folder_and_learns_of_it(folder):
    first, second = Writer(folder), Writer(folder)
    first.take()
    began = time.monotonic()
    assert second.take() == "" and second.before == first.token
    assert time.monotonic() - began >= stored_writer.LEASE
    assert "(process " in first.is_mine() and second.is_mine() == ""
    first.beat()  # it lives after all
    assert "(process " in first.is_mine() and second.is_mine() == ""


def test_nobody_waits_for_a_writer_of_another_day(folder, monkeypatch):
    first = Writer(folder)
    monkeypatch.setattr(stored_writer, "this_machine", lambda: {"machine": "old", "at": "2020-01-01T00:00:00+00:00"})
    first.take()
    monkeypatch.setattr(stored_writer, "LEASE", 3600.0)
    assert Writer(folder).take() == ""


@pytest.mark.parametrize("says", ["1970-01-01T00:00:09+00:00", "2099-01-01T00:00:00+00:00"])
def test_a_writer_that_lives_keeps_the_folder_whatever_its_clock_says(folder, monkeypatch, says):
    """A battery is empty, or the time was put right while it wrote."""
    # By its clock it is gone for long, or it is not: for twice this a sign of life is waited for.
    monkeypatch.setattr(stored_writer, "BEAT", 3.0)
    monkeypatch.setattr(stored_writer, "LEASE", 6.0)
    first, second = Writer(folder), Writer(folder)
    monkeypatch.setattr(stored_writer, "this_machine", lambda: {"machine": "wrong", "process": 7, "at": says})
    first.take()
    with living(first, pause=0.05):
        assert "wrong (process 7)" in second.take()
    assert first.is_mine() == ""


def test_half_a_sign_of_life_is_not_of_somebody_who_is_gone(folder, patient, monkeypatch):
    """In a folder that is mounted, half of a file that is written over is there for a moment."""
    first, second, read = Writer(folder), Writer(folder), StoredFolder.read
    first.take()
    looks = iter([b"{", b'{"mach'])
    monkeypatch.setattr(StoredFolder, "read", lambda self, name: next(looks, None) or read(self, name))
    with living(first):
        assert "(process " in second.take()
    assert first.is_mine() == ""


def test_a_damaged_sign_of_life_is_that_of_one_who_is_gone(folder):
    first, second = Writer(folder), Writer(folder)
    first.take()
    folder.write("writer-1.json", b'{"mach')
    began = time.monotonic()
    assert second.take() == "" and time.monotonic() - began >= stored_writer.LEASE
    assert first.is_mine() != ""


def test_a_sign_of_life_after_the_release_does_not_take_it_back(folder):
    first = Writer(folder)
    first.take()
    first.release()
    first.beat()
    assert last_writer(folder)[1]["released"]


def test_a_release_that_is_seen_ends_the_wait(folder, monkeypatch):
    monkeypatch.setattr(stored_writer, "LEASE", 60.0)
    first, second = Writer(folder), Writer(folder)
    first.take()
    threading.Timer(0.3, first.release).start()
    assert second.take() == ""


def test_of_several_that_ask_one_becomes_the_writer(folder, patient):
    writers, got = [Writer(folder) for _ in range(3)], []
    barrier = threading.Barrier(len(writers))

    def ask(writer):
        barrier.wait()
        got.append(writer.take())
        while not done.wait(stored_writer.BEAT):
            if not writer.is_mine():
                writer.beat()

    done = threading.Event()
    threads = [threading.Thread(target=ask, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    while len(got) < len(writers):
        time.sleep(0.05)
    done.set()
    for thread in threads:
        thread.join()
    assert got.count("") == 1 and sum(writer.is_mine() == "" for writer in writers) == 1
