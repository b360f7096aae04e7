"""Which weights models start from; ``tests/cli/test_release.py`` has them used."""

import pytest

from nanoseg_bench.errors import UsageError
from nanoseg_bench.models.starting_weights import starting_weights
from nanoseg_bench.weights import shipped


def test_who_has_no_weights_of_its_own_is_told_which_models_have(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    (tmp_path / "nsyolo.safetensors").touch()
    for models in (["yolo11n"], ["yolo11n", "nsyolo"]):
        with pytest.raises(UsageError, match=r"none of yolo11n ship; .*, or give --models nsyolo$"):
            starting_weights("shipped", models, "--weights")


def test_the_folder_of_a_run_is_answered_with_the_file_in_it(tmp_path):
    with pytest.raises(UsageError, match=r"--weights \S+: is a folder; give the file \S+weights\.safetensors$"):
        starting_weights(tmp_path, ["nsyolo"], "--weights")


def test_what_needs_no_training_may_stand_beside_what_starts_from_weights(tmp_path):
    given = tmp_path / "mine.safetensors"
    given.touch()
    assert starting_weights(given, ["nsyolo", "otsu"], "--weights") == {"nsyolo": given}
    assert list(starting_weights("shipped", ["nsyolo", "otsu"], "--weights")) == ["nsyolo"]
    with pytest.raises(UsageError, match="otsu needs no training"):
        starting_weights("shipped", ["otsu"], "--weights")
