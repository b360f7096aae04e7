import pandas as pd
import pytest

from nanoseg_bench.errors import RecordError
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.leaderboard.build import build_table, write_leaderboards
from nanoseg_bench.leaderboard.columns import COLUMNS
from nanoseg_bench.resources import resource_dir
from nanoseg_bench.runs.record import Record, Training, record_path, write_record


def record(model, score=None, *, seed=0, eval_set="test", classes=("cube", "rod"), agnostic=None, **changes):
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


def test_best_first_with_class_less_models_in_place_but_unranked():
    table = build_table([record("a", 0.2), record("b", 0.6), record("otsu", None, agnostic=0.4)], "test")
    assert list(table["model"]) == ["b", "otsu", "a"]
    assert table["rank"].tolist() == [1, pd.NA, 2]


def test_with_one_class_class_less_models_are_ranked():
    rows = [record("a", 0.2, classes=("p",)), record("otsu", None, agnostic=0.4, classes=("p",))]
    table = build_table(rows, "test")
    assert list(zip(table["model"], table["rank"], strict=True)) == [("otsu", 1), ("a", 2)]


def test_rank_is_by_the_mean_over_seeds():
    rows = [record("a", 0.9, seed=0), record("a", 0.1, seed=1), record("b", 0.6)]
    table = build_table(rows, "test").set_index(["model", "seed"])
    assert table.loc[("b", 0), "rank"] == 1
    assert table.loc[("a", 0), "rank"] == table.loc[("a", 1), "rank"] == 2


def test_only_comparable_rows_compete():
    table = build_table([record("a", 0.2), record("b", 0.6, preset="paper"), record("c", 0.1)], "test")
    assert dict(zip(table["model"], table["rank"], strict=True)) == {"b": 1, "a": 1, "c": 2}


def test_a_failed_run_is_the_last_row_with_its_reason():
    failed = record("a", status="failed", reason="no memory", scores={}, training=None, parameters=None)
    table = build_table([failed, record("b", 0.1)], "test")
    assert list(table["status"]) == ["ok", "failed"]
    assert table.loc[1, "reason"] == "no memory"
    assert table.loc[1, ["map_50_95", "parameters", "training_seconds", "rank"]].isna().all()


def test_written_csv_keeps_numbers_as_numbers(tmp_path):
    entries = (record("yolo11n", 0.123456789), record("nsyolo", 0.1), record("unet", 0.2))
    for entry in (*entries, record("unet", eval_set="ood")):
        write_record(record_path(tmp_path, "toy", f"{entry.model}-run", entry.eval_set), entry)
    paths = write_leaderboards(tmp_path, "toy")
    assert {path.name for path in paths} == {"toy-test.csv", "toy-ablation.csv", "toy-ood.csv"}
    test = pd.read_csv(tmp_path / "toy-test.csv")
    assert tuple(test.columns) == COLUMNS["test"]
    assert list(test["map_50_95"]) == [0.2, 0.123457, 0.1]
    assert list(test["parameters"]) == [2843193] * 3
    assert list(pd.read_csv(tmp_path / "toy-ablation.csv")["model"]) == ["yolo11n", "nsyolo"]


def test_one_model_is_no_ablation(tmp_path):
    write_record(record_path(tmp_path, "toy", "nsyolo-run", "test"), record("nsyolo", 0.1))
    assert [path.name for path in write_leaderboards(tmp_path, "toy")] == ["toy-test.csv"]


def test_records_that_do_not_belong_together_are_refused(tmp_path):
    write_record(record_path(tmp_path, "toy", "a", "test"), record("a", 0.1))
    write_record(record_path(tmp_path, "toy", "b", "test"), record("b", 0.1, set_hash="b" * 64))
    with pytest.raises(RecordError, match="2 different prepared sets"):
        write_leaderboards(tmp_path, "toy")
    write_record(record_path(tmp_path, "toy", "b", "test"), record("b", 0.1, evaluator="0"))
    with pytest.raises(RecordError, match="evaluator versions 0"):
        write_leaderboards(tmp_path, "toy")
    with pytest.raises(RecordError, match="no records"):
        write_leaderboards(tmp_path, "other")


def test_a_file_that_is_no_record_is_named(tmp_path):
    path = record_path(tmp_path, "toy", "a", "test")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(RecordError, match=r"a-test\.json"):
        write_leaderboards(tmp_path, "toy")


def test_the_readme_explains_every_column():
    text = (resource_dir("baselines").parent / "leaderboards" / "README.md").read_text(encoding="utf-8")
    for column in {column for columns in COLUMNS.values() for column in columns}:
        # A family is written once: `map_50_95_agnostic` (`_lo`, `_hi`), `..._25`, `_50`, `_75`.
        stem = column
        for suffix in ("_lo", "_hi", "_25", "_50", "_75"):
            stem = stem.removesuffix(suffix)
        assert f"`{column}`" in text or f"`{stem}" in text, column


def test_committed_csv_files_are_what_the_committed_records_give(tmp_path):
    import shutil

    published = resource_dir("baselines").parent / "leaderboards"
    names = [folder.name for folder in (published / "records").glob("*")] if (published / "records").is_dir() else []
    if not names:
        pytest.skip("no published records yet")
    shutil.copytree(published / "records", tmp_path / "records")
    for name in names:
        for path in write_leaderboards(tmp_path, name):
            assert path.read_bytes() == (published / path.name).read_bytes(), path.name
