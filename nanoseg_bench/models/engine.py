"""What runs a YOLO segmentation network: PyTorch, on any device."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nanoseg_bench.models.base import EngineName
from nanoseg_bench.models.data import to_planes
from nanoseg_bench.models.stopwatch import Stopwatch


class Engine(Protocol):
    """A network that is ready to run."""

    @property
    def name(self) -> EngineName:
        """Which library runs it."""

    def run(self, pixels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Run the network on one image.

        Args:
            pixels: (H, W) grey or (H, W, 3) RGB at network size; both sides are multiples of 32.

        Returns:
            (4 + C + M, A): centre x, centre y, width, height in network pixels, the scores of C classes and M mask
            coefficients of every anchor; and (M, H / s, W / s): the prototypes, s being the mask stride.
        """


class TorchEngine:
    """A network in PyTorch.

    Args:
        network: In evaluation mode, on ``device``.
        device: torch device name.
        stopwatch: Of the model that the network belongs to.
    """

    name: EngineName = "torch"

    def __init__(self, network: nn.Module, device: str, stopwatch: Stopwatch | None = None) -> None:
        self._network = network
        self._device = device
        self._stopwatch = stopwatch or Stopwatch()

    def run(self, pixels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Run the network on one image; see ``Engine.run``."""
        with torch.inference_mode():
            planes = as_input(to_planes(pixels)[None].to(self._device))
            with self._stopwatch.network():
                # Evaluation mode: ((boxes with scores and coefficients, prototypes), raw maps).
                (output, prototypes), _ = self._network(planes)
        return output[0], prototypes[0]


def as_input(pixels: Tensor) -> Tensor:
    """(N, 1 or 3, H, W) uint8 to (N, 3, H, W) float32 in [0, 1], in the layout in which convolutions run quicker."""
    return (pixels.float() / 255).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
