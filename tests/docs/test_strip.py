"""README's picture strip: its script on a small real run, and the picture that is committed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from kept_records import read_records
from PIL import Image

from nanoseg_bench.files import read_json
from nanoseg_bench.metrics.size_distribution import equivalent_diameters

DOCS = Path(__file__).parents[2] / "docs" / "images"


@pytest.fixture(scope="module")
def strip():
    found = importlib.util.spec_from_file_location("strip", DOCS / "strip.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_committed_strip_is_of_readmes_size():
    path = DOCS / "strip.png"
    assert path.stat().st_size < 400 * 1024
    with Image.open(path) as picture:
        assert picture.width == 1600


def test_the_table_is_all_that_is_taken_of_what_is_printed(strip):
    printed = "gold: test set (AP: \nof)\npreset quick\nrank   model\n────\n   1   A\n\nWhat the split\n- val\n"
    assert strip._rows_of(printed) == ["preset quick", "rank   model", "────", "   1   A"]


@pytest.mark.slow
def test_the_strip_shows_what_the_commands_wrote(strip, tmp_path):
    strip.render(tmp_path / strip.OWN, images=12)
    shown = strip.collect(tmp_path, strip.benchmark(tmp_path, ["otsu"], "smoke"))
    (record,) = [each for each in read_records(tmp_path / "leaderboards", "gold") if each.eval_set == "test"]
    assert f"{record.scores['map_50_95_agnostic']:.3f}" in shown.table
    assert f"{record.scores['f1']:.3f}" in shown.table
    assert max(map(len, shown.table.splitlines())) <= 80
    document = read_json(tmp_path / "found" / "predictions.json")
    group = {each["name"]: each for each in document["images"] if shown.micrograph.stem[:-1] in each["name"]}
    count = sum(equivalent_diameters(strip._masks(each)).size for each in group.values())
    assert shown.found.size == count
    assert shown.images == len(group)
    strip.draw(shown, tmp_path / "strip.png")
    with Image.open(tmp_path / "strip.png") as picture, Image.open(shown.micrograph) as micrograph:
        assert picture.width == 1600
        # The micrograph itself stands on the left.
        corner = np.asarray(picture.convert("L"), dtype=float)[60:260, 30:230]
        near = micrograph.convert("L").resize((440, round(440 * micrograph.height / micrograph.width)))
        expected = np.asarray(near, dtype=float)[60 - 52 : 260 - 52, 30 - 24 : 230 - 24]
        assert np.corrcoef(corner.ravel(), expected.ravel())[0, 1] > 0.95
