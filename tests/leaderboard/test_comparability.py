import json

import pytest
from earlier_files import rewrite

from nanoseg_bench.errors import RecordError
from nanoseg_bench.evaluation.operating_point import DEFAULT_CONFIDENCE, EVERY_PARTICLE
from nanoseg_bench.leaderboard.comparability import comparable_records
from nanoseg_bench.runs.record import record_path, write_record


def test_records_come_in_the_order_of_their_files(tmp_path, make_record, keep_records):
    keep_records(tmp_path, make_record("b", 0.1), make_record("a", 0.2))
    (tmp_path / "records" / "toy" / ".c.json").write_text("of a writer that was killed")
    assert [record.model for record in comparable_records(tmp_path, "toy")] == ["a", "b"]


def test_no_records(tmp_path, make_record, keep_records):
    with pytest.raises(RecordError, match=r"no records; run `nanoseg-bench run` first$"):
        comparable_records(tmp_path, "toy")
    keep_records(tmp_path, make_record("b", 0.1))
    with pytest.raises(RecordError, match="no records; run `nanoseg-bench run` first, or name one of toy"):
        comparable_records(tmp_path, "tyo")


def test_a_record_of_an_older_evaluator_is_refused(tmp_path, make_record, keep_records):
    keep_records(
        tmp_path, make_record("a", 0.1), make_record("b", 0.1, evaluator="1"), make_record("c", 1, evaluator="1")
    )
    with pytest.raises(
        RecordError, match=r"b-quick-seed0-test\.json and 1 more: made by evaluator version 1, .*`nanoseg-bench score`"
    ):
        comparable_records(tmp_path, "toy")


def test_a_record_of_an_older_format_is_refused(tmp_path, make_record, keep_records):
    (path,) = keep_records(tmp_path, make_record("a", 0.1))
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "format": "nanoseg-record/1"}))
    with pytest.raises(
        RecordError, match=r"a-quick-seed0-test\.json: .*its format is 'nanoseg-record/1'.*`nanoseg-bench score`"
    ):
        comparable_records(tmp_path, "toy")
    for text in ("{}", "[]", "not JSON"):
        path.write_text(text)
        with pytest.raises(RecordError, match=r"a-quick-seed0-test\.json: not a record"):
            comparable_records(tmp_path, "toy")


def test_records_of_two_prepared_sets_are_refused(tmp_path, make_record, keep_records):
    keep_records(tmp_path, make_record("a", 0.1), make_record("b", 0.1, set_hash="b" * 64))
    with pytest.raises(RecordError, match=r"2 different prepared sets .*a-quick-seed0-test\.json \(aaaaaaaaaaaa\), b-"):
        comparable_records(tmp_path, "toy")


def test_two_records_of_one_run_are_refused(tmp_path, make_record, keep_records):
    keep_records(tmp_path, make_record("a", 0.1))
    write_record(record_path(tmp_path, "toy", "copy", "test"), make_record("a", 0.9))
    with pytest.raises(
        RecordError,
        match=r"copy-test\.json: of the same model, preset, seed, start and eval set as a-quick-seed0-test\.json",
    ):
        comparable_records(tmp_path, "toy")


def test_a_declared_threshold_is_for_predictions_from_outside(tmp_path, make_record, keep_records):
    outside = make_record("cellpose", 0.1, external=True, confidence_source="declared")
    keep_records(tmp_path, outside)
    assert comparable_records(tmp_path, "toy") == [outside]
    keep_records(tmp_path, make_record("a", 0.1, confidence_source="declared"))
    with pytest.raises(
        RecordError, match=r"a-quick-seed0-test\.json: its operating point was declared, not chosen on val"
    ):
        comparable_records(tmp_path, "toy")


def test_a_default_is_admitted_and_one_that_somebody_planted_is_not(tmp_path, make_record, keep_records):
    def record(confidence, **changes):
        point = {"confidence": confidence, "source": "default", "reason": "val has no particle"}
        values = {"confidence_source": "default", "operating_point": point} | changes
        return make_record("a", scores={"confidence": confidence}, **values)

    for confidence in (DEFAULT_CONFIDENCE, EVERY_PARTICLE):
        keep_records(tmp_path, record(confidence))
        assert comparable_records(tmp_path, "toy") == [record(confidence)]
    for planted in (0.3, -0.3):
        keep_records(tmp_path, record(planted))
        with pytest.raises(
            RecordError, match=rf"a-quick-seed0-test\.json: its operating point {planted} is no default"
        ):
            comparable_records(tmp_path, "toy")
    below_zero = record(-0.3, external=True)
    keep_records(tmp_path, below_zero)
    assert comparable_records(tmp_path, "toy") == [below_zero]
    chosen = {"confidence": 0.4, "source": "val"}
    for planted in (record(0.25, operating_point=chosen), record(0.3, confidence_source="val", operating_point=chosen)):
        keep_records(tmp_path, planted)
        with pytest.raises(RecordError, match=r"its operating point is 0\..*what was chosen is 0\.4 \(val\)"):
            comparable_records(tmp_path, "toy")
    keep_records(tmp_path, record(0.25, confidence_source="none", operating_point=None))
    with pytest.raises(RecordError, match="nothing says where it is from"):
        comparable_records(tmp_path, "toy")
    keep_records(tmp_path, record(0.25), make_record("a", eval_set="ood", scores={"confidence": 0.0}))
    with pytest.raises(RecordError, match="is the same on every eval set"):
        comparable_records(tmp_path, "toy")


def test_a_threshold_picked_on_test_is_refused(tmp_path, make_record, keep_records):
    """The one chosen on val is the same on every eval set."""
    honest = make_record("b", scores={"confidence": 0.5})
    failed = make_record("b", eval_set="ood", scores={}, status="failed")
    keep_records(tmp_path, honest, failed, make_record("a", eval_set="ood", scores={"confidence": 0.25}))
    keep_records(tmp_path, make_record("a", scores={"confidence": 0.25}))
    assert len(comparable_records(tmp_path, "toy")) == 4
    (path,) = keep_records(tmp_path, make_record("a", scores={"confidence": 0.125}))
    with pytest.raises(
        RecordError,
        match=r"a-quick-seed0-test\.json: its operating point is 0\.125, that of a-quick-seed0-ood\.json is 0\.25",
    ):
        comparable_records(tmp_path, "toy")
    rewrite(path, confidence_source="test")
    with pytest.raises(RecordError, match=r"a-quick-seed0-test\.json: .*confidence_source: Input should be 'val'"):
        comparable_records(tmp_path, "toy")
