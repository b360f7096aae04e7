"""Published rows, scored again from the predictions that are published with them."""

import functools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from nanoseg_bench.annotations.labelme import open_labelme
from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.eval_sets import EvalSet, load_eval_set
from nanoseg_bench.evaluation.predictions import read_predictions
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import read_record
from nanoseg_bench.runs.rescoring import differences
from nanoseg_bench.runs.scored import KeptTruth, build_records, fingerprint
from nanoseg_bench.synthesis.nanosynth import (
    PUBLISHED_IMAGES,
    default_hrtem_images,
    plan_hrtem,
    plan_main,
    plan_ood,
    write_planned,
)

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


def max_detections_of(record):
    """The limit of the prepared set, from a record of it that holds it: that of robustness does not."""
    records = (read_record(path) for path in RECORDS if path.parent.name == record.set_name)
    return next(int(each.scores["max_detections"]) for each in records if each.scores.get("max_detections"))


class Truth(KeptTruth):
    """Truth of the images that were predicted, from where the data set comes from; nothing of the set is published."""

    def __init__(self, record, run, read):
        facts = {"name": record.set_name, "dataset": record.dataset, "classes": record.classes}
        super().__init__(SimpleNamespace(content_hash=record.set_hash, **facts))
        self._of, self._run, self._record = read, run, record

    def eval_set(self, name):
        predictions = read_predictions(self._run.predictions_path(name))
        # The content hash counts augmented copies too, which only training sees.
        return replace(self._of(name, tuple(predictions.images), self._record), set_hash=self._record.set_hash)


@pytest.fixture(scope="module")
def nanosynth(tmp_path_factory):
    """Truth is generated: the micrographs are rendered again."""
    plan = [
        *plan_main(PUBLISHED_IMAGES, seed=0),
        *plan_ood(max(6, round(PUBLISHED_IMAGES / 12)), seed=0),
        *plan_hrtem(default_hrtem_images(PUBLISHED_IMAGES), seed=0),
    ]

    @functools.cache
    def micrographs(names):
        folder = tmp_path_factory.mktemp("rendered")
        write_planned(folder, [planned for planned in plan if planned.stem in names], seed=0, workers=2)
        found = [entry for part in folder.iterdir() for entry in open_labelme(part).entries]
        return {Path(entry.name).name: entry.read() for entry in found}

    def read(name, images, record):
        found = micrographs(images)
        assert set(found) == set(images)
        return EvalSet(
            name=name,
            set_hash=record.set_hash,
            classes=record.classes,
            images=images,
            truth={image: found[image].instances for image in images},
            sizes={image: (found[image].width, found[image].height) for image in images},
            source_groups={image: found[image].source_group for image in images},
            max_detections=max_detections_of(record),
            nm_per_px={image: found[image].nm_per_px for image in images},
            attributes={image: found[image].attributes for image in images},
        )

    return read


@pytest.fixture(scope="module")
def emps(tmp_path_factory):
    if not EMPS.is_dir():
        pytest.skip("needs a copy of EMPS in ../shared/data/emps")
    data = tmp_path_factory.mktemp("prepared") / "emps"
    # Without the augmented copies it is prepared in a fraction of the time.
    prepare = ["prepare", "--dataset", "emps", "--source", str(EMPS), "--out", str(data), "--augment-copies", "0"]
    assert main(prepare) == 0
    return lambda name, images, record: load_eval_set(PreparedSet(data), name)


@each_record
def test_a_published_record_has_the_predictions_it_is_made_from_beside_it(path):
    record, run = read_record(path), run_of(path)
    assert record.evaluator == EVALUATOR_VERSION
    if record.status != "ok":
        pytest.skip(f"{record.status}: there is nothing to score")
    assert fingerprint(run, record.eval_set) == record.predictions_sha256
    assert record.confidence_source not in ("val", "default") or run.predictions_path("val").is_file()


@pytest.mark.slow
@each_record
def test_a_published_row_is_what_its_predictions_give(path, request):
    record, run = read_record(path), run_of(path)
    if record.status != "ok" or record.set_name not in ("nanosynth", "emps"):
        pytest.skip("nothing to score, or data that are not at hand")
    truth = Truth(record, run, request.getfixturevalue(record.set_name))
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
        return Truth.eval_set(truth, name)
    first = next(name for name in whole.images if whole.truth[name])
    return replace(whole, truth={**whole.truth, first: whole.truth[first][1:]})
