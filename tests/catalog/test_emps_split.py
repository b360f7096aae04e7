"""How the split of EMPS that lies beside its card was made."""

import importlib.util

import numpy as np
import pytest

from nanoseg_bench.catalog.emps import read_metadata
from nanoseg_bench.catalog.registry import load_card, split_path
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.preparation.split import read_split_file
from nanoseg_bench.resources import resource_dir

_found = importlib.util.spec_from_file_location(
    "official_split", resource_dir("datasets") / "emps" / "official_split.py"
)
_module = importlib.util.module_from_spec(_found)
_found.loader.exec_module(_module)
choose_val, official_split, write_official_split = (
    _module.choose_val,
    _module.official_split,
    _module.write_official_split,
)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    groups = {f"i{number}": f"g{rng.integers(0, 150)}" for number in range(270)}
    return groups, {name: int(rng.integers(1, 300)) for name in groups}


def test_val_is_a_ninth_of_whole_groups(images):
    groups, particles = images
    val = choose_val(groups, particles, 0)
    assert 27 <= len(val) <= 30
    inside = {groups[name] for name in val}
    assert all(name in val for name in groups if groups[name] in inside)


def test_val_has_images_of_every_density(images):
    groups, particles = images
    val = choose_val(groups, particles, 0)
    borders = np.quantile(list(particles.values()), [0, 1 / 3, 2 / 3, 1])
    counts, _ = np.histogram([particles[name] for name in val], borders)
    assert counts.min() >= 6


def test_seed_decides_and_order_does_not(images):
    groups, particles = images
    backwards = dict(reversed(groups.items()))
    assert choose_val(groups, particles, 0) == choose_val(backwards, particles, 0)
    assert choose_val(groups, particles, 0) != choose_val(groups, particles, 1)


def test_split_of_a_folder(emps_folder):
    assert official_split(emps_folder) == {"a": "train", "b": "train", "c": "test"}
    (emps_folder / "test.csv").write_text("d\n")
    with pytest.raises(DatasetError, match="do not name each image once"):
        official_split(emps_folder)
    (emps_folder / "test.csv").unlink()
    with pytest.raises(DatasetError, match=r"test\.csv: missing"):
        official_split(emps_folder)


def test_no_paper_straddles_the_official_split(real_emps):
    split = read_split_file(split_path(load_card("emps"), "official"))
    parts = {}
    for row in read_metadata(real_emps):
        parts.setdefault(row["doi"], set()).add(split[row["filename"].removesuffix(".png")])
    assert len(parts) == 322
    assert [doi for doi, found in parts.items() if len(found) > 1] == []
    for part in ("train", "test"):
        official = set((real_emps / f"{part}.csv").read_text().split())
        found = {name for name, where in split.items() if where == part or (part == "train" and where == "val")}
        assert found == official


@pytest.mark.slow
def test_the_committed_split_is_made_by_this_function(real_emps, tmp_path):
    write_official_split(tmp_path / "official.csv", real_emps)
    assert (tmp_path / "official.csv").read_bytes() == load_card("emps").splits["official"].read_bytes()
