import numpy as np
import pytest

from nanoseg_bench.leaderboard.build import build_tables
from nanoseg_bench.leaderboard.entries import csv_rows, row_groups
from nanoseg_bench.leaderboard.ranks import (
    PRIMARY,
    Ranking,
    comparison_groups,
    rank_rows,
    ranked_metric,
    resampled,
)
from nanoseg_bench.runs.facts import Training

METRIC = "map_50_95"


@pytest.fixture
def contestant(make_record):
    """A record with resampled scores around its score: the part all models share, and its own."""
    shared = np.random.default_rng(0).normal(0, 0.05, 400)

    def build(model, score, *, own=0.001, seed=0, **changes):
        noise = np.random.default_rng([seed, *model.encode()]).normal(0, own, 400)
        values = tuple(float(each) for each in (score or 0) + shared + noise)
        return make_record(model, score, seed=seed, resampled={METRIC: values}, **changes)

    return build


def test_ranks_that_the_data_leave_open(contestant):
    records = [contestant("a", 0.5), contestant("b", 0.7, own=0.02), contestant("c", 0.701, own=0.02)]
    found = rank_rows(records, METRIC, "a")
    assert [(one.rank, one.rank_lo, one.rank_hi) for one in found] == [(3, 3, 3), (2, 1, 2), (1, 1, 2)]


def test_differences_are_paired(contestant):
    records = [contestant("a", 0.5), contestant("b", 0.52)]
    reference, other = rank_rows(records, METRIC, "a")
    assert other.reference == "a"
    assert other.difference == pytest.approx(0.02)
    # Either score is uncertain by 0.1, their difference by a fiftieth of it.
    assert 0.015 < other.difference_lo < 0.02 < other.difference_hi < 0.025
    samples = np.subtract(records[1].resampled[METRIC], records[0].resampled[METRIC])
    assert (other.difference_lo, other.difference_hi) == pytest.approx(tuple(np.percentile(samples, [2.5, 97.5])))
    assert (reference.difference, reference.difference_lo, reference.difference_hi) == (0, 0, 0)


def test_seeds_count_as_their_mean(contestant):
    records = [contestant("a", 0.9, seed=0), contestant("a", 0.1, seed=1), contestant("b", 0.6)]
    first, second, other = rank_rows(records, METRIC, "a")
    assert first == second
    assert (first.rank, first.rank_lo, first.rank_hi) == (2, 2, 2)
    assert other.rank == 1
    assert other.difference == pytest.approx(0.1)


def test_equal_scores_share_a_rank(make_record):
    records = [make_record(model, score) for model, score in (("a", 0.5), ("b", 0.5), ("c", 0.4))]
    assert [one.rank for one in rank_rows(records, METRIC, "a")] == [1, 1, 3]


def test_without_resamples_there_is_a_rank_and_no_interval(contestant, make_record):
    found = rank_rows([contestant("a", 0.5), make_record("b", 0.6)], METRIC, "a")
    assert found[1] == Ranking(rank=1, reference="a", difference=pytest.approx(0.1))


def test_who_does_not_compete_has_no_standing(contestant, make_record):
    records = [
        contestant("a", 0.5),
        contestant("outside", 0.9, external=True),
        contestant("failed", 0.9, status="failed"),
        make_record("otsu", None, agnostic=0.9),
    ]
    own, *others = rank_rows(records, METRIC, "a")
    assert own.rank == own.rank_lo == own.rank_hi == 1
    assert others == [Ranking()] * 3


def test_the_reference_is_one_of_the_same_contest(contestant):
    other = "w.safetensors sha256:ab"
    records = [contestant("a", 0.5), contestant("b", 0.6, initial_weights=other), contestant("a", 0.4, preset="paper")]
    assert [one.reference for one in rank_rows(records, METRIC, "a")] == ["a", None, "a"]
    assert [one.difference for one in rank_rows(records, METRIC, "a")] == [0, None, 0]


