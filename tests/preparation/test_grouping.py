import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from split_records import SplitRecord, split_record

from nanoseg_bench.errors import PreparationError, UsageError
from nanoseg_bench.preparation.grouping import Join, parse_group_rule, regroup, source_groups


def named(*names, group=None):
    return [split_record(name, group) for name in names]


def table(tmp_path, text, name="groups.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def regroup_by(records, text):
    return regroup(records, parse_group_rule(text))


def test_without_a_source_group_each_image_is_its_own():
    groups, joins = source_groups(named("a", "b"), {"a": "1", "b": "2"})
    assert groups == {"a": "a", "b": "b"}
    assert joins == []


def test_source_group_of_the_file_is_kept():
    records = named("a", "b", group="paper")
    assert source_groups(records, {"a": "1", "b": "2"})[0] == {"a": "paper", "b": "paper"}


def test_identical_pixels_join_groups_in_a_chain():
    records = named("a1", "a2", group="a") + named("b1", "b2", group="b") + named("c1", "c2", group="c") + named("d")
    pixels = {"a1": "1", "a2": "x", "b1": "x", "b2": "y", "c1": "y", "c2": "2", "d": "3"}
    groups, joins = source_groups(records, pixels)
    assert {groups[name] for name in ("a1", "a2", "b1", "b2", "c1", "c2")} == {"a"}
    assert groups["d"] == "d"
    assert joins == [Join(("a2", "b1"), "identical-pixels"), Join(("b2", "c1"), "identical-pixels")]


def test_found_pairs_join_groups_and_say_why():
    records = named("a", "b", "c", "d") + named("e", "f", group="s")
    pixels = {each.name: each.name for each in records} | {"d": "c"}
    pairs = [("b", "a", "overlapping-fields"), ("c", "b", "near-duplicates"), ("e", "f", "overlapping-fields")]
    groups, joins = source_groups(records, pixels, [*pairs, ("c", "d", "near-duplicates")])
    assert groups == {"a": "a", "b": "a", "c": "a", "d": "a", "e": "s", "f": "s"}
    # Neither a pair that its file already keeps together nor one that is identical anyhow is told of.
    assert [str(join) for join in joins] == [
        "kept in one source group: c, d (identical-pixels)",
        "kept in one source group: a, b (overlapping-fields)",
        "kept in one source group: b, c (near-duplicates)",
    ]


@given(st.data())
def test_groups_are_the_connected_components_in_any_order(data):
    names = [f"n{number}" for number in range(8)]
    records = [SplitRecord(name, Path(name), data.draw(st.sampled_from([None, "g", "h"]))) for name in names]
    pixels = {name: data.draw(st.sampled_from([name, "same"])) for name in names}
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names), st.just("check")), max_size=6))

    # Reference: spread over all links until nothing changes.
    own = {each.name: each.source_group or each.name for each in records}
    linked = {
        name: {other for other in names if own[other] == own[name] or pixels[other] == pixels[name]} for name in names
    }
    for first, second, _ in pairs:
        linked[first].add(second)
        linked[second].add(first)
    for _ in names:
        linked = {name: set().union(*(linked[other] for other in linked[name])) for name in names}
    expected = {name: min(own[other] for other in linked[name]) for name in names}

    groups, joins = source_groups(records, pixels, pairs)
    assert groups == expected
    shuffled = data.draw(st.permutations(records))
    mirrored = [(second, first, check) for first, second, check in reversed(pairs)]
    assert source_groups(shuffled, pixels, mirrored) == (groups, joins)


def test_group_by_folder_and_by_pattern():
    records = named("s1/a_01", "s1/b_01", "s2/a_02", "top", group="from the file")
    assert list(regroup_by(records, "folder").values()) == ["s1", "s1", "s2", "."]
    assert list(regroup_by(records[:3], r"regex:/(\w)_").values()) == ["a", "b", "a"]


@pytest.mark.parametrize(
    "rule", ["name", "regex:(", "regex:[a-z]+", "csv:", "csv:groups.csv", "csv:C:\\groups.csv", "csv::doi"]
)
def test_malformed_rules_are_refused(rule):
    with pytest.raises(UsageError, match="--group-by"):
        regroup_by(named("a"), rule)


