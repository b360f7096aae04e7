from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from nanoseg_bench.catalog.card import read_card
from nanoseg_bench.errors import DatasetError


def write(path, card, **changes):
    document = card.model_dump(mode="json") | changes
    path.write_text(yaml.safe_dump({key: value for key, value in document.items() if value != "absent"}))
    return path


def test_split_paths_become_absolute(tmp_path, card):
    path = write(tmp_path / "card.yaml", card(splits={"official": Path("splits/o.csv")}, default_split="official"))
    assert read_card(path).splits == {"official": tmp_path / "splits" / "o.csv"}


def test_a_card_is_frozen(card):
    with pytest.raises(ValidationError):
        card().title = "other"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licence": "absent"}, "licence: Field required"),
        ({"license": "MIT"}, "license: Extra inputs"),
        ({"format": "pascal-voc"}, "format: "),
        ({"classes": []}, "classes: "),
        ({"classes": ["cube", "rod", "cube"]}, "classes: 'cube' stands there twice"),
        ({"name": "Not Kebab"}, "name: "),
        ({"checks": {"images": "many"}}, "checks.images: "),
        ({"default_split": "v2"}, "default_split 'v2' is not one of"),
    ],
)
def test_faulty_fields_are_named(tmp_path, card, changes, message):
    with pytest.raises(DatasetError, match=message) as caught:
        read_card(write(tmp_path / "card.yaml", card(), **changes))
    assert str(tmp_path / "card.yaml") in str(caught.value)


def test_other_files(tmp_path):
    with pytest.raises(DatasetError, match="no such card"):
        read_card(tmp_path / "card.yaml")
    for content in ("a: [", "", "- 1"):
        (tmp_path / "card.yaml").write_text(content)
        with pytest.raises(DatasetError, match=r"card\.yaml"):
            read_card(tmp_path / "card.yaml")
