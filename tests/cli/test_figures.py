"""`figures` for real: a prepared set, answers and untrained networks, scored; then every figure that this gives."""

import csv
import shutil

import numpy as np
import pytest
import torch
from kept_answers import keep_answer
from PIL import Image

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.evaluation.predictions import Predictions
from nanoseg_bench.evaluation.scoring import evaluate, evaluate_ood
from nanoseg_bench.nsyolo import build_network
from nanoseg_bench.nsyolo.weights import save_weights
from nanoseg_bench.preparation.prepared_set import PreparedSet

CONFIDENCE = 0.3
TITLES = {"nsyolo": "NSYOLO", "otsu": "Otsu + watershed"}
HISTORY = (
    "epoch,images_seen,learning_rate,loss,box,seg,cls,dfl,seconds\n1,8,0.1,4,1.5,1,1,0.5,2\n2,16,0.1,3,1,1,0.5,0.5,2\n"
)


def answer_of(eval_set, model):
    """The truth under the trained classes' names without each third particle; Otsu knows no names."""
    knows = model != "otsu"
    images = {
        name: [
            Instance(eval_set.classes[number % 2] if knows else None, each.region, 0.9 - 0.01 * number)
            for number, each in enumerate(one for one in eval_set.truth[name] if not one.ignored)
            if number % 3
        ]
        for name in eval_set.images
    }
    classes = eval_set.classes if knows else ()
    return Predictions("tiny", eval_set.name, eval_set.set_hash, knows, classes, images, eval_set.sizes)


def keep(prepared, eval_set, root, model):
    """Write the predictions and the record of a model on an eval set."""
    answer = answer_of(eval_set, model)
    score = evaluate if eval_set.name == "test" else evaluate_ood
    evaluation = score(eval_set, answer, CONFIDENCE, resamples=20)
    places = {"runs": root / "runs", "leaderboards": root / "leaderboards"}
    keep_answer(prepared, answer, evaluation, model=model, title=TITLES[model], **places)


@pytest.fixture(scope="module")
def place(tiny_set, tmp_path_factory):
    """Records, predictions, a history and untrained weights whose scores vary about one half."""
    root = tmp_path_factory.mktemp("figures")
    prepared = PreparedSet(tiny_set)
    for name in ("test", "ood"):
        eval_set = load_eval_set(prepared, name)
        for model in TITLES:
            keep(prepared, eval_set, root, model)
    run = root / "runs" / "nsyolo-quick-seed0"
    (run / "history.csv").write_text(HISTORY, encoding="utf-8")
    torch.manual_seed(0)
    network = build_network("nsyolo", len(prepared.classes))
    with torch.no_grad():
        for scores in network.model[-1].cv3:
            scores[-1].bias.zero_()
    about = {"model": "nsyolo", "classes": list(prepared.classes), "canvas": 64, "max_instances": 4, "options": {}}
    save_weights(run / "weights.safetensors", network.state_dict(), about)
    return root


@pytest.fixture
def draw(place, tiny_set, tmp_path):
    def run(*more, data=tiny_set, out="out"):
        command = ["figures", data, "--runs", place / "runs", "--leaderboards", place / "leaderboards"]
        return main([str(each) for each in (*command, "--out", tmp_path / out, *more)])

    return run


