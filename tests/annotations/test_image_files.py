import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from nanoseg_bench.annotations.image_files import ImageFinder, find_file, same_name, unusable_image

COMPOSED = unicodedata.normalize("NFC", "Größe/Würfel é.png")
TAKEN_APART = unicodedata.normalize("NFD", COMPOSED)


def save_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (30, 20), 90).save(path)
    return path


@pytest.mark.parametrize(("on_disk", "named"), [(COMPOSED, TAKEN_APART), (TAKEN_APART, COMPOSED), (COMPOSED, COMPOSED)])
def test_a_name_is_found_in_either_unicode_form(tmp_path, on_disk, named):
    assert COMPOSED != TAKEN_APART
    image = save_image(tmp_path / on_disk)
    assert find_file(tmp_path, named).samefile(image)
    assert find_file(tmp_path / "none", named) is None
    found = ImageFinder([tmp_path]).find(named)
    assert found.fault == "" and found.path.samefile(image)
    # Deeper down, by its last part.
    deep = ImageFinder([tmp_path / "none"], below=[tmp_path]).find(Path(named).name)
    assert deep.fault == "" and deep.path.samefile(image)
    assert same_name(Path(on_disk).name, Path(named).name.upper())


def test_a_file_that_comes_later_is_found(tmp_path):
    assert find_file(tmp_path, TAKEN_APART) is None
    image = save_image(tmp_path / COMPOSED)
    assert find_file(tmp_path, TAKEN_APART).samefile(image)


@pytest.mark.parametrize("named", ["a.gif", "a.png", "sub\\a.gif"])
def test_an_image_of_another_format_is_named_and_not_called_missing(tmp_path, named):
    Image.new("P", (30, 20)).save(tmp_path / "a.gif")
    found = ImageFinder([tmp_path]).find(named)
    assert found.path is None
    assert f"{tmp_path / 'a.gif'} is of a format that is not read" in found.fault and ".webp, .tif" in found.fault


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    os.symlink(".git/annex/gone.png", tmp_path / "a.png")
    os.symlink("b.png", tmp_path / "b.png")
    finder = ImageFinder([tmp_path], below=[tmp_path])
    for name, reason in (
        ("a.png", "is a link to .git/annex/gone.png, which is not there; fetch the file"),
        ("b.png", "is a link that leads round to itself"),
    ):
        assert reason in unusable_image(tmp_path, name)
        assert reason in finder.find(name).fault
    assert len(finder.find_all(["a.png", "b.png"])) == 2
    assert unusable_image(tmp_path, "none.png") == ""


def test_a_folder_of_a_name_that_no_disk_takes_is_none(tmp_path):
    finder = ImageFinder([tmp_path / ("x" * 300), tmp_path])
    assert finder.find("a.png").path is None
    (tmp_path / "a.png").write_bytes(b"")
    assert finder.find("a.png").path == tmp_path / "a.png"
