"""Folders that go to URLs and come back, without any network: fsspec's memory, and folders of this machine."""

import pytest

from nanoseg_bench.errors import StorageError
from nanoseg_bench.files import parse_json
from nanoseg_bench.storage import StoredFolder
from nanoseg_bench.stored_copies import (
    CONTENTS,
    contents_of,
    fetch_folder,
    is_uploaded,
    read_contents,
    upload_folder,
)

MARKER = "marker.json"


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


def test_what_no_list_names_stays_where_a_folder_is_replaced(stored, folder):
    """Runs that somebody kept below a set at a URL were deleted when it was prepared anew."""
    upload_folder(folder, stored, MARKER)
    stored.write("runs/unet/weights.safetensors", b"hours of training")
    (folder / "b ü.txt").unlink()
    upload_folder(folder, stored, MARKER, replace=True)
    assert stored.list().keys() == {MARKER, "inner/a.bin", CONTENTS, "runs/unet/weights.safetensors"}
    assert contents_of(fetch_folder(stored, "sets", MARKER)) == contents_of(folder)


def test_runs_below_a_folder_are_none_of_it(stored, folder):
    """A set was carried anew at each command while somebody trained below it."""
    upload_folder(folder, stored, MARKER)
    before = fetch_folder(stored, "sets", MARKER)
    stored.write("runs/unet/state.pt", b"half")
    assert fetch_folder(stored, "sets", MARKER) == before
    (folder / "b ü.txt").write_text("other")
    upload_folder(folder, stored, MARKER, replace=True)
    assert fetch_folder(stored, "sets", MARKER) != before


def test_what_is_no_more_goes_although_a_replacement_ends_early(stored, folder, monkeypatch):
    upload_folder(folder, stored, MARKER)
    (folder / "b ü.txt").unlink()

    def cut(self, root, names):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StoredFolder, "upload", cut)
        with pytest.raises(KeyboardInterrupt):
            upload_folder(folder, stored, MARKER, replace=True)
    upload_folder(folder, stored, MARKER)
    assert stored.list().keys() == {MARKER, "inner/a.bin", CONTENTS}


def test_a_damaged_list_is_mended_by_an_upload(stored, folder):
    """``prepare`` at the URL ended with "upload the folder again", however often that was done."""
    upload_folder(folder, stored, MARKER)
    assert is_uploaded(folder, stored)
    stored.write(CONTENTS, b"{}")
    assert not is_uploaded(folder, stored)
    upload_folder(folder, stored, MARKER, replace=True)
    assert is_uploaded(folder, stored)
    (folder / "inner" / "a.bin").write_bytes(b"other")
    assert not is_uploaded(folder, stored)


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
