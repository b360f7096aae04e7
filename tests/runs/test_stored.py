"""Runs and records that several machines share: each machine is a cache folder of its own, the storage one of file://."""

import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from nanoseg_bench.errors import StorageError
from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.runs import stored_writer
from nanoseg_bench.runs.failure import Outcome
from nanoseg_bench.runs.record import WRITTEN_BY, read_record
from nanoseg_bench.runs.stored import Shared
from nanoseg_bench.runs.stored_records import StoredRecords, stored_sets
from nanoseg_bench.runs.stored_runs import StoredRuns
from nanoseg_bench.seals import sealed, unsealed
from nanoseg_bench.storage import StoredFolder

pytest.importorskip("fsspec")

RUN = "unet-smoke-seed0"
NAME = f"{RUN}-test"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(stored_writer, "LEASE", 0.3)
    monkeypatch.setattr(stored_writer, "BEAT", 0.1)
    monkeypatch.setattr("nanoseg_bench.runs.stored_runs.BEAT", 0.1)


@pytest.fixture
def on(tmp_path, monkeypatch):
    """on(machine, kind, *arguments): what a machine opens of the shared folder."""

    def open_there(machine, kind, *arguments):
        with monkeypatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
            return kind(*arguments)

    return open_there


@pytest.fixture
def url(tmp_path):
    return f"file://{tmp_path}/shared"


@pytest.fixture
def records(on, url):
    """records(machine): the records of the set ``mine`` as that machine sees them."""
    return lambda machine: on(machine, StoredRecords, url, "mine")


def path_of(records, name=NAME):
    return records.local / "records" / "mine" / f"{name}.json"


def write(records, status="ok", name=NAME, **values):
    write_json(path_of(records, name), sealed({"status": status, **values}))


def value_of(records, name=NAME):
    document = read_json(path_of(records, name))
    document.pop(WRITTEN_BY, None)
    return unsealed(document).get("value")


def test_a_record_reaches_another_machine_with_its_writer(records, url):
    here, there = records("a"), records("b")
    write(here, value=1)
    assert here.sync(publish=True) == [] and there.sync(publish=False) == []
    assert value_of(there) == 1
    (file,) = StoredFolder(f"{url}/records/mine").list()
    assert file == f"{NAME}.1.json" and stored_sets(url) == ["mine"]
    assert read_json(path_of(there))[WRITTEN_BY].keys() == {"machine", "process", "at"}
    assert there.sync(publish=True) == [] == here.sync(publish=True), "nothing is new on either side"
    assert list(StoredFolder(f"{url}/records/mine").list()) == [file]


def test_a_record_is_not_written_over(records, url):
    """A later one of a run has the next number."""
    here, there = records("a"), records("b")
    write(here, "timeout", value=1)
    here.sync(publish=True)
    first = StoredFolder(f"{url}/records/mine").read(f"{NAME}.1.json")
    there.sync(publish=True)
    write(there, value=2)
    assert there.sync(publish=True) == [] and here.sync(publish=True) == []
    stored = StoredFolder(f"{url}/records/mine")
    assert list(stored.list()) == [f"{NAME}.1.json", f"{NAME}.2.json"] and stored.read(f"{NAME}.1.json") == first
    assert value_of(here) == value_of(there) == 2


def test_of_two_writers_one_wins_and_the_other_is_told_who(records, url):
    here, there = records("a"), records("b")
    here.sync(publish=True), there.sync(publish=True)
    write(here, value=1), write(there, value=2)
    assert here.sync(publish=True) == []
    (told,) = there.sync(publish=True)
    assert f"{url}/records/mine/{NAME}: was written meanwhile by " in told and "(process " in told
    assert value_of(here) == value_of(there) == 1, "the tables of both are of the same record"
    aside = told.rpartition(" kept as ")[2]
    assert read_json(Path(aside))["value"] == 2
    assert there.sync(publish=True) == [], "it is told once"


def test_the_one_who_comes_between_looking_and_writing_wins(records, monkeypatch):
    here, there = records("a"), records("b")
    write(here, value=1), write(there, value=2)
    put, turns = StoredFolder.put_if_absent, []

    def first_the_other(self, name, data):
        if not turns:
            turns.append(name)
            assert here.sync(publish=True) == []
        return put(self, name, data)

    monkeypatch.setattr(StoredFolder, "put_if_absent", first_the_other)
    (told,) = there.sync(publish=True)
    assert "was written meanwhile by" in told and value_of(there) == 1


