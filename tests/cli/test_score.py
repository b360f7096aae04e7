"""Scoring without models: kept predictions again, and those of other tools, through the command line."""

import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from earlier_files import rewrite
from PIL import Image

from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.cli import main
from nanoseg_bench.cli.forecast import total_text
from nanoseg_bench.evaluation.predictions import read_predictions
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.facts import Training
from nanoseg_bench.runs.forecast import Forecaster, RunForecast, Step
from nanoseg_bench.runs.plan import plan_runs
from nanoseg_bench.runs.provenance import processor_of
from nanoseg_bench.runs.record import read_record, record_path, write_record

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

RUN = "otsu-smoke-seed0"


@pytest.fixture(scope="module")
def finished(tiny_set, tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    name = PreparedSet(tiny_set).name
    arguments = ["run", str(tiny_set), "--preset", "smoke", "--models", "otsu", "--device", "cpu"]
    places = ["--runs", str(root / "runs" / name), "--leaderboards", str(root / "boards")]
    assert main([*arguments, *places]) == 0
    return root


@pytest.fixture
def bench(tiny_set, finished, tmp_path):
    """A folder with a run and its leaderboards that a test may spoil."""
    shutil.copytree(finished, tmp_path / "bench")
    return Bench(tiny_set, tmp_path / "bench")


class Bench:
    def __init__(self, data, root):
        self.prepared = PreparedSet(data)
        self.runs = root / "runs" / self.prepared.name
        self.boards = root / "boards"
        self.run = self.runs / RUN

    def score(self, *arguments):
        places = ["--data", self.prepared.root, "--runs", self.runs, "--leaderboards", self.boards]
        return main(["score", *map(str, (*arguments, *places))])

    def hand_in(self, path, *more, name="tool"):
        return self.score("--predictions", path, "--as", name, *more)

    def record_path(self, run=RUN, eval_set="test"):
        return self.boards / "records" / self.prepared.name / f"{run}-{eval_set}.json"

    def record(self, run="external-tool", eval_set="test"):
        return read_record(self.record_path(run, eval_set))

    def row(self, model="tool"):
        table = pd.read_csv(self.boards / f"{self.prepared.name}-test.csv")
        return table[table["model"] == model].iloc[0]

    def files(self):
        return {path: path.read_bytes() for path in self.boards.rglob("*") if path.is_file()}


def test_records_and_tables_come_back_from_the_predictions_alone(bench):
    before = bench.files()
    assert any(path.suffix == ".csv" for path in before)
    shutil.rmtree(bench.boards)
    assert bench.score(bench.runs) == 0
    assert bench.files() == before
    assert bench.score(bench.run) == 0
    assert bench.files() == before, "the same bytes when called again"
    assert bench.score(bench.prepared.root, "--check") == 0


def test_data_and_runs_are_found_by_their_names(bench, tiny_set, monkeypatch):
    here = bench.runs.parent.parent
    (here / "data").mkdir()
    (here / "data" / bench.prepared.name).symlink_to(tiny_set)
    monkeypatch.chdir(here)
    for arguments in ([f"runs/{bench.prepared.name}"], [f"runs/{bench.prepared.name}/{RUN}"]):
        assert main(["score", *arguments, "--leaderboards", "boards", "--check"]) == 0
    assert main(["score", "--data", bench.prepared.name, "--leaderboards", "boards", "--check"]) == 0


def test_a_threshold_picked_on_test_is_refused(bench, capsys):
    path = bench.record_path()
    scores = read_record(path).scores
    rewrite(path, scores={**scores, "confidence": 0.123, "f1": 0.999})
    before = bench.files()
    assert bench.score(bench.runs, "--check") == 1
    message = capsys.readouterr().out
    assert str(path) in message
    assert (
        f"its operating point is 0.123, the default, since val cannot decide, gives {scores['confidence']}" in message
    )
    assert bench.files() == before, "a check writes nothing"
    assert bench.score(bench.runs) == 0
    assert read_record(path).scores == scores


def test_a_model_does_not_declare_its_threshold_beside_its_predictions(bench, capsys):
    """Who edits what is noted of the predictions, and scores them, must not pass the check with it."""
    before, path = bench.record_path().read_bytes(), bench.run / "predictions" / "test.made-from.json"
    for source in ("declared", "none"):
        rewrite(path, confidence_source=source, confidence=0.123)
        assert bench.score(bench.runs) == 0
        assert bench.record_path().read_bytes() == before, "val gives it, whatever is noted"
    for source in ("default", "folds"):
        rewrite(path, confidence_source=source, confidence=0.123)
        for flags in ([], ["--check"]):
            assert bench.score(bench.runs, *flags) == 1
            assert f"refused: {path}: confidence_source: Input should be 'val'" in capsys.readouterr().out


def test_a_number_edited_by_hand_is_refused_with_both_values(bench, capsys):
    path = bench.record_path(eval_set="ood")
    scores = read_record(path).scores
    document = json.loads(path.read_text(encoding="utf-8"))
    document["scores"]["map_50_agnostic"] = 0.999
    path.write_text(json.dumps(document), encoding="utf-8")
    assert bench.score("--check") == 1
    message = capsys.readouterr().out
    assert f"{path}: not what its predictions give in 1 place: scores.map_50_agnostic: recorded 0.999" in message
    assert f"rescored {scores['map_50_agnostic']}" in message


def test_a_check_misses_records_and_runs(bench, capsys):
    bench.record_path().unlink()
    assert bench.score("--check") == 1
    assert f"{bench.record_path()}: is missing" in capsys.readouterr().out
    assert bench.score() == 0
    stray = bench.record_path("unet-smoke-seed0")
    shutil.copy(bench.record_path(), stray)
    capsys.readouterr()
    assert bench.score("--check") == 1
    assert f"{stray}: its predictions are not at hand" in capsys.readouterr().out


def test_a_faulty_run_and_an_unfinished_one_do_not_keep_the_others_from_their_rows(bench, capsys):
    faulty, unfinished = (bench.runs / name for name in ("faulty-smoke-seed0", "unfinished-smoke-seed0"))
    shutil.copytree(bench.run, faulty)
    shutil.copytree(bench.run, unfinished)
    (unfinished / "fit.json").unlink()
    predictions = faulty / "predictions" / "test.json.gz"
    predictions.write_bytes(predictions.read_bytes()[:100])
    bench.record_path().unlink()
    assert bench.score() == 1
    message = capsys.readouterr().out
    assert f"1 run scored: {RUN}" in message
    assert "1 run not finished, rows stay as they are: unfinished-smoke-seed0" in message
    assert f"refused: {predictions}: cannot be read" in message
    assert bench.record_path().is_file()


@pytest.mark.parametrize("flag", [[], ["--check"]])
def test_a_run_that_failed_in_prediction_is_not_finished_and_lost_predictions_are_a_fault(bench, capsys, flag):
    """Both are trained and keep no predictions; the row tells one from the other."""
    for name, status in (("failed-smoke-seed0", "failed"), ("lost-smoke-seed0", "ok")):
        shutil.copytree(bench.run, bench.runs / name)
        shutil.rmtree(bench.runs / name / "predictions")
        row = read_record(bench.record_path())
        write_record(bench.record_path(name), row.model_copy(update={"status": status}))
    assert bench.score(*flag) == 1
    message = capsys.readouterr().out
    assert "1 run not finished, rows stay as they are: failed-smoke-seed0" in message
    assert message.count("refused: ") == 1
    assert "lost-smoke-seed0" in message.partition("refused: ")[2]


def test_predictions_that_lack_an_image_are_refused(bench, capsys):
    path = bench.run / "predictions" / "test.json.gz"
    document = json.loads(gzip.decompress(path.read_bytes()))
    lost = document["images"].pop()["name"]
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    assert bench.score() == 1
    message = capsys.readouterr().out
    assert str(path) in message and "lack 1 image" in message and lost in message


@pytest.mark.slow
@pytest.mark.parametrize("file", ["run.json", "fit.json", "predictions/val.made-from.json", "predictions/val.json.gz"])
def test_a_kill_between_files_is_told_and_mended(bench, capsys, file):
    before = bench.files()
    (bench.run / file).unlink()
    expected = 2 if file == "run.json" else 1  # a folder without it is no run
    assert bench.score(bench.runs) == expected
    captured = capsys.readouterr()
    assert str(bench.runs if file == "run.json" else RUN) in captured.out + captured.err
    arguments = ["--preset", "smoke", "--models", "otsu", "--device", "cpu", "--leaderboards", str(bench.boards)]
    assert main(["run", str(bench.prepared.root), "--runs", str(bench.runs), *arguments]) == 0
    assert bench.score(bench.runs, "--check") == 0
    assert bench.files().keys() == before.keys()


def test_a_record_of_an_older_evaluator_is_made_anew(bench):
    expected = bench.files()
    rewrite(bench.record_path(), evaluator="1")
    rewrite(bench.record_path(eval_set="ood"), format="nanoseg-record/1")
    assert main(["leaderboard", "--leaderboards", str(bench.boards)]) == 1
    assert bench.score() == 0
    assert bench.files() == expected


def test_documents_without_a_seal_are_scored_as_they_are(bench):
    for path in (bench.run / "run.json", *(bench.run / "predictions").glob("*.made-from.json")):
        rewrite(path)
    rewrite(bench.run / "run.json", devices=["a GPU"])
    expected = read_record(bench.record_path())
    assert bench.score() == 0
    record = read_record(bench.record_path())
    assert (record.scores, record.finished) == (expected.scores, expected.finished)
    assert record.device == "a GPU" != expected.device


def test_a_document_of_another_version_is_named_with_the_way_out(bench, capsys):
    rewrite(bench.run / "run.json", colour="blue")
    assert bench.score() == 1
    message = capsys.readouterr().out
    assert f"{bench.run / 'run.json'}: colour: " in message and "run the model again" in message


# Predictions of other tools.


def write_maps(bench, folder, eval_set="test"):
    """The truth as instance maps; later particles hide earlier ones."""
    folder.mkdir(parents=True)
    for image in bench.prepared.images(eval_set):
        width, height = image.letterbox.width, image.letterbox.height
        values = np.zeros((height, width), np.uint16)
        for number, instance in enumerate(bench.prepared.truth(eval_set)[image.name], start=1):
            values[to_mask(instance, height, width)] = number
        Image.fromarray(values).save(folder / f"{image.name}.png")
    return folder


def write_results(bench, path, eval_set="test", score=lambda number: 0.9, labels=None):
    """The truth as COCO results, with the ids of the prepared set's own truth."""
    own = json.loads((bench.prepared.root / "truth" / f"{eval_set}.json").read_text(encoding="utf-8"))
    results = [
        {
            "image_id": each["image_id"],
            "category_id": each["category_id"],
            "segmentation": each["segmentation"],
            "score": score(number),
        }
        for number, each in enumerate(own["annotations"])
        if not each.get("iscrowd")
    ]
    path.write_text(json.dumps(results), encoding="utf-8")
    return path


def test_instance_maps_are_an_external_row_without_a_rank(bench, tmp_path, capsys):
    maps = write_maps(bench, tmp_path / "maps")
    assert bench.hand_in(maps) == 0
    assert "no scores: every particle counts" in capsys.readouterr().out
    record = bench.record()
    assert (record.external, record.preset, record.confidence_source) == (True, "external", "declared")
    assert record.scores["map_50_95"] is None and record.scores["map_50_95_agnostic"] > 0.9
    assert record.scores["f1"] > 0.9
    row = bench.row()
    assert row["external"] and np.isnan(row["rank"])
    before = bench.files()
    assert bench.score() == 0
    assert bench.files() == before
    assert bench.score("--check") == 0


def test_a_class_map_is_refused_and_read_with_the_flags_that_the_message_names(bench, tmp_path, capsys):
    classes = bench.prepared.classes
    (tmp_path / "maps").mkdir()
    for image in bench.prepared.images("test"):
        width, height = image.letterbox.width, image.letterbox.height
        values = np.zeros((height, width), np.uint8)
        # Whatever they are called: the test part may show one class alone.
        for number, instance in enumerate(bench.prepared.truth("test")[image.name]):
            values[to_mask(instance, height, width)] = 1 + number % 2
        Image.fromarray(values).save(tmp_path / "maps" / f"{image.name}.png")
    assert bench.hand_in(tmp_path / "maps") == 1
    assert "looks like a class map" in (message := capsys.readouterr().err) and "--mask-kind classes" in message
    named = ",".join(f"{value}={name}" for value, name in enumerate(classes, start=1))
    assert bench.hand_in(tmp_path / "maps", "--mask-kind", "classes", "--label", named) == 0
    assert bench.record().scores["map_50_95_agnostic"] > 0.5
    assert bench.score("--mask-kind", "classes") == 2
    assert "--mask-kind: goes with --predictions" in capsys.readouterr().err


def test_the_operating_point_is_asked_of_val_declared_or_absent(bench, tmp_path, capsys):
    test = write_results(bench, tmp_path / "test.json", score=lambda number: 0.2 + 0.6 * (number % 2))
    val = write_results(bench, tmp_path / "val.json", "val", score=lambda number: 0.7)
    arguments = ("--from", "coco")
    assert bench.hand_in(test, *arguments) == 0
    record = bench.record()
    assert (record.confidence_source, record.scores["confidence"], record.scores["f1"]) == ("none", None, None)
    assert record.scores["map_50_95"] == pytest.approx(1)
    assert bench.hand_in(test, "--confidence", "0.1") == 0
    record = bench.record()
    assert (record.confidence_source, record.scores["confidence"]) == ("declared", 0.1)
    assert record.scores["f1"] == 1
    assert bench.hand_in(test, "--val-predictions", val) == 0
    record = bench.record()
    # The val of this set is of one specimen, so that it is asked and cannot decide.
    assert len({image.source_group for image in bench.prepared.images("val")}) == 1
    assert (record.confidence_source, record.scores["confidence"]) == ("default", 0.25)
    assert record.operating_point.reason == "val is of one source group, which says nothing of others"
    assert "operating point: 0.25, the default, since val cannot decide: val is of one" in capsys.readouterr().out
    kept = bench.runs / "external-tool" / "predictions"
    sources = [json.loads((kept / f"{name}.made-from.json").read_text())["source"] for name in ("test", "val")]
    assert sources == ["test.json", "val.json"]
    assert 0.5 < record.scores["f1"] < 0.8, "half of the particles are below"
    assert bench.score("--check") == 0
    rewrite(bench.record_path("external-tool"), scores={**record.scores, "confidence": 0.0})
    assert bench.score("--check") == 1


def test_where_val_cannot_decide_every_particle_counts_of_a_tool_whose_scores_lie_below_0(bench, tmp_path, capsys):
    """As logits do. The lowest score is that of another part than val, and of all that are handed in."""
    logits = {
        eval_set: write_results(
            bench, tmp_path / f"{eval_set}.json", eval_set, score=lambda number, lowest=lowest: lowest + number % 4
        )
        for eval_set, lowest in (("val", -1.5), ("test", -2.5), ("ood", -3.5))
    }
    arguments = ("--from", "coco", "--class-less")
    assert bench.hand_in(logits["test"], "--val-predictions", logits["val"], *arguments) == 0
    assert "operating point: every particle, the default, since val cannot decide" in capsys.readouterr().out
    record = bench.record()
    assert (record.confidence_source, record.scores["confidence"], record.scores["f1"]) == ("default", -2.5, 1)
    assert bench.hand_in(logits["ood"], "--eval-set", "ood", "--val-predictions", logits["val"], *arguments) == 0
    records = [bench.record(eval_set=eval_set) for eval_set in ("test", "ood")]
    assert [each.scores["confidence"] for each in records] == [-3.5] * 2
    assert records[0].scores["f1"] == 1
    assert bench.score("--check") == 0


def test_a_declared_confidence_has_the_unit_of_the_scores(bench, tmp_path, capsys):
    percent = write_results(bench, tmp_path / "percent.json", score=lambda number: 20 + 60 * (number % 2))
    assert bench.hand_in(percent, "--from", "coco", "--confidence", "50") == 0
    record = bench.record()
    assert (record.confidence_source, record.scores["confidence"]) == ("declared", 50)
    assert 0.5 < record.scores["f1"] < 0.8, "half of the particles are below"
    shares = write_results(bench, tmp_path / "shares.json")
    capsys.readouterr()
    assert bench.hand_in(shares, "--from", "coco", "--confidence", "50") == 2
    assert f"--confidence 50: the scores of {shares} lie between 0 and 1" in capsys.readouterr().err


def test_a_second_eval_set_joins_the_first(bench, tmp_path):
    test = write_results(bench, tmp_path / "test.json")
    assert bench.hand_in(test, "--confidence", "0.5") == 0
    assert bench.hand_in(write_maps(bench, tmp_path / "ood", "ood"), "--eval-set", "ood") == 0
    assert bench.record(eval_set="ood").scores["detection_rate"] > 0.9
    assert bench.record().confidence_source == "declared"


def test_our_own_predictions_can_be_handed_in(bench):
    assert bench.hand_in(bench.run) == 0
    own = read_record(bench.record_path()).scores
    outside = bench.record().scores
    assert outside["map_50_95_agnostic"] == own["map_50_95_agnostic"]
    assert read_predictions(bench.runs / "external-tool" / "predictions" / "test.json.gz").model == "tool"


def test_a_missing_a_foreign_and_a_resized_image_are_refused_by_name(bench, tmp_path, capsys):
    maps = write_maps(bench, tmp_path / "maps")
    first, second = sorted(maps.iterdir())[:2]
    kept = first.read_bytes()
    first.unlink()
    before = bench.files()
    assert bench.hand_in(maps) == 1
    message = capsys.readouterr().err
    assert "lacks 1 of the" in message and first.stem in message and "map of zeros" in message
    first.write_bytes(kept)
    shutil.copy(first, maps / "stranger.png")
    assert bench.hand_in(maps) == 1
    assert "stranger" in capsys.readouterr().err
    (maps / "stranger.png").unlink()
    with Image.open(second) as image:
        image.resize((7, 9), Image.Resampling.NEAREST).save(second)
    assert bench.hand_in(maps) == 1
    message = capsys.readouterr().err
    assert str(second) in message and "7x9 px" in message
    assert bench.files() == before
    assert not (bench.runs / "external-tool").exists(), "nothing is kept of what is refused"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--predictions", "x"), "--as"),
        (("--predictions", "x", "--as", "A tool"), "small letters"),
        (("--predictions", "x", "--as", "a", "--confidence", "nan"), "--confidence nan: give a finite number"),
        (("--predictions", "x", "--as", "a", "--confidence", "0.5", "--val-predictions", "y"), "give one"),
        (("--predictions", "nowhere", "--as", "a"), "nowhere: no such file"),
        (("--predictions", "x", "--as", "a", "--check"), "--check"),
        (("--as", "a"), "goes with --predictions"),
        (("--eval-set", "ood"), "--eval-set: goes with --predictions"),
        (("--class-less",), "--class-less: goes with --predictions"),
        (("no-such-set",), "no-such-set: not a prepared set"),
        (("runs/no-runs-there",), "runs/no-runs-there: no such file or folder"),
    ],
)
def test_bad_usage_is_told(bench, capsys, arguments, part):
    assert bench.score(*arguments) == 2
    assert part in capsys.readouterr().err


