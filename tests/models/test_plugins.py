"""Models of another package: installed beside this one, they go through every verb as ours do.

The packages below are whole: what a plug-in's author writes, and what ``pip install`` would leave of it.
"""

import json
import os
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import nanoseg_bench.models as public
from nanoseg_bench.cli import main
from nanoseg_bench.errors import ModelError, UsageError
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build, options_of
from nanoseg_bench.models.trained import open_trained
from nanoseg_bench.preparation.prepared_set import PreparedSet

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

NET = '''
from torch import nn

from nanoseg_bench.models import SemanticModel


class TinyNet(SemanticModel):
    """Three convolutions; loss, training and post-processing are those of U-Net."""

    def build_network(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
            nn.Conv2d(8, self.channels, 1),
        )
'''
NET_RECIPE = """
model: tiny-net
title: Tiny net
presets:
  smoke: {canvas: 64, batch: 2, images_seen: 16, images_per_epoch: 8, learning_rate: 1.0e-2}
"""

RULE = '''
import json

import numpy as np

from nanoseg_bench.images import as_grey
from nanoseg_bench.models import CanvasImage, FitReport, Model, PostProcessing, Prediction, Training
from nanoseg_bench.models import instances_from_probability, restore_instances


class GreyOptions(PostProcessing):
    quantile: Training[float] = 0.5
    margin: Prediction[float] = 0.0


class GreyRule(Model):
    """Whatever is brighter than a grey value that was learnt; neither torch nor a network."""

    Options = GreyOptions

    def fit(self, prepared, context):
        canvases = [CanvasImage.read(image) for image in prepared.images("train")]
        values = [np.quantile(as_grey(each.pixels), self.options.quantile) for each in canvases]
        path = context.run_dir / "rule.json"
        path.write_text(json.dumps({"grey": float(np.mean(values))}))
        self.load(path, context.device)
        return FitReport(path, epochs=1, images_seen=len(canvases), seconds=0.1)

    def load(self, checkpoint, device):
        self.grey = json.loads(checkpoint.read_text())["grey"]

    def predict(self, images):
        return [self._predict_one(image) for image in images]

    def complexity(self):
        return None

    def _predict_one(self, image):
        brightness = as_grey(image.pixels).astype(np.float32) - self.grey - self.options.margin
        foreground = np.clip(0.5 + brightness / 255, 0, 1)
        classes = np.stack([foreground] + [np.zeros_like(foreground)] * (len(self.classes) - 1))
        found = instances_from_probability(foreground, image.letterbox, classes, self.options)
        return restore_instances(found, image.letterbox, self.classes, self.max_detections)
'''
RULE_RECIPE = """
model: grey-rule
title: Grey rule
canvas: 64
images_seen: 0
presets:
  smoke: {}
"""

YOLO = '''
from nanoseg_bench.models import YoloModel


class ShortSnakes(YoloModel):
    """NSYOLO with snakes of three points."""
'''
YOLO_RECIPE = """
model: short-snakes
title: Short snakes
options: {scheme: nsyolo, kernel: 3}
presets:
  smoke: {canvas: 64, batch: 2, images_seen: 4, images_per_epoch: 4, learning_rate: 1.0e-3}
"""

PACKAGES = {
    "tiny-net": (NET, "TinyNet", NET_RECIPE),
    "grey-rule": (RULE, "GreyRule", RULE_RECIPE),
    "short-snakes": (YOLO, "ShortSnakes", YOLO_RECIPE),
}


_IMPORT_NAMES = {name.replace("-", "_") for name in PACKAGES}


def install(folder, name, *, module="model"):
    """What pip would leave in site-packages: the package, its recipe, and the entry point."""
    source, attribute, recipe = PACKAGES[name]
    package = folder / name.replace("-", "_")
    (package / "baselines").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text(source)
    (package / "baselines" / f"{name}.yaml").write_text(recipe)
    about = folder / f"{package.name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[nanoseg_bench.models]\n{name} = {package.name}.{module}:{attribute}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder that counts as site-packages, here and in the processes of the runs."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(folder), os.environ.get("PYTHONPATH", ""))))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in _IMPORT_NAMES]:
        del sys.modules[name]


class Bench:
    def __init__(self, data, root):
        self.data, self.root = data, root

    def run(self, model, *more):
        places = ["--runs", str(self.root / "runs"), "--leaderboards", str(self.root / "boards"), "--device", "cpu"]
        return main(["run", str(self.data), "--models", model, "--preset", "smoke", *places, *more])

    def table(self):
        return pd.read_csv(self.root / "boards" / f"{PreparedSet(self.data).name}-test.csv").set_index("model")

    def micrograph(self):
        path = self.root / "own" / "sample.png"
        path.parent.mkdir(exist_ok=True)
        pixels = np.full((90, 120), 40, dtype=np.uint8)
        pixels[20:50, 30:70] = 220
        Image.fromarray(pixels).save(path)
        return path

    def predict(self, run):
        out = self.root / f"found-{run.name}"
        assert main(["predict", str(self.micrograph()), "--model", str(run), "--device", "cpu", "--out", str(out)]) == 0
        return json.loads((out / "predictions.json").read_text(encoding="utf-8"))


@pytest.fixture
def bench(tiny_set, tmp_path):
    return Bench(tiny_set, tmp_path)


