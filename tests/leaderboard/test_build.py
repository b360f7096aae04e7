import csv
import shutil

import pandas as pd
import pytest

from nanoseg_bench.errors import UsageError
from nanoseg_bench.evaluation.scoring import evaluate
from nanoseg_bench.leaderboard.build import build_table, build_tables, write_leaderboards
from nanoseg_bench.leaderboard.cells import csv_text
from nanoseg_bench.leaderboard.checking import check_leaderboards
from nanoseg_bench.leaderboard.columns import COLUMNS
from nanoseg_bench.resources import resource_dir


def test_best_first_with_class_less_models_in_place_but_unranked(make_record):
    table = build_table([make_record("a", 0.2), make_record("b", 0.6), make_record("otsu", None, agnostic=0.4)], "test")
    assert list(table["model"]) == ["b", "otsu", "a"]
    assert table["rank"].tolist() == [1, None, 2]


def test_with_one_class_class_less_models_are_ranked(make_record):
    rows = [make_record("a", 0.2, classes=("p",)), make_record("otsu", None, agnostic=0.4, classes=("p",))]
    table = build_table(rows, "test")
    assert list(zip(table["model"], table["rank"], strict=True)) == [("otsu", 1), ("a", 2)]


def test_rank_is_by_the_mean_over_seeds(make_record):
    rows = [make_record("a", 0.9, seed=0), make_record("a", 0.1, seed=1), make_record("b", 0.6)]
    table = build_table(rows, "test").set_index(["model", "seed"])
    assert table.loc[("b", 0), "rank"] == 1
    assert table.loc[("a", 0), "rank"] == table.loc[("a", 1), "rank"] == 2


def test_only_comparable_rows_compete(make_record):
    table = build_table([make_record("a", 0.2), make_record("b", 0.6, preset="paper"), make_record("c", 0.1)], "test")
    assert dict(zip(table["model"], table["rank"], strict=True)) == {"b": 1, "a": 1, "c": 2}


def test_rows_that_compete_stand_together(make_record):
    """Ranks begin anew where the preset does; what never competes comes after all that does."""
    rows = [
        make_record("a", 0.9, preset="paper"),
        make_record("b", 0.2, preset="paper"),
        make_record("a", 0.5),
        make_record("otsu", None, agnostic=0.6),
        make_record("outside", 0.95, external=True, preset="external"),
        make_record("c", status="failed", reason="no", scores={}),
    ]
    table = build_table(rows, "test")
    assert list(zip(table["model"], table["preset"], table["rank"], strict=True)) == [
        ("a", "paper", 1),
        ("b", "paper", 2),
        ("otsu", "quick", None),
        ("a", "quick", 1),
        ("outside", "external", None),
        ("c", "quick", None),
    ]


def test_a_failed_run_is_the_last_row_with_its_reason(make_record):
    failed = make_record("a", status="failed", reason="no memory", scores={}, training=None, parameters=None)
    table = build_table([failed, make_record("b", 0.1)], "test")
    assert list(table["status"]) == ["ok", "failed"]
    assert table.loc[1, "reason"] == "no memory"
    assert table.loc[1, ["map_50_95", "parameters", "training_seconds", "rank"]].isna().all()


def test_predictions_from_outside_stand_in_the_table_without_a_rank(make_record):
    outside = make_record(
        "cellpose", 0.9, preset="external", external=True, confidence_source="declared", seed=None, training=None
    )
    table = build_table([make_record("a", 0.2), outside], "test")
    assert list(table["model"]) == ["cellpose", "a"]
    assert table["rank"].tolist() == [None, 1]
    assert table["external"].tolist() == ["true", "false"]
    assert table["confidence_source"].tolist() == ["declared", "val"]


def test_order_and_bytes_do_not_depend_on_the_order_of_the_records(make_record):
    records = [make_record(model, 0.5, seed=seed) for model in ("b", "a") for seed in (1, 0)]
    records.append(make_record("c", status="failed", reason="no", scores={}))
    table = build_table(records, "test")
    assert list(zip(table["model"], table["seed"], strict=True)) == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("c", 0)]
    assert csv_text(build_table(records[::-1], "test")) == csv_text(table)


def test_tables_that_the_records_give(tmp_path, make_record, keep_records):
    keep_records(
        tmp_path,
        make_record("yolo11n", 0.123456789),
        make_record("nsyolo", 0.1),
        make_record("unet", 0.2),
        make_record("unet", eval_set="ood", scores={"map_50_agnostic": 0.5}),
        make_record("unet", eval_set="robustness", scores={"map_50_95_agnostic_corrupted": 0.5}),
    )
    paths = write_leaderboards(tmp_path, "toy")
    assert [path.name for path in paths] == ["toy-test.csv", "toy-ablation.csv", "toy-ood.csv", "toy-robustness.csv"]
    test = pd.read_csv(tmp_path / "toy-test.csv")
    assert tuple(test.columns) == COLUMNS["test"]
    assert list(test["map_50_95"]) == [0.2, 0.123457, 0.1]
    assert list(test["parameters"]) == [2843193] * 3
    assert list(pd.read_csv(tmp_path / "toy-ablation.csv")["model"]) == ["yolo11n", "nsyolo"]
    for name in ("ood", "robustness"):
        table = pd.read_csv(tmp_path / f"toy-{name}.csv")
        assert tuple(table.columns) == COLUMNS[name]
        assert list(table["rank"]) == [1]