def test_a_confidence_means_nothing_where_there_are_no_scores(bench, tmp_path, capsys):
    maps = write_maps(bench, tmp_path / "maps")
    assert bench.hand_in(maps, "--confidence", "0.5") == 1
    assert "--confidence has no meaning" in capsys.readouterr().err
    val = write_maps(bench, tmp_path / "val", "val")
    assert bench.hand_in(maps, "--val-predictions", val) == 1
    assert f"{maps}: its particles have no scores, so all of them count, and --val-predictions" in (
        capsys.readouterr().err
    )
    # An operating point of 0.5 was "chosen" on masks, and half of what a tool with scores had found was left out.
    assert bench.hand_in(write_results(bench, tmp_path / "test.json"), "--val-predictions", val) == 1
    assert f"{val}: its particles have no scores" in capsys.readouterr().err
    assert not (bench.runs / "external-tool").exists()
    assert bench.hand_in(maps, "--eval-set", "val") == 2
    assert "scored on test, ood" in capsys.readouterr().err


def test_a_hand_in_that_was_killed_is_refused_until_it_is_repeated(bench, tmp_path, capsys):
    maps = write_maps(bench, tmp_path / "maps")
    assert bench.hand_in(maps) == 0
    before = bench.files()
    (bench.runs / "external-tool" / "predictions" / "test.made-from.json").unlink()
    assert bench.score() == 1
    assert "hand its predictions in again" in capsys.readouterr().out
    assert bench.hand_in(maps) == 0
    assert bench.files().keys() == before.keys()
    assert bench.score("--check") == 0


