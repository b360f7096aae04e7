"""The set as Ultralytics takes it, from whatever folder it is called."""

import os
import subprocess
import sys

import pytest
import yaml

from nanoseg_bench.nsyolo import NSYOLO
from nanoseg_bench.preparation.prepared_set import PreparedSet

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


def test_data_yaml_is_no_part_of_the_hash(tiny_set):
    """It only repeats what the set holds: sets of earlier versions, with a `path`, stay what they are."""
    earlier = yaml.safe_load((tiny_set / "data.yaml").read_text(encoding="utf-8")) | {"path": "."}
    before = PreparedSet(tiny_set).content_hash
    text = (tiny_set / "data.yaml").read_text(encoding="utf-8")
    try:
        (tiny_set / "data.yaml").write_text(yaml.safe_dump(earlier), encoding="utf-8")
        assert PreparedSet(tiny_set).content_hash == before
        PreparedSet(tiny_set).require_audit()
    finally:
        (tiny_set / "data.yaml").write_text(text, encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("relative", [True, False])
def test_the_example_of_the_readme_trains_from_another_folder(tiny_set, tmp_path, relative):
    data = tiny_set / "data.yaml"
    named = os.path.relpath(data, tmp_path) if relative else str(data)
    code = README.format(data=named)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(tmp_path.glob("**/weights/best.safetensors")), done.stdout[-2000:]
