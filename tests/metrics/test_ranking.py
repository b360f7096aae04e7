import numpy as np

from nanoseg_bench.metrics.ranking import RankRange, rank_ranges


def samples(means, spreads, rng, shared=0.0):
    common = rng.normal(0, shared, 2000) if shared else 0
    return [rng.normal(mean, spread, 2000) + common for mean, spread in zip(means, spreads, strict=True)]


def test_models_far_apart_have_ranks_models_close_by_have_ranges():
    ranges = rank_ranges(samples([0.5, 0.9, 0.905, 0.1], [0.01] * 4, np.random.default_rng(0)))
    assert ranges == [(3, 3), (1, 2), (1, 2), (4, 4)]


def test_being_told_apart_is_not_transitive():
    # The middle one cannot be told from either neighbour, the neighbours can be told apart.
    ranges = rank_ranges(samples([0.56, 0.53, 0.5], [0.015] * 3, np.random.default_rng(1)))
    assert ranges == [(1, 2), (1, 3), (2, 3)]


def test_pairs_decide_not_intervals():
    # Each score is uncertain by far more than the difference, but in every resample the first one wins.
    ranges = rank_ranges(samples([0.52, 0.5], [0.001] * 2, np.random.default_rng(2), shared=0.1))
    assert ranges == [(1, 1), (2, 2)]


def test_equal_models_and_few_models():
    one = np.random.default_rng(3).random(50)
    assert rank_ranges([one, one.copy()]) == [(1, 2), (1, 2)]
    assert rank_ranges([one]) == [RankRange(1, 1)]
    assert rank_ranges([]) == []
    assert rank_ranges([one, np.full(50, np.nan)]) == [(1, 2), (1, 2)]


def test_two_models_that_are_equal_are_rarely_told_apart():
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(200):
        # The bootstrap distribution lies around an estimate that is itself off by as much.
        estimates = rng.normal(0, 1, 2)
        first, second = (rng.normal(estimate, 1, 500) for estimate in estimates)
        wrong += rank_ranges([first, second]) != [(1, 2), (1, 2)]
    assert 0.01 < wrong / 200 < 0.11
