from dataclasses import replace

import numpy as np
import pytest

from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.cross_validation import (
    RESAMPLED_OVER_FOLDS,
    SPREAD_OVER_FOLDS,
    FoldAnswer,
    evaluate_beside_folds,
    evaluate_folds,
    median_point,
)
from nanoseg_bench.evaluation.resampling import draw
from nanoseg_bench.evaluation.result import OperatingPointChoice
from nanoseg_bench.evaluation.scoring import evaluate
from nanoseg_bench.evaluation.strata import answers_to, part_of
from nanoseg_bench.evaluation.timing import Timing

FOLDS = {1: ("image-0", "image-1", "image-4"), 2: ("image-2", "image-3"), 3: ("image-5", "image-6", "image-7")}
POINTS = {1: 0.3, 2: 0.5, 3: 0.6}
GROUPS = {f"image-{index}": f"group-{group}" for index, group in enumerate((0, 0, 1, 1, 2, 3, 4, 4))}


@pytest.fixture
def scene(make_truth, make_eval_set, make_predictions, noisy):
    """(eval set, predictions of all images) of eight images of five source groups, none in two folds."""
    rng = np.random.default_rng(4)
    truth = make_truth(rng)
    eval_set = make_eval_set(truth, groups=GROUPS)
    # No two scores alike: which of two equal ones comes first may depend on the order of the images.
    return eval_set, make_predictions(eval_set, noisy(rng, truth, decimals=9))


def answer(eval_set, predictions, fold, **changes):
    own = answers_to(predictions, FOLDS[fold])
    return FoldAnswer(fold, replace(own, set_hash=f"fold {fold}", **changes), point(POINTS[fold]))


def point(confidence, source="val"):
    return OperatingPointChoice(confidence=confidence, source=source, reason="why" if source == "default" else "")


def answers(eval_set, predictions):
    return [answer(eval_set, predictions, fold) for fold in FOLDS]


def by_itself(eval_set, predictions, fold):
    own = part_of(eval_set, FOLDS[fold])
    return evaluate(own, answers_to(predictions, FOLDS[fold]), POINTS[fold], resamples=0)


def test_means_over_folds_are_those_of_the_folds_by_themselves(scene):
    evaluation, results = evaluate_folds(*scene[:1], answers(*scene), resamples=0)
    alone = [by_itself(*scene, fold) for fold in FOLDS]
    for metric in ("map_50_95_agnostic", "map_50_agnostic"):
        expected = np.mean([each.scores[metric] for each in alone])
        assert evaluation.scores[f"{metric}_fold_mean"] == pytest.approx(expected, abs=1e-12)
    for metric in ("map_50_95", "map_50"):
        of_classes = [
            np.mean([getattr(each.details.classes[name], metric) for each in alone if name in each.details.classes])
            for name in scene[0].classes
        ]
        assert evaluation.scores[f"{metric}_fold_mean"] == pytest.approx(np.mean(of_classes), abs=1e-12)
    for metric in ("map_50_95", "map_50_95_agnostic"):
        spread = np.std([each.scores[metric] for each in alone], ddof=1)
        assert evaluation.scores[f"{metric}_fold_sd"] == pytest.approx(spread, abs=1e-12)
    for result, each in zip(results, alone, strict=True):
        assert result.scores == {name: each.scores[name] for name in result.scores}
        assert result.images == len(FOLDS[result.fold])
    assert [result.groups for result in results] == [2, 1, 2]


def test_counts_are_pooled_at_each_folds_own_operating_point(scene):
    evaluation, _ = evaluate_folds(*scene[:1], answers(*scene), resamples=0)
    alone = [by_itself(*scene, fold).scores for fold in FOLDS]
    predicted, truth = (sum(each[f"instances_{side}"] for each in alone) for side in ("predicted", "truth"))
    hits = round(sum(each["recall"] * each["instances_truth"] for each in alone))
    assert (evaluation.scores["instances_predicted"], evaluation.scores["instances_truth"]) == (predicted, truth)
    assert evaluation.scores["precision"] == pytest.approx(hits / predicted)
    assert evaluation.scores["recall"] == pytest.approx(hits / truth)
    assert evaluation.scores["f1"] == pytest.approx(2 * hits / (predicted + truth))
    assert evaluation.scores["confidence"] == 0.5
    assert [each.name for each in evaluation.details.images] == list(scene[0].images)


def test_a_network_whose_scores_are_smaller_costs_the_pooled_ap_only(scene):
    def scores_of(factor):
        eval_set, predictions = scene
        shrunk = {
            name: [replace(each, score=each.score * factor) for each in found]
            for name, found in predictions.images.items()
            if name in FOLDS[2]
        }
        parts = answers(*scene)
        parts[1] = FoldAnswer(2, replace(parts[1].predictions, images=shrunk), point(POINTS[2] * factor))
        return evaluate_folds(eval_set, parts, resamples=0)[0].scores

    same, other = scores_of(1.0), scores_of(1e-3)
    for column in (*RESAMPLED_OVER_FOLDS, *SPREAD_OVER_FOLDS, "precision", "recall", "f1"):
        assert other[column] == same[column]
    assert other["map_50_95_agnostic"] != same["map_50_95_agnostic"]