@pytest.mark.parametrize(("theirs", "ours", "stays"), [("ok", "failed", 1), ("failed", "ok", 2), ("failed", "oom", 1)])
def test_a_good_record_goes_before_one_that_failed(records, theirs, ours, stays):
    here, there = records("a"), records("b")
    write(here, theirs, value=1), write(there, ours, value=2)
    assert here.sync(publish=True) == [] == there.sync(publish=True)
    here.sync(publish=True)
    assert value_of(here) == value_of(there) == stays


def test_the_same_record_of_two_machines_is_one(records, url):
    here, there = records("a"), records("b")
    write(here, value=1), write(there, value=1)
    assert here.sync(publish=True) == [] == there.sync(publish=True)
    assert list(StoredFolder(f"{url}/records/mine").list()) == [f"{NAME}.1.json"]


def test_a_run_that_was_not_begun_shares_no_record(records, url):
    here = records("a")
    write(here, "skipped")
    here.sync(publish=True)
    assert StoredFolder(f"{url}/records/mine").list() == {}


def test_a_record_that_is_taken_back_is_gone_elsewhere(records, url):
    here, there = records("a"), records("b")
    write(here, value=1)
    here.sync(publish=True), there.sync(publish=True)
    path_of(here).unlink()
    here.sync(publish=True), there.sync(publish=False)
    assert not path_of(there).exists()
    assert StoredFolder(f"{url}/records/mine").read(f"{NAME}.1.json"), "what was written stays"
    write(there, value=3)
    there.sync(publish=True), here.sync(publish=True)
    assert value_of(here) == 3


def test_a_cache_that_is_gone_or_damaged_takes_nothing_back(records):
    here, there = records("a"), records("b")
    write(here, value=1)
    here.sync(publish=True)
    path_of(here).write_text("half a rec")
    here.sync(publish=True), there.sync(publish=False)
    assert value_of(here) == value_of(there) == 1


@pytest.mark.parametrize("what", ["*", "*.json"])
def test_records_that_were_removed_here_to_make_room_are_not_taken_back(records, url, what):
    """A shell's ``*`` leaves the hidden notes, by which each record seemed to have been taken back here."""
    here = records("a")
    for name in (NAME, f"{RUN}-ood"):
        write(here, name=name, value=1)
    here.sync(publish=True)
    before = StoredFolder(url).list().keys()
    for path in path_of(here).parent.glob(what):
        if not path.name.startswith("."):
            path.unlink()
    again = records("a")
    again.sync(publish=True)
    assert value_of(again) == 1 and StoredFolder(url).list().keys() == before


def test_records_that_were_put_there_by_hand_are_read(records, url):
    document = json.dumps(sealed({"status": "ok", "value": 5})).encode()
    StoredFolder(f"{url}/records/mine").write(f"{NAME}.json", document)
    here = records("a")
    here.sync(publish=True)
    assert value_of(here) == 5
    write(here, value=6)
    here.sync(publish=True)
    there = records("b")
    there.sync(publish=False)
    assert value_of(there) == 6


@pytest.mark.parametrize("damage", [b"half a rec", b"[]", b'{"status": "ok", "value": 2, "document_sha256": "0"}'])
def test_a_damaged_record_is_named(records, url, damage):
    StoredFolder(f"{url}/records/mine").write(f"{NAME}.1.json", damage)
    with pytest.raises(StorageError, match=rf"{url}/records/mine/{NAME}\.1\.json: damaged .*intact copy"):
        records("a").sync(publish=False)


def test_who_wrote_it_stands_beside_what_is_sealed(tmp_path):
    """A record that was copied out of the storage is read as it is."""
    from nanoseg_bench.runs.record import Record, write_record
    from nanoseg_bench.runs.stored_records import _signed

    record = Record(
        model="otsu", title="Otsu", preset="smoke", evaluator="1", set_name="mine", dataset="mine", set_hash="0",
        classes=("a",), eval_set="test", images=1, status="ok", finished="now",
    )  # fmt: skip
    write_record(tmp_path / "a.json", record)
    (tmp_path / "b.json").write_bytes(_signed((tmp_path / "a.json").read_text("utf-8")))
    assert read_json(tmp_path / "b.json")[WRITTEN_BY]["process"]
    assert read_record(tmp_path / "b.json") == record