# run --dry-run


def dry_run(bench, *more):
    arguments = ["run", "--dry-run", bench.prepared.root, "--preset", "smoke", "--device", "cpu"]
    return main([*map(str, (*arguments, "--runs", bench.runs, "--leaderboards", bench.boards, *more))])


def everything(bench):
    root = bench.runs.parent.parent
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def lines_of(text):
    return {words[0]: " ".join(words[1:]) for line in text.splitlines() if (words := line.split())}


def test_a_dry_run_prints_the_matrix_and_leaves_no_file(bench, capsys):
    before = everything(bench)
    assert dry_run(bench, "--models", "otsu", "unet", "--seeds", "0", "1") == 0
    lines = lines_of(capsys.readouterr().out)
    assert lines[RUN].startswith("cached cached cached 0 s")
    assert lines["otsu-smoke-seed1"].startswith("to do to do to do")
    assert lines["unet-smoke-seed0"].endswith("not known")
    assert "nothing was done" in lines["expected:"]
    assert everything(bench) == before


def test_a_dry_run_tells_what_is_to_be_scored_and_what_failed(bench, capsys):
    bench.record_path().unlink()
    assert dry_run(bench, "--models", "otsu") == 0
    assert lines_of(capsys.readouterr().out)[RUN].startswith("cached cached to do")
    (bench.run / "fit.json").unlink()
    (bench.run / "outcome.json").write_text(json.dumps({"status": "oom", "reason": "for the test"}))
    assert dry_run(bench, "--models", "otsu") == 0
    out = capsys.readouterr().out
    assert "failed earlier" in out and "failed earlier: for the test" in out
    assert not (bench.runs.parent.parent / "nowhere").exists()