def test_weights_that_learnt_alike_are_one_start(contestant):
    """Each model has a file of its own, and so has each seed of it."""
    learnt = "72,000 images of synthetic (0a1b2c3d) by cpu"
    started = [{"initial_weights": f"w.safetensors sha256:{digit}", "initial_training": learnt} for digit in "abc"]
    first, second = contestant("a", 0.5, **started[0]), contestant("a", 0.7, seed=1, **started[1])
    records = [first, second, contestant("b", 0.65, **started[2]), contestant("a", 0.9)]
    found = rank_rows(records, METRIC, "a")
    assert [(one.rank, one.rank_hi) for one in found] == [(2, 2), (2, 2), (1, 1), (1, 1)]
    assert found[2].difference == pytest.approx(0.05)


def test_a_change_of_machine_splits_no_seeds(contestant):
    """The device decides how long it takes, not how good it is."""
    records = [contestant("a", 0.9), contestant("a", 0.1, seed=1, device="CPU, 4 threads"), contestant("b", 0.6)]
    first, second, other = rank_rows(records, METRIC, "a")
    assert first == second and (first.rank, other.rank) == (2, 1)
    assert other.difference == pytest.approx(0.1)


def trained(images):
    return {"training": Training(epochs=1, images_seen=images, seconds=1, resumes=0)}


def test_who_saw_other_numbers_of_images_is_ranked_apart(contestant):
    """And a model without training stands with the most models."""
    records = [
        contestant("yolo11n", 0.6, **trained(72000)),
        contestant("nsyolo", 0.7, **trained(72000)),
        contestant("unet", 0.65, **trained(28800)),
        contestant("unet", 0.75, seed=1, **trained(28800)),
        contestant("mask-rcnn", 0.9, **trained(14400)),
        contestant("otsu", 0.65, **trained(0)),
        contestant("failed", None, status="failed", training=None),
        contestant("outside", 0.99, external=True, training=None),
    ]
    found = rank_rows(records, METRIC, "yolo11n")
    assert [one.rank for one in found] == [3, 1, 1, 1, 1, 2, None, None]
    assert [one.reference for one in found] == ["yolo11n", "yolo11n", None, None, None, "yolo11n", None, None]
    assert [key[-1] for key in comparison_groups(records)] == [72000, 72000, 28800, 28800, 14400, 72000, 72000, None]
    table = build_tables(records)["test"]
    assert list(table["model"]) == ["mask-rcnn", "unet", "unet", "nsyolo", "otsu", "yolo11n", "outside", "failed"]
    assert list(table["ranked_at_images"])[:7] == [14400, 28800, 28800, 72000, 72000, 72000, None]


def test_who_was_judged_on_other_images_is_ranked_apart(make_record):
    """``--robustness 20`` for one model and 40 for the next: draws of other source groups are no pairs."""
    metric = PRIMARY["robustness"]

    def record(model, score, images):
        scores, samples = {metric: score}, {metric: (score, score + 0.01, score - 0.01)}
        return make_record(model, eval_set="robustness", images=images, scores=scores, resampled=samples)

    records = [record("yolo11n", 0.5, 20), record("nsyolo", 0.6, 20), record("unet", 0.7, 40)]
    found = rank_rows(records, metric, "yolo11n")
    assert [(one.rank, one.rank_hi) for one in found] == [(2, 2), (1, 1), (1, 1)]
    assert [one.reference for one in found] == ["yolo11n", "yolo11n", None]
    rows = csv_rows(build_tables([*records, make_record("yolo11n", 0.5)])["robustness"])
    assert [name for name, _ in row_groups(rows)] == ["40 test images", "20 test images"]
    assert [row["model"] for row in rows] == ["unet", "nsyolo", "yolo11n"]


