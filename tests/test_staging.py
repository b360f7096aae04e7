from pathlib import Path

import pytest

from nanoseg_bench.errors import FolderError
from nanoseg_bench.staging import beside, recover_folder, staged_folder

MARKER = "marker.json"


def write(target, text):
    with staged_folder(target, MARKER) as root:
        (root / MARKER).write_text(text)


def test_a_folder_is_made_and_replaced(tmp_path):
    target = tmp_path / "deep" / "set"
    write(target, "one")
    write(target, "two")
    assert (target / MARKER).read_text() == "two"
    assert [path.name for path in target.parent.iterdir()] == ["set"]


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_state(tmp_path, existing, kind):
    target = tmp_path / "set"
    if existing:
        write(target, "one")
    with pytest.raises(kind), staged_folder(target, MARKER) as root:
        (root / "half").write_text("half")
        raise kind
    assert [path.name for path in tmp_path.iterdir()] == (["set"] if existing else [])
    assert not existing or (target / MARKER).read_text() == "one"


def test_leftovers_of_a_kill_are_cleared(tmp_path):
    target = tmp_path / "set"
    (tmp_path / ".set.incomplete" / "images").mkdir(parents=True)
    write(target, "one")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_kill_between_the_renames_is_undone(tmp_path):
    target = tmp_path / "set"
    write(target, "one")
    target.rename(tmp_path / ".set.old")
    recover_folder(target)
    assert (target / MARKER).read_text() == "one"


def test_a_kill_after_the_renames_is_finished(tmp_path):
    target = tmp_path / "set"
    write(tmp_path / ".set.old", "one")
    write(target, "two")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_other_peoples_folders_are_not_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    with pytest.raises(FolderError, match=r"thesis: holds other files.*choose another folder"):
        write(tmp_path / "thesis", "one")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "one")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderError, match="file: is a file"):
        write(tmp_path / "file", "one")
    with pytest.raises(FolderError, match="cannot be written"):
        write(tmp_path / "file" / "set", "one")


def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "set" / "in").mkdir(parents=True)
    for place in ("set", "set/in"):
        monkeypatch.chdir(tmp_path / place)
        with pytest.raises(FolderError, match=r"is the current folder, or holds it.*choose another folder"):
            write(tmp_path / "set", "one")
    for name in (".", ".."):
        with pytest.raises(FolderError, match="is the current folder, or holds it"):
            beside(Path(name), "{}-images")
    assert beside(Path("a/b"), ".{}.x") == Path("a/.b.x")