def test_all_names_that_the_pattern_misses_are_listed():
    with pytest.raises(PreparationError, match=r"2 of 3 images: 'odd name', 'x'; change the pattern"):
        regroup_by(named("s1_a", "x", "odd name"), "regex:^(s[0-9])_")
    with pytest.raises(PreparationError, match=r"1 of 1 image: 'x'"):
        regroup_by(named("x"), "regex:^(s[0-9])_")


def test_group_by_a_column_matches_names_last_parts_and_file_names(tmp_path):
    path = table(tmp_path, "name,doi,x\ns1/a,10/1,\nb,10/2,\nc.png,10/1,\nphoto.tif,10/3,\ns1\\d,10/4,\nunused,10/9,\n")
    records = [*named("s1/a", "s1/b", "s2/c", "s1/d"), SplitRecord("s3/e", Path("elsewhere/photo.tif"))]
    rule = parse_group_rule(f"csv:{path}:doi")
    assert regroup(records, rule) == {"s1/a": "10/1", "s1/b": "10/2", "s2/c": "10/1", "s1/d": "10/4", "s3/e": "10/3"}
    assert regroup(records[1:2], pickle.loads(pickle.dumps(rule))) == {"s1/b": "10/2"}


def test_full_name_wins_over_its_last_part(tmp_path):
    path = table(tmp_path, "name,session\na,1\ns1/a,2\n")
    assert regroup_by(named("a", "s1/a"), f"csv:{path}:session") == {"a": "1", "s1/a": "2"}


@pytest.mark.skipif(
    os.name == "nt", reason="no file name has a colon there; absolute paths in the other tests have one"
)
def test_a_path_with_a_colon(tmp_path, monkeypatch):
    # What a Windows drive looks like, in a file name that other systems allow.
    monkeypatch.chdir(tmp_path)
    table(tmp_path, "name,session\na,1\n", name="D:groups.csv")
    assert regroup_by(named("a"), "csv:D:groups.csv:session") == {"a": "1"}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("name;session\na;1\n", "utf-8"),
        ("name\tsession\r\na\t1\r\n", "utf-8"),
        ('session,name\r\n"1",a\r\n\r\n', "utf-8-sig"),
        ("name , session\n a , 1 \na,1\n", "utf-8"),
    ],
)
def test_dialects(tmp_path, text, encoding):
    assert regroup_by(named("a"), f"csv:{table(tmp_path, text, encoding=encoding)}:session") == {"a": "1"}


def test_decomposed_letters_match(tmp_path):
    path = table(tmp_path, "name,session\nprobe-\u00fc,1\n")
    assert regroup_by(named("probe-u\u0308"), f"csv:{path}:session") == {"probe-u\u0308": "1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,session\na,1\n", r"1 of 2 images: 's/b'; add a row"),
        ("name,session\na,1\nb,\n", r"groups\.csv, line 3: 'session' is empty"),
        ("name,session\na,1\n,2\n", r"groups\.csv, line 3: 'name' is empty"),
        ("name,session\na,1\nb,1\nb,2\n", r"line 4: 'b' has the session '2' and, above, '1'"),
        ("name,doi\na,1\n", r"needs the columns name and session, has name, doi"),
        ("", r"needs the columns name and session, has none"),
        ("name,session\na,1\nb,2,3\n", r"line 3: 3 cells where the header has 2"),
        ("name,session\na,1\nb,ü\n", r"not a CSV in UTF-8"),
    ],
)
def test_faulty_tables(tmp_path, text, message):
    path = table(tmp_path, text, encoding="latin-1")
    with pytest.raises(PreparationError, match=message):
        regroup_by(named("a", "s/b"), f"csv:{path}:session")


def test_a_row_that_fits_two_images_is_refused(tmp_path):
    path = table(tmp_path, "name,session\na,1\n")
    with pytest.raises(PreparationError, match=r"'a' fits 2 images \(s1/a, s2/a\)"):
        regroup_by(named("s1/a", "s2/a"), f"csv:{path}:session")


def test_a_missing_table(tmp_path):
    with pytest.raises(PreparationError, match=r"nowhere\.csv: cannot be read"):
        regroup_by(named("a"), f"csv:{tmp_path / 'nowhere.csv'}:session")
