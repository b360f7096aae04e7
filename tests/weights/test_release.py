import json

import pytest
from releases import make_release

from nanoseg_bench.errors import ModelError, UsageError
from nanoseg_bench.weights import shipped
from nanoseg_bench.weights.model_card import model_card
from nanoseg_bench.weights.release import Judged, read_release

RELEASE = make_release(
    judged=(Judged(eval_set="test", images=4, scores={"map_50": 0.5, "map_50_lo": 0.4, "map_50_hi": 0.6, "f1": 0.7}),)
)


def card(release):
    return model_card(release, model="nsyolo", classes=["particle"], canvas=640, weights_sha256="cd" * 32)


def test_a_card_shows_what_was_measured_and_nothing_else():
    text = card(RELEASE)
    assert "| AP50 | 0.500 [0.400, 0.600] |\n| F1 | 0.700 |" in text
    assert "recall |" not in text
    assert "Licence of the data: not stated" in text and "Please cite" not in text
    assert "at confidence 0.31, chosen on val" in text.replace("\n", " ")
    assert max(map(len, text.splitlines())) <= 120
    told = RELEASE.model_copy(
        update={"trained_on": RELEASE.trained_on.model_copy(update={"licence": "MIT", "citation": "A, B, 2020"})}
    )
    assert "Licence of the data: MIT." in card(told) and "Please cite: A, B, 2020" in card(told)


def test_what_is_no_release_is_none_and_a_malformed_one_names_the_place(tmp_path):
    path = tmp_path / "ours.safetensors"
    assert read_release(path) is None, "there is no JSON"
    path.with_suffix(".json").write_text("{}")
    assert read_release(path) is None
    document = {"release": RELEASE.model_dump(mode="json")}
    path.with_suffix(".json").write_text(json.dumps(document))
    assert read_release(path) == RELEASE
    del document["release"]["trained_on"]["train"]
    path.with_suffix(".json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"ours\.json: release\.trained_on\.train: Field required"):
        read_release(path)


def test_shipped_weights_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(UsageError, match="no weights come with this installation"):
        shipped.shipped_weights()
    for name in ("a-net", "nsyolo", "yolo11n"):
        (tmp_path / f"{name}.safetensors").touch()
    assert shipped.shipped_names() == ["nsyolo", "a-net", "yolo11n"], "the default first"
    assert shipped.shipped_weights() == tmp_path / "nsyolo.safetensors"
    with pytest.raises(UsageError, match="did you mean 'yolo11n'"):
        shipped.shipped_weights("yolo11")
    assert shipped.is_shipped(tmp_path / "a-net.safetensors")
    assert not shipped.is_shipped(tmp_path / "below" / "a-net.safetensors")
