import pytest
import torch

from nanoseg_bench.cli import main
from nanoseg_bench.files import sha256_file
from nanoseg_bench.models.checkpoint import describe, save_weights
from nanoseg_bench.models.onnx_file import open_onnx
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.nsyolo import build_network


def write_weights(folder, name="nsyolo"):
    torch.manual_seed(0)
    recipe = load_recipe(name, "smoke").model_copy(update={"canvas": 64})
    model = build(recipe, ("disc", "Würfel"), 9)
    path = folder / "weights.safetensors"
    save_weights(path, model.build_network().state_dict(), describe(recipe, ("disc", "Würfel"), 9))
    return path


def test_a_run_becomes_a_file_that_stands_alone(tmp_path, capsys):
    folder = tmp_path / "in Größe"
    weights = write_weights(folder)
    assert main(["export", str(folder), "--to", "onnx"]) == 0
    shown = capsys.readouterr().out
    assert "boxes differ by at most" in shown and "mask IoU at least" in shown and "none known" in shown
    model, about = open_onnx(folder / "weights.onnx")
    assert (model.classes, about.max_instances, about.weights_sha256) == (("disc", "Würfel"), 9, sha256_file(weights))
    assert sorted(path.name for path in folder.iterdir()) == ["weights.json", "weights.onnx", "weights.safetensors"]


def test_a_file_that_is_there_stays(tmp_path, capsys):
    weights = write_weights(tmp_path)
    out = tmp_path / "mine.onnx"
    out.write_bytes(b"mine")
    command = ["export", str(weights), "--to", "onnx", "--out", str(out)]
    assert main(command) == 2
    assert "--overwrite always" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main([*command, "--overwrite", "always"]) == 0
    assert open_onnx(out)[0].recipe.model == "nsyolo"


def test_a_pickle_is_exported_when_it_is_trusted(tmp_path, capsys):
    network = build_network("nsyolo", 2).eval()
    network.names = {0: "disc", 1: "Würfel"}
    torch.save({"model": network, "train_args": {"imgsz": 64}}, tmp_path / "best.pt")
    command = ["export", str(tmp_path / "best.pt"), "--to", "onnx"]
    assert main(command) == 1
    assert "--trust-pickle" in capsys.readouterr().err
    assert main([*command, "--trust-pickle"]) == 0
    assert open_onnx(tmp_path / "best.onnx")[0].classes == ("disc", "Würfel")


def test_what_cannot_be_exported(tmp_path, capsys):
    weights = write_weights(tmp_path, "unet")
    (tmp_path / "last.pt").write_bytes(b"pickle")
    (tmp_path / "file").touch()
    exported = tmp_path / "exported" / "model.onnx"
    exported.parent.mkdir()
    exported.touch()
    for code, message, arguments in (
        (2, "unet has no ONNX form", [str(weights)]),
        (2, "ends in .onnx", [str(weights), "--out", str(tmp_path / "model.pb")]),
        (2, "is an exported file already", [str(exported)]),
        (2, "no such file or folder", [str(tmp_path / "nowhere.safetensors")]),
        (2, "no such file or folder", [str(tmp_path / "nowhere.safetensors"), "--out", str(exported)]),
        (2, "--name: goes with --to release", [str(weights), "--name", "mine"]),
        (1, "trust", [str(tmp_path / "last.pt")]),
    ):
        assert main(["export", "--to", "onnx", *arguments]) == code
        assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*.onnx"))
    nsyolo = write_weights(tmp_path / "yolo")
    assert main(["export", str(nsyolo), "--to", "onnx", "--out", str(tmp_path / "file" / "model.onnx")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["export", str(nsyolo), "--to", "onxx"])
    assert end.value.code == 2
    assert "did you mean 'onnx'?" in capsys.readouterr().err
