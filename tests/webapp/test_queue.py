"""The queue does not lose an upload, whatever becomes of the worker."""

import os
import signal
import time
import uuid

import page_workers
import pytest

from nanoseg_bench.webapp.folders import Folders
from nanoseg_bench.webapp.settings import Limits, Settings
from nanoseg_bench.webapp.store import Store
from nanoseg_bench.webapp.supervisor import Supervisor

OWNER = "one"
LIMIT = 4.0
"""Seconds that each micrograph may take; those that do not hang take a thousandth, on a machine that is not busy."""


class Queue:
    """A store with a supervisor whose worker does as names say."""

    def __init__(self, folder, target=page_workers.by_name, **limits):
        self.settings = Settings(data_dir=folder, keep_days=limits.pop("keep_days", 30.0), limits=Limits(**limits))
        folder.mkdir(exist_ok=True)
        self.store = Store(folder / "page.sqlite")
        self.folders = Folders(folder)
        self.supervisor = Supervisor(self.store, self.folders, self.settings, target)

    def add(self, *names):
        entries = []
        for name in names:
            id_ = uuid.uuid4().hex
            self.folders.of(id_).mkdir()
            entries.append(self.store.add(id=id_, owner=OWNER, name=name, suffix=".png"))
            self.supervisor.wake()
        return entries

    def states(self):
        return {each.name: each.status for each in self.store.of_owner(OWNER)}

    def reason(self, name):
        return next(each.reason for each in self.store.of_owner(OWNER) if each.name == name)

    def wait(self, seconds=300):
        self.wait_for(lambda: set(self.states().values()) <= {"done", "failed", "cancelled"}, seconds)

    def wait_for(self, holds, seconds=300):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, self.states()
            time.sleep(0.02)

    def close(self):
        self.supervisor.stop()
        self.store.close()


@pytest.fixture
def start(tmp_path):
    opened = []

    def begin(*names, target=page_workers.by_name, **limits):
        queue = Queue(tmp_path / "page", target, **limits)
        queue.add(*names)
        queue.supervisor.start()
        opened.append(queue)
        return queue

    yield begin
    for queue in opened:
        queue.close()


def test_all_are_done_in_order(start, tmp_path):
    queue = start()
    names = [f"{number}.png" for number in range(40)]
    queue.add(*names)
    queue.wait()
    assert queue.states() == dict.fromkeys(names, "done")
    assert (tmp_path / "page" / "order.txt").read_text().split() == names


def test_one_that_fails_costs_the_others_nothing(start):
    queue = start("a.png", "fail.png", "b.png")
    queue.wait()
    assert queue.states() == {"a.png": "done", "fail.png": "failed", "b.png": "done"}
    assert queue.reason("fail.png") == "as its name says"


def test_a_killed_worker_costs_nothing_but_time(start):
    queue = start("a.png", "die-once.png", "b.png")
    queue.wait()
    assert queue.states() == dict.fromkeys(("a.png", "die-once.png", "b.png"), "done"), queue.reason("die-once.png")


def test_what_kills_each_worker_is_told(start):
    queue = start("a.png", "die.png", "b.png")
    queue.wait()
    assert queue.states() == {"a.png": "done", "die.png": "failed", "b.png": "done"}
    assert "stopped 3 times" in queue.reason("die.png") and "signal 9" in queue.reason("die.png")


def test_a_worker_that_is_killed_while_idle_is_started_again(start):
    queue = start("a.png")
    queue.wait()
    before = queue.supervisor.worker_pid
    os.kill(before, signal.SIGKILL)
    queue.wait_for(lambda: queue.supervisor.worker_pid not in (before, None))
    queue.add("b.png")
    queue.wait()
    assert queue.states()["b.png"] == "done"


def test_the_time_limit_ends_one_and_not_the_queue(start):
    queue = start("a.png", "hang.png", "b.png", seconds=LIMIT)
    queue.wait()
    assert queue.states() == {"a.png": "done", "hang.png": "failed", "b.png": "done"}
    assert f"not done after {LIMIT:.0f} s" in queue.reason("hang.png")


def test_what_runs_can_be_cancelled(start):
    queue = start("hang.png", "b.png")
    queue.wait_for(lambda: queue.states()["hang.png"] == "running")
    (hanging,) = [each for each in queue.store.of_owner(OWNER) if each.name == "hang.png"]
    queue.wait_for(lambda: queue.supervisor._running == hanging.id)
    assert queue.store.cancel(hanging.id)
    queue.supervisor.interrupt(hanging.id)
    queue.wait()
    assert queue.states() == {"hang.png": "cancelled", "b.png": "done"}


