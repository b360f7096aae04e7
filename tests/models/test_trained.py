import json
import shutil

import pytest
import torch
from safetensors.torch import save_file
from ultralytics.nn.tasks import SegmentationModel

from nanoseg_bench.cli import main
from nanoseg_bench.errors import ModelError
from nanoseg_bench.models.base import FitContext
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.models.trained import DEFAULT_MAX_INSTANCES, open_trained
from nanoseg_bench.nsyolo import NSYOLO, build_network

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

TINY = {"canvas": 64, "batch": 2, "images_seen": 2, "images_per_epoch": 2}


def seen(predictions):
    return [[(i.label, i.score, i.region) for i in image] for image in predictions]


def train(name, prepared, folder):
    recipe = load_recipe(name, "smoke").model_copy(update=TINY)
    model = build(recipe, prepared.classes, prepared.max_instances)
    model.fit(prepared, FitContext(folder))
    return model


def change(path, **values):
    """Change the JSON beside ``path``; None removes a key."""
    about = json.loads(path.with_suffix(".json").read_text()) | values
    text = json.dumps({key: value for key, value in about.items() if value is not None})
    path.with_suffix(".json").write_text(text)


@pytest.fixture(scope="module")
def trained(prepared_set, tmp_path_factory):
    """A NSYOLO after two images, and its run folder."""
    folder = tmp_path_factory.mktemp("trained")
    return train("nsyolo", prepared_set, folder), folder


@pytest.fixture
def weights(trained, tmp_path):
    """A copy of the trained weights, to be spoiled."""
    for name in ("weights.safetensors", "weights.json"):
        shutil.copy(trained[1] / name, tmp_path / name)
    return tmp_path / "weights.safetensors"


def test_a_run_folder_and_its_weights_open_as_the_model_that_was_trained(trained, prepared_set, test_images):
    model, folder = trained
    expected = seen(model.predict(test_images))
    for path in (folder, folder / "weights.safetensors"):
        opened = open_trained(path)
        assert type(opened) is type(model)
        assert (opened.recipe, opened.classes) == (model.recipe, prepared_set.classes)
        assert (opened.recipe.canvas, opened.max_instances) == (64, prepared_set.max_instances)
        assert seen(opened.predict(test_images)) == expected


@pytest.mark.parametrize("name", ["unet", pytest.param("mask-rcnn", marks=pytest.mark.slow)])
def test_other_networks_open_too(name, prepared_set, test_images, tmp_path):
    model = train(name, prepared_set, tmp_path)
    opened = open_trained(tmp_path)
    assert (opened.recipe, opened.max_instances) == (model.recipe, prepared_set.max_instances)
    expected = model._network.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in opened._network.state_dict().items())
    assert len(opened.predict(test_images)) == len(test_images)


def test_weights_of_a_run_open_with_the_network_alone(trained):
    model, folder = trained
    alone = NSYOLO(folder / "weights.safetensors")
    pixels = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        ours, theirs = alone.model(pixels)[0], model._network(pixels)[0]
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert list(alone.names.values()) == list(model.classes)


def test_weights_that_the_network_alone_wrote_open_as_a_model(trained, test_images, tmp_path):
    model, folder = trained
    NSYOLO(folder / "weights.safetensors").export_weights(tmp_path / "best.safetensors")
    opened = open_trained(tmp_path / "best.safetensors")
    assert (opened.recipe.model, opened.recipe.canvas, opened.classes) == ("nsyolo", 64, model.classes)
    assert opened.max_instances == model.max_instances
    assert seen(opened.predict(test_images)) == seen(model.predict(test_images))


def test_a_larger_scale_opens_as_a_model(tmp_path, test_images):
    NSYOLO("yolo11s-c3bads").export_weights(tmp_path / "best.safetensors")
    change(tmp_path / "best.safetensors", canvas=64)
    opened = open_trained(tmp_path / "best.safetensors")
    assert (opened.recipe.model, opened.max_instances) == ("yolo11n-c3bads", DEFAULT_MAX_INSTANCES)
    assert len(opened.predict(test_images)) == len(test_images)
    assert opened.complexity().parameters > 9e6


