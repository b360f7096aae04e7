from pathlib import Path

import pytest

from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.errors import PreparationError, UsageError
from nanoseg_bench.preparation.grouping import regroup, source_groups


def named(*names, group=None):
    return [Micrograph(name, Path(f"{name}.png"), 8, 8, source_group=group) for name in names]


def test_without_a_source_group_each_image_is_its_own():
    groups, identical = source_groups(named("a", "b"), {"a": "1", "b": "2"})
    assert groups == {"a": "a", "b": "b"}
    assert identical == []


def test_source_group_of_the_file_is_kept():
    groups, _ = source_groups(named("a", "b", group="paper"), {"a": "1", "b": "2"})
    assert groups == {"a": "paper", "b": "paper"}


def test_identical_pixels_join_groups_in_a_chain():
    micrographs = (
        named("a1", "a2", group="a") + named("b1", "b2", group="b") + named("c1", "c2", group="c") + named("d")
    )
    pixels = {"a1": "1", "a2": "x", "b1": "x", "b2": "y", "c1": "y", "c2": "2", "d": "3"}
    groups, identical = source_groups(micrographs, pixels)
    assert {groups[name] for name in ("a1", "a2", "b1", "b2", "c1", "c2")} == {"a"}
    assert groups["d"] == "d"
    assert identical == [("a2", "b1"), ("b2", "c1")]


def test_joined_groups_do_not_depend_on_the_order():
    micrographs = named("a", "b", "c", "d", "e")
    pixels = {"a": "1", "b": "2", "c": "2", "d": "3", "e": "1"}
    forward, _ = source_groups(micrographs, pixels)
    backward, _ = source_groups(micrographs[::-1], pixels)
    assert forward == backward == {"a": "a", "b": "b", "c": "b", "d": "d", "e": "a"}


def test_group_by_folder_and_by_pattern():
    micrographs = named("s1/a_01", "s1/b_01", "s2/a_02", "top", group="from the file")
    assert [each.source_group for each in regroup(micrographs, "folder")] == ["s1", "s1", "s2", "."]
    assert [each.source_group for each in regroup(micrographs[:3], r"regex:/(\w)_")] == ["a", "b", "a"]


@pytest.mark.parametrize("rule", ["name", "regex:(", "regex:[a-z]+"])
def test_malformed_rules_are_refused(rule):
    with pytest.raises(UsageError, match="--group-by"):
        regroup(named("a"), rule)


def test_a_name_that_the_pattern_misses_is_named():
    with pytest.raises(PreparationError, match="odd name"):
        regroup(named("s1_a", "odd name"), "regex:^(s[0-9])_")
