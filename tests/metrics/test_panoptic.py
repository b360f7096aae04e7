import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.metrics.matching import image_overlap, match
from nanoseg_bench.metrics.panoptic import detection_scores, panoptic_quality


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


def test_class_aware_quality_agrees_with_literal_loops(scene, overlap, classes):
    rng = np.random.default_rng(1)
    overlaps = [overlap(scene(rng, regions=False)).keep(0.2) for _ in range(6)]
    expected = {}
    for name in classes:
        total, tp, fp, fn = 0.0, 0, 0, 0
        for one in overlaps:
            rows = [row for row, label in enumerate(one.labels) if label == name]
            columns = [column for column, label in enumerate(one.truth_labels) if label == name]
            pairs = list(zip(*match(one.iou[rows][:, columns]), strict=True))
            total += sum(one.iou[rows[row], columns[column]] for row, column in pairs)
            tp, fp, fn = tp + len(pairs), fp + len(rows) - len(pairs), fn + len(columns) - len(pairs)
        expected[name] = (total / (tp + fp / 2 + fn / 2), total / tp, tp / (tp + fp / 2 + fn / 2))
    quality = panoptic_quality(overlaps, classes)
    assert quality.per_class == pytest.approx({name: values[0] for name, values in expected.items()})
    means = np.mean(list(expected.values()), axis=0)
    assert (quality.pq, quality.sq, quality.rq) == pytest.approx(tuple(means))


def test_class_that_occurs_nowhere_is_left_out(disc):
    truth = [Instance("cube", disc(30, 30, 10))]
    predicted = [Instance("cube", disc(30, 30, 10), 0.9), Instance("rod", disc(80, 60, 10), 0.9)]
    overlaps = [image_overlap(predicted, truth, 120, 90)]
    assert panoptic_quality(overlaps, ("cube", "sphere")).pq == 1
    both = panoptic_quality(overlaps, ("cube", "rod", "sphere"))
    assert both.per_class == {"cube": 1, "rod": 0}
    assert (both.pq, both.sq, both.rq) == (0.5, 0.5, 0.5)
    assert panoptic_quality(overlaps, ("sphere",)) is None
