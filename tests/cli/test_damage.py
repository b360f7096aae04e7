"""A file that is not as it was written is named and refused, or made anew: no verb shows what it made of it."""

import csv
import io
import shutil
from collections import Counter

import pytest
from damage import KINDS, damage

from nanoseg_bench.cli import main
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.record import find_records, read_record

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

RUN = "otsu-smoke-seed0"
RANDOM = ("bit_flipped", "zeroed")


class Desk:
    """A prepared set, a run of Otsu with its records, predictions and an analysis: all below one folder."""

    def __init__(self, root):
        self.root = root
        self.name = PreparedSet(root / "set").name

    @property
    def _places(self):
        runs = self.root / "runs" / self.name
        return [str(self.root / "set"), "--runs", str(runs), "--leaderboards", str(self.root / "boards")]

    def run(self, *more):
        return main(["run", "--preset", "smoke", "--models", "otsu", "--device", "cpu", *self._places, *more])

    def score(self):
        return main(["score", *self._places])

    def leaderboard(self):
        return main(["leaderboard", self.name, "--leaderboards", str(self.root / "boards")])

    def _use(self, verb, out, *more):
        model = ["--model", str(self.root / "runs" / self.name / RUN), "--out", str(self.root / out)]
        return main([verb, str(self.root / "micrographs"), *model, *more])

    def predict(self):
        return self._use("predict", "found", "--overwrite", "missing", "--to", "coco")

    def analyze(self):
        return self._use("analyze", "sizes", "--no-ocr", "--to", "coco")

    def shown(self):
        """What a person would quote: rows of the tables without clock times, outlines, sizes."""
        found = {}
        for path in find_records(self.root / "boards", self.name):
            record = read_record(path)
            found[path.name] = {key: value for key, value in record.scores.items() if not _is_time(key)}
        for path in sorted((self.root / "boards").glob("*.csv")):
            rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
            found[path.name] = [{key: row[key] for key in row if not _is_time(key)} for row in rows]
        for name in ("sizes/particles.csv", "sizes/samples.csv", "found/coco/annotations.json"):
            found[name] = (self.root / name).read_bytes()
        return found


_OF_ONE_CALL = ("finished", "predictions_sha256", "device", "commit")


def _is_time(column):
    return column.startswith(("latency", "energy", "training_", "peak")) or column in _OF_ONE_CALL


@pytest.fixture(scope="module")
def made(tiny_set, tmp_path_factory):
    root = tmp_path_factory.mktemp("damage")
    shutil.copytree(tiny_set, root / "set")
    (root / "micrographs").mkdir()
    for image in PreparedSet(tiny_set).images("test")[:2]:
        shutil.copy(image.image_path, root / "micrographs")
    desk = Desk(root)
    for verb in (desk.run, desk.predict, desk.analyze):
        assert verb() == 0
    return root


@pytest.fixture
def desk(made, tmp_path):
    shutil.copytree(made, tmp_path / "desk")
    return Desk(tmp_path / "desk")


@pytest.fixture(scope="module")
def whole(made):
    return Desk(made).shown()


# What is damaged (one file for each pattern), and the verb that reads it.
FILES = {
    "set/prepared.json": Desk.score,
    "set/manifest.csv": Desk.score,
    "set/truth/test.json": Desk.score,
    "set/truth/val.json": Desk.score,
    "set/split_audit.json": Desk.score,
    f"runs/*/{RUN}/run.json": Desk.run,
    f"runs/*/{RUN}/fit.json": Desk.run,
    f"runs/*/{RUN}/operating_point.json": Desk.predict,
    f"runs/*/{RUN}/predictions/test.json.gz": Desk.run,
    f"runs/*/{RUN}/predictions/val.json.gz": Desk.score,
    f"runs/*/{RUN}/predictions/test.made-from.json": Desk.run,
    f"boards/records/*/{RUN}-test.json": Desk.leaderboard,
    "found/predictions.json": Desk.predict,
    "sizes/state/*.json": Desk.analyze,
    "sizes/analysis.json": Desk.analyze,
}


def only(desk, pattern):
    path = sorted(desk.root.glob(pattern))[0]
    assert path.is_file()
    return path


def end_of(desk, path, verb, whole, capsys, caplog):
    """What became of it: ``refused`` with the name of the file, or ``the same`` as if nothing had happened."""
    capsys.readouterr()
    caplog.clear()
    code = verb(desk)
    told = "".join(capsys.readouterr()) + caplog.text
    assert "Traceback" not in told
    if code == 0:
        assert desk.shown() == whole, told
        return "the same"
    assert path.name in told, told
    return "refused by name"


EVERYDAY = [each for each in FILES if each.endswith(("manifest.csv", "truth/test.json", "test.json.gz", "-test.json"))]


@pytest.mark.parametrize("pattern", EVERYDAY)
def test_half_a_file_and_one_bit(desk, whole, capsys, caplog, pattern):
    path = only(desk, pattern)
    data = path.read_bytes()
    for kind in ("cut_off", "bit_flipped"):
        path.write_bytes(data)
        damage(path, kind)
        end_of(desk, path, FILES[pattern], whole, capsys, caplog)


@pytest.mark.faults
@pytest.mark.parametrize("pattern", FILES)
def test_every_damage(made, whole, tmp_path, capsys, caplog, pattern):
    ends = Counter()
    for kind in KINDS:
        for seed in range(12 if kind in RANDOM else 1):
            shutil.copytree(made, tmp_path / "desk")
            desk = Desk(tmp_path / "desk")
            path = only(desk, pattern)
            damage(path, kind, seed)
            ends[end_of(desk, path, FILES[pattern], whole, capsys, caplog)] += 1
            shutil.rmtree(tmp_path / "desk")
    with capsys.disabled():
        print(f"\n{pattern}: {ends.total()} damages, " + ", ".join(f"{count} {end}" for end, count in ends.items()))
