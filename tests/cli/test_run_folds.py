"""Cross-validation for real: prepare --folds, run, table, score --check, run --final, predict."""

import json
import shlex
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon
from nanoseg_bench.annotations.labelme.writing import write_labelme
from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.result import OperatingPointChoice
from nanoseg_bench.files import read_json
from nanoseg_bench.inference.operating_point import find_operating_point
from nanoseg_bench.locks import hold
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.cross_validation import FoldRuns, FoldTruth, score_folds
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import read_record

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

LABELS = ("cube", "octahedron", "sphere")
ROW = "otsu-smoke-seed0"


def draw_micrographs(folder, counts, seed=0):
    """Bright particles of three shapes on a noisy ground, with their LabelMe files; one shape each."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    columns, rows = np.meshgrid(np.arange(128) + 0.5, np.arange(96) + 0.5)
    corners = {"cube": 4, "octahedron": 6, "sphere": 40}
    for label in (label for label, count in zip(LABELS, counts, strict=True) for _ in range(count)):
        name = f"{label} {len(list(folder.glob('*.png')))}"
        pixels = np.full((96, 128), 60.0)
        particles = []
        for cell in rng.permutation(6)[: rng.integers(3, 7)]:
            x, y = 22 + 42 * (cell % 3) + rng.uniform(-4, 4), 26 + 44 * (cell // 3) + rng.uniform(-4, 4)
            angles = np.arange(corners[label]) * 2 * np.pi / corners[label] + rng.uniform(0, 1)
            radius = rng.uniform(9, 13)
            outline = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
            ends = np.roll(outline, -1, axis=0)
            inside = np.ones(pixels.shape, bool)
            for (ax, ay), (bx, by) in zip(outline, ends, strict=True):
                inside &= (bx - ax) * (rows - ay) - (by - ay) * (columns - ax) >= 0
            pixels[inside] = rng.uniform(150, 220)
            particles.append(Instance(label, (Polygon(outline),)))
        image = folder / f"{name}.png"
        Image.fromarray(np.clip(pixels + rng.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)).save(image)
        write_labelme(folder / f"{name}.json", Micrograph(name, image, 128, 96, tuple(particles)), image.name)


def next_commands(shown):
    """What ``run`` proposes, as ``main`` takes it."""
    lines = shown[shown.index("next: nanoseg-bench") :].removeprefix("next: ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.strip().startswith("nanoseg-bench ")]


class Bench:
    def __init__(self, root):
        self.root = root
        self.own = root / "own images"
        self.data = root / "data" / "own-3fold"
        self.runs = root / "runs"
        self.boards = root / "boards"

    @property
    def prepared(self):
        return PreparedSet(self.data)

    def prepare(self):
        where = ["--name", "own", "--out", str(self.data), "--size", "96", "--augment-copies", "1", "--workers", "1"]
        return main(["prepare", "--labelme", str(self.own), "--folds", "3", *where])

    def run(self, *more, models=("otsu",)):
        places = [self.data, "--runs", self.runs, "--leaderboards", self.boards, "--device", "cpu"]
        return main(["run", "--models", *models, "--preset", "smoke", *map(str, (*places, *more))])

    def score(self, *more):
        places = ["--data", self.data, "--runs", self.runs, "--leaderboards", self.boards]
        return main(["score", *map(str, (*more, *places))])

    def record(self, row=ROW):
        return read_record(self.boards / "records" / self.prepared.name / f"{row}-test.json")

    def table(self):
        return pd.read_csv(self.boards / f"{self.prepared.name}-test.csv").set_index("model")

    def files(self):
        return {path: path.read_bytes() for path in self.boards.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Otsu on three folds of a dozen micrographs, run once."""
    bench = Bench(tmp_path_factory.mktemp("folds Größe"))
    draw_micrographs(bench.own, (5, 4, 3))
    assert bench.prepare() == 0
    assert bench.run() == 0
    return bench


@pytest.fixture
def bench(made, tmp_path):
    """The same, to be spoilt."""
    shutil.copytree(made.root, tmp_path / "bench")
    return Bench(tmp_path / "bench")