def test_tables_are_written_over_and_removed(records, url, tmp_path):
    here = records("a")
    (here.local).mkdir(parents=True)
    table = here.local / "mine-test.csv"
    table.write_text("model\n")
    here.share_tables([table, here.local / "mine-ood.csv"])
    assert StoredFolder(url).read("mine-test.csv") == b"model\n"
    table.unlink()
    here.share_tables([table])
    assert StoredFolder(url).read("mine-test.csv") is None


def work(runs, name, text, run=RUN):
    path = runs.local / run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_run_goes_on_on_another_machine(on, url):
    here, there = on("a", StoredRuns, url), on("b", StoredRuns, url)
    assert here.begin(RUN) == ""
    work(here, "run.json", "{}"), work(here, "state.pt", "half"), work(here, "log.txt", "one")
    work(here, "job.json", "paths of this machine"), work(here, ".tmp", "hidden")
    assert here.end(RUN) == ""
    assert there.begin(RUN) == ""
    folder = there.local / RUN
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "run.json": "{}", "state.pt": "half", "log.txt": "one",
    }  # fmt: skip
    (folder / "state.pt").unlink()
    work(there, "fit.json", "whole")
    assert there.end(RUN) == "" and here.begin(RUN) == ""
    assert not (here.local / RUN / "state.pt").exists() and (here.local / RUN / "fit.json").read_text() == "whole"


def test_checkpoints_are_carried_up_while_it_runs(on, url, monkeypatch):
    monkeypatch.setattr(stored_writer, "LEASE", 300.0)  # it is seen that it ends, and not waited for
    here, there = on("a", StoredRuns, url), on("b", StoredRuns, url)
    with here.at_work():
        here.begin(RUN)
        work(here, "run.json", "{}"), work(here, "state.pt", "half")
        wait_for(lambda: StoredFolder(url).read(f"{RUN}/state.pt") == b"half")
        assert "is being run by" in there.begin(RUN), "it gives signs of life"
    assert there.begin(RUN) == "", "the end lets others write"


def test_a_machine_that_was_killed_loses_its_run(on, url):
    here, there = on("a", StoredRuns, url), on("b", StoredRuns, url)
    here.begin(RUN)
    work(here, "state.pt", "half"), here._push(RUN, here._active[RUN], last=False)
    assert there.begin(RUN) == "" and (there.local / RUN / "state.pt").read_text() == "half"
    work(here, "state.pt", "later than that")
    assert "(process " in here.end(RUN), "it was not killed, and learns who has taken it over"
    assert StoredFolder(url).read(f"{RUN}/state.pt") == b"half"


def test_what_was_not_carried_up_stays_where_this_machine_wrote_last(on, url, monkeypatch):
    here = on("a", StoredRuns, url)
    here.begin(RUN)
    work(here, "state.pt", "half"), here._push(RUN, here._active[RUN], last=False)
    work(here, "fit.json", "whole")
    again = on("a", StoredRuns, url)  # the process was killed, or the network was away
    assert again.begin(RUN) == "" and (again.local / RUN / "fit.json").read_text() == "whole"
    again.end(RUN)
    assert StoredFolder(url).read(f"{RUN}/fit.json") == b"whole"


def fail_as_it_begins(runs, monkeypatch):
    """The network goes when ``begin`` has just become the writer."""

    def away(*_):
        raise StorageError("the network is away")

    with monkeypatch.context() as patch:
        patch.setattr(StoredRuns, "_names", away)
        with pytest.raises(StorageError):
            runs.begin(RUN)


