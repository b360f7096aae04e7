from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_records import split_record

from nanoseg_bench.errors import PreparationError, UsageError
from nanoseg_bench.preparation.grouping import Join
from nanoseg_bench.preparation.split import (
    choose_subset,
    fixed_split,
    parse_ratios,
    read_split_file,
    share_warnings,
    split_by_group,
    write_split_file,
)


def make(name, group, labels=("a",), count=1):
    return split_record(name, group, labels, count)


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
            shown = sum(label in each.labels for each in members)
            everywhere = sum(label in each.labels for each in micrographs)
            assert shown == pytest.approx(share * everywhere, abs=max(0.35 * share * everywhere, 2))
        assert {sum(each.labels.values()) for each in members} == {2, 20, 90}


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


def test_groups_that_look_alikes_joined_are_told_by_their_pairs():
    micrographs = [make(f"im{number}", None) for number in range(30)]
    joins = [Join((f"im{number}", f"im{number + 1}"), "overlapping-fields") for number in range(29)]
    groups = dict.fromkeys((each.name for each in micrographs), "im0")
    with pytest.raises(PreparationError) as caught:
        split_by_group(micrographs, groups=groups, joins=joins)
    message = str(caught.value)
    assert "There would be 30 groups" in message and "which --group-by does not undo" in message
    assert "\n  im0, im1 (overlapping-fields)\n" in message and "and 9 more" in message
    assert "first,second,note" in message and "--reviewed" in message


def test_identical_images_that_leave_too_few_groups_cannot_be_reviewed_away():
    micrographs = [make(f"im{number}", None) for number in range(3)]
    groups = dict.fromkeys((each.name for each in micrographs), "im0")
    with pytest.raises(PreparationError, match=r"im0, im1, im2 \(identical-pixels\)\nAdd images of other") as caught:
        split_by_group(micrographs, groups=groups, joins=[Join(("im0", "im1", "im2"), "identical-pixels")])
    assert "--reviewed" not in str(caught.value)


def test_joins_are_not_blamed_for_groups_that_were_too_few_before():
    groups = {each.name: each.source_group for each in many(2, 10)}
    with pytest.raises(PreparationError, match="group them otherwise"):
        split_by_group(many(2, 10), groups=groups, joins=[Join(("0-0", "0-1"), "overlapping-fields")])


def test_many_small_groups_and_long_ratios():
    split = split_by_group(many(300, 1), ratios=(700, 150, 151))
    assert Counter(split.values()) == pytest.approx({"train": 210, "val": 45, "test": 45}, abs=2)


