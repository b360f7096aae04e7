from nanoseg_bench.runs.rescoring import differences


def test_lists_of_other_lengths_are_told_by_their_lengths():
    """A thousand numbers in a message are read by nobody."""
    recorded, rescored = {"f1": [0.1] * 20, "pq": [0.2, 0.3]}, {"f1": [0.1] * 1000, "pq": [0.2, 0.4]}
    assert list(differences("resampled", recorded, rescored)) == [
        "resampled.f1: recorded 20 values, rescored 1000",
        "resampled.pq[1]: recorded 0.3, rescored 0.4",
    ]
