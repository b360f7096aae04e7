import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Micrograph
from nanoseg_bench.annotations.labelme.writing import write_labelme
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.catalog.card import Checks
from nanoseg_bench.catalog.registry import cards, load_card, open_dataset, split_path, verify_dataset
from nanoseg_bench.errors import DatasetError, UsageError
from nanoseg_bench.preparation.split import read_split_file
from nanoseg_bench.resources import resource_dir


@pytest.fixture
def labelme_folder(tmp_path):
    mask = np.zeros((20, 30))
    mask[3:9, 3:9] = 1
    for name, label in (("a", "cube"), ("b", "triangle")):
        Image.new("L", (30, 20)).save(tmp_path / f"{name}.png")
        micrograph = Micrograph(name, tmp_path / f"{name}.png", 30, 20, (Instance(label, mask_to_rle(mask)),))
        write_labelme(tmp_path / f"{name}.json", micrograph, f"{name}.png")
    return tmp_path


def test_every_card_of_the_package_is_whole():
    found = cards()
    assert [card.name for card in found] == ["emps", "nanosynth"]
    for card in found:
        assert load_card(card.name) == card
        for name in card.splits:
            assert read_split_file(split_path(card, name))


def test_unknown_name_suggests_one():
    with pytest.raises(UsageError, match=r"no data set 'EMSP'; did you mean 'emps'\? there are: emps, nanosynth"):
        load_card("EMSP")


OWN = """
name: {name}
title: Our cubes
description: Twelve micrographs of one batch.
format: labelme
classes: [cube, triangle]
source: our microscope
revision: "1"
licence: none
citation: unpublished
pixel_values: 8-bit grey
source_group: the specimen
splits: {{fixed: fixed.csv}}
default_split: fixed
"""


def own_card(folder, name, inside=None):
    path = folder / "datasets" / name / "card.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(OWN.format(name=inside or name))
    (path.parent / "fixed.csv").write_text("name,split\na,train\nb,test\n")
    return path


def test_own_cards_lie_in_the_working_directory(tmp_path, monkeypatch):
    own_card(tmp_path, "our-cubes")
    monkeypatch.chdir(tmp_path)
    assert [card.name for card in cards()] == ["emps", "nanosynth", "our-cubes"]
    card = load_card("our-cubes")
    assert read_split_file(split_path(card, "fixed")) == {"a": "train", "b": "test"}
    with pytest.raises(UsageError, match="did you mean 'our-cubes'"):
        load_card("our-cube")
    with pytest.raises(UsageError, match=r"has its card in datasets/new/card\.yaml"):
        load_card("new")
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(UsageError):
        load_card("our-cubes")


def test_an_own_card_cannot_take_the_name_of_ours(tmp_path, monkeypatch):
    own_card(tmp_path, "emps")
    monkeypatch.chdir(tmp_path)
    for read in (cards, lambda: load_card("nanosynth")):
        with pytest.raises(DatasetError, match=r"datasets/emps/card\.yaml: 'emps' is a data set of nanoseg-bench"):
            read()


def test_a_card_has_the_name_of_its_folder(tmp_path, monkeypatch):
    own_card(tmp_path, "cubes", inside="rods")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="its name is 'rods', and its folder's 'cubes'"):
        load_card("cubes")


def test_the_repository_as_working_directory_has_its_cards_once(monkeypatch):
    monkeypatch.chdir(resource_dir("datasets").parent)
    assert [card.name for card in cards()] == ["emps", "nanosynth"]


def test_nanosynth_has_the_composition_of_the_paper():
    card = load_card("nanosynth")
    assert card.classes == ("nanocube", "nanosphere", "nanorod")
    assert card.ood_classes == ("triangle", "pentagon")
    assert card.checks.images == 721
    assert card.checks.images_with == {"nanocube": 267, "nanorod": 260, "nanosphere": 277}


def test_official_split_of_emps():
    split = read_split_file(split_path(load_card("emps"), "official"))
    numbers = {part: list(split.values()).count(part) for part in ("train", "val", "test")}
    assert numbers == {"train": 325, "val": 41, "test": 99}


def test_the_numbers_are_checked(tmp_path, card):
    shown = [{"particle": 2}, {"particle": 3}, {"particle": 1}]
    verify_dataset(card(checks={"images": 3, "instances": 6, "images_with": {"particle": 3}}), tmp_path, shown)
    wrong = card(checks={"images": 4, "instances": 5, "images_with": {"rod": 1}})
    with pytest.raises(
        DatasetError, match="3 images, expected 4; 6 instances, expected 5; 0 images with rod, expected 1"
    ):
        verify_dataset(wrong, tmp_path, shown)
    verify_dataset(card(checks=Checks()), tmp_path, shown)
    verify_dataset(card(format="nanosynth", checks={"images": 721}), tmp_path, shown)


def test_each_format_has_its_door(emps_folder, labelme_folder, card):
    assert [entry.name for entry in open_dataset(card(), emps_folder).entries] == ["a", "b", "c"]
    for name in ("nanosynth", "labelme"):
        source = open_dataset(card(format=name), labelme_folder)
        assert [entry.read().instances[0].label for entry in source.entries] == ["cube", "triangle"]


def test_missing_source(tmp_path, card):
    with pytest.raises(UsageError, match=r"none: no such folder; get tiny from https://example\.org"):
        open_dataset(card(), tmp_path / "none")


def test_a_split_that_is_not_there(tmp_path, card):
    path = tmp_path / "s.csv"
    tiny = card(splits={"v1": path})
    with pytest.raises(UsageError, match="no split 'v2'; there are: v1"):
        split_path(tiny, "v2")
    with pytest.raises(DatasetError, match=r"s\.csv: .*missing"):
        split_path(tiny, "v1")
    path.write_text("name,split\na,train\nb,val\n")
    assert read_split_file(split_path(tiny, "v1")) == {"a": "train", "b": "val"}
