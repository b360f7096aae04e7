import json

import pytest

from nanoseg_bench.errors import PreparationError
from nanoseg_bench.preparation.audit import (
    AUDIT_FORMAT,
    FoundPair,
    ReviewedPair,
    audit_split,
    make_check,
    read_audit,
    read_reviewed,
)

HASH = {"differing_bits": 2, "orientation": 5}
FIELD = {"inliers": 40, "scale": 0.5, "rotation_degrees": 0.0, "mirrored": False}


def row(name, split, group=None, pixels=None, parent="", micrograph=None):
    return {
        "name": name,
        "split": split,
        "parent": parent,
        "micrograph": micrograph or f"folder/{name}",
        "source_group": group or name,
        "pixels_sha256": pixels or name,
    }


ROWS = [row("a", "train"), row("b", "val"), row("c", "test"), row("d", "train"), row("a-aug01", "train", parent="a")]


def audit(rows, pairs=(), reviewed=(), more_checks=()):
    return audit_split(rows, pairs, "hash", reviewed, more_checks)


def check(document, name):
    return next(each for each in document["checks"] if each["name"] == name)


def test_a_clean_split_passes_and_says_what_was_not_looked_for():
    document = audit(ROWS)
    assert document["passed"]
    assert document["format"] == AUDIT_FORMAT == "nanoseg-split-audit/2"
    assert document["content_hash"] == "hash"
    assert document["conclusion"] == (
        "checks source-groups, identical-pixels, augmented-copies, near-duplicates, overlapping-fields "
        "found no shared source"
    )
    assert all(each["cannot_find"] and each["finds"] for each in document["checks"])
    assert document["related"] == document["reviewed"] == []
    assert "leak-free" not in str(document)


def test_a_group_in_two_splits_fails():
    document = audit([row("a", "train", "paper"), row("b", "test", "paper"), row("c", "val")])
    assert not document["passed"]
    assert "source-groups failed with 1 finding" in document["conclusion"]
    assert check(document, "source-groups")["details"] == [
        {"source_group": "paper", "images": {"test": ["b"], "train": ["a"]}}
    ]


def test_identical_pixels_in_two_splits_fail_ood_too():
    document = audit([row("a", "train", pixels="same"), row("b", "ood", pixels="same")])
    assert not check(document, "identical-pixels")["passed"]
    assert audit([row("a", "train", pixels="same"), row("b", "train", pixels="same")])["passed"]


@pytest.mark.parametrize(
    "stray",
    [
        row("x", "test", "c", "c", parent="c"),
        row("x", "train", "c", "c", parent="c"),
        row("x", "train", "a", "a", parent="nobody"),
        row("x", "val", "a", "a", parent="a"),
    ],
)
def test_copies_belong_to_train(stray):
    document = audit([row("a", "train"), row("c", "test"), stray])
    assert check(document, "augmented-copies")["details"][0]["copy"] == "x"
    assert not document["passed"]


def test_likeness_across_splits_is_a_warning():
    document = audit(ROWS, [FoundPair(("a", "c"), "near-duplicates", HASH)])
    near = check(document, "near-duplicates")
    assert document["passed"]
    assert near["passed"]
    assert (near["findings"], near["warnings"]) == (1, 1)
    assert near["details"] == [{"images": ["a", "c"], "splits": ["train", "test"], "evidence": HASH, "reviewed": False}]
    assert "near-duplicates has 1 finding to look at" in document["conclusion"]


def test_a_confirmed_field_across_splits_fails():
    pairs = [FoundPair(("a", "c"), "near-duplicates", HASH), FoundPair(("a", "c"), "overlapping-fields", FIELD)]
    document = audit(ROWS, pairs)
    assert not document["passed"]
    assert not check(document, "overlapping-fields")["passed"]
    assert check(document, "near-duplicates")["passed"]
    assert "overlapping-fields failed with 1 finding" in document["conclusion"]
    assert document["conclusion"].startswith("checks source-groups, identical-pixels, augmented-copies found no")


def test_a_pair_inside_one_split_is_related_and_no_finding():
    document = audit(ROWS, [FoundPair(("a", "d"), "overlapping-fields", FIELD)])
    assert document["passed"]
    assert check(document, "overlapping-fields")["details"] == []
    assert document["related"] == [
        {"images": ["a", "d"], "split": "train", "check": "overlapping-fields", "evidence": FIELD}
    ]


