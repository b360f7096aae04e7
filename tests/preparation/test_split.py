from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon
from nanoseg_bench.errors import PreparationError, UsageError
from nanoseg_bench.preparation.split import (
    choose_subset,
    fixed_split,
    parse_ratios,
    read_split_file,
    share_warnings,
    split_by_group,
)

SQUARE = (Polygon(np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0)])),)


def make(name, group, labels=("a",), count=1):
    instances = tuple(Instance(label, SQUARE) for label in labels for _ in range(count))
    return Micrograph(name, Path(f"{name}.png"), 8, 8, instances, source_group=group)


def many(groups, per_group, **fields):
    return [make(f"{g}-{i}", f"g{g:03d}", **fields) for g in range(groups) for i in range(per_group)]


def groups_of(micrographs):
    return {each.name: each.source_group for each in micrographs}


def splits_per_group(micrographs, split):
    found = {}
    for each in micrographs:
        found.setdefault(each.source_group, set()).add(split[each.name])
    return found


def test_shares_are_met_and_groups_stay_whole():
    micrographs = many(60, 5)
    split = split_by_group(micrographs, seed=3)
    assert Counter(split.values()) == {"train": 240, "val": 30, "test": 30}
    assert all(len(parts) == 1 for parts in splits_per_group(micrographs, split).values())


def test_every_class_and_density_is_in_every_split():
    rng = np.random.default_rng(0)
    micrographs = [
        make(f"{g}-{i}", f"g{g}", labels=(("cube", "rod", "sphere")[g % 3],), count=int(rng.choice([2, 20, 90])))
        for g in range(120)
        for i in range(int(rng.integers(1, 5)))
    ]
    split = split_by_group(micrographs, seed=0)
    for part, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        members = [each for each in micrographs if split[each.name] == part]
        assert len(members) == pytest.approx(share * len(micrographs), rel=0.25)
        for label in ("cube", "rod", "sphere"):
            shown = sum(each.instances[0].label == label for each in members)
            everywhere = sum(each.instances[0].label == label for each in micrographs)
            assert shown == pytest.approx(share * everywhere, abs=max(0.35 * share * everywhere, 2))
        assert {len(each.instances) for each in members} == {2, 20, 90}


def test_rare_class_combinations_do_not_stop_the_split(recwarn):
    micrographs = [*many(40, 2), make("odd", "odd", labels=("a", "b", "c")), make("empty", "empty", labels=())]
    split = split_by_group(micrographs)
    assert set(split.values()) == {"train", "val", "test"}
    assert len(split) == 82
    assert not [each for each in recwarn if "class" in str(each.message)]


def test_order_of_the_input_and_seed():
    micrographs = many(30, 3)
    assert split_by_group(micrographs, seed=0) == split_by_group(micrographs[::-1], seed=0)
    assert split_by_group(micrographs, seed=0) != split_by_group(micrographs, seed=1)


@pytest.mark.parametrize("groups", [3, 4, 5, 9, 10, 11])
@pytest.mark.parametrize("seed", range(5))
def test_few_groups_still_fill_all_splits(groups, seed):
    micrographs = [make(f"{g}-{i}", f"g{g}") for g in range(groups) for i in range(1 + 3 * g)]
    split = split_by_group(micrographs, seed=seed)
    assert set(split.values()) == {"train", "val", "test"}
    assert all(len(parts) == 1 for parts in splits_per_group(micrographs, split).values())
    assert Counter(split.values()).most_common(1)[0][0] == "train"


def test_two_groups_are_too_few_and_the_message_says_what_to_do():
    with pytest.raises(PreparationError, match=r"2 source groups \(g000, g001\).*--group-by"):
        split_by_group(many(2, 10))
    assert set(split_by_group(many(2, 10), ratios=(9, 0, 1)).values()) == {"train", "test"}


def test_many_small_groups_and_long_ratios():
    split = split_by_group(many(300, 1), ratios=(700, 150, 151))
    assert Counter(split.values()) == pytest.approx({"train": 210, "val": 45, "test": 45}, abs=2)


def test_a_group_larger_than_its_share_is_warned_of():
    micrographs = many(20, 1) + [make(f"big-{i}", "big") for i in range(80)]
    split = {each.name: "test" if each.source_group == "big" else "train" for each in micrographs}
    warnings = share_warnings(split, groups_of(micrographs), (8, 1, 1))
    assert any("test has 80 of 100" in each and "'big', has 80" in each for each in warnings)
    even = many(10, 10)
    assert share_warnings(split_by_group(even), groups_of(even), (8, 1, 1)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0-0": None}, "does not name 1 of 6 images: 0-0"),
        ({"ghost": "train"}, "ghost"),
        ({"0-0": "training"}, "'training'; use train, val, test"),
        ({"0-1": "test"}, "source group 'g000' is in 2 splits.*train: 0-0.*test: 0-1"),
        (dict.fromkeys(("0-0", "0-1", "1-0", "1-1", "2-0", "2-1"), "test"), "no image in train"),
    ],
)
def test_a_fixed_split_is_checked(change, message):
    micrographs = many(3, 2)
    assignment = {"0-0": "train", "0-1": "train", "1-0": "val", "1-1": "val", "2-0": "test", "2-1": "test"}
    groups = groups_of(micrographs)
    assert fixed_split(micrographs, assignment, groups) == assignment
    broken = {name: part for name, part in {**assignment, **change}.items() if part is not None}
    with pytest.raises(PreparationError, match=message):
        fixed_split(micrographs, broken, groups)


def test_split_file(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("\ufeffname,split\na,train\nb,test\n", encoding="utf-8")
    assert read_split_file(path) == {"a": "train", "b": "test"}
    path.write_text("name,split\na,train\na,test\n")
    with pytest.raises(PreparationError, match=r"split\.csv: 'a' stands in it 2 times"):
        read_split_file(path)
    path.write_text("image,part\na,train\n")
    with pytest.raises(PreparationError, match="columns name and split"):
        read_split_file(path)
    with pytest.raises(PreparationError, match="missing"):
        read_split_file(tmp_path / "missing.csv")


def test_ratios():
    assert parse_ratios("8:1:1") == (8, 1, 1)
    assert parse_ratios("80:10:10") == (8, 1, 1)
    assert parse_ratios("9:0:1") == (9, 0, 1)
    for text in ("8:1", "8:1:x", "0:1:1", "1:0:0", "-8:1:1", ""):
        with pytest.raises(UsageError, match="8:1:1"):
            parse_ratios(text)


def test_a_subset_takes_whole_groups():
    micrographs = many(20, 3) + many(100, 1, count=2)[60:]
    chosen = choose_subset(micrographs, 25, seed=0)
    assert 23 <= len(chosen) <= 25
    names = {each.name for each in chosen}
    for each in micrographs:
        if each.name in names:
            assert {other.name for other in micrographs if other.source_group == each.source_group} <= names
    assert [each.name for each in choose_subset(micrographs[::-1], 25, seed=0)][::-1] == [each.name for each in chosen]
    assert choose_subset(micrographs, len(micrographs), seed=0) == micrographs
    with pytest.raises(PreparationError, match="only 100 images"):
        choose_subset(micrographs, 101, seed=0)


def test_a_subset_of_a_fixed_split_keeps_all_parts():
    micrographs = many(100, 1)
    assignment = {each.name: "test" if i < 10 else "val" if i < 15 else "train" for i, each in enumerate(micrographs)}
    chosen = choose_subset(micrographs, 10, seed=0, assignment=assignment)
    assert Counter(assignment[each.name] for each in chosen) == {"train": 8, "val": 1, "test": 1}
