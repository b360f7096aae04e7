import numpy as np
import pytest

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.operating_point import DEFAULT_CONFIDENCE, choose_operating_point
from nanoseg_bench.evaluation.predictions import compare
from nanoseg_bench.metrics.matching import match


def f1_at(eval_set, predictions, confidence):
    """F1 by one whole matching at this confidence."""
    hits = predicted = truth = 0
    for overlap in compare(eval_set, predictions):
        kept = overlap.keep(confidence)
        hits += match(kept.iou)[0].size
        predicted += len(kept.predicted)
        truth += len(kept.truth)
    return 2 * hits / (predicted + truth)


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_trying_every_score(make_eval_set, make_predictions, make_truth, noisy, seed):
    rng = np.random.default_rng(seed)
    truth = make_truth(rng)
    truth["image-0"].append(Instance(IGNORE_LABEL, truth["image-1"][0].region))
    eval_set = make_eval_set(truth, "val")
    predictions = make_predictions(eval_set, noisy(rng, truth))
    scores = sorted({one.score for instances in predictions.images.values() for one in instances}, reverse=True)
    values = [f1_at(eval_set, predictions, score) for score in scores]
    assert choose_confidence(eval_set, predictions) == scores[int(np.argmax(values))]
    assert max(values) > values[-1]  # the choice matters


def test_overlapping_truth_needs_augmenting_paths(make_eval_set, make_predictions, disc):
    """The better prediction could take either particle, the later one only the first."""
    truth = {"one": [Instance("cube", disc(60, 50, 20)), Instance("cube", disc(66, 50, 20))]}
    eval_set = make_eval_set(truth, "val")
    images = {"one": [Instance("cube", disc(62, 50, 20), 0.9), Instance("cube", disc(51, 50, 20), 0.6)]}
    predictions = make_predictions(eval_set, images)
    (overlap,) = compare(eval_set, predictions)
    assert (overlap.iou > 0.5).tolist() == [[True, True], [True, False]]
    assert choose_confidence(eval_set, predictions) == 0.6


def test_ties_go_to_the_higher_confidence(make_eval_set, make_predictions, disc):
    particles = [disc(20, 20, 9), disc(60, 20, 9), disc(100, 20, 9), disc(20, 70, 9)]
    eval_set = make_eval_set({"one": [Instance("cube", region) for region in particles]}, "val")
    images = {
        "one": [
            Instance("cube", particles[0], 0.9),
            Instance("cube", particles[1], 0.8),  # 2 of 4 found, 2 predictions: F1 = 4 / 6
            Instance("cube", disc(100, 70, 9), 0.7),
            Instance("cube", disc(60, 70, 9), 0.6),
            Instance("cube", disc(125, 85, 9), 0.5),
            Instance("cube", particles[2], 0.4),  # 3 of 4, 6 predictions: F1 = 6 / 10
            Instance("cube", particles[3], 0.3),  # 4 of 4, 7 predictions: F1 = 8 / 11
            Instance("cube", disc(60, 85, 4), 0.2),  # 4 of 4, 8 predictions: F1 = 8 / 12 = 4 / 6
        ]
    }
    assert choose_confidence(eval_set, make_predictions(eval_set, images)) == 0.3
    images["one"] = images["one"][:2] + images["one"][7:] + images["one"][2:7]
    without_last = {"one": [one for one in images["one"] if one.score not in {0.4, 0.3}]}
    without_last["one"] += [Instance("cube", particles[2], 0.1), Instance("cube", particles[3], 0.1)]
    predictions = make_predictions(eval_set, without_last)
    assert f1_at(eval_set, predictions, 0.8) == f1_at(eval_set, predictions, 0.1)
    assert choose_confidence(eval_set, predictions) == 0.8


def test_wrong_class_counts_as_found(make_eval_set, make_predictions, disc):
    eval_set = make_eval_set({"one": [Instance("cube", disc(60, 50, 20))]}, "val")
    predictions = make_predictions(eval_set, {"one": [Instance("sphere", disc(60, 50, 20), 0.37)]})
    assert choose_confidence(eval_set, predictions) == 0.37


def test_nothing_hit_falls_back(make_eval_set, make_predictions, disc):
    eval_set = make_eval_set({"one": [Instance("cube", disc(60, 50, 20))]}, "val")
    for found in ([], [Instance("cube", disc(20, 20, 5), 0.99)]):
        assert choose_confidence(eval_set, make_predictions(eval_set, {"one": found})) == FALLBACK_CONFIDENCE


def test_nothing_to_choose_from(make_eval_set, make_predictions, disc):
    eval_set = make_eval_set({"one": [Instance("cube", disc(60, 50, 20))]}, "val")
    assert choose_confidence(eval_set, None) is None
    without_truth = make_eval_set({"one": []}, "val")
    found = make_predictions(without_truth, {"one": [Instance("cube", disc(60, 50, 20), 0.9)]})
    assert choose_confidence(without_truth, found) is None


@pytest.mark.parametrize("name", ["test", "ood"])
def test_choosing_on_a_published_set_is_refused(make_eval_set, make_predictions, make_truth, perfect, name):
    eval_set = make_eval_set(make_truth(np.random.default_rng(0)), name)
    with pytest.raises(PredictionsError, match=f"chosen on 'val', not on '{name}'"):
        choose_confidence(eval_set, make_predictions(eval_set, perfect(eval_set.truth)))
