import json
import math

import pytest

from nanoseg_bench.files import read_json, write_json
from nanoseg_bench.seals import SEAL, sealed, unsealed

DOCUMENT = {
    "b": [1, 2.5, -0.0, 1e-300, 1e22, 2**53, 0.1 + 0.2, None, True],
    "a": {"µ": "é\n", "empty": {}},
    "not finite": [math.inf],
}


def test_what_was_sealed_comes_back_from_disk_however_it_is_laid_out(tmp_path):
    write_json(tmp_path / "a.json", sealed(DOCUMENT))
    document = read_json(tmp_path / "a.json")
    assert list(document) == [*DOCUMENT, SEAL]
    assert unsealed(document) == DOCUMENT
    (tmp_path / "b.json").write_text(json.dumps(document, indent=4, sort_keys=True, ensure_ascii=True))
    assert unsealed(read_json(tmp_path / "b.json")) == DOCUMENT


def test_a_document_without_a_seal_is_as_it_is():
    assert unsealed(DOCUMENT) is DOCUMENT
    assert unsealed([1]) == [1] and unsealed(None) is None


@pytest.mark.parametrize(
    "change",
    [
        {"b": [1]},
        {"c": 0},
        {"a": {"µ": "e\n", "empty": {}}},
        {SEAL: "0" * 64},
        {SEAL: None},
        {SEAL: []},
    ],
)
def test_whatever_changes_is_found(change):
    with pytest.raises(ValueError, match="it was edited or is damaged"):
        unsealed({**sealed(DOCUMENT), **change})


@pytest.mark.parametrize("value", [10**30, -(2**64), [2**65]])
def test_a_number_that_nothing_sealed_can_hold_is_damage_too(value):
    for seal in (sealed({"a": 1})[SEAL], None):
        with pytest.raises(ValueError, match="not as it was written"):
            unsealed({"a": value, SEAL: seal})
