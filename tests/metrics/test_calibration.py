import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.metrics.calibration import BINS, calibration
from nanoseg_bench.metrics.matching import image_overlap, match


def test_agrees_with_literal_bins(scene, overlap):
    rng = np.random.default_rng(0)
    overlaps = [overlap(scene(rng)).keep(0.1) for _ in range(8)]
    detections = []
    for one in overlaps:
        hit = set(match(one.iou)[0].tolist())
        detections += [(score, row in hit) for row, score in enumerate(one.scores.tolist())]
    ece = 0.0
    counts = []
    for number in range(BINS):
        # Scores are rounded to hundredths: in whole numbers the bounds are exact.
        inside = [one for one in detections if 10 * number < round(100 * one[0]) <= 10 * (number + 1)]
        counts.append(len(inside))
        if inside:
            confidence, precision = np.mean(inside, axis=0)
            ece += len(inside) / len(detections) * abs(confidence - precision)
    result = calibration(overlaps)
    assert result.count.tolist() == counts
    assert result.ece == pytest.approx(ece)
    assert 0.05 < result.ece < 0.95
    share = result.count / result.count.sum()
    assert np.nansum(share * result.precision) == pytest.approx(np.mean([hit for _, hit in detections]))


def test_perfect_and_boastful_confidences(disc):
    truth = [Instance("a", disc(20 + 25 * k, 40, 8)) for k in range(4)]
    right = [Instance("a", one.region, 1.0) for one in truth]
    assert calibration([image_overlap(right, truth, 120, 90)]).ece == 0
    half_right = [Instance("a", disc(20 + 25 * k, 40 if k < 2 else 75, 8), 0.9) for k in range(4)]
    result = calibration([image_overlap(half_right, truth, 120, 90)])
    assert result.ece == pytest.approx(0.4)
    assert result.count[8] == 4
    assert np.isnan(result.precision[0])


def test_no_detection_no_calibration():
    assert calibration([image_overlap([], [], 9, 9)]).ece is None
    assert calibration([]).ece is None
