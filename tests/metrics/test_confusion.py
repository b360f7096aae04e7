import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.metrics.confusion import confusion_matrix
from nanoseg_bench.metrics.matching import image_overlap, match


def test_agrees_with_literal_counting(scene, overlap, classes):
    rng = np.random.default_rng(0)
    overlaps = [overlap(scene(rng)).keep(0.3) for _ in range(8)]
    expected = {}
    for one in overlaps:
        pairs = dict(zip(*(side.tolist() for side in match(one.iou)), strict=True))
        for row, label in enumerate(one.labels):
            truth = one.truth_labels[pairs[row]] if row in pairs else None
            expected[truth, label] = expected.get((truth, label), 0) + 1
        for column, label in enumerate(one.truth_labels):
            if column not in pairs.values():
                expected[label, None] = expected.get((label, None), 0) + 1
    matrix = confusion_matrix(overlaps, classes, classes)
    names = [*classes, None]
    assert matrix.tolist() == [[expected.get((row, column), 0) for column in names] for row in names]
    assert matrix[:-1].sum() == sum(len(one.truth) for one in overlaps)
    assert matrix[:, :-1].sum() == sum(len(one.predicted) for one in overlaps)
    assert matrix[-1, -1] == 0
    assert (matrix > 0).sum() > matrix.size - 4


def test_shapes_that_were_never_trained_have_rows_of_their_own(disc):
    truth = [Instance("triangle", disc(30, 30, 10)), Instance("pentagon", disc(80, 60, 10))]
    predicted = [Instance("cube", disc(30, 30, 10), 0.9), Instance("rod", disc(20, 70, 8), 0.8)]
    matrix = confusion_matrix([image_overlap(predicted, truth, 120, 90)], ("triangle", "pentagon"), ("cube", "rod"))
    assert matrix.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_empty_image_and_unknown_class(disc):
    assert np.array_equal(confusion_matrix([image_overlap([], [], 9, 9)], ("cube",), ("cube",)), np.zeros((2, 2)))
    one = image_overlap([Instance(None, disc(30, 30, 10), 0.9)], [Instance("cube", disc(30, 30, 10))], 120, 90)
    with pytest.raises(ValueError, match="prediction of class None"):
        confusion_matrix([one], ("cube",), ("cube",))
    with pytest.raises(ValueError, match="particle of class 'cube'"):
        confusion_matrix([one], ("rod",), ("cube",))