def test_a_model_without_torch_goes_through_every_verb(site, bench, capsys):
    install(site, "grey-rule")
    assert bench.run("grey-rule") == 0
    row = bench.table().loc["grey-rule"]
    assert (row["status"], row["title"]) == ("ok", "Grey rule")
    assert row["map_50_95"] >= 0, "its classes count"
    run = bench.root / "runs" / "grey-rule-smoke-seed0"
    capsys.readouterr()
    assert main(["list"]) == 0
    assert "Grey rule" in capsys.readouterr().out
    assert main(["leaderboard", PreparedSet(bench.data).name, "--leaderboards", str(bench.root / "boards")]) == 0
    bench.predict(run)
    opened = open_trained(run)
    assert opened.grey == json.loads((run / "rule.json").read_text())["grey"]
    assert opened.classes == PreparedSet(bench.data).classes

    # Its own options are told apart as ours are.
    kept = (run / "rule.json").read_bytes()
    assert bench.run("grey-rule", "--dry-run", "--recipe", "options.margin=5") == 0
    assert bench.run("grey-rule", "--recipe", "options.marign=5") == 2
    assert "did you mean 'options.margin'?" in capsys.readouterr().err
    recipe = site / "grey_rule" / "baselines" / "grey-rule.yaml"
    recipe.write_text(RULE_RECIPE + "options: {margin: 5}\n")
    assert bench.run("grey-rule") == 0
    assert (run / "rule.json").read_bytes() == kept
    assert open_trained(run).options.margin == 5
    recipe.write_text(RULE_RECIPE + "options: {margin: 5, quantile: 0.9}\n")
    assert bench.run("grey-rule") == 0
    assert (run / "rule.json").read_bytes() != kept
    (before,) = (bench.root / "runs" / "replaced").iterdir()
    assert (before / "rule.json").read_bytes() == kept

    capsys.readouterr()
    assert main(["explain", str(bench.micrograph()), "--model", str(run), "--out", str(bench.root / "x.png")]) == 1
    assert "grey-rule cannot be explained: the maps are those of a YOLO network" in capsys.readouterr().err
    assert main(["export", str(run), "--to", "onnx"]) == 2
    assert "grey-rule has no ONNX form; YOLO models and plug-ins that offer it have one" in capsys.readouterr().err


@pytest.mark.slow
def test_a_network_needs_one_method(site, bench, capsys):
    install(site, "tiny-net")
    assert bench.run("tiny-net") == 0
    row = bench.table().loc["tiny-net"]
    assert row["status"] == "ok"
    assert row["parameters"] > 0 and row["training_images_seen"] == 16
    run = bench.root / "runs" / "tiny-net-smoke-seed0"
    bench.predict(run)
    bench.predict(run / "weights.safetensors")
    capsys.readouterr()
    assert main(["explain", str(bench.micrograph()), "--model", str(run), "--out", str(bench.root / "x.png")]) == 1
    assert "tiny-net cannot be explained" in capsys.readouterr().err
    assert main(["export", str(run), "--to", "onnx"]) == 2
    assert "tiny-net has no ONNX form" in capsys.readouterr().err


@pytest.mark.slow
def test_a_yolo_network_is_explained_and_exported_too(site, bench):
    install(site, "short-snakes")
    assert bench.run("short-snakes") == 0
    assert bench.table().loc["short-snakes", "status"] == "ok"
    run = bench.root / "runs" / "short-snakes-smoke-seed0"
    bench.predict(run)
    picture, exported = bench.root / "x.png", bench.root / "x.onnx"
    assert main(["explain", str(bench.micrograph()), "--model", str(run), "--out", str(picture)]) == 0
    assert picture.stat().st_size > 10_000
    assert main(["export", str(run), "--to", "onnx", "--out", str(exported)]) == 0
    out = bench.root / "found-onnx"
    assert main(["predict", str(bench.micrograph()), "--model", str(exported), "--out", str(out)]) == 0


def test_a_plugin_that_cannot_be_imported_is_named(site):
    install(site, "grey-rule", module="gone")
    with pytest.raises(ModelError, match=r"'grey-rule': its entry point grey_rule.gone:GreyRule cannot be imported"):
        options_of("grey-rule")


def test_a_plugin_that_is_no_model_is_named(site):
    install(site, "grey-rule")
    (site / "grey_rule" / "model.py").write_text("GreyRule = dict")
    with pytest.raises(ModelError, match=r"no subclass of nanoseg_bench\.models\.Model"):
        options_of("grey-rule")


def test_a_run_whose_plugin_is_not_installed_says_so(tmp_path):
    run = tmp_path / "gone-smoke-seed0"
    run.mkdir()
    (run / "fit.json").write_text(json.dumps({"report": {"checkpoint": "rule.json"}}))
    (run / "rule.json").write_text("{}")
    recipe = load_recipe("otsu", "smoke").model_dump(mode="json") | {"model": "gone"}
    (run / "run.json").write_text(json.dumps({"inputs": {"recipe": recipe}, "classes": ["a"]}))
    with pytest.raises(ModelError, match=r"unknown model 'gone'.*install the plug-in that the model comes from"):
        open_trained(run)
    with pytest.raises(UsageError):
        build(load_recipe("otsu", "smoke").model_copy(update={"model": "gone"}), ("a",), 1)


def test_what_is_public_is_there_and_documented():
    for name in public.__all__:
        assert getattr(public, name) is not None
    for kind in (public.Model, public.TorchModel, public.SemanticModel):
        for hook in getattr(kind, "__abstractmethods__", ()):
            assert not hook.startswith("_")
            assert getattr(kind, hook).__doc__
    with pytest.raises(AttributeError, match="Nothing"):
        public.Nothing  # noqa: B018
