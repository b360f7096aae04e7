"""What stays in memory of micrographs that are done."""

import shutil
import uuid

import pytest

from nanoseg_bench.webapp import loaded
from nanoseg_bench.webapp.loaded import Loaded
from nanoseg_bench.webapp.store import DONE, Entry


@pytest.fixture
def sample(page, reviewed):
    """(folders, entries): a micrograph that is done, 100 times, each in a folder of its own."""
    _, id_ = reviewed
    folders = page.extensions["nanoseg"].folders
    entries = [_entry(uuid.uuid4().hex) for _ in range(100)]
    for each in entries:
        shutil.copytree(folders.of(id_), folders.of(each.id))
    yield folders, entries
    for each in entries:
        folders.delete(each.id)


def _entry(id_):
    return Entry(
        id=id_,
        owner="",
        name="field.png",
        stem="field",
        suffix=".png",
        status=DONE,
        reason=None,
        position=None,
        attempts=1,
        created=0.0,
        overview={},
        model=None,
        edits={},
        scale={},
        revision=1,
    )


def test_a_sample_of_many_micrographs_is_read_once(sample):
    folders, entries = sample
    kept = Loaded(folders)
    first = [kept.get(each) for each in entries]
    assert all(kept.get(each) is before for each, before in zip(entries, first, strict=True))


def test_no_more_outlines_stay_than_there_is_room_for(sample, monkeypatch, discs):
    folders, entries = sample
    monkeypatch.setattr(loaded, "_MOST_OUTLINES", 3 * (loaded._BESIDE + len(discs)))
    kept = Loaded(folders)
    first = [kept.get(each) for each in entries[:4]]
    assert kept.get(entries[1]) is first[1]  # asked for again: what was asked for longest ago goes
    kept.get(entries[4])
    assert kept.get(entries[3]) is first[3] and kept.get(entries[1]) is first[1]
    assert kept.get(entries[2]) is not first[2]
    assert len(kept._as_changed._kept) == len(kept._as_analysed._kept) == 3
    assert kept._as_changed._outlines == loaded._MOST_OUTLINES
