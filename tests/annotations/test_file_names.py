import re
import unicodedata

import pytest

from nanoseg_bench.annotations.file_names import UniqueNames


def take(names):
    unique = UniqueNames()
    return [unique.take(name) for name in names]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a", "a"),
        ("sub/b.v2", "sub__b.v2"),
        ("Größe 2 µm", "Größe_2_µm"),
        (unicodedata.normalize("NFD", "Größe"), "Größe"),
        ("试样-1", "试样-1"),
        ('a<b>:"c"|?*', "a_b_c_"),
        ("con", "_con"),
        ("LPT1.tif", "_LPT1.tif"),
        ("ends. ", "ends"),
        ("..", "image"),
        ("line\nbreak", "line_break"),
    ],
)
def test_names_become_legal(name, stem):
    assert take([name]) == [stem]
    assert take([stem]) == [stem]


def test_names_differ_in_more_than_case():
    stems = take(["a/b", "a__b", "A__B", "ü", unicodedata.normalize("NFD", "ü"), "a__b-2"])
    assert stems == ["a__b", "a__b-2", "A__B-3", "ü", "ü-2", "a__b-2-2"]


def test_long_names_are_cut_and_stay_different():
    first, second = take(["ä" * 300 + "1", "ä" * 300 + "2"])
    assert first != second
    assert max(len(stem.encode()) for stem in (first, second)) <= 120
    assert re.fullmatch("ä+-[0-9a-f]{8}", first)


def test_a_name_that_was_given_before_is_not_given_again():
    first, second, third = take(["ä" * 300] * 3)  # the number is put behind what is as long as a name may be
    assert len(second.encode()) > 120
    unique = UniqueNames()
    for stem in (first, second):
        unique.hold(stem)
    assert unique.take("ä" * 300) == third


def test_an_ending_is_never_cut():
    unique = UniqueNames()
    (stem,) = take(["x" * 300])
    assert unique.take("x" * 300, "-aug01") == f"{stem}-aug01"
    assert unique.take("x" * 300, "-AUG01") == f"{stem}-AUG01-2"


def test_names_in_another_encoding_become_legal():
    (short, long) = take(["caf\udce9", "x" * 300 + "\udce9"])
    assert short == "caf_" and re.fullmatch("x+-[0-9a-f]{8}", long)