def test_a_row_of_folds_waits_for_whoever_writes_the_tables(bench, caplog):
    path = bench.boards / "records" / bench.prepared.name / f"{ROW}-test.json"
    kept = path.read_bytes()
    path.unlink()
    with ThreadPoolExecutor(1) as pool:
        with hold(bench.boards / bench.prepared.name, wait=True):
            row = FoldRuns(bench.runs, ROW, tuple(bench.prepared.folds))
            scoring = pool.submit(score_folds, row, FoldTruth(bench.prepared), bench.boards)
            while "waiting for its end" not in caplog.text and not scoring.done():
                time.sleep(0.02)
            assert not path.is_file()
        scoring.result()
    assert path.read_bytes() == kept


def test_damaged_files_of_a_fold_are_made_anew(bench, tmp_path, monkeypatch):
    """Also where this machine is free to measure latency, for which predictions are looked into."""
    scores = bench.record().scores
    run = bench.runs / f"{ROW}-fold2"
    point = (run / "operating_point.json").read_bytes()
    for name in ("operating_point.json", "predictions/test.json.gz"):
        monkeypatch.setenv("NANOSEG_BENCH_LOCKS", str(tmp_path / "locks"))
        (run / name).write_bytes((run / name).read_bytes()[:50])
        assert bench.run() == 0
        assert (run / "operating_point.json").read_bytes() == point
        assert {name: bench.record().scores[name] for name in ("f1", "confidence")} == {
            name: scores[name] for name in ("f1", "confidence")
        }


def test_one_row_for_all_folds(made):
    record = made.record()
    assert (record.status, record.folds, record.images) == ("ok", 3, 12)
    assert record.set_name == "own-3fold" == made.prepared.name
    assert record.set_hash == made.prepared.content_hash
    assert sorted(each.name for each in record.details.images) == sorted(
        image.name for image in made.prepared.all_images if image.parent is None
    ), "each micrograph is tested once"
    assert record.scores["instances_truth"] == sum(len(each) for each in made.prepared.truth("test").values())
    assert sum(each.images for each in record.fold_results) == 12
    points = [each.operating_point for each in record.fold_results]
    assert record.scores["confidence"] == pytest.approx(np.median([each.confidence for each in points]))
    assert record.shortcomings, "a dozen micrographs cannot carry much"
    row = made.table().loc["otsu"]
    assert row["folds"] == 3
    assert 0 < row["map_50_agnostic_fold_mean"] <= 1
    assert np.isnan(row["map_50_95_fold_mean"]), "Otsu knows no classes"
    assert "fewer than" in row["shortcomings"]
    trainings = [RunFolder(made.runs / f"{ROW}-fold{fold}").fit().report for fold in (1, 2, 3)]
    assert record.training.seconds == pytest.approx(sum(each.seconds for each in trainings))


def test_folds_are_runs_of_their_own_with_an_operating_point(made):
    for fold, result in zip((1, 2, 3), made.record().fold_results, strict=True):
        run = RunFolder(made.runs / f"{ROW}-fold{fold}")
        assert run.about().inputs.fold == fold == result.fold
        assert run.set_hash() == made.prepared.of_fold(fold).content_hash
        assert run.operating_point().confidence == result.operating_point.confidence


def test_the_tables_say_that_it_is_cross_validation(made, capsys):
    boards = ["--leaderboards", str(made.boards)]
    assert main(["leaderboard", made.prepared.name, *boards]) == 0
    shown = capsys.readouterr().out
    assert "(3-fold)" in shown
    assert "every micrograph is tested once" in " ".join(shown.split())
    assert "What the split of this set cannot carry:" in shown
    assert main(["leaderboard", made.prepared.name, *boards, "--markdown"]) == 0
    text = capsys.readouterr().out
    assert "(3-fold" in text
    assert "\n- val of every fold: " in text
    page = made.root / "page.html"
    images = ["--runs", str(made.runs)]
    assert main(["leaderboard", str(made.data), *boards, "--html", str(page), *images]) == 0
    html = page.read_text(encoding="utf-8")
    assert '<span class="badge">3-fold</span>' in html
    assert "<li>val of every fold: " in html
    assert "No predictions of" not in html, "images are drawn from the predictions of the folds"
    assert "sorted together here" in html, "the curves' AP is not the one that ranks"