def test_a_group_larger_than_its_share_is_warned_of():
    micrographs = many(20, 1) + [make(f"big-{i}", "big") for i in range(80)]
    split = {each.name: "test" if each.source_group == "big" else "train" for each in micrographs}
    warnings = share_warnings(split, groups_of(micrographs), (8, 1, 1))
    assert any(
        "test has 80 of 100 images where its share is 10.0; the source group 'big' has 80" in each for each in warnings
    )
    assert all("in test. Add images of other sources, group more finely (--group-by)" in each for each in warnings)
    # What is in train by its size alone explains what is missing elsewhere.
    split = split_by_group(micrographs, seed=0)
    assert {split[each.name] for each in micrographs if each.source_group == "big"} == {"train"}
    assert share_warnings(split, groups_of(micrographs), (8, 1, 1)) == []
    starved = {
        each.name: "val" if each.name == "0-0" else "test" if each.name == "1-0" else "train" for each in micrographs
    }
    assert (
        "'big' has 80 images and stays whole, in train" in share_warnings(starved, groups_of(micrographs), (8, 1, 1))[0]
    )
    even = many(10, 10)
    assert share_warnings(split_by_group(even), groups_of(even), (8, 1, 1)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0-0": None}, "does not name 1 of 6 images: 0-0"),
        ({"ghost": "train"}, "names 1 image that the data set does not hold: ghost; Put the images back"),
        ({"0-0 ": "train"}, "did you mean '0-0' by '0-0 '"),
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
    path.write_text("name,split\na,training\n")
    with pytest.raises(PreparationError, match=r"line 2: 'a' is put into 'training'; use train, val, test"):
        read_split_file(path)
    path.write_text("name,split\na,train\n,test\n")
    with pytest.raises(PreparationError, match=r"line 3: 'name' is empty"):
        read_split_file(path)
    path.write_text("name,split\na\n")
    with pytest.raises(PreparationError, match=r"line 2: 1 cell where the header has 2"):
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
    with pytest.raises(PreparationError, match=r"--images 2: .* the smallest has 3 images; give at least that"):
        choose_subset(many(4, 3), 2, seed=0)


def test_a_subset_of_a_fixed_split_keeps_all_parts():
    micrographs = many(100, 1)
    assignment = {each.name: "test" if i < 10 else "val" if i < 15 else "train" for i, each in enumerate(micrographs)}
    chosen = choose_subset(micrographs, 10, seed=0, assignment=assignment)
    assert Counter(assignment[each.name] for each in chosen) == {"train": 8, "val": 1, "test": 1}


def pinned(groups=30, per_group=3, seed=0):
    micrographs = many(groups, per_group)
    return micrographs, split_by_group(micrographs, seed=seed)


def test_an_extension_keeps_new_images_with_their_group():
    micrographs, split = pinned()
    new = [make(f"new-{each.name}", each.source_group) for each in micrographs[::7]]
    both = micrographs + new
    extended = fixed_split(both, split, groups_of(both), extend=True)
    assert extended == split | {f"new-{each.name}": split[each.name] for each in micrographs[::7]}
    with pytest.raises(PreparationError, match=f"does not name {len(new)} of {len(both)} images"):
        fixed_split(both, split, groups_of(both))


def test_an_extension_fills_what_is_lacking_by_class():
    micrographs = [make(f"a{i}", f"a{i}", labels=("rod",)) for i in range(80)]
    assignment = {each.name: "train" if i < 72 else "val" for i, each in enumerate(micrographs)}
    new = [make(f"b{i}", f"b{i}", labels=("cube",)) for i in range(20)]
    new += [make(f"c{i}", f"c{i}", labels=("rod",)) for i in range(10)]
    both = micrographs + new
    extended = fixed_split(both, assignment, groups_of(both), extend=True)
    cubes = Counter(part for name, part in extended.items() if name.startswith("b"))
    assert all(cubes[part] >= 2 for part in ("train", "val", "test"))
    assert Counter(extended.values())["test"] == pytest.approx(11, abs=3)
    assert extended == fixed_split(both[::-1], assignment, groups_of(both), extend=True)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        # Shares of 21, 23 and 30 images: 16.8, 18.4 and 24 for train, 2.1, 2.3 and 3 for val and for test.
        (1, {"train": 17, "val": 2, "test": 2}),
        (3, {"train": 19, "val": 2, "test": 2}),
        (10, {"train": 24, "val": 3, "test": 3}),
    ],
)
def test_few_new_images_go_where_the_shares_lack_most(new, expected):
    micrographs = many(20, 1)
    split = split_by_group(micrographs)
    assert Counter(split.values()) == {"train": 16, "val": 2, "test": 2}
    both = [*micrographs, *(make(f"new{i}", f"new{i}") for i in range(new))]
    extended = fixed_split(both, split, groups_of(both), extend=True)
    assert Counter(extended.values()) == expected
    assert extended == fixed_split(both[::-1], split, groups_of(both), extend=True)


@pytest.mark.parametrize("short", ["val", "test"])
def test_one_new_image_goes_to_the_split_that_is_short(short):
    # 18 + 1 + 2 of 21: train is over its share of 16.8, only one of the others is short of its 2.1 by an image.
    micrographs = many(20, 1)
    other = "test" if short == "val" else "val"
    parts = ["train"] * 17 + [short] + [other] * 2
    split = {each.name: part for each, part in zip(micrographs, parts, strict=True)}
    both = [*micrographs, make("new", "new")]
    assert fixed_split(both, split, groups_of(both), extend=True)["new"] == short


def test_images_that_come_one_by_one_keep_the_shares():
    micrographs = many(20, 1)
    split = split_by_group(micrographs)
    for number in range(40):
        micrographs.append(make(f"new{number}", f"new{number}"))
        split = fixed_split(micrographs, split, groups_of(micrographs), extend=True)
        for part, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
            assert abs(Counter(split.values())[part] - share * len(micrographs)) <= 1


def test_a_class_counts_where_new_images_go():
    # Rods are shown in train only; by images alone, train would be the one to take one more.
    micrographs = [make(f"a{i}", f"a{i}", labels=("rod",) if i < 5 else ("cube",)) for i in range(20)]
    parts = ["train"] * 16 + ["val"] * 2 + ["test"] * 2
    split = {each.name: part for each, part in zip(micrographs, parts, strict=True)}
    for label, taken in (("cube", {"train"}), ("rod", {"val", "test"})):
        both = [*micrographs, make("new", "new", labels=(label,))]
        assert fixed_split(both, split, groups_of(both), extend=True)["new"] in taken


