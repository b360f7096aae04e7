from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_records import split_record

from nanoseg_bench.preparation.split import split_by_group
from nanoseg_bench.preparation.stratification import group_contents, stratify, tolerated

PARTS = ("train", "val", "test")


def singles(**images):
    """Images of one class and a group each, of many densities."""
    return [
        split_record(f"{label}-{i:02d}", f"{label}-{i:02d}", (label,), 3 + 7 * i)
        for label, number in images.items()
        for i in range(number)
    ]


def shown(records, split):
    """Classes by part."""
    return {part: {label for each in records if split[each.name] == part for label in each.labels} for part in PARTS}


def sizes(split):
    return Counter(split.values())


@pytest.mark.parametrize("seed", range(30))
def test_every_class_is_in_every_part_of_29_micrographs_of_three_classes(seed):
    records = singles(cube=13, octahedron=9, sphere=7)
    split = split_by_group(records, seed=seed)
    assert sizes(split) == {"train": 23, "val": 3, "test": 3}
    assert shown(records, split) == {part: {"cube", "octahedron", "sphere"} for part in PARTS}
    # Density comes second, and still comes: three images of one class each, of three densities.
    counts = np.array([sum(each.labels.values()) for each in records])
    tertiles = np.searchsorted(np.quantile(counts, (1 / 3, 2 / 3)), counts)
    for part in ("val", "test"):
        assert {t for each, t in zip(records, tertiles, strict=True) if split[each.name] == part} == {0, 1, 2}


def test_seeds_take_different_images():
    records = singles(cube=13, octahedron=9, sphere=7)
    tests = {frozenset(n for n, part in split_by_group(records, seed=s).items() if part == "test") for s in range(10)}
    assert len(tests) >= 8


@pytest.mark.parametrize("seed", range(6))
def test_the_only_group_of_a_class_is_learnt_from(seed):
    # Four specimens of three images; one of them is the only one that shows a rod.
    records = [
        split_record(f"s{group}-{i}", f"s{group}", ("cube", "rod") if group == 2 and i == 0 else ("cube",))
        for group in range(4)
        for i in range(3)
    ]
    split = split_by_group(records, seed=seed)
    assert split["s2-0"] == "train"
    assert sizes(split) == {"train": 6, "val": 3, "test": 3}


@pytest.mark.parametrize("seed", range(6))
def test_a_class_of_two_groups_is_learnt_and_judged_on(seed):
    records = [*singles(cube=20), split_record("r0", "r0", ("rod",)), split_record("r1", "r1", ("rod", "cube"))]
    split = split_by_group(records, seed=seed)
    assert {split["r0"], split["r1"]} == {"train", "test"}


def test_a_part_is_not_filled_beyond_what_its_share_tolerates():
    # Ten classes of ten images each in three large groups: test cannot hold them all, nor a whole group of them.
    records = [split_record(f"{c}-{g}-{i}", f"{c}-{g}", (c,)) for c in "abcdefghij" for g in range(3) for i in range(4)]
    split = split_by_group(records)
    for part in ("val", "test"):
        assert sizes(split)[part] <= 12 + tolerated(12)
        assert sizes(split)[part] >= 12 - tolerated(12)
    assert shown(records, split)["train"] == set("abcdefghij")


@pytest.mark.parametrize("folds", [3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_equal_parts_show_every_class(folds, seed):
    records = singles(cube=13, octahedron=9, sphere=7)
    groups = {each.name: each.source_group for each in records}
    part_of = stratify(group_contents(records, groups), {str(k): 1.0 for k in range(folds)}, seed)
    for part in map(str, range(folds)):
        members = [each for each in records if part_of[each.name] == part]
        assert abs(len(members) - 29 / folds) < 1
        assert {label for each in members for label in each.labels} == {"cube", "octahedron", "sphere"}


def test_a_group_that_is_fixed_stays_and_counts():
    records = singles(cube=20, rod=2)
    groups = {each.name: each.source_group for each in records}
    contents = group_contents(records, groups)
    fixed = {f"cube-{i:02d}": "train" for i in range(16)} | {"rod-00": "test"}
    part_of = stratify(contents, {"train": 8, "test": 1, "val": 1}, 0, fixed)
    assert {group: part_of[group] for group in fixed} == fixed
    assert part_of["rod-01"] == "train"


@st.composite
def tiny_sets(draw):
    """3 to 7 groups of 1 to 3 images, each of any of three classes."""
    images = st.sets(st.sampled_from("abc")).map(sorted)
    groups = draw(st.lists(st.lists(images, min_size=1, max_size=3), min_size=3, max_size=7))
    return [
        split_record(f"{g}-{i}", f"g{g}", labels) for g, group in enumerate(groups) for i, labels in enumerate(group)
    ]


@settings(max_examples=80)
@given(tiny_sets(), st.integers(0, 3), st.randoms())
def test_train_lacks_no_class_that_any_split_could_give_it(records, seed, random):
    groups = {each.name: each.source_group for each in records}
    classes = {label for each in records for label in each.labels}
    of_group = {}
    for each in records:
        of_group.setdefault(each.source_group, set()).update(each.labels)
    split = split_by_group(records, seed=seed)
    assert set(split.values()) == set(PARTS)

    # All ways to put the groups into three parts that are not empty, tried one after the other.
    def lacks(parts):
        learnt = set().union(*(of_group[g] for g, part in zip(of_group, parts, strict=True) if part == "train"))
        return len(classes - learnt)

    least = min(lacks(parts) for parts in product(PARTS, repeat=len(of_group)) if set(parts) == set(PARTS))
    if least == 0:
        assert shown(records, split)["train"] == classes
    shuffled = list(records)
    random.shuffle(shuffled)
    assert split_by_group(shuffled, seed=seed) == split
    assert {groups[name] for name in split} == set(of_group)
