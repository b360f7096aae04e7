import pytest

from nanoseg_bench.evaluation.degradation import (
    mean_corrupted_performance,
    mean_performance,
    relative_degradation,
)


def test_severities_and_corruptions_weigh_the_same():
    assert mean_performance([0.8, 0.6, 0.4, 0.2, 0.0]) == pytest.approx(0.4)
    by_corruption = {"blur": [0.8, 0.4], "drift": [0.2, 0.2]}
    assert mean_corrupted_performance(by_corruption) == pytest.approx(0.4)


def test_a_missing_score_is_not_left_out_of_a_mean():
    assert mean_performance([0.8, None]) is None
    assert mean_performance([]) is None
    assert mean_corrupted_performance({"blur": [0.8, 0.4], "drift": [None, 0.2]}) is None
    assert mean_corrupted_performance({}) is None


@pytest.mark.parametrize(
    ("clean", "corrupted", "lost"),
    [
        (0.8, 0.8, 0.0),
        (0.8, 0.6, 0.25),
        (0.8, 0.0, 1.0),
        (0.5, 0.75, -0.5),
        (1.0, 0.5, 0.5),
        (0.0, 0.1, None),
        (None, 0.5, None),
        (0.5, None, None),
    ],
)
def test_relative_to_clean(clean, corrupted, lost):
    assert relative_degradation(clean, corrupted) == (None if lost is None else pytest.approx(lost))
