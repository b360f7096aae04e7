"""Whatever stands in the card of a data set: it is refused by its name, or is a card."""

import json

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from odd_documents import FEW, MANY, damaged, mutated, odd_values

from nanoseg_bench.catalog.card import Card, read_card
from nanoseg_bench.errors import DatasetError, NanosegError
from nanoseg_bench.resources import resource_dir

OURS = resource_dir("datasets") / "emps" / "card.yaml"
ODD_YAML = [
    "a: 2001-99-99",
    "&a [*a]",
    "a: !!python/object:os.system {}",
    "[" * 1500,
    "? [1]\n: 2",
    "a: !!int x",
    "\x00",
]


@pytest.mark.parametrize("limits", [FEW, pytest.param(MANY, marks=pytest.mark.faults)], ids=["few", "many"])
def test_any_card(tmp_path, limits):
    path, text = tmp_path / "card.yaml", OURS.read_bytes()

    @limits
    @given(
        st.one_of(
            mutated(json.loads(json.dumps(yaml.safe_load(text), default=str))),
            damaged(text),
            odd_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        )
    )
    @example(b"{}")
    def run(data):
        path.write_bytes(data)
        try:
            assert isinstance(read_card(path), Card)
        except NanosegError as error:
            assert str(error)

    run()


@pytest.mark.parametrize("text", ODD_YAML, ids=range(len(ODD_YAML)))
def test_yaml_that_is_none_or_more_than_data_is_refused(tmp_path, text):
    (tmp_path / "card.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"card\.yaml: "):
        read_card(tmp_path / "card.yaml")
