"""Records as ``run`` writes them, and the eval set of two small images that some are scored on."""

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.predictions import Predictions
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.runs.facts import Training
from nanoseg_bench.runs.record import Record, record_path, write_record


def build_record(model, score=None, *, seed=0, eval_set="test", classes=("cube", "rod"), agnostic=None, **changes):
    values = {
        "evaluator": EVALUATOR_VERSION,
        "model": model,
        "title": model.upper(),
        "preset": "quick",
        "seed": seed,
        "initial_weights": None,
        "set_name": "toy",
        "dataset": "toy",
        "set_hash": "a" * 64,
        "classes": classes,
        "eval_set": eval_set,
        "images": 3,
        "status": "ok",
        "scores": {"map_50_95": score, "map_50_95_agnostic": agnostic if agnostic is not None else score},
        "training": Training(epochs=2, images_seen=8, seconds=1.26, resumes=0),
        "parameters": 2843193,
        "device": "CPU",
        "finished": "2026-01-01T00:00:00+00:00",
    }
    return Record(**{**values, **changes})


def keep(folder, *records):
    """Write records where the leaderboards look for them; return their paths."""
    paths = []
    for record in records:
        run = f"{record.model}-{record.preset}-seed{record.seed}"
        paths.append(record_path(folder, record.set_name, run, record.eval_set))
        write_record(paths[-1], record)
    return paths


@pytest.fixture
def make_record():
    return build_record


@pytest.fixture
def keep_records():
    return keep


@pytest.fixture
def small_test():
    return build_small_test()


def build_small_test():
    """(eval set, perfect predictions) of two images of two classes and two modalities."""

    def block(label, x, score=None):
        return Instance(label, window_to_rle(np.ones((8, 10), bool), x, 12, 48, 64), score)

    truth = {name: [block("cube", 5), block("rod", 30)] for name in ("a", "b")}
    sizes = dict.fromkeys(truth, (64, 48))
    eval_set = EvalSet(
        name="test",
        set_hash="a" * 64,
        classes=("cube", "rod"),
        images=("a", "b"),
        truth=truth,
        sizes=sizes,
        source_groups={"a": "one", "b": "two"},
        max_detections=100,
        nm_per_px={"a": 2.0, "b": None},
        attributes={"a": {"modality": "BF-TEM"}, "b": {"modality": "SE-SEM"}},
    )
    answer = {name: [block("cube", 5, 0.9), block("rod", 30, 0.8)] for name in truth}
    return eval_set, Predictions("toy", "test", "a" * 64, True, ("cube", "rod"), answer, sizes)
