import pytest

from nanoseg_bench.wording import counted


@pytest.mark.parametrize(
    ("number", "words", "expected"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (2, ("image",), "2 images"),
        (1, ("copy", "copies"), "1 copy"),
        (3, ("copy", "copies"), "3 copies"),
    ],
)
def test_the_noun_follows_the_number(number, words, expected):
    assert counted(number, *words) == expected