def test_a_dry_run_estimates_from_another_preset_by_the_pixels(bench, capsys):
    """By hand: 10 s for 100 images at 64 px is 0.1 s each; four times that for views of 128 px, 16 times at 256 px."""
    name, smoke = bench.prepared.name, read_record(bench.record_path())
    device = smoke.device
    known = smoke.model_copy(
        update={
            "model": "unet",
            "recipe": {**smoke.recipe, "canvas": 64},
            "training": Training(epochs=1, images_seen=100, seconds=10.0, resumes=0),
            "scores": {**smoke.scores, "latency_ms_per_image": 50.0},
        }
    )
    write_record(record_path(bench.boards, name, "unet-smoke-seed0", "test"), known)
    changed = {"canvas": 256, "crop": 128, "images_seen": 800}
    (spec,) = plan_runs(bench.prepared, ["unet"], "quick", [0], overrides=changed)
    (found,) = Forecaster(bench.prepared, bench.runs, bench.boards, device, "missing").forecast([spec])
    fit, predict, _ = found.steps
    assert fit.estimated and predict.estimated and found.estimated
    images = sum(len(bench.prepared.images(part)) for part in ("val", "test", "ood"))
    assert fit.seconds == pytest.approx(800 * 0.1 * 4)
    assert predict.seconds == pytest.approx(images * 0.05 * 16)

    # The nearest canvas says most, and the preset itself more than any other.
    for preset, canvas, seconds in (("other", 128, 30.0), (spec.recipe.preset, 128, 70.0)):
        training = known.training.model_copy(update={"seconds": seconds})
        other = {"preset": preset, "recipe": {**known.recipe, "canvas": canvas}, "training": training}
        write_record(record_path(bench.boards, name, f"unet-{preset}-seed1", "test"), known.model_copy(update=other))
        (found,) = Forecaster(bench.prepared, bench.runs, bench.boards, device, "missing").forecast([spec])
        assert found.steps[0].seconds == pytest.approx(800 * seconds / 100)
        assert found.steps[0].estimated == (preset == "other")

    # The same processor with other threads gives an estimate, another processor none.
    for elsewhere, seconds in (
        ("Another processor (3 threads)", None),
        (f"{processor_of(device)} (99 threads)", 560.0),
    ):
        (found,) = Forecaster(bench.prepared, bench.runs, bench.boards, elsewhere, "missing").forecast([spec])
        assert found.steps[0].seconds == (seconds and pytest.approx(seconds))
        assert found.estimated == (seconds is not None)

    assert dry_run(bench, "--models", "unet", "mask-rcnn", "--preset", "quick") == 0
    lines = lines_of(capsys.readouterr().out)
    assert "~" in lines["unet-quick-seed0"]
    assert lines["mask-rcnn-quick-seed0"].endswith("not known")
    assert "from the model's speed in another preset" in lines["expected:"]


