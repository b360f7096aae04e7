import pytest
from torch import nn

from nanoseg_bench.models.complexity import measure_complexity


def test_complexity_of_a_known_network():
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.Conv2d(5, 2, 1))
    complexity = measure_complexity(network, 32)
    assert complexity.parameters == 5 * 27 + 10 + 2
    assert complexity.gflops == pytest.approx(2 * 32 * 32 * (5 * 27 + 10) / 1e9)
