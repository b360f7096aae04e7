import numpy as np
import pytest

from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.columns import COLUMNS
from nanoseg_bench.leaderboard.seed_table import seed_rows

METRIC = "map_50_95"


def seeds_of(make_record, model, scores, images, **changes):
    """Records whose resampled scores move together: by the images alone."""
    return [
        make_record(model, score, seed=seed, resampled={METRIC: tuple((score + images).tolist())}, **changes)
        for seed, score in enumerate(scores)
    ]


def test_both_sources_of_variance_are_told_apart(make_record):
    images = np.random.default_rng(0).normal(0, 0.02, 500)
    (row,) = seed_rows(seeds_of(make_record, "a", (0.5, 0.6, 0.7), images))
    assert (row["eval_set"], row["model"], row["metric"], row["seeds"]) == ("test", "a", METRIC, 3)
    assert row["mean"] == pytest.approx(0.6)
    assert row["spread"] == row["sd_seed"] == pytest.approx(0.1)
    assert row["sd_sampling"] == pytest.approx(images.std(ddof=1))
    assert row["standard_error"] == pytest.approx(np.sqrt(0.1**2 / 3 + images.var(ddof=1)))
    assert (row["sampling_lo"], row["sampling_hi"]) == pytest.approx(tuple(0.6 + np.percentile(images, [2.5, 97.5])))


def test_seeds_of_two_machines_are_seeds_of_one_model(make_record):
    images = np.random.default_rng(0).normal(0, 0.02, 50)
    first, second = seeds_of(make_record, "a", (0.5, 0.6), images)
    (row,) = seed_rows([first, second.model_copy(update={"device": "GPU"})])
    assert (row["seeds"], row["device"]) == (2, "CPU, GPU")


def test_only_what_was_repeated_has_a_row(make_record):
    images = np.random.default_rng(0).normal(0, 0.02, 50)
    twice = seeds_of(make_record, "a", (0.5, 0.6), images)
    once = seeds_of(make_record, "b", (0.5,), images)
    other = seeds_of(make_record, "a", (0.5,), images, preset="paper")
    failed = seeds_of(make_record, "c", (0.5, 0.6), images, status="failed")
    outside = seeds_of(make_record, "d", (0.5, 0.6), images, external=True)
    tables = build_tables([*twice, *once, *other, *failed, *outside])
    assert tuple(tables["seeds"].columns) == COLUMNS["seeds"]
    assert tables["seeds"][["model", "preset", "seeds"]].to_numpy().tolist() == [["a", "quick", 2]]
    assert "seeds" not in build_tables([*once, *other, *failed])


def test_a_seed_without_resamples_leaves_the_metric_out(make_record):
    images = np.random.default_rng(0).normal(0, 0.02, 50)
    assert seed_rows([*seeds_of(make_record, "a", (0.5,), images), make_record("a", 0.6, seed=1)]) == []
