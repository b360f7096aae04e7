import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import mask_to_rle
from nanoseg_bench.evaluation.comparison import compare_with_truth
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.marks import COLUMNS, excuse_marks, marks_excused_scores
from nanoseg_bench.evaluation.predictions import Predictions
from nanoseg_bench.marks import Mark
from nanoseg_bench.metrics.matching import image_overlap

TEXT = Mark("text", 50, 80, 90, 95)


def square(left, top, side=10, score=None):
    mask = np.zeros((100, 100), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return Instance("cube", mask_to_rle(mask), score)


@pytest.fixture
def eval_set():
    truth = [square(10, 10), square(30, 10), square(60, 82)]
    return EvalSet(
        name="test",
        set_hash="0",
        classes=("cube",),
        images=("a",),
        truth={"a": truth},
        sizes={"a": (100, 100)},
        source_groups={"a": "a"},
        max_detections=100,
        marks={"a": (TEXT,)},
    )


def predictions(found):
    return Predictions("mine", "test", "0", True, ("cube",), {"a": found}, {"a": (100, 100)})


FOUND = [
    square(10, 10, score=0.9),  # a particle
    square(60, 82, score=0.8),  # a particle on the text: it was found
    square(75, 84, score=0.7),  # text
    square(45, 84, score=0.6),  # half on the text, which is not mostly
    square(10, 60, score=0.6),  # elsewhere
    square(52, 84, 8, score=0.3),  # text, below the operating point
]


def test_what_matches_no_particle_and_lies_mostly_on_a_mark_is_left_out(eval_set):
    overlap = image_overlap(FOUND, eval_set.truth["a"], 100, 100).keep(0.5)
    left = excuse_marks(overlap, [TEXT])
    assert len(overlap.predicted) == 5
    assert left.predicted == tuple(overlap.predicted[row] for row in (0, 1, 3, 4))
    assert left.scores.tolist() == [0.9, 0.8, 0.6, 0.6]
    assert left.iou.shape == (4, 3)
    assert excuse_marks(overlap, []) is overlap


def test_the_columns(eval_set):
    scores = marks_excused_scores(compare_with_truth(eval_set, predictions(FOUND), 0.5))
    assert tuple(scores) == COLUMNS
    # 4 detections are left, 2 of them right; 3 particles.
    assert scores["precision_marks_excused"] == pytest.approx(2 / 4)
    assert scores["f1_marks_excused"] == pytest.approx(2 * 2 / (4 + 3))
    assert scores["count_error_relative_marks_excused"] == pytest.approx(1 / 3)


def test_nothing_is_claimed_where_nobody_looked_for_marks(eval_set):
    from dataclasses import replace

    unknown = replace(eval_set, marks={})
    assert set(marks_excused_scores(compare_with_truth(unknown, predictions(FOUND), 0.5)).values()) == {None}
    assert set(marks_excused_scores(compare_with_truth(eval_set, predictions(FOUND), None)).values()) == {None}
