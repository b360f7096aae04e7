"""What lies on disk stays what it is: records and run folders are read and written byte for byte."""

import json
import re

import pytest

from nanoseg_bench.errors import RecordError
from nanoseg_bench.evaluation.result import Details, ImageResult
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.resources import resource_dir
from nanoseg_bench.runs.documents import Fit, read_document, read_run, write_document
from nanoseg_bench.runs.facts import MadeBy, RunFacts, Training
from nanoseg_bench.runs.folder import RunFolder
from nanoseg_bench.runs.record import Record, read_record, write_record
from nanoseg_bench.seals import SEAL

LEADERBOARDS = resource_dir("datasets").parent / "leaderboards"
PUBLISHED = sorted((LEADERBOARDS / "records").glob("*/*.json"))
RUNS = sorted((LEADERBOARDS / "predictions").glob("*/*/run.json"))


def facts():
    recipe = load_recipe("unet", "smoke").model_dump(mode="json")
    training = Training(epochs=2, images_seen=8, seconds=1.5, resumes=0)
    made_by = MadeBy(versions={"nanoseg-bench": "0.1.0"}, commit=None)
    return RunFacts.of_recipe(recipe, made_by, seed=0, training=training, parameters=7, device="CPU")


def text_without_seal(path):
    """What was published before there were seals has none."""
    return re.sub(f',\n "{SEAL}": "[0-9a-f]{{64}}"', "", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_record_is_written_as_it_lies_there(path, tmp_path):
    write_record(tmp_path / "record.json", read_record(path))
    assert text_without_seal(tmp_path / "record.json") == text_without_seal(path)


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.name)
def test_the_folder_of_a_published_run_is_written_as_it_lies_there(path, tmp_path):
    documents = {"run.json": read_run(path)}
    if not path.parent.name.startswith("external-"):  # what was handed in was fitted elsewhere
        documents["fit.json"] = read_document(path.with_name("fit.json"), Fit)
    for name, document in documents.items():
        write_document(tmp_path / name, document)
        # One of them was indented by another hand: the same keys in the same order are the same layout.
        there = json.loads(text_without_seal(path.with_name(name)))
        assert text_without_seal(tmp_path / name) == json.dumps(there, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_record_says_of_its_run_what_the_run_says_of_itself(path):
    record = read_record(path)
    run = RunFolder(LEADERBOARDS / "predictions" / record.set_name / path.stem.removesuffix(f"-{record.eval_set}"))
    known = {field: getattr(record, field) for field in RunFacts.model_fields}
    assert RunFacts(**known).model_dump(exclude={"device"}) == run.facts().model_dump(exclude={"device"})


def test_every_record_has_the_fields_of_its_run_and_they_come_back(tmp_path):
    judged = {"evaluator": "3", "set_name": "s", "dataset": "d", "set_hash": "0", "classes": ("a",), "eval_set": "test"}
    record = Record(**dict(facts()), **judged, images=3, status="ok", finished="2026-01-01T00:00:00+00:00")
    write_record(tmp_path / "record.json", record)
    assert read_record(tmp_path / "record.json") == record
    document = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert set(document) == {*Record.model_fields, SEAL} > set(RunFacts.model_fields)
    assert (document["model"], document["title"], document["preset"]) == ("unet", "U-Net", "smoke")
    assert document["training"]["images_seen"] == 8


def test_a_record_with_a_field_that_nobody_knows_is_refused_by_its_name(tmp_path):
    (tmp_path / "record.json").write_text(json.dumps({"format": "nanoseg-record/3", "colour": 1}), encoding="utf-8")
    with pytest.raises(RecordError, match=r"record\.json: not a record of format nanoseg-record/3"):
        read_record(tmp_path / "record.json")


def test_a_record_of_which_a_digit_is_another_one_is_refused_by_its_name(tmp_path):
    judged = {"evaluator": "3", "set_name": "s", "dataset": "d", "set_hash": "0", "classes": ("a",), "eval_set": "test"}
    scores = {"map_50_95": 0.613}
    record = Record(**dict(facts()), **judged, images=3, status="ok", scores=scores, finished="2026-01-01T00:00:00Z")
    path = tmp_path / "record.json"
    write_record(path, record)
    path.write_text(path.read_text(encoding="utf-8").replace("0.613", "0.713"), encoding="utf-8")
    with pytest.raises(RecordError, match=r"record\.json: .* it was edited or is damaged.*`nanoseg-bench score` makes"):
        read_record(path)
    assert read_record(path, any_seal=True).scores == {"map_50_95": 0.713}


def test_numbers_in_brackets_within_a_text_stay_as_they_are(tmp_path):
    """A micrograph may be called so. The text was changed after it was sealed: nobody could read the record again."""
    judged = {"evaluator": "3", "set_name": "s", "dataset": "d", "set_hash": "0", "classes": ("a",), "eval_set": "test"}
    result = {"instances_truth": 1, "instances_predicted": 1, "f1": 1, "pq": 1, "diameter_median_error_relative": 0}
    details = Details(images=(ImageResult(name="scan [ 2 ]", **result),), precision_at_recall=(1.0, None, 0.5))
    record = Record(**dict(facts()), **judged, images=1, status="ok", details=details, finished="2026-01-01T00:00:00Z")
    write_record(tmp_path / "record.json", record)
    assert read_record(tmp_path / "record.json") == record
    assert '"precision_at_recall": [1.0, null, 0.5]' in (tmp_path / "record.json").read_text(encoding="utf-8")
