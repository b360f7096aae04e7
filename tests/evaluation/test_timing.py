import pytest

from nanoseg_bench.evaluation.timing import Timing, timing_scores


def test_medians_of_what_was_measured():
    scores = timing_scores(Timing((30.0, 10.0, 20.0), (1.0, 2.0, 9.0), (8.0, 7.0, 10.0), (3.0, 1.0, 2.0), 0.5))
    assert scores == {
        "latency_ms_per_image": 20.0,
        "latency_pre_ms_per_image": 2.0,
        "latency_network_ms_per_image": 8.0,
        "latency_post_ms_per_image": 2.0,
        "latency_measurements": 3,
        "energy_j_per_image": 0.5,
    }


@pytest.mark.parametrize("timing", [None, Timing(())])
def test_what_was_not_measured_is_empty(timing):
    assert set(timing_scores(timing).values()) == {None}


def test_a_model_without_stages_has_a_total():
    scores = timing_scores(Timing((4.0,)))
    assert scores["latency_ms_per_image"] == 4.0
    assert scores["latency_network_ms_per_image"] is None