@pytest.mark.parametrize("scheme", ["yolo11n", "nsyolo"])
def test_a_pickle_opens_only_when_it_is_trusted(scheme, tmp_path, test_images):
    network = build_network(scheme, 2).eval()
    network.names = {0: "cube", 1: "rod"}
    torch.save({"model": network, "train_args": {"imgsz": 64}}, tmp_path / "best.pt")
    with pytest.raises(ModelError, match=r"best\.pt: a \.pt is a pickle.*--trust-pickle"):
        open_trained(tmp_path / "best.pt")
    opened = open_trained(tmp_path / "best.pt", trust_pickle=True)
    assert (opened.recipe.model, opened.recipe.canvas, opened.classes) == (scheme, 64, ("cube", "rod"))
    assert opened.max_instances == DEFAULT_MAX_INSTANCES
    assert len(opened.predict(test_images)) == len(test_images)


def test_a_pickle_that_ultralytics_fine_tuned_opens(tmp_path, test_images):
    # From weights of 80 classes Ultralytics keeps the wider class branch, which no option of a recipe describes.
    network = build_network("yolo11n", 2)
    network.load(build_network("yolo11n", 80))
    torch.save({"model": network, "train_args": {"imgsz": 64}}, tmp_path / "best.pt")
    opened = open_trained(tmp_path / "best.pt", trust_pickle=True)
    assert opened.predict(test_images)[0]


def test_a_pickle_of_another_network_or_canvas_is_named(tmp_path):
    network = build_network("yolo11n", 1)
    torch.save({"model": network, "train_args": {"imgsz": 100}}, tmp_path / "odd.pt")
    with pytest.raises(ModelError, match=r"odd\.pt: yolo11n: canvas 100 must be a multiple of 32"):
        open_trained(tmp_path / "odd.pt", trust_pickle=True)
    other = SegmentationModel("yolov8n-seg.yaml", nc=1, verbose=False)
    torch.save({"model": other}, tmp_path / "v8.pt")
    with pytest.raises(ModelError, match=r"v8\.pt: .*its layers are not those of yolo11n, "):
        open_trained(tmp_path / "v8.pt", trust_pickle=True)


def test_files_of_the_first_runs_open(weights, prepared_set):
    change(weights, max_instances=None, tensors_sha256=None, made_by=None)
    opened = open_trained(weights)
    assert (opened.classes, opened.max_instances) == (prepared_set.classes, DEFAULT_MAX_INSTANCES)


def test_a_model_without_weights_opens_from_its_run(tmp_path, test_images):
    recipe = load_recipe("otsu", "smoke")
    (tmp_path / "run.json").write_text(json.dumps({"inputs": {"recipe": recipe.model_dump(mode="json")}}))
    (tmp_path / "fit.json").write_text(json.dumps({"report": {"checkpoint": None}}))
    opened = open_trained(tmp_path)
    assert opened.recipe == recipe
    assert seen(opened.predict(test_images)) == seen(build(recipe, ("disc",), 500).predict(test_images))
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ModelError, match=r"not readable as a run \(KeyError\('inputs'\)\); run the model again"):
        open_trained(tmp_path)


def test_a_run_whose_weights_are_gone_is_named(tmp_path):
    recipe = load_recipe("nsyolo", "smoke").model_dump(mode="json")
    (tmp_path / "run.json").write_text(json.dumps({"inputs": {"recipe": recipe}}))
    (tmp_path / "fit.json").write_text(json.dumps({"report": {"checkpoint": "weights.safetensors"}}))
    with pytest.raises(ModelError, match=r"its weights, weights\.safetensors, are gone"):
        open_trained(tmp_path)
    (tmp_path / "fit.json").write_text(json.dumps({"report": {"checkpoint": "x" * 300}}))
    with pytest.raises(ModelError, match=r"not readable as a run .*; run the model again"):
        open_trained(tmp_path)


