import os
import sys

import pytest
from PIL import Image

from nanoseg_bench.errors import UsageError
from nanoseg_bench.inference.image_files import find_images


def test_images_are_found_once_by_whatever_path(tmp_path):
    for name in ("b.png", "in/a.PNG", "in/c.txt", ".d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (9, 9)).save(tmp_path / name, format="PNG")
    found = find_images([tmp_path, tmp_path / "in" / ".." / "b.png"], tmp_path.parent / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["b.png", "in/a.PNG"]
    with pytest.raises(UsageError, match="lies inside"):
        find_images([tmp_path], tmp_path / "out")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes")
def test_a_path_in_another_encoding_is_refused_before_any_work(tmp_path):
    folder = tmp_path / os.fsdecode(b"proben-\xfc")
    folder.mkdir()
    Image.new("L", (9, 9)).save(folder / "a.png")
    for given in (tmp_path, folder / "a.png"):
        with pytest.raises(UsageError, match=r"not in UTF-8.*rename it"):
            find_images([given], tmp_path.parent / "out")