def test_an_extension_obeys_ratios_without_a_part():
    micrographs, _ = pinned()
    assignment = {each.name: "train" if i < 45 else "test" for i, each in enumerate(micrographs)}
    new = [make(f"new{i}", f"new{i}") for i in range(40)]
    extended = fixed_split(micrographs + new, assignment, groups_of(micrographs + new), extend=True, ratios=(1, 0, 1))
    assert Counter(extended.values()) == {"train": 65, "test": 65}


def test_a_new_image_that_links_two_splits_is_named_with_the_way_out():
    micrographs = [make(name, name) for name in "abc"]
    assignment = {"a": "train", "b": "val", "c": "test"}
    both = [*micrographs, make("new", "new")]
    groups = {"a": "a", "b": "b", "c": "a", "new": "a"}
    joins = [Join(("a", "new"), "identical-pixels"), Join(("c", "new"), "overlapping-fields")]
    joins.append(Join(("elsewhere", "ood"), "near-duplicates"))
    with pytest.raises(PreparationError) as error:
        fixed_split(both, assignment, groups, extend=True, joins=joins)
    for part in (
        "source group 'a' is in 2 splits (train: a; test: c; not named yet: new)",
        "a, new (identical-pixels); c, new (overlapping-fields)",
        "Put the group into one split, or leave out the images that are not named yet",
    ):
        assert part in str(error.value)
    assert "ood" not in str(error.value)


def test_a_written_split_is_sorted_and_reads_back(tmp_path):
    split = {"s/b": "test", 'a "quoted", name ': "train", "s;a": "val", "ä": "train"}
    write_split_file(tmp_path / "split.csv", split)
    assert read_split_file(tmp_path / "split.csv") == split
    lines = (tmp_path / "split.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["name,split", '"a ""quoted"", name ",train', "s/b,test", "s;a,val", "ä,train"]


records = st.lists(
    st.tuples(st.integers(0, 14), st.sets(st.sampled_from(["cube", "rod", "sphere"])), st.integers(1, 200)),
    min_size=15,
    max_size=60,
).map(lambda rows: [make(f"i{n:02d}", f"g{group:02d}", labels, count) for n, (group, labels, count) in enumerate(rows)])


@settings(max_examples=60)
@given(records, st.integers(0, 5), st.randoms())
def test_no_group_straddles_whatever_the_data_and_their_order(micrographs, seed, random):
    if len(set(groups_of(micrographs).values())) < 3:
        return
    split = split_by_group(micrographs, seed=seed)
    assert set(split) == {each.name for each in micrographs}
    assert set(split.values()) == {"train", "val", "test"}
    assert all(len(parts) == 1 for parts in splits_per_group(micrographs, split).values())
    shuffled = list(micrographs)
    random.shuffle(shuffled)
    assert split_by_group(shuffled, seed=seed) == split
    # A share is missed by no more than the images of the largest group, or it is one that warnings name.
    largest = Counter(groups_of(micrographs).values()).most_common(1)[0][1]
    counts = Counter(split.values())
    for part, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert abs(counts[part] - share * len(micrographs)) <= 2 * largest + 2


@settings(max_examples=60)
@given(records, records, st.integers(0, 5), st.randoms())
def test_images_added_to_a_written_split_move_none_of_the_old(tmp_path_factory, old, more, seed, random):
    if len(set(groups_of(old).values())) < 3:
        return
    path = tmp_path_factory.mktemp("split") / "split.csv"
    # More images of known groups, and others of new ones.
    new = [
        make(f"n-{each.name}", each.source_group if number % 2 else f"n-{each.source_group}", each.labels)
        for number, each in enumerate(more)
    ]
    split = split_by_group(old, seed=seed)
    everything = list(old)
    for batch in (new[::2], new[1::2]):
        write_split_file(path, split)
        everything += batch
        random.shuffle(everything)
        groups = groups_of(everything)
        extended = fixed_split(everything, read_split_file(path), groups, extend=True, seed=seed)
        assert extended == fixed_split(everything[::-1], split, groups, extend=True, seed=seed)
        assert set(extended) == set(groups)
        assert {name: extended[name] for name in split} == split
        assert all(len(parts) == 1 for parts in splits_per_group(everything, extended).values())
        split = extended
