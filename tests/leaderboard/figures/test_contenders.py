import numpy as np
import pytest

from nanoseg_bench.errors import RecordError, UsageError
from nanoseg_bench.leaderboard import comparability
from nanoseg_bench.leaderboard.figures.contenders import choose_contenders, left_out
from nanoseg_bench.runs.record import read_record


def test_the_order_is_the_leaderboards_and_seeds_belong_together(scored, contenders):
    scored("otsu", 3)
    scored("nsyolo", 1, seed=1)
    scored("nsyolo", 2, seed=0)
    scored("unet", 2)
    found = contenders()
    assert [each.model for each in found] == ["nsyolo", "unet", "otsu"]
    assert [run.seed for run in found[0].runs] == [0, 1]
    assert found[0].first.run_id == "nsyolo-quick-seed0"
    assert found[0].identity == ("nsyolo", "NSYOLO", "quick")


def test_failed_runs_are_left_out(scored, contenders, make_record, keep_records, tmp_path):
    scored("unet")
    keep_records(tmp_path, make_record("nsyolo", status="failed", reason="no memory"))
    assert [each.model for each in contenders()] == ["unet"]


def test_a_record_that_comes_meanwhile_is_for_the_next_look(scored, contenders, monkeypatch):
    scored("unet")

    def read_slowly(path):
        scored("nsyolo")
        return read_record(path)

    monkeypatch.setattr(comparability, "read_record", read_slowly)
    assert [each.model for each in contenders()] == ["unet"]


def test_labels_say_what_tells_contenders_apart(scored, contenders):
    scored("unet", 0)
    scored("unet", 1, preset="paper")
    scored("unet", 2, preset="paper", seed=3, initial_weights="start.safetensors sha256:0123")
    assert [each.label for each in contenders()] == [
        "UNET, quick, from scratch",
        "UNET, paper, from scratch",
        "UNET, paper, from start.safetensors",
    ]
    found = contenders()
    told = left_out(found, found[2:], "not scored")
    assert told == ("Without UNET, quick, from scratch; UNET, paper, from scratch: not scored.",)


def test_a_metric_is_the_mean_of_the_seeds_with_the_interval_of_that_mean(scored, contenders):
    first, second = scored("unet", 1, seed=0), scored("unet", 3, seed=1)
    (contender,) = contenders()
    measured = contender.measured("f1")
    values = [record.scores["f1"] for record in (first, second)]
    assert measured.seeds == tuple(values)
    assert measured.value == pytest.approx(np.mean(values))
    resampled = np.mean([first.resampled["f1"], second.resampled["f1"]], axis=0)
    assert measured.interval == pytest.approx(np.quantile(resampled, (0.025, 0.975)))
    assert contender.measured("no_such_metric") is None


def test_the_interval_of_one_seed_is_that_of_the_table(scored, contenders):
    record = scored("unet", 1)
    interval = contenders()[0].measured("map_50_95").interval
    assert interval == (record.scores["map_50_95_lo"], record.scores["map_50_95_hi"])


def test_choosing_by_model_and_preset(scored, contenders):
    scored("unet", 0)
    scored("otsu", 1, preset="paper")
    found = contenders()
    assert [each.model for each in choose_contenders(found, ["otsu"], None)] == ["otsu"]
    assert [each.model for each in choose_contenders(found, None, "quick")] == ["unet"]
    with pytest.raises(UsageError, match=r"--models unett: .*did you mean 'unet'"):
        choose_contenders(found, ["unett"], None)
    with pytest.raises(UsageError, match="--preset best: "):
        choose_contenders(found, None, "best")


def test_without_records_it_says_where_it_looked(contenders, tmp_path):
    with pytest.raises(RecordError, match="records"):
        contenders()
