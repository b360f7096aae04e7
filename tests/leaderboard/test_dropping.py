import shlex

import pandas as pd
import pytest

from nanoseg_bench.cli import main


@pytest.fixture
def boards(tmp_path, keep_records, make_record):
    failed = {"status": "failed", "reason": "no threshold", "scores": {}, "training": None}
    keep_records(
        tmp_path,
        make_record("yolo11n", 0.6),
        make_record("unet", 0.4),
        make_record("otsu", **failed),
        make_record("otsu", eval_set="ood", **failed),
        make_record("otsu", seed=1, **failed),
    )
    return tmp_path


def leaderboard(boards, *more):
    return main(["leaderboard", "toy", "--leaderboards", str(boards), *more])


def rows(boards):
    table = pd.read_csv(boards / "toy-test.csv")
    return sorted(f"{model}-seed{seed}" for model, seed in zip(table["model"], table["seed"], strict=True))


def records(boards):
    return sorted(path.name for path in (boards / "records" / "toy").iterdir())


def test_a_failed_run_goes_with_all_its_records_and_rows(boards, capsys):
    assert leaderboard(boards) == 0
    shown = capsys.readouterr().out
    _, found, way = shown.partition("otsu-quick-seed0: failed; without its row: nanoseg-bench ")
    assert found and "unet-quick-seed0: " not in shown
    assert (boards / "toy-ood.csv").is_file()
    assert main(shlex.split(way.splitlines()[0])) == 0
    shown = capsys.readouterr().out
    assert "otsu-quick-seed0-test.json" in shown and "otsu-quick-seed0-ood.json" in shown
    assert rows(boards) == ["otsu-seed1", "unet-seed0", "yolo11n-seed0"]
    assert not (boards / "toy-ood.csv").exists(), "it had no other row"
    assert leaderboard(boards, "--check") == 0


def test_several_at_once_by_space_or_comma(boards):
    assert leaderboard(boards, "--drop", "otsu-quick-seed0,otsu-quick-seed1") == 0
    assert rows(boards) == ["unet-seed0", "yolo11n-seed0"]


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (["unet-quick-seed0"], "unet-quick-seed0-test.json ended well"),
        (["otsu-quick-seed0", "unet-quick-seed0"], "give --force"),
        (["otsu-qick-seed0"], "did you mean otsu-quick-seed0?"),
        (["zzz"], "there are otsu-quick-seed0, otsu-quick-seed1, unet-quick-seed0, yolo11n-quick-seed0"),
    ],
)
def test_what_is_refused_leaves_every_record(boards, named, told, capsys):
    before = records(boards)
    assert leaderboard(boards, "--drop", *named) == 2
    assert told in capsys.readouterr().err
    assert records(boards) == before


def test_force_drops_a_good_run_and_one_that_cannot_be_read(boards, capsys):
    (boards / "records" / "toy" / "old-quick-seed0-test.json").write_text("{}")
    assert leaderboard(boards, "--drop", "old-quick-seed0") == 2
    assert "old-quick-seed0-test.json cannot be read" in capsys.readouterr().err
    assert leaderboard(boards, "--drop", "unet-quick-seed0", "old-quick-seed0", "--force") == 0
    assert rows(boards) == ["otsu-seed0", "otsu-seed1", "yolo11n-seed0"]


def test_the_last_run_takes_the_tables_with_it(tmp_path, keep_records, make_record, capsys):
    keep_records(tmp_path, make_record("otsu", status="oom", reason="big", scores={}, training=None))
    assert leaderboard(tmp_path) == 0
    assert leaderboard(tmp_path, "--drop", "otsu-quick-seed0") == 0
    assert "no record is left" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["records"]
    assert list((tmp_path / "records").iterdir()) == []


def test_force_and_several_sets_are_told(boards, keep_records, make_record, capsys):
    assert leaderboard(boards, "--force") == 2
    keep_records(boards, make_record("unet", 0.4, set_name="other"))
    assert main(["leaderboard", "--leaderboards", str(boards), "--drop", "otsu-quick-seed0"]) == 2
    assert "--drop: name the set that is meant, one of other, toy" in capsys.readouterr().err
