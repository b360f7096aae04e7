"""The queue's order, and whose micrograph is whose."""

import contextlib
import sqlite3
import threading
import time
import uuid

import pytest

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.webapp.store import CANCELLED, FAILED, QUEUED, RUNNING, Store

OVERVIEW, MODEL = {"particles": 3}, {"title": "a model"}


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "page.sqlite")
    yield opened
    opened.close()


def add(store, name="a.png", owner="one"):
    return store.add(id=uuid.uuid4().hex, owner=owner, name=name, suffix=".png")


def test_turns_are_those_of_the_uploads_whoever_sent_them(store):
    added = [add(store, owner=owner) for owner in ("one", "two", "one", "two")]
    assert [each.position for each in added] == [1, 2, 3, 4]
    begun = [store.begin_next().id for _ in added]
    assert begun == [each.id for each in added]
    assert store.begin_next() is None


def test_positions_count_what_waits_before(store):
    first, second, third = add(store, owner="one"), add(store, owner="two"), add(store, owner="one")
    store.begin_next()
    assert [(each.id, each.position) for each in store.of_owner("one")] == [(first.id, 0), (third.id, 2)]
    store.cancel(second.id)
    assert store.find(third.id, "one").position == 1
    assert store.find(second.id, "two").position is None


def test_only_its_session_finds_a_micrograph(store):
    entry = add(store, owner="one")
    assert store.find(entry.id, "one").name == "a.png"
    assert store.find(entry.id, "two") is None
    assert store.of_owner("two") == []


def test_what_ran_when_a_process_was_killed_waits_at_its_old_turn(tmp_path):
    store = Store(tmp_path / "page.sqlite")
    first, second = add(store), add(store)
    store.begin_next()
    store.close()
    again = Store(tmp_path / "page.sqlite")
    again.put_back(3, "too often")
    assert [each.status for each in again.of_owner("one")] == [QUEUED, QUEUED]
    assert again.begin_next().id == first.id
    again.finish(first.id, OVERVIEW, MODEL)
    assert again.begin_next().id == second.id
    again.close()


def test_what_is_begun_too_often_is_told(store):
    entry = add(store)
    for attempt in (1, 2, 3):
        assert store.begin_next().attempts == attempt
        store.put_back(3, "too often")
    found = store.find(entry.id, "one")
    assert (found.status, found.reason) == (FAILED, "too often")


def test_an_orderly_end_of_the_server_is_no_attempt(store):
    entry = add(store)
    for _ in range(5):
        store.begin_next()
        store.release(entry.id)
    assert (store.find(entry.id, "one").status, store.find(entry.id, "one").attempts) == (QUEUED, 0)


def test_what_is_cancelled_stays_so_whatever_the_worker_says(store):
    entry = add(store)
    store.begin_next()
    assert store.cancel(entry.id)
    assert not store.finish(entry.id, OVERVIEW, MODEL)
    assert not store.fail(entry.id, "late")
    assert store.find(entry.id, "one").status == CANCELLED
    assert not store.cancel(entry.id)


def test_another_try_waits_last(store):
    first, second = add(store), add(store)
    store.begin_next()
    store.fail(first.id, "no image")
    assert store.queue_again(first.id) and not store.queue_again(second.id)
    assert [store.begin_next().id, store.begin_next().id] == [second.id, first.id]


def test_the_second_of_two_changes_is_refused(store):
    entry = add(store)
    store.begin_next()
    store.finish(entry.id, OVERVIEW, MODEL)
    revision = store.find(entry.id, "one").revision
    changes = {"edits": {"removed": [1]}, "scale": {}, "overview": {"particles": 2}}
    assert store.revise(entry.id, revision, **changes)
    assert not store.revise(entry.id, revision, **changes)
    found = store.find(entry.id, "one")
    assert (found.revision, found.edits, found.overview) == (revision + 1, {"removed": [1]}, {"particles": 2})


def test_names_in_tables_differ_in_a_session(store):
    stems = [add(store, name).stem for name in ("a.png", "a.tif", "A.png", "b/a.png")]
    assert len({stem.casefold() for stem in stems}) == 4
    assert stems[0] == "a"
    assert add(store, "a.png", owner="two").stem == "a"
    long = [add(store, f"{'试样' * 30}.png").stem for _ in range(4)]
    assert len(set(long)) == 4


def test_old_ones_go_but_what_runs(store):
    old, running, new = add(store), add(store), add(store)
    store.add_session("one")
    store.add_session("gone")
    store.begin_next()
    store.finish(old.id, OVERVIEW, MODEL)
    store.begin_next()
    moment = time.time() + 1
    assert sorted(store.delete_before(moment)) == sorted([old.id, new.id])
    assert [(each.id, each.status) for each in store.of_owner("one")] == [(running.id, RUNNING)]
    assert store.has_session("one") and not store.has_session("gone")


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "page.sqlite"
    path.write_bytes(b"no database, but long enough to be taken for one" * 50)
    with pytest.raises(NanosegError, match="cannot be read as the page's list"):
        Store(path)


def test_a_newer_file_is_not_touched(tmp_path):
    path = tmp_path / "page.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(NanosegError, match="newer"):
        Store(path)
    assert path.read_bytes() == before


def test_many_threads_lose_nothing(store):
    def work(owner):
        for _ in range(25):
            add(store, owner=owner)

    threads = [threading.Thread(target=work, args=(f"owner-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count_waiting() == 200 == len(store.ids())
    for number in range(8):
        own = store.of_owner(f"owner-{number}")
        assert len(own) == 25 and [each.position for each in own] == sorted(each.position for each in own)
    begun = [store.begin_next().id for _ in range(200)]
    assert len(set(begun)) == 200