def test_what_was_not_carried_up_stays_although_a_second_call_fails_as_it_begins(on, url, monkeypatch):
    """That call had become the writer, and the third one took it for another machine and fetched what was older."""
    here = on("a", StoredRuns, url)
    here.begin(RUN)
    work(here, "state.pt", "half"), here._push(RUN, here._active[RUN], last=False)
    work(here, "fit.json", "whole")

    fail_as_it_begins(on("a", StoredRuns, url), monkeypatch)
    again = on("a", StoredRuns, url)
    assert again.begin(RUN) == "" and (again.local / RUN / "fit.json").read_text() == "whole"
    again.end(RUN)
    assert StoredFolder(url).read(f"{RUN}/fit.json") == b"whole"


def test_a_run_that_could_not_be_fetched_is_another_machines_at_once(on, url, monkeypatch):
    """A plan goes on with its next run, and gave signs of life of the one that it does not run."""
    here, there = on("a", StoredRuns, url), on("b", StoredRuns, url)
    with here.at_work():
        fail_as_it_begins(here, monkeypatch)
        assert there.begin(RUN) == ""


def test_what_is_newer_there_is_fetched_although_an_earlier_call_failed_as_it_did_so(on, url, monkeypatch):
    here, there = on("a", StoredRuns, url), on("b", StoredRuns, url)
    here.begin(RUN), work(here, "fit.json", "earlier"), here.end(RUN)
    there.begin(RUN), work(there, "fit.json", "later"), there.end(RUN)

    fail_as_it_begins(on("a", StoredRuns, url), monkeypatch)
    assert here.begin(RUN) == "" and (here.local / RUN / "fit.json").read_text() == "later"


@pytest.mark.parametrize("what", ["folder", "files"])
def test_a_run_that_was_removed_here_to_make_room_stays_there(on, url, what):
    """The hidden note beside the folder stays; by it all that lies there seemed to be gone here."""
    here = on("a", StoredRuns, url)
    here.begin(RUN), work(here, "run.json", "{}"), work(here, "fit.json", "finished"), here.end(RUN)
    shutil.rmtree(here.local / RUN)
    if what == "files":
        (here.local / RUN).mkdir()
    again = on("a", StoredRuns, url)
    assert again.begin(RUN) == "" and (again.local / RUN / "fit.json").read_text() == "finished"
    again.end(RUN)
    assert StoredFolder(url).read(f"{RUN}/fit.json") == b"finished"


def test_a_folder_that_is_empty_for_a_moment_deletes_nothing_there(on, url):
    here = on("a", StoredRuns, url)
    here.begin(RUN), work(here, "fit.json", "finished"), here._push(RUN, here._active[RUN], last=False)
    (here.local / RUN / "fit.json").unlink()
    here._push(RUN, here._active[RUN], last=False)
    assert StoredFolder(url).read(f"{RUN}/fit.json") == b"finished"
    work(here, "run.json", "{}"), here.end(RUN)
    assert {name for name in StoredFolder(url).list() if "writer" not in name} == {f"{RUN}/run.json"}


def test_only_what_has_changed_is_carried(on, url, monkeypatch):
    here, there = on("a", StoredRuns, url), on("b", StoredRuns, url)
    here.begin(RUN)
    work(here, "weights.safetensors", "large"), work(here, "fit.json", "small")
    here.end(RUN)
    carried, upload = [], StoredFolder.upload

    def note(self, root, names):
        carried.extend(names)
        upload(self, root, names)

    monkeypatch.setattr(StoredFolder, "upload", note)
    for runs in (here, there):
        runs.begin(RUN), runs.end(RUN)
    assert carried == []
    there.begin(RUN)
    work(there, "fit.json", "other than before")
    there.end(RUN)
    assert carried == [f"{RUN}/fit.json"]


def test_a_file_that_says_what_others_are_is_away_while_these_change(on, url, monkeypatch):
    here = on("a", StoredRuns, url)
    here.begin(RUN)
    work(here, "predictions/test.json.gz", "old"), work(here, "predictions/test.made-from.json", "old")
    here._push(RUN, here._active[RUN], last=False)
    work(here, "predictions/test.json.gz", "newer"), work(here, "predictions/test.made-from.json", "newer")
    seen, upload = [], StoredFolder.upload

    def look(self, root, names):
        seen.append((list(names), self.read(f"{RUN}/predictions/test.made-from.json")))
        upload(self, root, names)

    monkeypatch.setattr(StoredFolder, "upload", look)
    here._push(RUN, here._active[RUN], last=True)
    assert seen == [
        ([f"{RUN}/predictions/test.json.gz"], None),
        ([f"{RUN}/predictions/test.made-from.json"], None),
    ]