def test_a_resample_draws_the_groups_of_all_folds_once(scene):
    eval_set, predictions = scene
    evaluation, _ = evaluate_folds(eval_set, answers(*scene), resamples=20, seed=3)
    draws = draw(eval_set, 20, 3)
    means = []
    for row in draws.weights:
        times = {name: int(row[group]) for name, group in zip(eval_set.images, draws.groups, strict=True)}
        of_folds = []
        for images in FOLDS.values():
            drawn = [(f"{name} {copy}", name) for name in images for copy in range(times[name])]
            if not drawn:
                continue
            repeated = replace(
                eval_set,
                images=tuple(copy for copy, _ in drawn),
                **{
                    field: {copy: getattr(eval_set, field)[name] for copy, name in drawn}
                    for field in ("truth", "sizes", "source_groups", "nm_per_px")
                },
                attributes={},
            )
            found = {copy: predictions.images[name] for copy, name in drawn}
            said = replace(predictions, images=found, sizes={copy: predictions.sizes[name] for copy, name in drawn})
            of_folds.append(evaluate(repeated, said, None, resamples=0).scores["map_50_95_agnostic"])
        means.append(np.mean(of_folds))
    assert any(len(set(row)) > 1 for row in draws.weights)
    assert evaluation.resampled["map_50_95_agnostic_fold_mean"] == pytest.approx(means, abs=1e-6)
    plain = evaluate(
        eval_set,
        predictions,
        {name: POINTS[fold] for fold, images in FOLDS.items() for name in images},
        resamples=20,
        seed=3,
    )
    assert evaluation.resampled["f1"] == plain.resampled["f1"]
    assert evaluation.scores["map_50_95_fold_mean_lo"] <= evaluation.scores["map_50_95_fold_mean_hi"]


def test_a_model_without_classes_has_no_class_aware_mean(scene):
    eval_set, predictions = scene
    blind = replace(predictions, knows_classes=False)
    scores = evaluate_folds(eval_set, answers(eval_set, blind), resamples=5)[0].scores
    assert scores["map_50_95_fold_mean"] is None
    assert scores["map_50_95_fold_mean_lo"] is None
    assert scores["map_50_95_fold_sd"] is None
    assert scores["map_50_95_agnostic_fold_mean"] > 0


def test_what_was_not_trained_in_folds_has_the_same_means_beside_its_own_ap(scene):
    eval_set, predictions = scene
    beside = evaluate_beside_folds(eval_set, predictions, 0.4, list(FOLDS.values()), resamples=20, seed=3)
    plain = evaluate(eval_set, predictions, 0.4, resamples=20, seed=3)
    in_folds, _ = evaluate_folds(eval_set, answers(*scene), resamples=20, seed=3)
    means = {name for metric in RESAMPLED_OVER_FOLDS for name in (metric, f"{metric}_lo", f"{metric}_hi")}
    assert beside.scores == plain.scores | {name: in_folds.scores[name] for name in means}
    assert beside.resampled == plain.resampled | {name: in_folds.resampled[name] for name in RESAMPLED_OVER_FOLDS}
    assert evaluate_beside_folds(eval_set, predictions, None, list(FOLDS.values()), resamples=0).scores["f1"] is None


def test_an_image_of_no_fold_or_of_two_is_refused(scene):
    eval_set, predictions = scene
    parts = answers(*scene)
    with pytest.raises(PredictionsError, match=r"lack 2 image.*image-2, image-3"):
        evaluate_folds(eval_set, [parts[0], parts[2]])
    twice = FoldAnswer(2, answers_to(predictions, ("image-2", "image-3", "image-0")), point(0.5))
    with pytest.raises(PredictionsError, match="'image-0' is tested in fold 1 and in fold 2"):
        evaluate_folds(eval_set, [parts[0], twice, parts[2]])


def test_latency_is_the_median_of_all_folds_and_empty_where_one_lacks_it(scene):
    timings = {1: Timing((1.0, 2.0)), 2: Timing((3.0,)), 3: Timing((100.0, 200.0))}
    parts = [answer(*scene, fold, timing=timing) for fold, timing in timings.items()]
    scores = evaluate_folds(scene[0], parts, resamples=0)[0].scores
    assert (scores["latency_ms_per_image"], scores["latency_measurements"]) == (3.0, 5)
    parts[1] = answer(*scene, 2)
    assert evaluate_folds(scene[0], parts, resamples=0)[0].scores["latency_ms_per_image"] is None


def test_energy_is_the_mean_over_images_and_not_over_folds_of_different_size(scene):
    def energy(*joules):
        parts = [
            answer(*scene, fold, timing=Timing((1.0,), energy_j_per_image=each))
            for fold, each in zip(FOLDS, joules, strict=True)
        ]
        return evaluate_folds(scene[0], parts, resamples=0)[0].scores["energy_j_per_image"]

    assert energy(1.0, 5.0, 2.0) == pytest.approx((3 * 1.0 + 2 * 5.0 + 3 * 2.0) / 8)
    assert energy(1.0, None, 2.0) is None


def test_the_point_of_a_last_model_is_the_median_and_says_where_it_is_from():
    chosen = median_point([point(0.2), point(0.7), point(0.4)])
    assert (chosen.confidence, chosen.source, chosen.reason) == (0.4, "folds", "")
    mixed = median_point([point(0.25, "default"), point(0.7), point(0.4), point(0.25, "default")])
    assert (mixed.confidence, mixed.source) == (pytest.approx(0.325), "folds")
    assert mixed.reason == "the default in 2 of 4 folds, whose val cannot decide"
    none = median_point([point(0.25, "default")] * 3)
    assert (none.confidence, none.source, none.reason) == (0.25, "default", "in every fold (fold 1: why)")
