"""The same seed on the same machine: the same bytes of a prepared set, and the same training to the last digit.

Each time in a process of its own, with another salt of Python's hashes, so that nothing hangs on the order of a set,
and with the models in another order, so that nothing hangs on what was computed before.
"""

import csv
import os
import subprocess
import sys

import pytest

from nanoseg_bench.models.registry import BUILT_IN

pytestmark = pytest.mark.slow

TRAIN = """
import sys
from pathlib import Path
from nanoseg_bench.environment import isolate_libraries
isolate_libraries()
from nanoseg_bench.models.base import CanvasImage, FitContext
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.preparation.prepared_set import PreparedSet

prepared, out = PreparedSet(Path(sys.argv[1])), Path(sys.argv[2])
canvases = [CanvasImage.read(image) for image in prepared.images("test")]
for name in sys.argv[3:]:
    (out / name).mkdir(parents=True)
    short = {"canvas": 64, "images_seen": 16, "images_per_epoch": 8}
    model = build(load_recipe(name, "smoke").model_copy(update=short), prepared.classes, prepared.max_instances)
    model.fit(prepared, FitContext(out / name, 0, "cpu"))
    found = [(each.label, repr(each.score), each.region.counts) for image in model.predict(canvases) for each in image]
    (out / name / "found.txt").write_text("".join(f"{each}\\n" for each in found), encoding="utf-8")
"""


def start(*words, **variables):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait(*processes):
    said = [process.communicate()[0][-4000:] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said


def files_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def losses(folder):
    """The history's rows without the clock's column; none of a model that is not trained."""
    path = folder / "history.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as stream:
        return [{name: text for name, text in row.items() if name != "seconds"} for row in csv.DictReader(stream)]


def result(folder):
    weights = folder / "weights.safetensors"
    found = (folder / "found.txt").read_text("utf-8")
    return losses(folder), weights.read_bytes() if weights.is_file() else None, found


def test_same_seed_same_prepared_bytes_in_any_process(tmp_path):
    how = "-m nanoseg_bench prepare --dataset nanosynth --easy --images 12 --size 128".split()  # noqa: SIM905
    wait(
        start(*how, "--workers", 1, "--out", tmp_path / "one" / "set", PYTHONHASHSEED="1"),
        start(*how, "--workers", 2, "--out", tmp_path / "two" / "set", PYTHONHASHSEED="2"),
    )
    one = files_below(tmp_path / "one")
    assert files_below(tmp_path / "two") == one
    assert len(one) > 30


@pytest.fixture(scope="module")
def trained(tiny_set, tmp_path_factory):
    """(folder of a first training of all models, folder of a second one)."""
    root = tmp_path_factory.mktemp("trained")
    wait(
        start("-c", TRAIN, tiny_set, root / "one", *BUILT_IN, PYTHONHASHSEED="1"),
        start("-c", TRAIN, tiny_set, root / "two", *list(BUILT_IN)[::-1], PYTHONHASHSEED="2"),
    )
    return root / "one", root / "two"


@pytest.mark.timeout(1800)  # of 18 trainings for the first of them, a minute or two on a machine that is not busy
@pytest.mark.parametrize("model", BUILT_IN)
def test_same_seed_same_training_to_the_last_digit(trained, model):
    one, two = (result(folder / model) for folder in trained)
    assert one == two
    assert one[2], "nothing was found, so nothing was compared"
    assert model == "otsu" or (len(one[0]) > 1 and one[1])