def test_bars_show_what_the_table_ranks_by(made):
    figures = made.root / "figures"
    places = ["--runs", str(made.runs), "--leaderboards", str(made.boards)]
    only = ["--only", "bars", "--out", str(figures)]
    assert main(["figures", str(made.data), *places, *only]) == 0
    drawn = pd.read_csv(figures / "bars.csv").set_index("metric")
    scores = made.record().scores
    assert scores["map_50_95_agnostic_fold_mean"] != scores["map_50_95_agnostic"]
    assert {"map_50_95_agnostic", "map_50_95", "map_50"}.isdisjoint(drawn.index)
    shown = drawn.loc["map_50_95_agnostic_fold_mean"]
    assert shown["value"] == pytest.approx(made.table().loc["otsu", "map_50_95_agnostic_fold_mean"], abs=1e-6)
    assert shown["lo"] == scores["map_50_95_agnostic_fold_mean_lo"]
    assert drawn.loc["f1", "value"] == scores["f1"]


def test_the_same_command_does_nothing_and_scoring_gives_the_same_bytes(bench, capsys):
    before = bench.files()
    assert bench.run() == 0
    assert bench.files() == before
    assert bench.score("--check") == 0
    assert f"1 run checked and found as recorded: {ROW}" in capsys.readouterr().out
    shutil.rmtree(bench.boards)
    assert bench.score() == 0
    assert bench.files() == before
    assert bench.score(bench.runs / f"{ROW}-fold2") == 0, "one fold stands for its row"
    assert bench.files() == before


def test_what_is_handed_in_stands_beside_the_rows_by_the_mean_that_ranks_them(bench, capsys):
    drawn = ["--predictions", bench.own, "--as", "second-annotator"]
    assert bench.score(*drawn) == 0
    row = bench.table().loc["second-annotator"]
    assert row["map_50_95_fold_mean"] > 0.99 and row["map_50_95_agnostic_fold_mean_lo"] > 0.99
    capsys.readouterr()
    for options in ([], ["--markdown"]):
        assert main(["leaderboard", bench.prepared.name, "--leaderboards", str(bench.boards), *options]) == 0
        shown = [line for line in capsys.readouterr().out.splitlines() if "(external)" in line]
        assert shown and all("1.000 [" in line for line in shown), options
    assert bench.score("--check") == 0


def test_a_number_that_the_folds_do_not_give_is_found(bench, capsys):
    path = bench.boards / "records" / bench.prepared.name / f"{ROW}-test.json"
    document = read_json(path)
    document["scores"]["map_50_agnostic_fold_mean"] = 0.123
    path.write_text(json.dumps(document), encoding="utf-8")
    assert bench.score("--check") == 1
    assert "scores.map_50_agnostic_fold_mean: recorded 0.123" in capsys.readouterr().out


def test_a_fold_without_predictions_is_named_and_nothing_is_pooled_without_it(bench, capsys):
    before = bench.record()
    (bench.runs / f"{ROW}-fold2" / "predictions" / "test.json.gz").unlink()
    assert bench.score() == 1
    assert f"{ROW} (no current predictions of fold 2)" in capsys.readouterr().out
    assert bench.record() == before


def test_folds_that_did_not_start_are_a_row_that_says_so(made, tmp_path, capsys):
    bench = Bench(tmp_path)
    bench.data = made.data
    assert bench.run("--time-limit", "0.001s") == 1
    record = bench.record()
    assert (record.status, record.folds, record.scores) == ("skipped", 3, {})
    assert record.reason.startswith("folds 1, 2, 3: time limit 0.001s reached")
    assert bench.run("--final") == 2
    assert f"{ROW} lacks folds 1, 2, 3; run the same command without --final" in capsys.readouterr().err


def test_a_dry_run_counts_the_folds(made, tmp_path, capsys):
    assert made.run("--dry-run", models=("otsu", "unet")) == 0
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines() if "-fold" in line and "seed0" in line]
    assert [row[0] for row in rows] == [
        f"{model}-smoke-seed0-fold{fold}" for model in ("otsu", "unet") for fold in (1, 2, 3)
    ]
    assert rows[0][1:4] == ["cached"] * 3
    assert rows[3][1:3] == ["to", "do"]


