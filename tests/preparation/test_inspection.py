import unicodedata
from pathlib import Path

import pytest

from nanoseg_bench.annotations.instance import Cutout, Micrograph
from nanoseg_bench.preparation.inspection import Inspection


def inspection(name, group=None, cutout=None):
    return Inspection(Micrograph(name, Path("a.png"), 8, 8, source_group=group, cutout=cutout), "", {}, 0)


@pytest.mark.parametrize("group", ["März 7", unicodedata.normalize("NFD", "März 7"), " März 7\n"])
def test_groups_that_look_the_same_are_one(group):
    assert inspection("a", group).own_group == "März 7"


@pytest.mark.parametrize("group", [None, "", "  "])
def test_without_a_group_an_image_is_its_own(group):
    assert inspection("folder/a.v2", group).own_group == "folder/a.v2"


def test_tiles_and_altered_versions_belong_to_their_image():
    assert inspection("a~1-2", cutout=Cutout("a", 0, 0, 32, 32)).own_group == "a"
    versions = [f"train/tio2_01_jpg.rf.{digest}" for digest in ("0123abcd", "89ef4567", "aBcD_12")]
    assert {inspection(name).own_group for name in versions} == {"train/tio2_01"}
    assert inspection(versions[0], "specimen").own_group == "specimen"