def test_whole_numbers_stay_whole_beside_empty_cells(tmp_path, make_record, keep_records):
    scores = {"map_50_95": 0.5, "instances_truth": 56.0, "latency_measurements": 99.0, "f1": 1.0}
    failed = make_record("b", status="failed", reason="no", scores={}, parameters=None)
    keep_records(tmp_path, make_record("a", scores=scores), failed)
    write_leaderboards(tmp_path, "toy")
    with (tmp_path / "toy-test.csv").open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert (first["instances_truth"], first["latency_measurements"], first["rank"]) == ("56", "99", "1")
    assert (first["f1"], first["parameters"]) == ("1.0", "2843193")
    assert (second["instances_truth"], second["parameters"], second["rank"]) == ("", "", "")


def test_one_model_is_no_ablation_and_tables_of_records_that_are_gone_go_too(tmp_path, make_record, keep_records):
    _, gone = keep_records(tmp_path, make_record("nsyolo", 0.1), make_record("yolo11n", 0.1))
    assert [path.name for path in write_leaderboards(tmp_path, "toy")] == ["toy-test.csv", "toy-ablation.csv"]
    gone.unlink()
    assert [path.name for path in write_leaderboards(tmp_path, "toy")] == ["toy-test.csv"]
    assert not (tmp_path / "toy-ablation.csv").exists()


def test_a_line_for_each_class_and_modality(make_record, small_test):
    evaluation = evaluate(*small_test, 0.5, resamples=5)
    scored = make_record("a", scores=evaluation.scores, details=evaluation.details)
    tables = build_tables([make_record("otsu", None, agnostic=0.1), scored])
    assert list(tables) == ["test", "classes", "modality"]
    classes, modality = tables["classes"], tables["modality"]
    assert tuple(classes.columns) == COLUMNS["classes"]
    assert classes[["model", "class", "map_50_95", "map_75_box", "instances_truth"]].to_numpy().tolist() == [
        ["a", "cube", 1.0, 1.0, 2],
        ["a", "rod", 1.0, 1.0, 2],
    ]
    assert tuple(modality.columns) == COLUMNS["modality"]
    assert modality[["model", "modality", "images", "f1", "instances_truth"]].to_numpy().tolist() == [
        ["a", "BF-TEM", 1, 1.0, 2],
        ["a", "SE-SEM", 1, 1.0, 2],
    ]


def test_lattice_contrast_is_a_further_modality(make_record):
    def record(model, value, modality, eval_set="test"):
        details = {"modalities": {modality: {"images": 2, "map_50_95": value}}}
        return make_record(model, value, eval_set=eval_set, details=details)

    records = [record(model, 0.01, "HRTEM", "hrtem") for model in ("a", "b")]
    tables = build_tables([*records, record("a", 0.2, "BF-TEM"), record("b", 0.6, "BF-TEM")])
    assert list(tables) == ["test", "modality"]
    assert tables["modality"][["model", "modality", "map_50_95"]].to_numpy().tolist() == [
        ["b", "BF-TEM", 0.6],
        ["a", "BF-TEM", 0.2],
        ["b", "HRTEM", 0.01],
        ["a", "HRTEM", 0.01],
    ]


def test_an_unknown_reference_is_refused(make_record):
    outside = make_record("cellpose", 0.9, external=True)
    with pytest.raises(UsageError, match=r"--reference cellpose: no ranked row of that model; there are a, b"):
        build_tables([make_record("b", 0.5), make_record("a", 0.5), outside], "cellpose")
    assert build_tables([make_record("b", 0.5)])["test"]["reference"].tolist() == [None]


def test_committed_csv_files_are_what_the_committed_records_give(tmp_path):
    published = resource_dir("baselines").parent / "leaderboards"
    names = [folder.name for folder in (published / "records").glob("*")] if (published / "records").is_dir() else []
    if not names:
        pytest.skip("no published records yet")
    assert [fault for name in names for fault in check_leaderboards(published, name)] == []
    shutil.copytree(published / "records", tmp_path / "records")
    written = [path for name in names for path in write_leaderboards(tmp_path, name)]
    assert {path.name: path.read_bytes() for path in written} == {
        path.name: path.read_bytes() for path in published.glob("*.csv")
    }
