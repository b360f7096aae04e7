"""`leaderboard --html` and `--markdown` for real, on a prepared set with kept predictions."""

import re

import pytest
from kept_answers import keep_answer

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.evaluation.predictions import Predictions
from nanoseg_bench.evaluation.scoring import evaluate
from nanoseg_bench.preparation.prepared_set import PreparedSet


def keep(prepared, root, model):
    """A record on the test set, and, but for U-Net, the predictions it was made from: each second particle."""
    eval_set = load_eval_set(prepared, "test")
    found = {name: [each for each in eval_set.truth[name] if not each.ignored][::2] for name in eval_set.images}
    score = 0.8 if model == "unet" else 0.9
    answers = {name: [Instance(each.label, each.region, score) for each in found[name]] for name in found}
    answer = Predictions(prepared.name, "test", eval_set.set_hash, True, eval_set.classes, answers, eval_set.sizes)
    evaluation = evaluate(eval_set, answer, 0.3, resamples=20)
    places = {"runs": root / "runs", "leaderboards": root / "boards"}
    path = keep_answer(prepared, answer, evaluation, model=model, title=model.upper(), **places)
    if model != "unet":
        (path.parent.parent / "run.json").write_text("{}", encoding="utf-8")


@pytest.fixture(scope="module")
def place(tiny_set, tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    for model in ("nsyolo", "unet"):
        keep(PreparedSet(tiny_set), root, model)
    return root


def run(place, *arguments):
    return main(["leaderboard", "--leaderboards", str(place / "boards"), *map(str, arguments)])


def test_a_page_lies_beside_the_tables(place, tiny_set, capsys):
    name = PreparedSet(tiny_set).name
    assert run(place, name, "--html") == 0
    path = place / "boards" / f"{name}.html"
    assert str(path) in capsys.readouterr().out
    page = path.read_text(encoding="utf-8")
    assert "NSYOLO" in page and "<img" not in page
    assert f"nanoseg-bench leaderboard {name} --html --runs runs/{name}" in page


def test_a_page_with_images_where_predictions_were_kept(place, tiny_set, tmp_path):
    pages = []
    for number in range(2):
        path = tmp_path / f"{number}.html"
        assert run(place, tiny_set, "--html", path, "--runs", place / "runs") == 0
        pages.append(path.read_bytes())
    assert pages[0] == pages[1]
    page = pages[0].decode()
    pictures = re.findall(r'<img src="data:image/webp;base64,([^"]+)" width="640"', page)
    images = len(load_eval_set(PreparedSet(tiny_set), "test").images)
    assert len(pictures) == min(images, 6) and len(set(pictures)) == len(pictures)
    assert "No predictions of UNET are at hand" in page


def test_markdown_is_all_that_is_printed(place, capsys):
    assert run(place, "--markdown") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("| rank | model | AP any [95 %] |")
    assert [line.split(" | ")[1] for line in shown[2:]] == ["NSYOLO", "UNET"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope",), r"nope: no records of that name; there are "),
        (("--runs", "r"), r"--runs: only for the images of --html"),
        (("--html", "--runs", "r"), r"not a prepared set"),
    ],
)
def test_what_cannot_be_drawn_is_said(place, capsys, arguments, message):
    assert run(place, *arguments) in (1, 2)
    assert re.search(message, capsys.readouterr().err)


def test_a_set_behind_the_option_is_not_taken_for_a_file(place, tiny_set, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    name = PreparedSet(tiny_set).name
    assert run(place, "--html", name) == 2
    assert f"write it first: nanoseg-bench leaderboard {name} --html" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_holds_the_page_of_one_set(place, capsys):
    other = place / "boards" / "records" / "zzz"
    other.mkdir()
    try:
        assert run(place, "--html", place / "p.html") == 2
        assert "a page is of one set; name one of" in capsys.readouterr().err
        assert run(place, "--html", "--runs", "r") == 2
        assert "--runs: is of one set; name one of" in capsys.readouterr().err
    finally:
        other.rmdir()