@pytest.mark.slow
def test_runs_of_the_command_line_open(prepared_set, test_images, tmp_path):
    runs = tmp_path / "runs"
    places = ["--runs", str(runs), "--leaderboards", str(tmp_path / "boards")]
    data = [str(prepared_set.root), "--preset", "smoke", "--device", "cpu"]
    assert main(["run", *data, "--models", "otsu", "nsyolo", *places]) == 0
    for folder in (path.parent for path in runs.rglob("fit.json")):
        assert open_trained(folder).predict(test_images)[0]
    with pytest.raises(ModelError, match=r"did you mean .*nsyolo-smoke-seed0\?"):
        open_trained(runs)


# What is wrong, and the way out


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: w.write_bytes(w.read_bytes()[:5000]), r"weights\.safetensors: not readable as weights"),
        (lambda w: w.write_bytes(b""), r"weights\.safetensors: not readable as weights"),
        (lambda w: w.unlink(), "no such file or folder"),
        (lambda w: w.with_suffix(".json").unlink(), r"weights\.json: missing"),
        (lambda w: w.with_suffix(".json").write_text("{"), r"weights\.json: not JSON"),
        (lambda w: save_file({"a": torch.zeros(3)}, w), "SHA-256 is not the one in weights.json"),
        (lambda w: change(w, format="nanoseg-weights/2"), "update nanoseg-bench"),
        (lambda w: change(w, classes=["disc"]), "trained with other classes or options"),
        (lambda w: change(w, classes=[]), r"weights\.json: classes: "),
        (lambda w: change(w, canvas="wide"), r"weights\.json: canvas: "),
        (lambda w: change(w, max_instances=-1), r"weights\.json: max_instances: "),
        (lambda w: change(w, training={"signature": {"recipe": {}}}), r"weights\.json: training\.signature\.recipe\."),
        (lambda w: change(w, model="unet", options={}, training=None), r"\d+ of \d+ are missing \(encoder"),
        (lambda w: change(w, model="stardist", training=None), "unknown model 'stardist'.*plug-in"),
        (lambda w: change(w, canvas=100, training=None), "canvas 100 must be a multiple of 32"),
        (lambda w: change(w, options={"scheme": "nsyolo", "kernel": 4}, training=None), r"k=4"),
    ],
)
def test_spoiled_weights_are_named(weights, spoil, message):
    spoil(weights)
    with pytest.raises(ModelError, match=message) as caught:
        open_trained(weights)
    assert str(weights.with_suffix("")) in str(caught.value)


def test_a_folder_without_weights_is_answered_with_runs_that_have_some(trained, tmp_path):
    run = tmp_path / "emps" / "nsyolo-quick-seed0"
    shutil.copytree(trained[1], run)
    for path in (tmp_path, tmp_path / "emps", tmp_path / "emps" / "nsyolo-seed0"):
        with pytest.raises(ModelError, match=rf"did you mean {run}\?"):
            open_trained(path)
    empty = run.with_name("empty")
    empty.mkdir()
    with pytest.raises(
        ModelError, match=r"holds no weights\.safetensors; give a run's folder, .* a \.pt that you trust"
    ):
        open_trained(empty)
    (run / "weights.safetensors").rename(run / "state.pt")
    with pytest.raises(ModelError, match="the training is not finished; the same `nanoseg-bench run` goes on"):
        open_trained(run)


def test_files_that_are_no_weights_are_told_so(weights, tmp_path):
    with pytest.raises(ModelError, match=r"weights\.json: describes weights; give .*weights\.safetensors"):
        open_trained(weights.with_suffix(".json"))
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ModelError, match=r"notes\.txt: weights are a \.safetensors file"):
        open_trained(tmp_path / "notes.txt")