@pytest.mark.parametrize("names", [("a", "c"), ("c", "a"), ("folder/c", "a"), ("folder/a", "folder/c")])
def test_a_reviewed_pair_passes_and_stays_listed(names):
    pairs = [
        FoundPair(("a", "c"), "overlapping-fields", FIELD),
        FoundPair(("a", "c"), "near-duplicates", HASH),
    ]
    document = audit(ROWS, pairs, [ReviewedPair(*names, "same holder, other specimen")])
    assert document["passed"]
    for name in ("overlapping-fields", "near-duplicates"):
        assert check(document, name)["findings"] == 0
        assert [each["reviewed"] for each in check(document, name)["details"]] == [True]
    assert document["reviewed"] == [{"images": ["a", "c"], "note": "same holder, other specimen"}]
    assert "a person looked at 1 further pair and found no common source" in document["conclusion"]


def test_a_review_of_one_pair_says_nothing_of_another():
    pairs = [FoundPair(("a", "c"), "overlapping-fields", FIELD), FoundPair(("b", "c"), "overlapping-fields", FIELD)]
    document = audit(ROWS, pairs, [ReviewedPair("a", "c", "seen")])
    assert not document["passed"]
    assert [each["images"] for each in check(document, "overlapping-fields")["details"]] == [["b", "c"], ["a", "c"]]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (ReviewedPair("a", "nobody", "-"), "'nobody' is in no row"),
        (ReviewedPair("a", "a-aug01", "-"), "'a-aug01' is in no row"),
        (ReviewedPair("a", "folder/a", "-"), "one image twice"),
        (ReviewedPair("twice", "b", "-"), "'twice' names two images"),
    ],
)
def test_a_review_that_names_no_two_images_is_an_error(pair, message):
    rows = [*ROWS, row("twice", "train"), row("e", "train", micrograph="twice")]
    with pytest.raises(PreparationError, match=message):
        audit(rows, reviewed=[pair])


def test_all_pairs_are_listed_and_of_other_findings_the_first():
    rows = [row(f"t{number}", "train", f"g{number}") for number in range(80)]
    rows += [row(f"v{number}", "val", f"g{number}") for number in range(80)]
    document = audit(rows, [FoundPair((f"t{n}", f"v{n}"), "overlapping-fields", FIELD) for n in range(80)])
    assert check(document, "source-groups")["findings"] == 80
    assert len(check(document, "source-groups")["details"]) == 50
    assert len(check(document, "overlapping-fields")["details"]) == 80


def test_further_checks_count():
    wrong = make_check("files", [{"image": "a"}], finds="changed files", cannot_find="changed labels")
    assert not audit(ROWS, more_checks=[wrong])["passed"]
    right = make_check("files", [], finds="changed files", cannot_find="changed labels")
    assert "files" in audit(ROWS, more_checks=[right])["conclusion"]


def test_the_order_of_the_pairs_does_not_matter(tmp_path):
    pairs = [FoundPair(("a", "c"), check, FIELD) for check in ("near-duplicates", "overlapping-fields")]
    pairs.append(FoundPair(("b", "c"), "overlapping-fields", FIELD))
    assert json.dumps(audit(ROWS, pairs)) == json.dumps(audit(ROWS, pairs[::-1]))
    (tmp_path / "split_audit.json").write_text(json.dumps(audit(ROWS, pairs)), encoding="utf-8")
    assert read_audit(tmp_path / "split_audit.json") == audit(ROWS, pairs)


def test_reviewed_pairs_are_read_with_a_byte_order_mark_and_further_columns(tmp_path):
    path = tmp_path / "reviewed.csv"
    path.write_text('\ufefffirst,second,note,by\n a ,c,"other grid, I looked",me\n', encoding="utf-8")
    assert read_reviewed(path) == [ReviewedPair("a", "c", "other grid, I looked")]


def test_reviewed_pairs_may_come_from_a_spreadsheet_that_separates_by_semicolons(tmp_path):
    path = tmp_path / "reviewed.csv"
    path.write_text("first;second;note\na;c;other grid, I looked\n", encoding="utf-8")
    assert read_reviewed(path) == [ReviewedPair("a", "c", "other grid, I looked")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00a", "not a CSV in UTF-8"),
        (b"", "needs the columns first and second and note, has none"),
        (b"first,second\na,b\n", "needs the columns first and second and note, has first, second"),
        (b"first,second,note\na,,why\n", "line 2: 'a', ''"),
        (b"first,second,note\na\n", "line 2: 1 cell where the header has 3"),
        (b"first,second,note\na,b,other grid, I looked\n", "line 2: 4 cells .* into quotes"),
        (b"first,second,note\na,b,ok\na,c,\n", "line 3: a, c: say in `note`"),
    ],
)
def test_other_files_are_refused_with_their_name(text, message, tmp_path):
    path = tmp_path / "reviewed.csv"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(PreparationError, match=message) as caught:
        read_reviewed(path)
    assert "reviewed.csv" in str(caught.value)