def read(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_all_figures(draw, tmp_path, capsys):
    assert draw() == 0
    shown = capsys.readouterr().out
    drawn = {"loss", "bars", "overlays", "overlays-ood", "confusion", "confusion-ood", "heat-maps", "boundaries"}
    drawn |= {"curves", "sizes"}
    out = tmp_path / "out"
    assert {path.stem for path in out.glob("*.png")} == drawn == {path.stem for path in out.glob("*.csv")}
    assert {path.stem for path in out.glob("*.npz")} == {"heat-maps", "boundaries"}
    assert "robustness: not drawn: no record of the eval set 'robustness'" in shown
    assert "Without Otsu + watershed: no history.csv" in shown
    assert "10 of 11 figures drawn" in shown
    for path in out.glob("*.png"):
        assert Image.open(path).width in (int(90 / 25.4 * 300), int(180 / 25.4 * 300)), path
        assert np.asarray(Image.open(path).convert("L")).std() > 5, path


def test_overlays_hold_truth_and_what_was_found(draw, tiny_set, tmp_path):
    prepared = PreparedSet(tiny_set)
    eval_set = load_eval_set(prepared, "ood")
    names = eval_set.images[1::-1]
    assert draw("--only", "overlays-ood", "--show", *names) == 0
    rows = read(tmp_path / "out" / "overlays-ood.csv")
    assert list(dict.fromkeys(row["image"] for row in rows)) == list(names)
    for name in names:
        particles = [each for each in eval_set.truth[name] if not each.ignored]
        shapes = [row["label"] for row in rows if row["image"] == name and row["model"] == "truth"]
        assert sorted(shapes) == sorted(str(each.label) for each in eval_set.truth[name])
        for model in TITLES:
            found = [row for row in rows if row["image"] == name and row["model"] == model]
            assert len(found) == sum(1 for number in range(len(particles)) if number % 3)
            assert {row["matched"] for row in found} <= {"1"}


def test_maps_are_those_that_explain_shows(draw, tmp_path):
    assert draw("--only", "11,12", "--models", "nsyolo") == 0
    rows = read(tmp_path / "out" / "heat-maps.csv")
    assert [row["map"] for row in rows] == ["confidence", "mask_probability", "instance_boundary"]
    maps = np.load(tmp_path / "out" / "heat-maps.npz")
    for row in rows:
        values = maps[f"0:nsyolo:{row['map']}"]
        assert [float(row[name]) for name in ("min", "max")] == [values.min(), values.max()]
        assert 0 <= values.min() <= values.max() <= 1
    boundary = np.load(tmp_path / "out" / "boundaries.npz")["0:nsyolo:instance_boundary"]
    assert np.array_equal(boundary, maps["0:nsyolo:instance_boundary"])
    assert int(rows[0]["particles"]) > 0


@pytest.mark.parametrize("file_format", ["png", "svg", "pdf"])
def test_same_input_same_bytes(draw, tiny_set, tmp_path, file_format):
    image = load_eval_set(PreparedSet(tiny_set), "test").images[0]
    for out in ("one", "two"):
        assert draw("--only", "7", "overlays", "--show", image, "--to", file_format, out=out) == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["bars.csv", f"bars.{file_format}", "overlays.csv", f"overlays.{file_format}"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_what_is_not_there_is_left_out_and_said(draw, tiny_set, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = PreparedSet(tiny_set).name
    assert draw("--models", "otsu", data=name) == 0
    shown = capsys.readouterr().out
    assert "overlays: not drawn:" in shown and f"data/{name}: not a prepared set" in shown
    assert "loss: not drawn:" in shown and "no run of these models has a history.csv" in shown
    assert "confusion: not drawn:" in shown
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == ["bars", "curves", "sizes"]


def test_no_figure_at_all_is_an_error(draw, tmp_path, capsys):
    assert draw("--only", "6,12", "--models", "otsu") == 1
    shown = capsys.readouterr()
    assert "boundaries: not drawn: no network to look into; Without Otsu" in shown.out
    assert "could be drawn" in shown.err
    assert not (tmp_path / "out").exists()


def test_predictions_that_were_changed_are_not_shown(draw, place, tmp_path, capsys):
    path = place / "runs" / "otsu-quick-seed0" / "predictions" / "test.json.gz"
    shutil.copy(path, tmp_path / "kept")
    try:
        shutil.copy(path.with_name("ood.json.gz"), path)
        assert draw("--only", "overlays") == 0
    finally:
        shutil.copy(tmp_path / "kept", path)
    assert "Without Otsu + watershed:" in (shown := capsys.readouterr().out) and "changed since it was scored" in shown
    assert {row["model"] for row in read(tmp_path / "out" / "overlays.csv")} == {"truth", "nsyolo"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--only", "13"), "--only 13: no such figure"),
        (("--models", "nsyol"), "did you mean 'nsyolo'"),
        (("--only", "8", "--show", "nothing"), "--show nothing: not in an eval set"),
    ],
)
def test_usage_errors(draw, capsys, arguments, named):
    assert draw(*arguments) == 2
    assert named in capsys.readouterr().err


def test_a_set_without_records(draw, capsys):
    assert draw(data="unknown") == 2
    assert "unknown: no records of that name; there are " in capsys.readouterr().err
