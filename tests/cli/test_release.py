"""From a run to weights that ship: the files of a release, and the verbs that use them without being told where."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage.io import imsave

from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.predictions import read_predictions
from nanoseg_bench.files import sha256_file
from nanoseg_bench.models.base import CanvasImage
from nanoseg_bench.models.checkpoint import load_weights, save_weights
from nanoseg_bench.models.trained import open_trained
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.record import read_record
from nanoseg_bench.weights import shipped
from nanoseg_bench.weights.known_warnings import warn_of_known_images
from nanoseg_bench.weights.release import read_release

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

REPOSITORY = Path(__file__).parents[2]


class Bench:
    """A tiny NSYOLO with its record, and its release."""

    def __init__(self, data, root):
        self.data, self.root = data, root
        self.run_dir = root / "runs" / "nsyolo-smoke-seed0"
        self.out = root / "release"
        self.weights = self.out / "nsyolo.safetensors"

    def run(self, *more):
        arguments = ["run", str(self.data), "--models", "nsyolo", "--preset", "smoke", "--device", "cpu"]
        places = ["--runs", str(self.root / "runs"), "--leaderboards", str(self.root / "boards")]
        return main([*arguments, *places, *more])

    def release(self, *more):
        arguments = ["export", str(self.run_dir), "--to", "release", "--data", str(self.data), "--out", str(self.out)]
        return main([*arguments, "--leaderboards", str(self.root / "boards"), "--workers", "1", *more])

    def record(self):
        (path,) = (self.root / "boards" / "records").glob(f"*/{self.run_dir.name}-test.json")
        return read_record(path)


@pytest.fixture(scope="module")
def released(tiny_set, tmp_path_factory):
    bench = Bench(tiny_set, tmp_path_factory.mktemp("release"))
    assert bench.run() == 0
    assert bench.release() == 0
    return bench


@pytest.fixture
def copied(released, tmp_path):
    """The same, to be changed."""
    shutil.copytree(released.root, tmp_path, dirs_exist_ok=True)
    return Bench(released.data, tmp_path)


@pytest.fixture
def ships(released, monkeypatch):
    """As if the release had come with the package."""
    monkeypatch.setattr(shipped, "FOLDER", released.out)
    return released


@pytest.fixture
def ships_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)


@pytest.fixture
def micrograph(tmp_path):
    path = tmp_path / "sample.png"
    imsave(path, np.random.default_rng(0).integers(0, 255, (90, 120), dtype=np.uint8), check_contrast=False)
    return path


def test_a_release_holds_the_runs_own_file_and_what_its_record_says(released, capsys):
    record, release = released.record(), read_release(released.weights)
    assert sha256_file(released.weights) == sha256_file(released.run_dir / "weights.safetensors")
    assert torch.float16 in {value.dtype for value in load_file(released.weights).values()}
    assert released.weights.stat().st_size < 2.1 * record.parameters, "two bytes each"
    assert release.trained_on.set_hash == record.set_hash
    assert release.trained_on.licence == "CC0-1.0" and "CITATION" in release.trained_on.citation
    test = next(each for each in release.judged if each.eval_set == "test")
    assert test.scores["map_50_95"] == record.scores["map_50_95"]
    assert release.confidence == record.operating_point.confidence
    prepared = PreparedSet(released.data)
    originals = [image for image in prepared.images("train") if image.parent is None]
    assert release.trained_on.train == len(originals)
    card = released.weights.with_suffix(".md").read_text()
    assert f"| AP50 | {record.scores['map_50']:.3f} |" in card and "CC0-1.0" in card and "section 3.4" in card
    assert record.set_hash in card and sha256_file(released.weights) in card
    assert {path.name for path in released.out.iterdir()} == {
        "nsyolo.safetensors",
        "nsyolo.json",
        "nsyolo.md",
        f"{prepared.name}-{record.set_hash[:8]}.known-images.npz",
    }
    before = {path.name: sha256_file(path) for path in released.out.iterdir()}
    assert released.release() == 2, "is there already"
    assert "is there already; give another --name, or --overwrite always" in capsys.readouterr().err
    assert released.release("--overwrite", "always") == 0
    assert {path.name: sha256_file(path) for path in released.out.iterdir()} == before


def test_released_weights_predict_what_was_judged(released):
    prepared = PreparedSet(released.data)
    kept = read_predictions(released.run_dir / "predictions" / "test.json.gz").images
    model = open_trained(released.weights)
    assert model.max_instances == prepared.max_instances
    assert sum(map(len, kept.values())) > 0
    for image in prepared.images("test"):
        (found,) = model.predict([CanvasImage.read(image)])
        assert [each.score for each in found] == pytest.approx([each.score for each in kept[image.name]], abs=1e-6)
        assert [each.region for each in found] == [each.region for each in kept[image.name]]


def test_weights_that_changed_since_they_predicted_are_not_released(copied, capsys):
    path = copied.run_dir / "weights.safetensors"
    tensors, about = load_weights(path)
    generator = torch.Generator().manual_seed(0)
    changed = {
        name: value * (1 + 1e-3 * torch.rand(value.shape, generator=generator)).to(value.dtype)
        if value.dtype == torch.float16
        else value
        for name, value in tensors.items()
    }
    save_weights(path, changed, about)
    assert copied.release("--overwrite", "always") == 1
    assert "its predictions are of other weights than those that lie there" in capsys.readouterr().err
    before = copied.record()
    assert copied.run() == 0
    assert copied.record().predictions_sha256 != before.predictions_sha256
    assert copied.release("--overwrite", "always") == 0
    assert sha256_file(copied.weights) == sha256_file(path)


def test_predict_takes_the_shipped_weights_and_says_which(ships, micrograph, tmp_path, caplog):
    caplog.set_level("INFO")
    for number, model in enumerate(([], ["--model", "nsyolo"])):
        out = tmp_path / str(number)
        assert main(["predict", str(micrograph), *model, "--out", str(out), "--engine", "torch"]) == 0
        document = json.loads((out / "predictions.json").read_text())
        assert document["model"] == "nsyolo (shipped weights nsyolo)"
        assert document["weights_sha256"] == sha256_file(ships.weights)
    assert "weights nsyolo: NSYOLO, trained on" in caplog.text
    assert "cite the data: nanoseg-bench, see CITATION.cff" in caplog.text
    confidence = ships.record().operating_point.confidence
    assert f"confidence {confidence:g} (a default, since the model's validation images cannot decide)" in caplog.text


def test_the_exported_network_stays_out_of_the_package(ships, micrograph, tmp_path, monkeypatch):
    before = sorted(ships.out.iterdir())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(micrograph), "--engine", "onnx", "--out", str(tmp_path / "found")]) == 0
    assert main(["export"]) == 0
    assert (tmp_path / "nsyolo.onnx").is_file()
    assert sorted(ships.out.iterdir()) == before
    assert list((tmp_path / "cache").rglob("nsyolo-*.onnx"))


def test_explain_takes_the_shipped_weights(ships, micrograph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", str(micrograph)]) == 0
    assert (tmp_path / "sample-explained.png").is_file()


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "IMAGE"],
        ["explain", "IMAGE"],
        ["export"],
        ["predict", "IMAGE", "--model", "nsyolo"],
        ["run", "DATA", "--weights", "shipped", "--models", "nsyolo"],
        ["run", "DATA", "--weights", "yolo11n", "--models", "yolo11n"],
    ],
)
def test_without_shipped_weights_the_way_out_is_named(command, ships_nothing, tiny_set, micrograph, capsys):
    words = {"IMAGE": str(micrograph), "DATA": str(tiny_set)}
    assert main([words.get(word, word) for word in command]) == 2
    error = capsys.readouterr().err
    assert "no weights come with this installation" in error and "train a model with `nanoseg-bench run`" in error


def own_set(tiny_set, folder, classes=None):
    """Ten micrographs of the tiny set, as a user has them: some of what the network was trained on is in its test."""
    source = folder / "micrographs"
    main_folder = tiny_set.with_name(f"{tiny_set.name}-source") / "main"
    for path in sorted(main_folder.rglob("*.json"))[:10]:
        document = json.loads(path.read_text())
        for shape in document["shapes"]:
            shape["label"] = classes[shape["label"]] if classes else shape["label"]
        target = source / path.parent.name
        target.mkdir(parents=True, exist_ok=True)
        (target / path.name).write_text(json.dumps(document))
        shutil.copy(path.with_suffix(".png"), target)
    arguments = ["--size", "128", "--augment-copies", "0", "--workers", "1", "--split", "4:3:3", "--group-by", "folder"]
    assert main(["prepare", str(source), *arguments, "--out", str(folder / "data")]) == 0
    return folder / "data"


def test_a_set_that_shows_the_training_images_is_told_so(ships, tmp_path, capsys):
    data = own_set(ships.data, tmp_path)
    told = capsys.readouterr().out
    trained = {i.micrograph: i for i in PreparedSet(ships.data).images("train") if i.parent is None}
    hashes = {image.pixels_sha256 for image in trained.values()}
    test = PreparedSet(data).images("test")
    seen = [image.name for image in test if image.pixels_sha256 in hashes]
    assert seen, "the test shows nothing otherwise"
    assert "seem to show what the weights nsyolo were trained on" in told
    (line,) = [line for line in told.splitlines() if line.startswith("warning: ")]
    assert all(name in line for name in seen) or "more)" in line
    assert "test image" in line and "or train from scratch" in line


def test_a_run_from_shipped_weights_says_so_and_draws_other_classes_anew(ships, tmp_path, capsys):
    data = own_set(ships.data, tmp_path, {"nanocube": "A", "nanosphere": "B", "nanorod": "C"})
    capsys.readouterr()
    arguments = ["--models", "nsyolo", "--preset", "smoke", "--device", "cpu", "--runs", str(tmp_path / "runs")]
    boards = tmp_path / "boards"
    assert main(["run", str(data), *arguments, "--leaderboards", str(boards), "--weights", "shipped"]) == 0
    shown = capsys.readouterr()
    assert "warning: " in shown.out and "seem to show what the weights nsyolo were trained on" in shown.out
    (run,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    log = (run / "log.txt").read_text()
    assert "the class layer is drawn anew" in log and "nanocube" in log
    (path,) = boards.glob("records/*/*-test.json")
    record = read_record(path)
    assert record.initial_weights == f"nsyolo.safetensors sha256:{sha256_file(ships.weights)}"
    learnt = json.loads(ships.weights.with_suffix(".json").read_text())["release"]
    data = learnt["trained_on"]
    expected = f"{learnt['images_seen']:,} images of {data['set_name']} ({data['set_hash'][:8]}) by {learnt['preset']}"
    assert record.initial_training == expected


def test_weights_that_were_passed_on_without_fingerprints_say_so(copied, tmp_path, capsys):
    own_set(copied.data, tmp_path)
    (known,) = copied.out.glob("*.known-images.npz")
    known.unlink()
    told = warn_of_known_images(PreparedSet(tmp_path / "data"), [copied.weights])
    assert told == [
        f"{known}: is not there, so nothing tells whether this set shows what the weights nsyolo were trained on"
    ]
    assert warn_of_known_images(PreparedSet(copied.data), [copied.weights]) == [], "its own split is audited"


def test_only_networks_start_from_shipped_weights(ships, capsys):
    assert main(["run", str(ships.data), "--models", "nsyolo", "unet", "--weights", "shipped"]) == 2
    assert "start networks of the YOLO family, and not unet; give --models nsyolo" in capsys.readouterr().err
    assert main(["run", str(ships.data), "--models", "yolo11n", "--weights", "shipped"]) == 2
    assert "none of yolo11n ship; start from those of another network with --weights nsyolo" in capsys.readouterr().err


@pytest.mark.slow
def test_the_wheel_holds_the_weights_that_ship(released, tmp_path):
    tree = tmp_path / "tree"
    files = subprocess.run(["git", "-C", str(REPOSITORY), "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in filter(None, files.decode().split("\0")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tree / name)
    for path in released.out.iterdir():
        shutil.copy(path, tree / "nanoseg_bench" / "weights")
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    subprocess.run(["git", "add", "."], cwd=tree, check=True)
    listed = subprocess.run(["git", "ls-files", "nanoseg_bench/weights"], cwd=tree, capture_output=True, check=True)
    assert b"nanoseg_bench/weights/nsyolo.safetensors" in listed.stdout, "git leaves it out"
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(tree)]
    built = subprocess.run(pip, capture_output=True, text=True, check=False)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("hatchling is neither installed nor at hand")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for path in released.out.iterdir():
            assert archive.read(f"nanoseg_bench/weights/{path.name}") == path.read_bytes()
