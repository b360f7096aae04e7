"""``run --robustness`` from prediction to table, with Otsu on a tiny set."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest

from nanoseg_bench.cli import main
from nanoseg_bench.errors import TimeLimitReached
from nanoseg_bench.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.evaluation.predictions import read_predictions, write_predictions
from nanoseg_bench.evaluation.robustness import CONDITIONS, clean_set
from nanoseg_bench.models.base import Deadline
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.corrupted import predict_conditions, stale_conditions
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import read_record

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

IMAGES = 2
RUN = "otsu-smoke-seed0"


class Bench:
    def __init__(self, data, root):
        self.prepared = PreparedSet(data)
        self.runs, self.boards = root / "runs" / self.prepared.name, root / "boards"
        self.predictions = self.runs / RUN / "predictions" / "robustness"
        self.record_path = self.boards / "records" / self.prepared.name / f"{RUN}-robustness.json"

    def places(self):
        return [str(self.prepared.root), "--runs", str(self.runs), "--leaderboards", str(self.boards)]

    def arguments(self, *more):
        return ["run", "--preset", "smoke", "--models", "otsu", "--device", "cpu", *self.places(), *more]

    def run(self, *more):
        return main(self.arguments(*more))

    def clean(self, number=IMAGES):
        return clean_set(load_eval_set(self.prepared, "test"), number)

    def predict(self, clean, deadline):
        otsu = build(load_recipe("otsu", "smoke"), self.prepared.classes, self.prepared.max_instances)
        predict_conditions(otsu, self.prepared, RunFolder(self.runs / RUN), clean, deadline)

    def kept(self):
        return {path.name: path.read_bytes() for path in self.predictions.glob("*.json.gz")}

    def score(self, *more):
        return main(["score", *self.places(), *more])

    def table(self):
        return pd.read_csv(self.boards / f"{self.prepared.name}-robustness.csv")


@pytest.fixture(scope="module")
def finished(tiny_set, tmp_path_factory):
    root = tmp_path_factory.mktemp("robust")
    assert Bench(tiny_set, root).run("--robustness", str(IMAGES)) == 0
    return root


@pytest.fixture
def bench(tiny_set, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "bench")
    return Bench(tiny_set, tmp_path / "bench")


def test_every_condition_is_predicted_and_averaged(bench):
    assert len(list(bench.predictions.glob("*.json.gz"))) == len(CORRUPTIONS) * len(SEVERITIES)
    record = read_record(bench.record_path)
    scores, by_corruption = record.scores, record.details.corruptions
    assert record.images == IMAGES
    assert set(by_corruption) == {corruption.name for corruption in CORRUPTIONS}
    means = []
    for name, severities in by_corruption.items():
        mean = sum(each["map_50_95_agnostic"] for each in severities) / len(SEVERITIES)
        column = name.replace("-", "_")
        assert scores[f"map_50_95_agnostic_{column}"] == pytest.approx(mean)
        assert scores[f"degradation_{column}"] == pytest.approx(1 - mean / scores["map_50_95_agnostic_clean"])
        means.append(mean)
    assert scores["map_50_95_agnostic_corrupted"] == pytest.approx(sum(means) / len(CORRUPTIONS))
    assert len({round(mean, 6) for mean in means}) > 1, "corruptions that all do the same do nothing"
    row = bench.table().iloc[0]
    assert row["model"] == "otsu"
    assert row["images"] == IMAGES
    assert row["degradation"] == pytest.approx(scores["degradation"], abs=1e-6)


def test_scoring_again_gives_the_same_bytes(bench):
    before = bench.record_path.read_bytes()
    bench.record_path.unlink()
    assert bench.score() == 0
    assert bench.record_path.read_bytes() == before
    assert bench.score("--check") == 0


@pytest.mark.slow
def test_an_interrupted_run_predicts_only_what_is_missing(bench):
    lost, kept = (bench.predictions / f"{name}.json.gz" for name in ("blur-5", "drift-1"))
    scores, bytes_lost, kept_at = read_record(bench.record_path).scores, lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    assert bench.run("--robustness", str(IMAGES)) == 0
    assert lost.read_bytes() == bytes_lost
    assert kept.stat().st_mtime_ns == kept_at
    assert read_record(bench.record_path).scores == scores


def test_damaged_predictions_under_a_condition_are_made_anew(bench):
    """Every later run ended with them, until somebody deleted the file by hand."""
    damaged, scores = bench.predictions / "blur-5.json.gz", read_record(bench.record_path).scores
    wanted = damaged.read_bytes()
    damaged.write_bytes(wanted[: len(wanted) // 2])
    bench.record_path.unlink()
    assert bench.run("--robustness", str(IMAGES)) == 0
    assert damaged.read_bytes() == wanted and read_record(bench.record_path).scores == scores


@pytest.mark.faults
def test_kill_9_while_predicting_then_the_same_command_gives_the_same_bytes(bench):
    wanted, scores = bench.kept(), read_record(bench.record_path).scores
    shutil.rmtree(bench.predictions)
    bench.record_path.unlink()
    command = [sys.executable, "-m", "nanoseg_bench", *bench.arguments("--robustness", str(IMAGES))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 240
    while not bench.kept() and time.monotonic() < end:
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(workers, timeout=120)
    assert 0 < len(bench.kept()) < len(CONDITIONS), "killed too late to show anything"
    assert not bench.record_path.exists()

    assert bench.run("--robustness", str(IMAGES)) == 0
    assert bench.kept() == wanted
    assert read_record(bench.record_path).scores == scores
    assert not list(bench.predictions.glob(".*")), "the killed writer's temporary files"


def test_a_time_limit_ends_between_two_conditions(bench):
    wanted, clean, run = bench.kept(), bench.clean(), RunFolder(bench.runs / RUN)
    (bench.predictions / "drift-1.json.gz").unlink()
    with pytest.raises(TimeLimitReached, match="time limit 9m reached at the predictions for robustness"):
        bench.predict(clean, Deadline(at=0.0, limit="9m"))
    assert [condition.name for condition in stale_conditions(run, clean)] == ["robustness/drift-1"]
    bench.predict(clean, Deadline())
    assert not stale_conditions(run, clean)
    assert bench.kept() == wanted


def test_a_kill_between_predictions_and_their_origin_leaves_them_stale(bench, monkeypatch):
    """Or the next call with the earlier number of images would take these for its own, and never get past them."""

    def killed(*arguments, **origin):
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "write_made_from", killed)
    with pytest.raises(KeyboardInterrupt):
        bench.predict(bench.clean(1), Deadline())
    stale = stale_conditions(RunFolder(bench.runs / RUN), bench.clean())
    assert [condition.name for condition in stale] == [CONDITIONS[0].name]


def test_a_run_without_the_option_keeps_what_is_there(bench):
    before = bench.record_path.read_bytes()
    assert bench.run() == 0
    assert bench.record_path.read_bytes() == before


@pytest.mark.slow
def test_another_number_of_images_is_predicted_anew(bench):
    assert bench.run("--robustness", "1") == 0
    assert read_record(bench.record_path).images == 1
    assert len(read_predictions(bench.predictions / "blur-1.json.gz").images) == 1


@pytest.mark.slow
def test_a_model_that_is_trained_anew_loses_the_old_row(bench):
    assert bench.run("--overwrite", "always") == 0
    assert not bench.record_path.exists()
    assert not (bench.boards / f"{bench.prepared.name}-robustness.csv").exists()


def test_predictions_of_another_condition_are_refused(bench, capsys):
    wrong = read_predictions(bench.predictions / "blur-1.json.gz")
    write_predictions(bench.predictions / "blur-2.json.gz", wrong)
    assert bench.score() == 1
    assert "robustness/blur-1" in capsys.readouterr().out


def test_a_dry_run_counts_the_conditions(bench, capsys):
    (bench.predictions / "blur-2.json.gz").unlink()
    assert bench.run("--robustness", str(IMAGES), "--dry-run") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith(RUN)]
    assert line.split()[1:4] == ["cached", "to", "do"]


def test_a_negative_number_is_a_usage_error(bench):
    assert bench.run("--robustness", "-3") == 2


def test_fewer_images_are_some_of_more_and_groups_take_turns(tiny_set):
    test = load_eval_set(PreparedSet(tiny_set), "test")
    images = [clean_set(test, number).images for number in range(1, len(test.images) + 3)]
    assert all(set(fewer) <= set(more) for fewer, more in itertools.pairwise(images))
    assert sorted(images[-1]) == sorted(test.images)
    groups = {test.source_groups[name] for name in test.images}
    assert {test.source_groups[name] for name in clean_set(test, len(groups)).images} == groups


def test_the_conditions_are_named_once():
    assert len({condition.name for condition in CONDITIONS}) == len(CORRUPTIONS) * len(SEVERITIES)
