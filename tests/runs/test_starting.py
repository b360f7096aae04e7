"""What initial weights had learnt from is told by the run or the release that they lie in, and by nothing else."""

import json

import pytest
from releases import make_release

from nanoseg_bench.models.base import FitReport
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.runs.documents import TrainedRun
from nanoseg_bench.runs.facts import MadeBy
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.inputs import Inputs
from nanoseg_bench.runs.starting import training_behind
from nanoseg_bench.weights.release import KEY, TrainedOn

SET_HASH = "0a1b2c3d" + "0" * 56
LEARNT = "72,000 images of synthetic (0a1b2c3d) by cpu"


@pytest.fixture
def trained(tmp_path):
    """trained(...): the weights of a finished run of NSYOLO in runs/synthetic."""

    def write(fold=None, **about):
        run = RunFolder(tmp_path / "runs" / "synthetic" / "nsyolo-cpu-seed0")
        run.path.mkdir(parents=True)
        weights = run.path / "weights.safetensors"
        weights.write_bytes(b"parameters")
        recipe = load_recipe("nsyolo", "cpu").model_dump(mode="json")
        inputs = Inputs(recipe=recipe, seed=0, weights_sha256=None, set_hash=SET_HASH, fold=fold)
        run.write_about(TrainedRun(inputs=inputs, classes=("particle",), max_instances=9, **about))
        run.write_fit(FitReport(weights, epochs=30, images_seen=72000), None, MadeBy(versions={}, commit=None))
        return weights

    return write


def test_a_run(trained):
    weights = trained()
    assert training_behind(weights, "NSYOLO") == LEARNT
    assert training_behind(weights, "YOLO11n-seg") == f"{LEARNT} as NSYOLO"
    assert training_behind(None, "NSYOLO") is None
    weights.write_bytes(b"others")
    assert training_behind(weights, "NSYOLO") is None


def test_a_run_that_started_from_weights_itself(trained):
    earlier = "9,600 images of first (aaaaaaaa) by quick"
    assert training_behind(trained(initial_training=earlier), "NSYOLO") == f"{LEARNT} after {earlier}"


def test_a_run_that_started_from_weights_of_which_nothing_is_known(trained):
    name = "start.safetensors sha256:ab"
    assert training_behind(trained(initial_weights=name), "NSYOLO") == f"{LEARNT} after {name}"


def test_a_fold_and_weights_that_lie_alone_are_not_known(trained, tmp_path):
    weights = trained(fold=0)
    assert training_behind(weights, "NSYOLO") is None
    alone = weights.rename(tmp_path / "alone.safetensors")
    assert training_behind(alone, "NSYOLO") is None
    alone.with_suffix(".json").write_text("{")
    assert training_behind(alone, "NSYOLO") is None


def test_a_release(tmp_path):
    data = TrainedOn(set_name="synthetic", set_hash=SET_HASH, dataset="", train=9, val=1, particles=90)
    release = make_release(images_seen=72000, trained_on=data)
    weights = tmp_path / "nsyolo.safetensors"
    weights.with_suffix(".json").write_text(json.dumps({KEY: release.model_dump(mode="json")}))
    assert training_behind(weights, "NSYOLO") == LEARNT
    assert training_behind(weights, "YOLO11n-seg") == f"{LEARNT} as NSYOLO"
