"""``run --robustness`` from prediction to table, with Otsu on a tiny set."""

import itertools
import shutil

import pandas as pd
import pytest

from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.evaluation.predictions import read_predictions, write_predictions
from nanoseg_bench.evaluation.robustness import CONDITIONS, clean_set
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.record import read_record

IMAGES = 2
RUN = "otsu-smoke-seed0"


class Bench:
    def __init__(self, data, root):
        self.prepared = PreparedSet(data)
        self.runs, self.boards = root / "runs" / self.prepared.name, root / "boards"
        self.predictions = self.runs / RUN / "predictions" / "robustness"
        self.record_path = self.boards / "records" / self.prepared.name / f"{RUN}-robustness.json"

    def places(self):
        return ["--data", str(self.prepared.root), "--runs", str(self.runs), "--leaderboards", str(self.boards)]

    def run(self, *more):
        return main(["run", "--preset", "smoke", "--models", "otsu", "--device", "cpu", *self.places(), *more])

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
