"""Published rows, scored again from the predictions that are published with them."""

from dataclasses import replace
from pathlib import Path

import pytest

from nanoseg_bench.annotations.labelme import open_labelme
from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.eval_sets import EvalSet, load_eval_set
from nanoseg_bench.evaluation.operating_point import choose_confidence
from nanoseg_bench.evaluation.predictions import read_predictions
from nanoseg_bench.evaluation.scoring import evaluate
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.folder import find_runs
from nanoseg_bench.runs.record import read_record, record_path
from nanoseg_bench.synthesis.nanosynth import PUBLISHED_IMAGES, plan_main, write_planned

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
PREDICTIONS = LEADERBOARDS / "predictions"
EMPS = Path(__file__).parents[3] / "shared" / "data" / "emps"


def rendered(folder, predictions, record):
    """The eval set of these predictions, whose truth is generated: its micrographs are rendered again."""
    plan = [planned for planned in plan_main(PUBLISHED_IMAGES, seed=0) if planned.stem in predictions.images]
    write_planned(folder, plan, seed=0, workers=2)
    micrographs = {Path(entry.name).name: entry.read() for entry in open_labelme(folder / "main").entries}
    assert set(micrographs) == set(predictions.images)
    return EvalSet(
        name=predictions.eval_set,
        set_hash=record.set_hash,
        classes=record.classes,
        images=tuple(predictions.images),
        truth={name: micrographs[name].instances for name in predictions.images},
        sizes={name: (micrographs[name].width, micrographs[name].height) for name in predictions.images},
        source_groups={name: micrographs[name].source_group for name in predictions.images},
        max_detections=int(record.scores["max_detections"]),
        nm_per_px={name: micrographs[name].nm_per_px for name in predictions.images},
        attributes={name: micrographs[name].attributes for name in predictions.images},
    )


@pytest.mark.slow
def test_a_published_nanosynth_row_is_what_its_predictions_give(tmp_path):
    (run,) = find_runs(PREDICTIONS / "nanosynth")
    record = read_record(record_path(LEADERBOARDS, "nanosynth", run.run_id, "test"))
    on_val, on_test = (read_predictions(run.predictions_path(name)) for name in ("val", "test"))
    val = rendered(tmp_path / "val", on_val, record)
    assert choose_confidence(val, on_val) == record.scores["confidence"]
    test = rendered(tmp_path / "test", on_test, record)
    found = evaluate(test, on_test, record.scores["confidence"])
    assert found.scores == pytest.approx(record.scores, abs=1e-6)
    assert found.resampled["map_50_95"] == pytest.approx(record.resampled["map_50_95"], abs=1e-5)
    # Not because anything would pass: a particle that is moved by a pixel shows.
    name = test.images[0]
    wrong = {**test.truth, name: test.truth[name][1:]}
    assert evaluate(replace(test, truth=wrong), on_test, record.scores["confidence"]).scores != pytest.approx(
        record.scores, abs=1e-6
    )


@pytest.mark.slow
@pytest.mark.skipif(not EMPS.is_dir(), reason="needs a copy of EMPS in ../shared/data/emps")
def test_a_published_emps_row_is_what_its_predictions_give(tmp_path):
    data = tmp_path / "emps"
    # Without the augmented copies, which only training sees, it is prepared in a fraction of the time.
    prepare = ["prepare", "--dataset", "emps", "--source", str(EMPS), "--out", str(data), "--augment-copies", "0"]
    assert main(prepare) == 0
    (run,) = find_runs(PREDICTIONS / "emps")
    record = read_record(record_path(LEADERBOARDS, "emps", run.run_id, "test"))
    on_val, on_test = (read_predictions(run.predictions_path(name)) for name in ("val", "test"))
    # The content hash counts the copies too.
    val, test = (replace(load_eval_set(PreparedSet(data), name), set_hash=record.set_hash) for name in ("val", "test"))
    confidence = choose_confidence(val, on_val)
    assert confidence == record.scores["confidence"]
    assert evaluate(test, on_test, confidence).scores == pytest.approx(record.scores, abs=1e-6)
