"""What a network saw, for the figures that explain it: confidence, masks, boundary attention, snakes and routes.

Forward hooks note what enters the paper's blocks; the blocks' own public methods then say what they made of it. The
network is left as it was, and its output is that of a plain forward. Networks without such blocks (YOLO11-seg itself)
are probed alike: they have no snakes and no routes.

Two grids occur. A *map* is a layer's output; its pixel i has its centre at i. The *input* is what the network is given;
there, coordinates are continuous and (0, 0) is the outer corner of the first pixel, whose centre lies at (0.5, 0.5).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .badsconv import BADSConv, DSConv
from .routing import BiLevelRoutingAttention
from .snake import Axis, snake_positions


@dataclass(frozen=True, eq=False, slots=True)
class SnakeProbe:
    """One BADSConv or DSConv at work on a batch of N images; its map is H×W.

    Attributes:
        layer: Name of the module in the network: ``network.get_submodule(layer)``.
        stride: Input pixels per map pixel along x and y.
        attention: Boundary attention A_b (Eq. 7), (N, 1, H, W), in [0, 1]; None for a DSConv, which has none.
        along_x: Where the branch along x samples (Eq. 1), (N, K, H, W, 2): x, y in map pixels of the K points of every
            pixel's snake, limited to the map as the sampling is.
        along_y: The same for the branch along y.
    """

    layer: str
    stride: tuple[float, float]
    attention: Tensor | None
    along_x: Tensor
    along_y: Tensor

    def to_input(self, positions: Tensor) -> Tensor:
        """(..., 2) x, y in map pixels to x, y in input pixels."""
        return (positions + 0.5) * positions.new_tensor(self.stride)


@dataclass(frozen=True, eq=False, slots=True)
class RoutingProbe:
    """One bi-level routing attention at work on a batch of N images.

    Attributes:
        layer: Name of the module in the network.
        regions: (S², 4) float32: x0, y0, x1, y1 of every region in input pixels, row by row. Where the map is no
            multiple of S regions, the last ones are smaller, or empty: of no width or height.
        routes: I^r (Eq. 18), (N, S², k) int64: the k regions that each region attends to, best first.
    """

    layer: str
    regions: Tensor
    routes: Tensor


@dataclass(frozen=True, eq=False, slots=True)
class NetworkProbe:
    """A network's output for N images of H×W pixels, and what its blocks did.

    Attributes:
        output: (N, 4 + classes + M, A): centre x, centre y, width and height in input pixels, class scores, and M mask
            coefficients of each of the A anchors.
        prototypes: (N, M, H / s, W / s) masks that the coefficients combine; s is the mask stride.
        confidence: (N, 1, H, W), in [0, 1]: the highest class score at each pixel, over the classes and the three
            strides. A score belongs to the centre of its cell; in between, it is interpolated bilinearly.
        snakes: One for each BADSConv or DSConv, in the order of the network's layers.
        routings: One for each bi-level routing attention, in that order.
    """

    output: Tensor
    prototypes: Tensor
    confidence: Tensor
    snakes: tuple[SnakeProbe, ...]
    routings: tuple[RoutingProbe, ...]


@dataclass(frozen=True, eq=False, slots=True)
class MaskMaps:
    """The masks of one image's particles, laid over each other; H×W is the network's input.

    Attributes:
        probability: (H, W) float32: the highest mask probability at each pixel, over the particles.
        boundary: (H, W) float32 in [0, 1]: how near the mask probability p of any particle is to that of an outline:
            the maximum of 4 p (1 - p), which is 1 at p = 0.5. Where the network is sure of an edge, the line is thin.
    """

    probability: Tensor
    boundary: Tensor


def probe_network(network: nn.Module, images: Tensor) -> NetworkProbe:
    """Run a network and look at its blocks.

    Args:
        network: Any scheme by ``build_network``, or an Ultralytics SegmentationModel with a ``Segment`` head, in
            evaluation mode; fused or not, not compiled.
        images: (N, 3, H, W), values in [0, 1]; H and W are multiples of the largest stride, 32.

    Returns:
        Tensors on the device of ``images``, without gradients.

    Raises:
        ValueError: The network is in training mode, or the size does not suit it.
    """
    if network.training:
        raise ValueError("a network is probed in evaluation mode; call network.eval() first")
    strides = [int(stride) for stride in network.stride]
    height, width = images.shape[2:]
    if height % max(strides) or width % max(strides):
        raise ValueError(f"an input of {width}x{height} px; both sides must be multiples of {max(strides)}")
    with torch.no_grad():
        with _inputs_of(network, (DSConv, BiLevelRoutingAttention)) as inputs:
            (output, prototypes), _ = network(images)
        snakes = [
            _probe_snake(name, block, inputs[name], height, width)
            for name, block in network.named_modules()
            if isinstance(block, DSConv)
        ]
        routings = [
            _probe_routing(name, block, inputs[name], height, width)
            for name, block in network.named_modules()
            if isinstance(block, BiLevelRoutingAttention)
        ]
        classes = int(network.model[-1].nc)
        confidence = _confidence(output[:, 4 : 4 + classes].float(), strides, height, width)
    return NetworkProbe(output, prototypes, confidence, tuple(snakes), tuple(routings))


def mask_maps(prototypes: Tensor, boxes: Tensor, coefficients: Tensor, size: tuple[int, int]) -> MaskMaps:
    """Lay the masks of one image's detections over each other, pixel by pixel.

    The paper names mask probability maps and boundary maps (Fig. 11, 12) and defines neither. Here a mask is the
    sigmoid of its weighted sum of prototypes, interpolated bilinearly before the sigmoid, inside its box; and the maps
    are maxima over the particles.

    Args:
        prototypes: (M, h, w).
        boxes: (D, 4) x0, y0, x1, y1 in input pixels of the detections that are kept.
        coefficients: (D, M) of the same.
        size: H, W of the input.
    """
    rows = torch.arange(size[0], device=prototypes.device).view(-1, 1) + 0.5
    columns = torch.arange(size[1], device=prototypes.device) + 0.5
    probability = torch.zeros(size, device=prototypes.device)
    boundary = torch.zeros_like(probability)
    # One by one: a thousand masks of 640×640 would fill 1.6 GB.
    for (x0, y0, x1, y1), weights in zip(boxes.tolist(), coefficients.float(), strict=True):
        logits = torch.tensordot(weights, prototypes.float(), dims=1)
        inside = (rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)
        mask = on_input(logits[None, None], size)[0, 0].sigmoid() * inside
        probability = torch.maximum(probability, mask)
        boundary = torch.maximum(boundary, 4 * mask * (1 - mask))
    return MaskMaps(probability, boundary)


def on_input(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring maps to the input's grid, bilinearly: (N, C, h, w) to (N, C, H, W) for ``size`` H, W."""
    return functional.interpolate(values, size=size, mode="bilinear", align_corners=False)