def test_what_is_not_at_work_is_not_interrupted(start):
    queue = start("a.png")
    queue.wait()
    before = queue.supervisor.worker_pid
    queue.supervisor.interrupt(queue.store.of_owner(OWNER)[0].id)
    queue.add("b.png")
    queue.wait()
    assert queue.supervisor.worker_pid == before


def test_a_restart_goes_on_with_the_queue(tmp_path):
    queue = Queue(tmp_path / "page")
    queue.add("hang.png", "b.png", "c.png")
    queue.supervisor.start()
    queue.wait_for(lambda: queue.states()["hang.png"] == "running")
    queue.close()
    again = Queue(tmp_path / "page", seconds=LIMIT)
    assert again.states() == dict.fromkeys(("hang.png", "b.png", "c.png"), "queued")
    again.supervisor.start()
    again.wait()
    assert again.states() == {"hang.png": "failed", "b.png": "done", "c.png": "done"}
    again.close()


def test_without_a_model_what_waits_is_told(start):
    queue = start("a.png", "b.png", target=page_workers.without_model)
    queue.wait()
    assert queue.states() == {"a.png": "failed", "b.png": "failed"}
    assert queue.reason("a.png") == "nothing can be analysed: there is no model"
    assert queue.supervisor.trouble == "there is no model"


def test_a_worker_that_never_opens_the_model_is_told(start):
    queue = start("a.png", target=page_workers.ends_at_once)
    queue.wait()
    assert "could not open the model (signal 9)" in queue.reason("a.png")


def test_what_is_old_goes_with_its_files(tmp_path):
    queue = Queue(tmp_path / "page", keep_days=1 / 86400)
    (entry,) = queue.add("a.png")
    time.sleep(1.1)
    queue.supervisor.start()
    queue.wait_for(lambda: not queue.folders.of(entry.id).exists())
    assert queue.states() == {}
    queue.close()


def test_a_clock_that_is_set_ahead_by_years_deletes_nothing_before_an_hour_has_passed_on_it(tmp_path, monkeypatch):
    queue = Queue(tmp_path / "page")
    (entry,) = queue.add("a.png")
    clock, years = time.time, 10 * 365 * 86400
    queue.supervisor._clean()
    monkeypatch.setattr("nanoseg_bench.webapp.supervisor._SECONDS_BETWEEN_CLEANINGS", 0.0)
    monkeypatch.setattr("nanoseg_bench.webapp.supervisor.time.time", lambda: clock() + years)
    queue.supervisor._clean()
    assert queue.folders.of(entry.id).exists() and queue.states() == {"a.png": "queued"}
    monkeypatch.setattr("nanoseg_bench.webapp.supervisor.time.time", lambda: clock() - years)
    queue.supervisor._clean()
    assert queue.folders.of(entry.id).exists(), "nor does one that is set back"
    monkeypatch.setattr("nanoseg_bench.webapp.supervisor.time.time", lambda: clock() + years)
    queue.supervisor._clean()
    queue.supervisor._clean()
    assert not queue.folders.of(entry.id).exists(), "the clock stays, so that it is right"
    queue.store.close()


def test_what_was_uploaded_is_set_aside_where_the_list_of_it_is_gone(tmp_path, caplog):
    queue = Queue(tmp_path / "page")
    (entry,) = queue.add("a.png")
    (queue.folders.of(entry.id) / "original.png").write_bytes(b"hours at the microscope")
    queue.store.close()
    for path in (tmp_path / "page").glob("page.sqlite*"):  # as its message says: it is damaged
        path.unlink()
    again = Queue(tmp_path / "page")
    again.supervisor.start()
    aside = tmp_path / "page" / "micrographs-set-aside-1"
    assert (aside / entry.id / "original.png").read_bytes() == b"hours at the microscope"
    assert f"{aside}: holds what was uploaded before" in caplog.text
    again.close()


def test_what_a_kill_left_behind_goes_at_the_next_start(tmp_path):
    queue = Queue(tmp_path / "page")
    (entry,) = queue.add("a.png")
    half, lost = queue.folders.incoming(uuid.uuid4().hex), queue.folders.of(uuid.uuid4().hex)
    lost.mkdir()
    queue.supervisor.start()
    queue.wait()
    assert queue.folders.of(entry.id).is_dir() and not half.exists() and not lost.exists()
    queue.close()
