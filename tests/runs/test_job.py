"""A job travels to its process as ``job.json``, which an earlier version may have written."""

import dataclasses
import json
import subprocess
import sys
import time

import pytest

from nanoseg_bench.models.base import Deadline
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.runs.job import job_from_json, job_to_json
from nanoseg_bench.runs.plan import Job, RunSpec

WRITTEN = (
    *("recipe", "seed", "weights", "weights_sha256", "set_hash", "fold", "final"),
    *("data", "run_dir", "leaderboards", "device", "deadline", "robust_images", "timed", "beside"),
    "anew",
)


@pytest.fixture
def job(tmp_path):
    weights = tmp_path / "weights.safetensors"
    spec = RunSpec(load_recipe("yolo11n", "cpu"), None, weights, "f" * 64, "0" * 64, fold=2)
    return Job(spec, tmp_path / "data", tmp_path / "run", tmp_path / "boards", "cpu", robust_images=3, timed=False)


def test_a_job_comes_back_from_its_file(job):
    document = json.loads(json.dumps(job_to_json(job)))
    assert tuple(document) == WRITTEN
    assert document["weights"] == str(job.spec.weights)
    assert job_from_json(document) == job
    assert job_from_json(document).spec.inputs() == job.spec.inputs()


def test_a_process_that_takes_its_time_to_start_has_no_more_of_it(job):
    limited = dataclasses.replace(job, deadline=Deadline(time.monotonic() + 3600, "1h"))
    code = (
        "import json, sys\nfrom nanoseg_bench.runs.job import job_from_json\n"
        "deadline = job_from_json(json.load(sys.stdin)).deadline\nprint(deadline.seconds_left, deadline.limit)"
    )
    began = time.monotonic()
    document = json.dumps(job_to_json(limited))
    told = subprocess.run([sys.executable, "-c", code], input=document, capture_output=True, text=True, check=True)
    left, limit = told.stdout.split()
    assert 3600 - (time.monotonic() - began) <= float(left) < 3599.9
    assert limit == "1h"


def test_a_job_of_an_earlier_version_has_the_defaults_of_what_came_since(job):
    document = job_to_json(job)
    for later in ("fold", "final", "robust_images", "timed", "beside", "anew"):
        del document[later]
    read = job_from_json(document)
    assert (read.spec.fold, read.spec.final, read.robust_images, read.timed) == (None, False, 0, True)
    assert (read.beside, read.anew) == ((), False)
    assert "fold" not in read.spec.inputs()


def test_what_few_runs_need_is_not_imported_by_all():
    code = (
        "import sys\nfrom nanoseg_bench.models.device import resolve_device\nfrom nanoseg_bench.runs import job\n"
        "print(resolve_device('cpu'), bool(job.device_name('cpu')))\n"
        "print(*sorted({'pandas', 'scipy.signal', 'torch', 'ultralytics'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "cpu True\n\n"
