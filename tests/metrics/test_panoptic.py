import numpy as np
import pytest

from nanoseg_bench.metrics.matching import match
from nanoseg_bench.metrics.panoptic import detection_scores


def test_agrees_with_a_literal_count(scene, overlap):
    rng = np.random.default_rng(0)
    tp = fp = fn = 0
    total = 0.0
    matched = []
    for _ in range(8):
        one = overlap(scene(rng)).keep(0.2)
        rows, columns = match(one.iou)
        matched.extend(one.iou[rows, columns])
        found, hit = set(rows.tolist()), set(columns.tolist())
        for row in range(len(one.predicted)):
            fp += row not in found
        for column in range(len(one.truth)):
            fn += column not in hit
        for row, column in zip(rows, columns, strict=True):
            tp += 1
            total += one.iou[row, column]
    scores = detection_scores(np.array(matched), tp + fp, tp + fn)
    assert min(tp, fp, fn) > 0
    assert scores.precision == pytest.approx(tp / (tp + fp))
    assert scores.recall == pytest.approx(tp / (tp + fn))
    assert scores.f1 == pytest.approx(2 * scores.precision * scores.recall / (scores.precision + scores.recall))
    assert scores.iou_matched == pytest.approx(total / tp)
    assert scores.pq == pytest.approx(total / (tp + 0.5 * fp + 0.5 * fn))
    assert scores.pq == pytest.approx(scores.iou_matched * scores.f1)


def test_empty_sides():
    nothing = np.zeros(0)
    assert detection_scores(nothing, 0, 4) == detection_scores(nothing, 0, 9)
    missed = detection_scores(nothing, 0, 4)
    assert (missed.precision, missed.recall, missed.f1, missed.iou_matched, missed.pq) == (None, 0, 0, None, 0)
    invented = detection_scores(nothing, 4, 0)
    assert (invented.precision, invented.recall, invented.f1, invented.pq) == (0, None, 0, 0)
    assert detection_scores(nothing, 0, 0).f1 is None