def test_what_means_nothing_here_is_refused(made, tiny_set, tmp_path, capsys):
    assert made.run("--robustness", "3") == 2
    assert "--robustness: is of one network" in capsys.readouterr().err
    assert main(["run", str(tiny_set), "--models", "otsu", "--final"]) == 2
    assert "--final: goes with a set with folds" in capsys.readouterr().err
    handed_in = ["--predictions", str(tmp_path), "--val-predictions", str(tmp_path), "--as", "tool"]
    assert main(["score", str(made.prepared.root), *handed_in, "--runs", str(tmp_path / "runs")]) == 2
    assert "--val-predictions: each fold of " in capsys.readouterr().err


@pytest.mark.slow
def test_a_fold_that_fails_fails_the_row_and_the_same_command_mends_it(bench):
    shutil.rmtree(bench.runs)
    shutil.rmtree(bench.boards)
    fold = bench.prepared.of_fold(3)
    lost = fold.images("test")[0]
    others = [k for k in (1, 2) if lost.name in {each.name for each in bench.prepared.of_fold(k).images("val")}]
    pixels = lost.image_path.read_bytes()
    lost.image_path.unlink()
    assert bench.run() == 1
    record = bench.record()
    assert record.status == "failed"
    assert record.reason.startswith("fold 3: " if not others else "fold")
    assert lost.name in record.reason
    assert bench.score() == 1
    lost.image_path.write_bytes(pixels)
    assert bench.run() == 0
    assert bench.record().status == "ok"


def test_the_last_model_is_trained_on_everything_and_used_at_the_median(bench, capsys, caplog):
    before = bench.files()
    assert bench.run() == 0
    shown = capsys.readouterr().out
    commands = next_commands(shown)
    assert [words[0] for words in commands] == ["leaderboard", "run"], "no fold's network is the one to use"
    assert "--final" in commands[1]
    assert main(commands[1]) == 0
    model = bench.runs / f"{ROW}-final"
    told = capsys.readouterr().out
    assert str(model) in told.replace("'", "")
    assert "# the best at the operating point of all folds: the model" in shown, "nothing is trained on everything"
    assert "Otsu + watershed, at the operating point of all folds: nanoseg-bench predict" in told
    assert bench.files() == before, "it has no test, so no row"
    run = RunFolder(model)
    assert run.set_hash() == bench.prepared.content_hash
    median = bench.record().operating_point
    assert run.operating_point().confidence == median.confidence
    assert run.operating_point().source == median.source
    image = next(bench.own.glob("*.png"))
    caplog.set_level("INFO")
    assert main(["predict", str(image), "--model", str(model), "--out", str(bench.root / "found")]) == 0
    told = caplog.text
    assert (
        "the median of the choices of its cross-validation" if median.source == "folds" else "in every fold"
    ) in told
    assert bench.score("--check") == 0, "the last model is passed over"
    run.keep_operating_point(OperatingPointChoice(confidence=0.4, source="folds", reason="the default in 1 of 3 folds"))
    found = find_operating_point(model)
    assert (found.confidence, found.chosen) == (0.4, True)
    assert found.source.startswith(
        "the median of the choices of its cross-validation (the default in 1 of 3 folds), see "
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_networks_on_29_micrographs_of_three_shapes(tmp_path, capsys):
    bench = Bench(tmp_path)
    draw_micrographs(bench.own, (13, 9, 7))
    assert bench.prepare() == 0
    for fold in bench.prepared.folds:
        view = bench.prepared.of_fold(fold)
        for part in ("train", "val", "test"):
            assert {each.label for found in view.truth(part).values() for each in found} == set(LABELS)
    assert bench.run("--seeds", "0", "1", models=("otsu", "unet")) == 0
    table = pd.read_csv(bench.boards / f"{bench.prepared.name}-test.csv")
    assert sorted(table["model"]) == ["otsu", "otsu", "unet", "unet"]
    assert set(table["status"]) == {"ok"}
    assert set(table["images"]) == {29}
    unet = bench.record("unet-smoke-seed0")
    assert unet.training.images_seen == 3 * 32
    assert unet.scores["map_50_95_fold_mean"] is not None
    assert bench.score("--check") == 0
    assert bench.run("--final", models=("unet",)) == 0
    weights = {path.read_bytes() for path in bench.runs.glob("unet-smoke-seed0-*/weights.safetensors")}
    assert len(weights) == 4, "three folds and the last model are four trainings"
    model = bench.runs / "unet-smoke-seed0-final"
    image = next(bench.own.glob("*.png"))
    assert main(["predict", str(image), "--model", str(model), "--out", str(bench.root / "found")]) == 0