def test_replaced_runs_are_shared_too(on, url):
    here, there = on("a", StoredRuns, url), on("b", StoredRuns, url)
    here.begin(RUN)
    (
        work(here, "fit.json", "earlier", f"replaced/{RUN}-0123abcd"),
        work(here, "fit.json", "x", f"replaced/{RUN}0-0123abcd"),
    )
    here.end(RUN)
    there.begin(RUN)
    assert [path.name for path in (there.local / "replaced").iterdir()] == [f"{RUN}-0123abcd"]
    (there.local / "replaced" / f"{RUN}-0123abcd").rename(there.local / RUN)
    there.end(RUN)
    assert {name for name in StoredFolder(url).list() if "writer" not in name} == {f"{RUN}/fit.json"}


def test_a_look_changes_nothing_there(on, url):
    here, there = on("a", StoredRuns, url), on("b", StoredRuns, url)
    for run in (f"{RUN}-fold1", f"{RUN}-fold2", f"{RUN}0-fold1"):
        here.begin(run), work(here, "fit.json", run, run), here.end(run)
    before = StoredFolder(url).list()
    there.look(set(), {RUN})
    assert sorted(path.name for path in there.local.iterdir()) == [f"{RUN}-fold1", f"{RUN}-fold2"]
    assert StoredFolder(url).list() == before


def test_a_run_that_was_taken_over_shares_no_record(on, url, tmp_path):
    spec = SimpleNamespace(run_id=RUN, row_id=RUN, final=False)
    here, there = on("a", Shared, "mine", f"{url}/runs", url), on("b", Shared, "mine", f"{url}/runs", url)
    here.begin(spec)
    assert there.begin(spec) == "", "no sign of life"
    records = SimpleNamespace(local=here.leaderboards)
    write(records, value=1)
    ended = here.end(spec, Outcome("ok"))
    assert ended.status == "skipped" and "taken over by" in ended.reason
    here.publish()
    assert StoredFolder(f"{url}/records/mine").list() == {} and not path_of(records).exists()
    assert read_json(here.leaderboards / "lost" / "mine" / f"{NAME}.json")["value"] == 1


def test_a_run_that_was_taken_over_beside_others_shares_no_record(on, url):
    """With --jobs all runs are ended last, and the records written before."""
    specs = [SimpleNamespace(run_id=run, row_id=run, final=False) for run in (RUN, "otsu-smoke-seed0")]
    here, there = on("a", Shared, "mine", f"{url}/runs", url), on("b", Shared, "mine", f"{url}/runs", url)
    for spec in specs:
        here.begin(spec)
    assert there.begin(specs[0]) == "", "no sign of life"
    records = SimpleNamespace(local=here.leaderboards)
    write(records, value=1), write(records, name="otsu-smoke-seed0-test", value=2)
    here.publish()
    assert list(StoredFolder(f"{url}/records/mine").list()) == ["otsu-smoke-seed0-test.1.json"]
    assert read_json(here.leaderboards / "lost" / "mine" / f"{NAME}.json")["value"] == 1
    assert [here.end(spec, Outcome("ok")).status for spec in specs] == ["skipped", "ok"]


def test_what_cannot_be_carried_up_is_told_and_kept(on, url, monkeypatch):
    spec = SimpleNamespace(run_id=RUN, row_id=RUN, final=False)
    here = on("a", Shared, "mine", f"{url}/runs", url)
    here.begin(spec)
    (
        work(SimpleNamespace(local=here.runs), "fit.json", "whole"),
        write(SimpleNamespace(local=here.leaderboards), value=1),
    )

    def away(*_):
        raise StorageError("the network is away")

    for name in ("upload", "put_if_absent"):
        monkeypatch.setattr(StoredFolder, name, away)
    assert here.end(spec, Outcome("ok")) == Outcome("ok")
    here.publish()
    told_of_run, told_of_record = here.problems
    assert str(here.runs / RUN) in told_of_run and str(here.leaderboards) in told_of_record


def wait_for(condition, seconds=300):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
