import pytest

from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.scoring import EVALUATOR_VERSION
from nanoseg_bench.runs.record import Record, record_path, write_record


def keep_record(folder, model, score, **changes):
    values = {
        "evaluator": EVALUATOR_VERSION,
        "model": model,
        "title": model.upper(),
        "preset": "quick",
        "seed": 0,
        "initial_weights": None,
        "set_name": "toy",
        "dataset": "toy",
        "set_hash": "a" * 64,
        "classes": ("cube", "rod"),
        "eval_set": "test",
        "images": 3,
        "status": "ok",
        "scores": {"map_50_95": score, "map_50_95_agnostic": score},
        "finished": "2026-01-01T00:00:00+00:00",
    }
    if score is not None:
        # Two resamples: the models swap places, so nobody can tell them apart.
        swapped = (score, 1 - score)
        values["resampled"] = {"map_50_95": swapped}
        values["scores"] |= {"map_50_95_lo": min(swapped), "map_50_95_hi": max(swapped)}
    record = Record(**{**values, **changes})
    write_record(record_path(folder, record.set_name, f"{model}-quick-seed{record.seed}", record.eval_set), record)


@pytest.fixture
def boards(tmp_path):
    keep_record(tmp_path, "yolo11n", 0.6)
    keep_record(tmp_path, "unet", 0.4)
    return tmp_path


def test_tables_are_written_and_printed(boards, capsys):
    keep_record(boards, "cellpose", 0.9, external=True, preset="external", seed=None)
    keep_record(boards, "otsu", None, status="failed", reason="no threshold", scores={})
    assert main(["leaderboard", "--leaderboards", str(boards)]) == 0
    out = capsys.readouterr().out
    assert "preset quick, from scratch, seed 0" in out.splitlines()
    shown = [line.split() for line in out.splitlines()]
    cells = {row[0] if row[0].isupper() else row[1]: row for row in shown if len(row) > 2}
    assert cells["YOLO11N"][:2] == ["1-2", "YOLO11N"]
    assert cells["YOLO11N"][-1] == "reference"
    assert cells["UNET"][:2] == ["1-2", "UNET"]
    assert cells["UNET"][2] == "0.400"  # of two numbers that differ in nothing but the class: the class-agnostic one
    assert " ".join(cells["UNET"][-3:]).startswith("-0.200 [-0.19")
    assert cells["CELLPOSE"][:2] == ["CELLPOSE", "(external)"]
    assert ["OTSU", "(failed)"] in [row[:2] for row in shown]
    assert ["OTSU:", "failed:", "no", "threshold"] in shown


def test_what_is_to_be_known_of_a_set_stands_below_its_table_in_the_terminal_as_in_markdown(boards, capsys):
    recipe = {"model": "unet", "learning_rate": 0.002}
    keep_record(boards, "unet", 0.4, recipe=recipe, shortcomings=("val: shows no rod",))
    keep_record(boards, "unet", 0.5, recipe={**recipe, "learning_rate": 0.01}, seed=1)
    told = [
        "UNET, preset quick, seeds 0 and 1: of different recipes (learning_rate 0.002 -> 0.01)",
        "What the split of this set cannot carry:",
        "- val: shows no rod",
    ]
    for options in ([], ["--markdown"]):
        assert main(["leaderboard", "toy", "--leaderboards", str(boards), *options]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert all(shown.count(sentence) == 1 for sentence in told), options


def test_what_cannot_be_shown_is_said(boards, tmp_path, capsys):
    assert main(["leaderboard", "--leaderboards", str(tmp_path / "none")]) == 2
    assert "no records; run `nanoseg-bench run` first" in capsys.readouterr().err
    assert main(["leaderboard", "--leaderboards", str(boards), "emps"]) == 2
    assert "emps: no records of that name; there are toy" in capsys.readouterr().err
    keep_record(boards, "old", 0.1, evaluator="1")
    assert main(["leaderboard", "--leaderboards", str(boards)]) == 1
    message = capsys.readouterr().err
    assert "old-quick-seed0-test.json: made by evaluator version 1" in message
    assert "nanoseg-bench score" in message


def test_a_check_of_one_set_leaves_the_tables_of_others_alone(boards, capsys):
    places = ["--leaderboards", str(boards)]
    assert main(["leaderboard", *places]) == 0
    (boards / "other-test.csv").write_text("model\n", encoding="utf-8")
    assert main(["leaderboard", "toy", "--check", *places]) == 0
    assert main(["leaderboard", "--check", *places]) == 1
    assert "other-test.csv: no record gives this table" in capsys.readouterr().err


def test_tables_of_several_sets_in_markdown_stand_below_their_names(boards, capsys):
    keep_record(boards, "otsu", 0.2, set_name="other")
    assert main(["leaderboard", "--leaderboards", str(boards), "--markdown"]) == 0
    other, toy = capsys.readouterr().out.split("\n\n**toy**\n\n")
    assert other.startswith("**other**\n\n| rank | model |") and "| OTSU |" in other
    assert toy.startswith("| rank | model |") and "| OTSU |" not in toy
