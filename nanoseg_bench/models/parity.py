"""How far an exported network is from the one in PyTorch that it was made of."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nanoseg_bench.models.onnx_engine import OnnxEngine
from nanoseg_bench.models.torch_model import STRIDE

MAX_BOX = 1e-4
MAX_SCORE = 1e-4
MIN_MASK_IOU = 0.999

_MASKS = 100  # anchors of an image whose masks are compared
_SEED = 0


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest differences between two runs of one network.

    Attributes:
        box: Of a box coordinate of any anchor, as a share of the input's longer side.
        score: Of a class score of any anchor.
        mask_iou: IoU of the masks of the best anchors, on the grid of the prototypes, an image's masks taken together.
    """

    box: float
    score: float
    mask_iou: float

    @property
    def passed(self) -> bool:
        """Whether both give the same particles."""
        return self.box <= MAX_BOX and self.score <= MAX_SCORE and self.mask_iou >= MIN_MASK_IOU

    def __str__(self) -> str:
        return (
            f"boxes differ by at most {self.box:.1e} of the side (allowed {MAX_BOX:g}), scores by {self.score:.1e} "
            f"({MAX_SCORE:g}), mask IoU at least {self.mask_iou:.5f} ({MIN_MASK_IOU:g})"
        )


def measure_parity(network: nn.Module, engine: OnnxEngine, batches: Iterable[NDArray[np.float32]]) -> Parity:
    """Run both on the same images and compare.

    Args:
        network: In evaluation mode, on any device.
        engine: Its exported form.
        batches: (N, 3, H, W) in [0, 1], of any sizes.
    """
    device = next(network.parameters()).device
    found = []
    for batch in batches:
        with torch.inference_mode():
            (expected, expected_prototypes), _ = network(torch.from_numpy(batch).to(device))
        detections, prototypes = engine.run_batch(batch)
        expected, expected_prototypes = expected.cpu().numpy(), expected_prototypes.cpu().numpy()
        masks = prototypes.shape[1]
        difference = np.abs(detections - expected)
        found.append(
            Parity(
                float(difference[:, :4].max()) / max(batch.shape[2:]),
                float(difference[:, 4:-masks].max()),
                min(
                    _mask_iou(*pair) for pair in zip(detections, prototypes, expected, expected_prototypes, strict=True)
                ),
            )
        )
    # numpy's extremes keep a NaN, which no limit lets pass.
    return Parity(
        float(np.max([each.box for each in found])),
        float(np.max([each.score for each in found])),
        float(np.min([each.mask_iou for each in found])),
    )


def example_batches(canvas: int) -> list[NDArray[np.float32]]:
    """Drawn micrographs: one of the network's own size, and two at once that are smaller and not square."""
    rng = np.random.default_rng(_SEED)
    smaller = max(canvas // 2 // STRIDE, 2) * STRIDE
    sizes = [(1, canvas, canvas), (2, smaller, smaller + STRIDE)]
    return [np.stack([_draw(rng, height, width) for _ in range(count)]) for count, height, width in sizes]


def _mask_iou(
    detections: NDArray[np.float32],
    prototypes: NDArray[np.float32],
    expected: NDArray[np.float32],
    expected_prototypes: NDArray[np.float32],
) -> float:
    masks = len(prototypes)
    best = np.argsort(-expected[4:-masks].max(axis=0), kind="stable")[:_MASKS]
    here = np.tensordot(detections[-masks:, best], prototypes, axes=(0, 0)) > 0
    there = np.tensordot(expected[-masks:, best], expected_prototypes, axes=(0, 0)) > 0
    union = int((here | there).sum())
    return int((here & there).sum()) / union if union else 1.0


def _draw(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Bright discs of all sizes on noise, (3, height, width) in [0, 1]."""
    rows, columns = np.mgrid[:height, :width]
    grey = rng.normal(0.3, 0.05, (height, width))
    for _ in range(20):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.02, 0.12) * min(height, width)
        grey[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] += 0.3
    return np.repeat(np.clip(grey, 0, 1)[None], 3, axis=0).astype(np.float32)
