"""The set as Ultralytics takes it, from whatever folder it is called."""

import os
import subprocess
import sys

import pytest

from nanoseg_bench.nsyolo import NSYOLO

README = """
from nanoseg_bench.nsyolo import NSYOLO
NSYOLO("nsyolo-n").train(data="{data}", epochs=1, imgsz=64, batch=4, workers=0, device="cpu")
"""


def test_the_folder_of_the_yaml_counts_and_not_the_working_directory(tiny_set, tmp_path, monkeypatch):
    assert NSYOLO  # isolates Ultralytics from the user's settings
    from ultralytics.data.utils import check_det_dataset

    monkeypatch.chdir(tmp_path)
    found = check_det_dataset(str(tiny_set / "data.yaml"), autodownload=False)
    assert found["path"] == tiny_set
    for split in ("train", "val", "test"):
        assert found[split] == str(tiny_set / "images" / split)


@pytest.mark.slow
@pytest.mark.parametrize("relative", [True, False])
def test_the_example_of_the_readme_trains_from_another_folder(tiny_set, tmp_path, relative):
    data = tiny_set / "data.yaml"
    named = os.path.relpath(data, tmp_path) if relative else str(data)
    code = README.format(data=named)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [path.name for path in (tmp_path / "runs" / "segment").iterdir()] == ["train"], done.stdout[-2000:]
    assert (tmp_path / "runs" / "segment" / "train" / "weights" / "best.safetensors").is_file()