@contextmanager
def _inputs_of(network: nn.Module, blocks: tuple[type[nn.Module], ...]) -> Iterator[dict[str, Tensor]]:
    """Note what enters each block of these types during a forward, by the block's name."""
    inputs: dict[str, Tensor] = {}

    def note(name: str) -> Any:
        # A copy: activations further on work in place.
        return lambda _, arguments: inputs.update({name: arguments[0].detach().clone()})

    handles = [
        block.register_forward_pre_hook(note(name))
        for name, block in network.named_modules()
        if isinstance(block, blocks)
    ]
    try:
        yield inputs
    finally:
        for handle in handles:
            handle.remove()


def _probe_snake(layer: str, block: DSConv, x: Tensor, height: int, width: int) -> SnakeProbe:
    horizontal, vertical = block.offsets(x).chunk(2, dim=1)
    return SnakeProbe(
        layer,
        (width / x.shape[3], height / x.shape[2]),
        block.boundary_attention(x) if isinstance(block, BADSConv) else None,
        _sampling_positions(vertical, "x"),
        _sampling_positions(horizontal, "y"),
    )


def _sampling_positions(offsets: Tensor, axis: Axis) -> Tensor:
    """(N, K, H, W) offsets across ``axis`` to (N, K, H, W, 2) x, y in map pixels."""
    along, across = snake_positions(offsets, axis)
    columns, rows = torch.broadcast_tensors(*((along, across) if axis == "x" else (across, along)))
    height, width = offsets.shape[2:]
    return torch.stack((columns.clamp(0, width - 1), rows.clamp(0, height - 1)), dim=-1)


def _probe_routing(layer: str, block: BiLevelRoutingAttention, x: Tensor, height: int, width: int) -> RoutingProbe:
    rows, columns = (_region_edges(length, block.regions) for length in x.shape[2:])
    stride_x, stride_y = width / x.shape[3], height / x.shape[2]
    regions = [
        (columns[j] * stride_x, rows[i] * stride_y, columns[j + 1] * stride_x, rows[i + 1] * stride_y)
        for i in range(block.regions)
        for j in range(block.regions)
    ]
    return RoutingProbe(layer, torch.tensor(regions, device=x.device), block.routes(x))


def _region_edges(length: int, regions: int) -> list[int]:
    """The S + 1 edges of the regions along one side of the map; the map ends before the last regions may."""
    size = -(-length // regions)
    return [min(number * size, length) for number in range(regions + 1)]


def _confidence(scores: Tensor, strides: list[int], height: int, width: int) -> Tensor:
    """(N, classes, A) scores of all strides' cells, finest stride first and row by row, to (N, 1, H, W)."""
    best = scores.amax(dim=1, keepdim=True)
    grids = [(height // stride, width // stride) for stride in strides]
    parts = best.split([rows * columns for rows, columns in grids], dim=2)
    maps = [on_input(part.unflatten(2, grid), (height, width)) for part, grid in zip(parts, grids, strict=True)]
    return torch.stack(maps).amax(dim=0)
