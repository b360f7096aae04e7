import pytest
import torch

from nanoseg_bench.models import threads
from nanoseg_bench.models.threads import quickest_threads


class Work:
    """A step that takes as long as is said for the number of threads that torch is set to, and the clock beside it."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now, self.asked = seconds, 0.0, []

    def __call__(self) -> None:
        self.asked.append(torch.get_num_threads())
        self.now += self.seconds[torch.get_num_threads()]

    def perf_counter(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({1: 0.04, 3: 0.02, 6: 0.01}, 6),
        ({1: 0.04, 3: 0.02, 6: 0.018}, 3),  # not worth three more cores
        ({1: 0.01, 3: 0.05, 6: 0.1}, 1),  # another program keeps a core busy
    ],
)
def test_more_threads_are_taken_where_they_are_clearly_quicker(seconds, expected, monkeypatch):
    before, work = torch.get_num_threads(), Work(seconds)
    monkeypatch.setattr(threads, "time", work)
    assert quickest_threads(work, 6) == expected
    assert set(work.asked) == {1, 3, 6}
    assert torch.get_num_threads() == before


def test_threads_come_back_where_the_step_fails():
    before = torch.get_num_threads()

    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        quickest_threads(fail, 4)
    assert torch.get_num_threads() == before
