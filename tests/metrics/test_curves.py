import numpy as np
import pytest

from nanoseg_bench.metrics.average_precision import average_precision, match_detections
from nanoseg_bench.metrics.curves import CONFIDENCES, confidence_curve, precision_at_recalls
from nanoseg_bench.metrics.matching import image_overlap, match
from nanoseg_bench.metrics.panoptic import detection_scores


def test_mean_of_the_curve_is_the_ap(scene, overlap):
    rng = np.random.default_rng(0)
    matches = match_detections([overlap(scene(rng)) for _ in range(5)], None, 1000)
    result = average_precision(matches)
    assert precision_at_recalls(matches[0]).mean() == pytest.approx(result.map_50, abs=1e-12)


def test_no_particle_no_curve_no_prediction_zero(scene):
    predicted, truth = scene(np.random.default_rng(0), regions=False)
    no_truth = match_detections([image_overlap(predicted, [], 120, 90)], None, 100)
    assert precision_at_recalls(no_truth[0]) is None
    silent = match_detections([image_overlap([], truth, 120, 90)], None, 100)
    assert precision_at_recalls(silent[0]).tolist() == [0.0] * 101


def test_confidence_curve_goes_through_every_operating_point(scene, overlap):
    rng = np.random.default_rng(1)
    overlaps = [overlap(scene(rng)) for _ in range(6)]
    curve = confidence_curve(overlaps)
    for index, confidence in enumerate(CONFIDENCES.tolist()):
        kept = [one.keep(confidence) for one in overlaps]
        matched = np.concatenate([one.iou[match(one.iou)] for one in kept])
        predicted, truth = sum(len(one.predicted) for one in kept), sum(len(one.truth) for one in kept)
        scores = detection_scores(matched, predicted, truth)
        assert curve.recall[index] == pytest.approx(scores.recall)
        assert curve.f1[index] == pytest.approx(scores.f1)
        if scores.precision is None:
            assert np.isnan(curve.precision[index])
        else:
            assert curve.precision[index] == pytest.approx(scores.precision)


def test_curve_of_nothing_is_not_defined():
    curve = confidence_curve([image_overlap([], [], 120, 90)])
    assert np.isnan([curve.precision, curve.recall, curve.f1]).all()