def test_a_total_of_which_nothing_is_known_is_no_zero():
    unknown = RunForecast("unet-quick-seed0", (Step("fit", "to do", None), Step("predict", "to do", None)))
    done = RunForecast("otsu-quick-seed0", (Step("fit", "cached", 0.0), Step("predict", "cached", 0.0)))
    assert total_text([unknown]).startswith("expected: not known")
    assert total_text([done]).startswith("expected: 0 s")


def test_a_dry_run_without_any_folder_makes_none(bench, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert main(["run", "--dry-run", str(bench.prepared.root), "--preset", "smoke", "--device", "cpu"]) == 0
    assert list(empty.iterdir()) == []


def test_the_name_of_one_of_our_models_is_refused(bench, tmp_path, capsys):
    assert bench.hand_in(tmp_path, name="otsu") == 2
    assert "--as otsu: is a model of ours" in capsys.readouterr().err


def test_a_tool_without_scores_is_told_apart_from_a_declared_confidence(bench, tmp_path, capsys):
    truth = tmp_path / "maps"
    truth.mkdir()
    for image in bench.prepared.images("test"):
        size = (image.letterbox.height, image.letterbox.width)
        Image.fromarray(np.zeros(size, dtype=np.uint16)).save(truth / f"{image.name}.png")
    assert bench.hand_in(truth) == 0
    assert "operating point: every particle counts, since the tool gives no scores" in capsys.readouterr().out
    kept = bench.run / "predictions" / "test.json.gz"
    assert bench.hand_in(kept, "--confidence", "0.4", name="scored") == 0
    assert "operating point: declared with --confidence" in capsys.readouterr().out
