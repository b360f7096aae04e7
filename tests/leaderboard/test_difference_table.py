import numpy as np
import pytest
from scipy import stats

from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.columns import COLUMNS
from nanoseg_bench.leaderboard.difference_table import difference_rows

METRIC = "map_50_95"
IMAGES = np.random.default_rng(0).normal(0, 0.02, 500)
OTHER = np.random.default_rng(1).normal(0, 0.01, 500)


def seeds_of(make_record, model, scores, images=IMAGES, **changes):
    """One record for each score, whose resampled scores move with the images."""
    return [
        make_record(model, score, seed=seed, resampled={METRIC: tuple((score + images).tolist())}, **changes)
        for seed, score in enumerate(scores)
    ]


def test_what_the_same_images_do_to_both_models_cancels_out(make_record):
    rows = difference_rows(
        [*seeds_of(make_record, "yolo11n", (0.5, 0.6)), *seeds_of(make_record, "a", (0.6, 0.7))], "yolo11n"
    )
    (row,) = rows
    assert (row["compared"], row["model"], row["reference"], row["seeds"]) == ("model", "a", "yolo11n", 2)
    assert row["difference"] == pytest.approx(0.1)
    assert (row["difference_lo"], row["difference_hi"]) == pytest.approx((0.1, 0.1))
    assert (row["both_lo"], row["both_hi"]) == pytest.approx((0.1, 0.1))


def test_the_second_interval_is_students_where_only_the_seeds_differ(make_record):
    gains = np.array((0.02, 0.05, 0.08))
    records = [*seeds_of(make_record, "yolo11n", (0.5, 0.5, 0.5)), *seeds_of(make_record, "a", 0.5 + gains)]
    (row,) = difference_rows(records, "yolo11n")
    low, high = stats.t.interval(0.95, df=2, loc=gains.mean(), scale=stats.sem(gains))
    assert (row["both_lo"], row["both_hi"]) == pytest.approx((low, high))
    assert row["sd_seed"] == pytest.approx(gains.std(ddof=1))


def test_the_second_interval_is_the_normal_one_where_only_the_images_differ(make_record):
    records = [
        *seeds_of(make_record, "yolo11n", (0.5, 0.5)),
        *seeds_of(make_record, "a", (0.6, 0.6), IMAGES + OTHER),
    ]
    (row,) = difference_rows(records, "yolo11n")
    half = stats.norm.ppf(0.975) * OTHER.std(ddof=1)
    assert (row["both_lo"], row["both_hi"]) == pytest.approx((0.1 - half, 0.1 + half))
    assert (row["difference_lo"], row["difference_hi"]) == pytest.approx(0.1 + np.percentile(OTHER, [2.5, 97.5]))


def test_the_second_interval_covers_what_it_says(make_record):
    """Seeds and images drawn anew many times: the true difference lies inside 95 times of 100."""
    generator, inside, repeats = np.random.default_rng(2), 0, 400
    for _ in range(repeats):
        of_images, of_seeds = generator.normal(0, 0.02), generator.normal(0, 0.03, 4)
        resampling = generator.normal(0, 0.02, 300)
        gains = 0.1 + of_images + of_seeds
        ones = [
            make_record("a", 0.5 + gain, seed=seed, resampled={METRIC: tuple((0.5 + gain + resampling).tolist())})
            for seed, gain in enumerate(gains)
        ]
        others = seeds_of(make_record, "yolo11n", (0.5,) * 4, np.zeros(300))
        (row,) = difference_rows([*ones, *others], "yolo11n")
        inside += row["both_lo"] <= 0.1 <= row["both_hi"]
    # Binomial: 380 ± 4.4; four deviations.
    assert abs(inside - 0.95 * repeats) < 18


def test_only_seeds_that_both_have_are_compared(make_record):
    ones = seeds_of(make_record, "a", (0.7, 0.8, 0.9))
    others = seeds_of(make_record, "yolo11n", (0.5, 0.6))
    (row,) = difference_rows([*ones, *others], "yolo11n")
    assert row["seeds"] == 2 and row["difference"] == pytest.approx(0.2)
    assert difference_rows([*ones, *others[:1]], "yolo11n") == [], "one seed: the column difference says it"


def test_what_initial_weights_bring_is_told_from_one_seed_on(make_record):
    weights = "synthetic.safetensors sha256:ab"
    records = [
        *seeds_of(make_record, "a", (0.5,)),
        *seeds_of(make_record, "a", (0.6,), IMAGES + OTHER, initial_weights=weights),
        *seeds_of(make_record, "b", (0.9,), initial_weights=weights),
        *seeds_of(make_record, "a", (0.7,), initial_weights=weights, preset="paper"),
    ]
    (row,) = difference_rows(records, "yolo11n")
    assert (row["compared"], row["started_from"]) == ("initial_weights", weights)
    assert (row["reference"], row["reference_started_from"]) == ("a", "none")
    assert row["difference"] == pytest.approx(0.1)
    assert row["both_lo"] is None and row["difference_lo"] < 0.1 < row["difference_hi"]


def test_initial_weights_that_learnt_alike_are_seeds_of_one_start(make_record):
    learnt = "72,000 images of synthetic (0a1b2c3d) by cpu"
    started = [
        seeds_of(make_record, "a", (score,), initial_weights=name, initial_training=learnt)[0].model_copy(
            update={"seed": seed}
        )
        for seed, (score, name) in enumerate([(0.6, "w sha256:a"), (0.7, "w sha256:b")])
    ]
    (row,) = difference_rows([*seeds_of(make_record, "a", (0.5, 0.5)), *started], "yolo11n")
    assert (row["compared"], row["started_from"], row["seeds"]) == ("initial_weights", learnt, 2)
    assert row["difference"] == pytest.approx(0.15)


def test_trainings_that_saw_other_numbers_of_images_are_not_compared(make_record):
    more = {"images_seen": 100}
    records = [
        *seeds_of(make_record, "a", (0.5, 0.6), recipe=more),
        *seeds_of(make_record, "yolo11n", (0.5, 0.6)),
        *seeds_of(make_record, "a", (0.6,), initial_weights="x"),
    ]
    assert difference_rows(records, "yolo11n") == []


def test_failed_rows_and_those_from_outside_are_compared_with_nothing(make_record):
    reference = seeds_of(make_record, "yolo11n", (0.5, 0.6))
    failed = seeds_of(make_record, "a", (0.5, 0.6), status="failed")
    outside = seeds_of(make_record, "b", (0.5, 0.6), external=True)
    assert difference_rows([*reference, *failed, *outside], "yolo11n") == []


def test_the_table_is_there_only_where_something_is_compared(make_record):
    reference, one = seeds_of(make_record, "yolo11n", (0.5, 0.6)), seeds_of(make_record, "a", (0.6, 0.7))
    table = build_tables([*reference, *one])["differences"]
    assert tuple(table.columns) == COLUMNS["differences"] and table["model"].tolist() == ["a"]
    assert "differences" not in build_tables(reference)
