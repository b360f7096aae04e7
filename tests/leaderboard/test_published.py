"""Published rows, scored again from the predictions that are published with them."""

import functools
from dataclasses import replace
from pathlib import Path

import pytest

from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import read_record
from nanoseg_bench.runs.rescoring import differences
from nanoseg_bench.runs.scored import KeptTruth, build_records, predictions_sha256

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
EMPS = Path(__file__).parents[3] / "shared" / "data" / "emps"

RECORDS = sorted((LEADERBOARDS / "records").glob("[!.]*/[!.]*.json"))
each_record = pytest.mark.parametrize(
    "path",
    RECORDS or [pytest.param(None, marks=pytest.mark.skip(reason="nothing is published"))],
    ids=lambda path: f"{path.parent.name}-{path.stem}" if path else "none",
)


def run_of(path):
    """The run whose predictions are published with a record."""
    return RunFolder(LEADERBOARDS / "predictions" / path.parent.name / path.stem.rpartition("-")[0])


class AsPublished(PreparedSet):
    """A set prepared without augmented copies, in a fraction of the time; only training and the hash see those."""

    published_hash = ""

    @property
    def content_hash(self):
        return self.published_hash


@pytest.fixture(scope="module")
def emps(tmp_path_factory):
    if not EMPS.is_dir():
        pytest.skip("needs a copy of EMPS in ../shared/data/emps")
    return prepare(tmp_path_factory.mktemp("prepared") / "emps", "--source", str(EMPS))


@pytest.fixture(scope="module")
def nanosynth(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("prepared") / "nanosynth")


def prepare(folder, *more):
    words = ["prepare", "--dataset", folder.name, "--out", str(folder), "--augment-copies", "0", *more]
    assert main(words) == 0
    return AsPublished(folder)


@each_record
def test_a_published_record_has_the_predictions_it_is_made_from_beside_it(path):
    record, run = read_record(path), run_of(path)
    assert record.evaluator == EVALUATOR_VERSION
    if record.status != "ok":
        pytest.skip(f"{record.status}: there is nothing to score")
    assert predictions_sha256(run, record.eval_set) == record.predictions_sha256
    assert record.confidence_source not in ("val", "default") or run.predictions_path("val").is_file()


@pytest.mark.slow
@each_record
def test_a_published_row_is_what_its_predictions_give(path, request):
    record, run = read_record(path), run_of(path)
    if record.status != "ok" or record.set_name not in ("nanosynth", "emps"):
        pytest.skip("nothing to score, or data that are not at hand")
    prepared = request.getfixturevalue(record.set_name)
    prepared.published_hash = record.set_hash
    truth = KeptTruth(prepared)
    (again,) = build_records(run, truth, [record.eval_set])
    assert list(differences("", record.model_dump(mode="json"), again.model_dump(mode="json"))) == []
    if record.eval_set != "test":
        return
    # Not because anything would pass: a particle that is left out shows.
    whole = truth.eval_set("test")
    truth.eval_set = functools.partial(_without_one, truth, whole)
    (wrong,) = build_records(run, truth, ["test"])
    assert wrong.scores != again.scores


def _without_one(truth, whole, name):
    if name != "test":
        return KeptTruth.eval_set(truth, name)
    first = next(name for name in whole.images if whole.truth[name])
    return replace(whole, truth={**whole.truth, first: whole.truth[first][1:]})
