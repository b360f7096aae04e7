import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nanoseg_bench.nsyolo.weights import WeightsError, load_into, read_description, read_weights, save_weights

ROOT = Path(__file__).parents[2]
ABOUT = {"model": "unet", "classes": ["disc", "Würfel"], "canvas": 64, "max_instances": 7, "options": {"encoder": "x"}}


@pytest.fixture
def written(tmp_path):
    """Path of a good pair."""
    path = tmp_path / "weights.safetensors"
    save_weights(path, {"a": torch.arange(1000.0), "b": torch.ones(2, 3)}, ABOUT)
    return path


def change(path, **values):
    """Change the JSON beside ``path``; None removes a key."""
    about = json.loads(path.with_suffix(".json").read_text()) | values
    text = json.dumps({key: value for key, value in about.items() if value is not None})
    path.with_suffix(".json").write_text(text)


def test_what_is_written_is_read(written):
    tensors, about = read_weights(written)
    assert torch.equal(tensors["a"], torch.arange(1000.0)) and torch.equal(tensors["b"], torch.ones(2, 3))
    assert {key: about[key] for key in ABOUT} == ABOUT
    assert about["format"] == "nanoseg-weights/1"
    assert about["made_by"]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert read_description(written) == about


def test_the_tensors_are_plain_safetensors_and_their_hash_is_in_the_json(written):
    assert load_file(written).keys() == {"a", "b"}
    digest = hashlib.sha256(written.read_bytes()).hexdigest()
    assert json.loads(written.with_suffix(".json").read_text(encoding="utf-8"))["tensors_sha256"] == digest


def test_the_same_weights_make_the_same_bytes(written, tmp_path):
    again = tmp_path / "again" / "weights.safetensors"
    save_weights(again, read_weights(written)[0], ABOUT)
    assert again.read_bytes() == written.read_bytes()
    assert again.with_suffix(".json").read_bytes() == written.with_suffix(".json").read_bytes()


def test_tied_strided_and_trained_tensors_are_written(tmp_path):
    shared = torch.randn(4, 5, requires_grad=True)
    path = tmp_path / "weights.safetensors"
    save_weights(path, {"a": shared, "b": shared, "c": shared.t(), "d": shared.half()}, ABOUT)
    tensors, _ = read_weights(path)
    assert torch.equal(tensors["a"], shared) and torch.equal(tensors["b"], shared)
    assert torch.equal(tensors["c"], shared.t()) and tensors["d"].dtype == torch.float16


def test_a_failed_write_leaves_the_old_pair(written, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nanoseg_bench.nsyolo.weights.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_weights(written, {"a": torch.zeros(3)}, ABOUT)
    assert read_weights(written)[0].keys() == {"a", "b"}
    assert sorted(path.name for path in written.parent.iterdir()) == ["weights.json", "weights.safetensors"]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"best\.pt: weights are written as \.safetensors; name it best\.safetens"):
        save_weights(tmp_path / "best.pt", {}, ABOUT)
    with pytest.raises(WeightsError, match=r"best\.pt: weights are a \.safetensors file"):
        read_weights(tmp_path / "best.pt")


def test_missing_files_are_told_apart(written):
    with pytest.raises(WeightsError, match=r"other\.safetensors: no such weights"):
        read_weights(written.with_name("other.safetensors"))
    moved = written.rename(written.with_name("moved.safetensors"))
    with pytest.raises(WeightsError, match=r"moved\.json: missing; .* copy it"):
        read_weights(moved)
    with pytest.raises(WeightsError, match=r"weights\.safetensors: no such weights .* copy it beside its \.json"):
        read_weights(written)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_tensors_are_named(written, share):
    data = written.read_bytes()
    written.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError, match=r"weights\.safetensors: not readable as weights .* copy it again"):
        read_weights(written)


def test_another_file_under_the_name_is_named(written):
    torch.save({"a": torch.zeros(3)}, written)
    with pytest.raises(WeightsError, match="not readable as weights"):
        read_weights(written)


def test_a_json_beside_foreign_tensors_is_noticed(written):
    save_file({"a": torch.zeros(1000), "b": torch.ones(2, 3)}, written)
    with pytest.raises(WeightsError, match=r"SHA-256 is not the one in weights\.json: .* copy both from one place"):
        read_weights(written)


def test_files_of_the_first_runs_are_read(written):
    change(written, tensors_sha256=None, made_by=None, max_instances=None)
    tensors, about = read_weights(written)
    assert tensors.keys() == {"a", "b"} and "max_instances" not in about


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b'{"format": "nanoseg-weights/1"', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "format is None, expected 'nanoseg-weights/1'; it does not describe weights"),
        (b'{"format": "pt"}', "format is 'pt'"),
        (b'{"format": "nanoseg-weights/2"}', "format 'nanoseg-weights/2', and this version reads .*update"),
    ],
)
def test_a_json_that_does_not_describe_weights_is_named(written, content, message):
    written.with_suffix(".json").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"weights\.json: {message}"):
        read_weights(written)


def test_tensors_go_into_the_network_they_are_of_and_into_no_other(tmp_path):
    torch.manual_seed(1)
    source, target = nn.Linear(3, 4), nn.Linear(3, 4)
    load_into(target, source.state_dict(), tmp_path / "w")
    assert torch.equal(source.weight, target.weight)
    kept = target.weight.clone()
    resized = r"w: 2 of 2 tensors are of another size \(weight is \(5, 3\), not \(4, 3\).*: copy both files from one"
    with pytest.raises(WeightsError, match=resized):
        load_into(target, nn.Linear(3, 5).state_dict(), tmp_path / "w")
    with pytest.raises(WeightsError, match=r"1 of 2 are missing \(bias\), 0 are unknown; copy both"):
        load_into(target, nn.Linear(3, 4, bias=False).state_dict(), tmp_path / "w")
    many = {f"encoder.{number}": torch.zeros(1) for number in range(9)}
    with pytest.raises(WeightsError, match=r"9 are unknown \(encoder\.0, encoder\.1, encoder\.2, …\)"):
        load_into(target, many, tmp_path / "w")
    assert torch.equal(target.weight, kept)


def test_reading_unpickles_nothing(written, monkeypatch):
    def unpickle(*_, **__):
        raise AssertionError("something is unpickled")

    for name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load"):
        monkeypatch.setattr(name, unpickle)
    assert read_weights(written)[0].keys() == {"a", "b"}


def test_reading_needs_no_ultralytics(written):
    script = (
        "import sys; from nanoseg_bench.nsyolo import read_weights; read_weights(sys.argv[1]);"
        "print(sorted({'ultralytics', 'cv2', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(written)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
