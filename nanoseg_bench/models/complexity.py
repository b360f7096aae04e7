"""Size and cost of a network."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nanoseg_bench.models.base import Complexity


def measure_complexity(network: nn.Module, canvas: int) -> Complexity:
    """Parameters, and GFLOPs of one (3, canvas, canvas) image as torch's flop counter sees them."""
    network.eval()
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network(torch.zeros(1, 3, canvas, canvas))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Complexity(parameters, counter.get_total_flops() / 1e9)