def test_a_model_without_training_is_grouped_in_each_eval_set_by_itself(contestant):
    """The table of differences takes the records of all of them at once."""
    test = [contestant(model, 0.5, **trained(10)) for model in ("a", "b")]
    test += [contestant("c", 0.5, **trained(20)), contestant("otsu", 0.5, **trained(0))]
    ood = [each.model_copy(update={"eval_set": "ood"}) for each in test[2:]]
    assert [key[-1] for key in comparison_groups([*test, *ood])] == [10, 10, 20, 10, 20, 20]


def test_of_equal_groups_a_model_without_training_joins_that_of_the_most_images(contestant):
    records = [contestant("a", 0.6, **trained(10)), contestant("b", 0.7, **trained(20)), contestant("c", 0.1)]
    records[2] = records[2].model_copy(update={"training": None})
    assert [key[-1] for key in comparison_groups(records)] == [10, 20, 20]
    assert [key[-1] for key in comparison_groups(records[2:])] == [None]


def test_what_whole_batches_round_splits_nothing(contestant):
    """Of a budget of 1,000 images, batches of 16 see 1,008 and batches of 4 all of them."""
    budget = {"recipe": {"images_seen": 1000}}
    records = [contestant("a", 0.6, **trained(1008), **budget), contestant("b", 0.7, **trained(1000), **budget)]
    assert [one.rank for one in rank_rows(records, METRIC, "a")] == [2, 1]
    by_epochs = {"recipe": {"images_seen": None, "epochs": 3}}
    records[0] = contestant("a", 0.6, **trained(1008), **by_epochs)
    assert [one.rank for one in rank_rows(records, METRIC, "a")] == [1, 1]


@pytest.mark.parametrize(
    ("metric", "at_50", "classes"), [(METRIC, "map_50", ("p", "q")), (f"{METRIC}_agnostic", "map_50_agnostic", ("p",))]
)
def test_ap50_has_its_own_paired_difference(make_record, metric, at_50, classes):
    rng = np.random.default_rng(5)
    shared = rng.normal(0, 0.05, 400)

    def record(model, score, score_50, seed=0):
        samples = {name: score + shared + rng.normal(0, 0.01, 400) for name in (metric, at_50)}
        samples[at_50] = samples[at_50] + score_50 - score
        return make_record(
            model,
            scores={metric: score, at_50: score_50},
            resampled={name: tuple(values.tolist()) for name, values in samples.items()},
            classes=classes,
            seed=seed,
        )

    records = [record("a", 0.5, 0.8), record("b", 0.6, 0.85), record("b", 0.4, 0.65, seed=1)]
    found = rank_rows(records, metric, "a")[1]
    assert (found.difference, found.difference_map_50) == (pytest.approx(0), pytest.approx(-0.05))
    mean = (np.array(records[1].resampled[at_50]) + records[2].resampled[at_50]) / 2 - records[0].resampled[at_50]
    assert (found.difference_map_50_lo, found.difference_map_50_hi) == pytest.approx(
        tuple(np.percentile(mean, [2.5, 97.5]))
    )
    without = [each.model_copy(update={"scores": {metric: each.scores[metric]}}) for each in records]
    assert rank_rows(without, metric, "a")[1].difference_map_50 is None
    assert rank_rows(without, metric, "a")[1].difference_lo == found.difference_lo


def test_resamples_without_a_value_are_left_out(make_record):
    records = [make_record("a", 0.5, resampled={METRIC: (None, 0.4, 0.6)})]
    assert np.isnan(resampled(records, METRIC)).tolist() == [[True, False, False]]
    assert resampled([*records, make_record("a", 0.5, seed=1)], METRIC) is None


def test_with_one_class_all_models_compete_by_the_same_number(make_record):
    assert ranked_metric([make_record("a", 0.1)], "test") == "map_50_95"
    assert ranked_metric([make_record("a", 0.1, classes=("particle",))], "test") == "map_50_95_agnostic"
    assert ranked_metric([make_record("a", 0.1, classes=("particle",))], "ood") == "map_50_agnostic"
