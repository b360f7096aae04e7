import re
from dataclasses import replace

from nanoseg_bench.evaluation.cross_validation import RULE as CROSS_VALIDATION_RULE
from nanoseg_bench.evaluation.cross_validation import FoldAnswer, evaluate_folds
from nanoseg_bench.evaluation.operating_point import FLAT, RULE
from nanoseg_bench.evaluation.result import OperatingPointChoice
from nanoseg_bench.evaluation.robustness import corrupted_hash, evaluate_robustness
from nanoseg_bench.evaluation.scoring import evaluate, evaluate_ood
from nanoseg_bench.evaluation.size_scores import LEAST_RECALL
from nanoseg_bench.evaluation.strata import answers_to
from nanoseg_bench.leaderboard.build import TABLES
from nanoseg_bench.leaderboard.columns import COLUMNS, WHOLE_NUMBERS
from nanoseg_bench.leaderboard.ranks import PRIMARY
from nanoseg_bench.metrics.average_precision import SIZE_STRATA
from nanoseg_bench.metrics.boundary import DISTANCE_SHARE
from nanoseg_bench.metrics.ranking import RANK_RULE
from nanoseg_bench.metrics.size_distribution import BORDER_RULE
from nanoseg_bench.metrics.size_pairs import LEAST_PAIRS
from nanoseg_bench.resources import resource_dir

NOT_FROM_SCORES = {
    "rank",
    "rank_lo",
    "rank_hi",
    "model",
    "title",
    "preset",
    "seed",
    "started_from",
    "initial_weights",
    "external",
    "status",
    "reason",
    "reference",
    "difference",
    "difference_lo",
    "difference_hi",
    "difference_map_50",
    "difference_map_50_lo",
    "difference_map_50_hi",
    "confidence_source",
    "confidence_reason",
    "confidence_lo",
    "confidence_hi",
    "confidence_flat_lo",
    "confidence_flat_hi",
    "parameters",
    "gflops",
    "ranked_at_images",
    "training_seconds",
    "training_core_seconds",
    "training_precision",
    "training_epochs",
    "training_images_seen",
    "training_resumes",
    "truth_begun_by",
    "shortcomings",
    "folds",
    "device",
    "dataset",
    "set_name",
    "set_hash",
    "images",
    "evaluator",
    "package_version",
    "commit",
    "predictions_sha256",
    "finished",
}


def test_every_score_of_the_test_set_has_a_column_and_every_column_a_score(small_test):
    evaluation = evaluate(*small_test, 0.5, resamples=5)
    over_folds = {name for name in COLUMNS["test"] if "_fold_" in name}
    assert set(evaluation.scores) == set(COLUMNS["test"]) - NOT_FROM_SCORES - over_folds
    assert {f"{metric}_lo" for metric in evaluation.resampled} <= set(COLUMNS["test"])
    for scores in evaluation.details.modalities.values():
        assert set(COLUMNS["modality"]) - {"modality", *NOT_FROM_SCORES - {"images"}} <= set(scores)
    for result in evaluation.details.classes.values():
        given = set(result.model_dump()) - {"precision_at_recall"}
        assert given == set(COLUMNS["classes"]) - {"class", *NOT_FROM_SCORES}


def test_every_score_of_a_cross_validation_has_a_column_and_every_column_a_score(small_test):
    eval_set, predictions = small_test
    answers = [
        FoldAnswer(fold, answers_to(predictions, [name]), OperatingPointChoice(confidence=0.5))
        for fold, name in enumerate(eval_set.images, start=1)
    ]
    evaluation, _ = evaluate_folds(eval_set, answers, resamples=5)
    assert set(evaluation.scores) == set(COLUMNS["test"]) - NOT_FROM_SCORES
    assert {f"{metric}_lo" for metric in evaluation.resampled} <= set(COLUMNS["test"])


def test_every_score_of_new_shapes_has_a_column(small_test):
    eval_set, predictions = (
        replace(each, **name) for each, name in zip(small_test, ({"name": "ood"}, {"eval_set": "ood"}), strict=True)
    )
    evaluation = evaluate_ood(eval_set, predictions, 0.5, resamples=5)
    assert set(evaluation.scores) == set(COLUMNS["ood"]) - NOT_FROM_SCORES


def test_every_score_under_corruption_has_a_column(small_test):
    clean, predictions = small_test

    def predictions_for(condition):
        return replace(predictions, eval_set=condition.name, set_hash=corrupted_hash(clean, condition))

    scores = evaluate_robustness(clean, predictions, predictions_for, 0.5).scores
    assert set(scores) == set(COLUMNS["robustness"]) - NOT_FROM_SCORES


def test_no_column_stands_twice_and_each_table_has_what_ranks_it():
    for name, columns in COLUMNS.items():
        assert len(set(columns)) == len(columns), name
    for eval_set, metric in PRIMARY.items():
        assert metric in COLUMNS[eval_set]
    assert {column for columns in COLUMNS.values() for column in columns} >= WHOLE_NUMBERS


def readme():
    return (resource_dir("baselines").parent / "leaderboards" / "README.md").read_text(encoding="utf-8")


def test_the_readme_explains_every_column_and_no_other():
    explained = []
    for line in readme().split("\n## ", 1)[1].splitlines():
        if line.startswith("| `"):
            explained += re.findall(r"`([^`]+)`", line.split("|")[1])
    assert len(set(explained)) == len(explained)
    assert set(explained) == {column for columns in COLUMNS.values() for column in columns}


def test_the_readme_prints_the_rules():
    text = " ".join(readme().split())
    assert RANK_RULE in text
    assert BORDER_RULE in text
    assert RULE.removeprefix("The operating point") in text
    assert CROSS_VALIDATION_RULE in text
    assert f"empty below a recall of {LEAST_RECALL:g}" in text
    assert f"fewer than {LEAST_PAIRS} pairs" in text
    assert f"within {FLAT:g} of the best" in text
    assert f"outlines {100 * DISTANCE_SHARE:g} % of the image's diagonal" in text
    small, medium, large = SIZE_STRATA.values()
    assert f"up to {small.most:g} px, {medium.least:g} to {medium.most:g} px, and from {large.least:g} px" in text
    assert all(f"`<set>-{table}.csv`" in text for table in TABLES)
