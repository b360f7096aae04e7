import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.evaluation.result import Details, Evaluation
from nanoseg_bench.evaluation.scoring import evaluate

CONFIDENCE = 0.45


@pytest.fixture
def eval_set(make_eval_set, make_truth):
    truth = make_truth(np.random.default_rng(0))
    return make_eval_set(truth, nm_per_px={name: 0.5 if index < 3 else None for index, name in enumerate(truth)})


@pytest.fixture
def evaluation(eval_set, make_predictions, noisy):
    images = noisy(np.random.default_rng(1), eval_set.truth)
    images["image-5"] = []
    return evaluate(eval_set, make_predictions(eval_set, images), CONFIDENCE, resamples=10)


def test_confusion_adds_up_to_the_row(evaluation):
    confusion, scores = evaluation.details.confusion, evaluation.scores
    counts = np.array(confusion.counts)
    assert confusion.truth == confusion.predicted == ("cube", "sphere")
    assert counts.shape == (3, 3)
    assert counts[:2].sum() == scores["instances_truth"]
    assert counts[:, :2].sum() == scores["instances_predicted"]
    assert counts[:2, :2].sum() / scores["instances_truth"] == pytest.approx(scores["recall"])


def test_curves_go_through_the_operating_point(evaluation):
    curve, scores = evaluation.details.by_confidence, evaluation.scores
    for name in ("precision", "recall", "f1"):
        values = getattr(curve, name)
        assert len(values) == 101
        assert values[45] == pytest.approx(scores[name], abs=1e-5)


def test_the_mean_of_the_precision_is_ap50(evaluation):
    details, scores = evaluation.details, evaluation.scores
    assert len(details.precision_at_recall) == 101
    assert np.mean(details.precision_at_recall) == pytest.approx(scores["map_50_agnostic"], abs=1e-5)
    assert list(details.classes) == ["cube", "sphere"]
    for result in details.classes.values():
        assert np.mean(result.precision_at_recall) == pytest.approx(result.map_50, abs=1e-5)
    assert np.mean([result.map_50_95 for result in details.classes.values()]) == pytest.approx(scores["map_50_95"])
    assert sum(result.instances_truth for result in details.classes.values()) == scores["instances_truth"]


def test_reliability_gives_the_calibration_error(evaluation):
    bins, scores = evaluation.details.reliability, evaluation.scores
    assert len(bins.count) == len(bins.confidence) == len(bins.precision) == 10
    assert bins.count[:4] == (0, 0, 0, 0)
    assert bins.confidence[0] is None
    assert sum(bins.count) == scores["instances_predicted"]
    gaps = [
        count * abs(precision - confidence)
        for count, precision, confidence in zip(bins.count, bins.precision, bins.confidence, strict=True)
        if count
    ]
    assert sum(gaps) / sum(bins.count) == pytest.approx(scores["ece"], abs=1e-4)


def test_diameters_in_pixels_and_nanometres(evaluation):
    pixels, nanometres = evaluation.details.diameters
    assert (pixels.unit, nanometres.unit) == ("px", "nm")
    assert len(pixels.truth) == len(pixels.predicted) == 101
    assert 0 < nanometres.truth_count < pixels.truth_count <= 56
    median, reference = pixels.predicted[50], pixels.truth[50]
    assert median / reference - 1 == pytest.approx(evaluation.scores["diameter_median_error_relative"], abs=1e-4)
    error = nanometres.predicted[50] - nanometres.truth[50]
    assert error == pytest.approx(evaluation.scores["diameter_median_error_nm"], abs=1e-4)


def test_every_image_has_a_result(evaluation, eval_set):
    images = evaluation.details.images
    assert tuple(image.name for image in images) == eval_set.images
    assert sum(image.instances_truth for image in images) == evaluation.scores["instances_truth"]
    assert sum(image.instances_predicted for image in images) == evaluation.scores["instances_predicted"]
    unanswered = images[5]
    assert (unanswered.f1, unanswered.pq, unanswered.diameter_median_error_relative) == (0, 0, None)
    assert all(0 < image.f1 <= 1 for image in images if image is not unanswered)


def test_everything_survives_json(evaluation):
    assert Evaluation.model_validate_json(evaluation.model_dump_json()) == evaluation


def test_without_an_operating_point_only_curves_remain(eval_set, make_predictions, perfect):
    details = evaluate(eval_set, make_predictions(eval_set, perfect(eval_set.truth)), None, resamples=0).details
    assert details.classes["cube"].map_50_95 == 1
    assert details.precision_at_recall == (1.0,) * 101
    assert details.by_confidence.f1[90] == 1
    left = details.model_copy(update={"classes": {}, "precision_at_recall": (), "by_confidence": None})
    assert left == Details()


def test_an_empty_answer(eval_set, make_predictions):
    details = evaluate(eval_set, make_predictions(eval_set, {name: [] for name in eval_set.images}), 0.5).details
    assert details.precision_at_recall == (0.0,) * 101
    assert np.array(details.confusion.counts)[:2, 2].sum() == 56
    assert details.reliability.count == (0,) * 10
    assert details.by_confidence.precision == (None,) * 101
    assert details.by_confidence.recall == (0,) * 101
    assert [(each.predicted, each.predicted_count) for each in details.diameters] == [((), 0)] * 2
    assert {image.f1 for image in details.images} == {0}


def test_images_without_particles(make_eval_set, make_predictions, disc):
    eval_set = make_eval_set({"one": [], "two": []})
    images = {"one": [Instance("cube", disc(50, 50, 9), 0.9)], "two": []}
    details = evaluate(eval_set, make_predictions(eval_set, images), 0.5).details
    assert details.classes == {}
    assert details.precision_at_recall == ()
    assert details.confusion.counts == ((0, 0, 0), (0, 0, 0), (1, 0, 0))
    assert [(image.f1, image.pq) for image in details.images] == [(0, 0), (None, None)]
    assert details.diameters[0].truth == ()
    assert details.diameters[0].predicted_count == 1
