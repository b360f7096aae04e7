import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.evaluation.scoring import evaluate_ood


@pytest.fixture
def ood(make_eval_set, disc):
    """Three triangles and two pentagons, by label or by the image's attribute, and a shape nobody noted."""
    truth = {
        "t": [Instance("triangle", disc(20 + 30 * index, 30, 10)) for index in range(3)],
        "p": [Instance("particle", disc(20, 30, 10)), Instance("particle", disc(60, 30, 10))],
        "s": [Instance("star", disc(60, 30, 10))],
    }
    return make_eval_set(truth, "ood", attributes={"p": {"ood_shape": "pentagon"}}, groups={n: n for n in truth})


@pytest.fixture
def answer(ood):
    (first, second, third), (fourth, _) = ood.truth["t"], ood.truth["p"]
    return {
        "t": [
            Instance("cube", first.region, 0.8),
            Instance("cube", second.region, 0.5),
            Instance("sphere", third.region, 0.1),
        ],
        "p": [Instance("sphere", fourth.region, 0.6)],
        "s": [],
    }


def test_what_the_model_calls_new_shapes(ood, make_predictions, answer):
    details = evaluate_ood(ood, make_predictions(ood, answer), 0.3).details
    assert details.confusion.truth == ("triangle", "pentagon", "star")
    assert details.confusion.predicted == ("cube", "sphere")
    assert details.confusion.counts == ((2, 0, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0))
    assert details.by_confidence.recall[50] == 0.5


@pytest.mark.parametrize("confidence, knows", [(None, True), (0.3, False)])
def test_no_names_no_confusion(ood, make_predictions, answer, confidence, knows):
    images = answer if knows else {n: [Instance(None, one.region, one.score) for one in a] for n, a in answer.items()}
    result = evaluate_ood(ood, make_predictions(ood, images, knows_classes=knows), confidence)
    assert result.details.confusion is None
    assert result.scores["detection_rate_triangle_50"] == pytest.approx(2 / 3)


def test_the_interval_is_over_source_groups(ood, make_predictions, answer):
    result = evaluate_ood(ood, make_predictions(ood, answer), 0.3, resamples=200)
    assert list(result.resampled) == ["map_50_agnostic"]
    lo, hi = np.percentile(result.resampled["map_50_agnostic"], [2.5, 97.5])
    assert (result.scores["map_50_agnostic_lo"], result.scores["map_50_agnostic_hi"]) == pytest.approx((lo, hi))
    assert lo < result.scores["map_50_agnostic"] < hi
    assert result == evaluate_ood(ood, make_predictions(ood, answer), 0.3, resamples=200)
