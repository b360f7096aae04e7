import pytest
import yaml

from nanoseg_bench.files import parse_yaml

MERGED = """\
base: &base {x: 1, y: [1, 2]}
middle: &middle
  <<: *base
  x: 2
last:
  <<: [*middle, *base]
  y: *base
"""


@pytest.mark.parametrize("text", ["", "a", "3", MERGED, "1: a\n'1': b\n", "d: 2024-05-01\n"])
def test_what_has_no_key_twice_is_what_pyyaml_makes_of_it(text):
    assert parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", r"line 3, column 1: 'a' stands there twice; keep one"),
        ("a:\n  b: {c: 1, c: 1}\n", r"line 2, column 13: 'c' stands there twice"),
        ("yes: 1\ntrue: 2\n", "line 2, column 1: True stands there twice"),
        ("&a [1, *a]", "line 1, column 1: a value that holds itself"),
        ("a: 1\n--- \nb: 2\n", "line 2, column 1: but found another document"),
    ],
)
def test_what_would_lose_a_value_is_refused_by_its_line(text, told):
    with pytest.raises(ValueError, match=told):
        parse_yaml(text)


@pytest.mark.parametrize("each", ["[{}]", "{{<<: [{}]}}"], ids=["lists", "merged mappings"])
def test_aliases_that_stand_for_more_than_fits_into_memory_are_refused(each):
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} " + each.format(", ".join([f"*a{n - 1}"] * 10)) for n in range(1, 10)]
    with pytest.raises(ValueError, match=r"line 1, column 1: more than 100000 values, with aliases"):
        parse_yaml("\n".join(lines))
    assert len(parse_yaml("\n".join(lines[:4]))) == 4
