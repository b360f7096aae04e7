import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.metrics.matching import image_overlap
from nanoseg_bench.metrics.unranked import unranked_average_precision


def literal(iou):
    """Precision and recall threshold by threshold in hundredths, then the area by trapezoids."""
    points = []
    for hundredths in range(0, 100, 5):
        hits = [
            [bool(iou[row, column] > hundredths / 100) for column in range(iou.shape[1])] for row in range(len(iou))
        ]
        per_particle = [sum(row[column] for row in hits) for column in range(iou.shape[1])]
        tp = sum(count > 0 for count in per_particle)
        fp = sum(count - 1 for count in per_particle if count > 1) + sum(not any(row) for row in hits)
        points.append((tp / (tp + fp) if tp + fp else 0.0, tp / iou.shape[1]))
    precisions, recalls = [precision for precision, _ in points], [recall for _, recall in points]
    envelope = [max(precisions[: index + 1]) for index in range(20)]
    if len(set(recalls)) == 1 and len(set(envelope)) == 1:
        area = envelope[0]
    else:
        area = sum(
            (recalls[index] - recalls[index + 1]) * (envelope[index] + envelope[index + 1]) / 2 for index in range(19)
        )
    return area, precisions[10], precisions[15]


def test_agrees_with_literal_loops(scene, overlap):
    rng = np.random.default_rng(0)
    overlaps = [overlap(scene(rng, regions=False)).keep(0.2) for _ in range(8)]
    expected = np.mean([literal(one.iou) for one in overlaps], axis=0)
    result = unranked_average_precision(overlaps)
    assert (result.ap, result.precision_50, result.precision_75) == pytest.approx(tuple(expected))
    assert 0 < result.precision_75 < result.precision_50 < 1


def test_perfect_half_and_nothing(disc):
    truth = [Instance("a", disc(30, 30, 10)), Instance("a", disc(80, 60, 10))]
    perfect = [Instance("a", one.region, 0.9) for one in truth]
    assert unranked_average_precision([image_overlap(perfect, truth, 120, 90)]).ap == 1
    invented = [*perfect, Instance("a", disc(100, 15, 6), 0.9), Instance("a", disc(20, 75, 6), 0.9)]
    assert unranked_average_precision([image_overlap(invented, truth, 120, 90)]).ap == pytest.approx(0.5)
    assert unranked_average_precision([image_overlap([], truth, 120, 90)]).ap == 0
    assert unranked_average_precision([image_overlap(perfect, [], 120, 90)]) is None


def test_why_it_is_no_ranking_metric(disc):
    """The confidences play no part, and more precise outlines can lower it."""
    truth = [Instance("a", disc(20 + 25 * k, 40, 10)) for k in range(4)]
    missing_one = truth[:3]

    def value(shift, scores):
        predicted = [
            Instance("a", disc(20 + 25 * k + shift, 40, 10), score)
            for k, (_, score) in enumerate(zip(missing_one, scores, strict=True))
        ]
        overlap = image_overlap([*predicted, Instance("a", disc(99, 44, 10), scores[0])], truth, 120, 90)
        return unranked_average_precision([overlap]).ap

    assert value(4, (0.9, 0.8, 0.7)) == value(4, (0.1, 0.2, 0.9))
    assert value(4, (0.9, 0.8, 0.7)) > value(0, (0.9, 0.8, 0.7))
