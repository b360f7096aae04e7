"""Dynamic snake sampling and the strip convolution over its samples (Eq. 1, 9, 10).

A snake of K points lies along one axis; across that axis every point is displaced by the sum of the offsets between
the centre and itself, so neighbouring points never drift apart by more than one offset.

Since a point's position along the axis is a whole number, its bilinear sample is a linear interpolation between two
pixels. On a CPU these are read as rows of a table of pixels, on a GPU by the kernels of ``snake_triton``; both are
quicker than ``grid_sample``, which serves elsewhere. All give the same numbers and the same gradients.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from ultralytics.nn.modules.conv import Conv

from .layout import convolve_pixels

Axis = Literal["x", "y"]

_HAS_TRITON = find_spec("triton") is not None


def at_least_float32(values: Tensor) -> Tensor:
    """Raise half precision to float32 and leave the rest: a half-precision position errs by 0.02 px at 160 px."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def accumulate_from_centre(offsets: Tensor) -> Tensor:
    """Sum the offsets from the centre point outwards, the end points included (the sums of Eq. 1).

    The centre's own sum is empty: its offset has no effect. The published code of dynamic snake convolution leaves the
    end points out, so that at K = 3 nothing is learned; its later variant sums as is done here.

    Args:
        offsets: (N, K, H, W), K odd.

    Returns:
        (N, K, H, W) displacements in pixels; zero at the centre.
    """
    return torch.stack(_sums_from_centre(offsets.unbind(1)), dim=1)


def _sums_from_centre(steps: Sequence[Tensor]) -> list[Tensor]:
    centre = len(steps) // 2
    sums = [torch.zeros_like(steps[centre])]
    for distance in range(1, centre + 1):
        sums.append(sums[-1] + steps[centre + distance])
        sums.insert(0, sums[0] + steps[centre - distance])
    return sums


def snake_positions(offsets: Tensor, axis: Axis) -> tuple[Tensor, Tensor]:
    """Positions of the K points of every pixel's snake (Eq. 1), not yet limited to the map.

    Args:
        offsets: (N, K, H, W) in pixels, across ``axis``: Δy for axis ``x``, Δx for axis ``y``. Any floating dtype; the
            positions are at least float32.
        axis: The axis the snake lies along.

    Returns:
        ``along`` and ``across``: positions along and across ``axis``. ``along`` holds whole numbers and broadcasts
        against ``across``, which is (N, K, H, W).
    """
    _, points, height, width = offsets.shape
    displacements = accumulate_from_centre(at_least_float32(offsets))
    place = {"dtype": displacements.dtype, "device": offsets.device}
    steps = (torch.arange(points, **place) - points // 2).view(1, -1, 1, 1)
    rows = torch.arange(height, **place).view(1, 1, -1, 1)
    columns = torch.arange(width, **place).view(1, 1, 1, -1)
    if axis == "x":
        return columns + steps, rows + displacements
    return rows + steps, columns + displacements


def sample_by_grid(features: Tensor, offsets: Tensor, axes: Sequence[Axis]) -> list[Tensor]:
    """Read the features under every snake with ``grid_sample``.

    Args:
        features: (N, C, H, W).
        offsets: (N, A·K, H, W) in pixels: K offsets across each of A axes.
        axes: The axes that the snakes lie along, in the order of their offsets.

    Returns:
        For each axis (N, C, H, W·K) of the features' dtype: the K samples of a pixel stand side by side. Points outside
        the map read the nearest border pixel.
    """
    return [_sample_axis(features, part, axis) for part, axis in zip(offsets.chunk(len(axes), 1), axes, strict=True)]


def _sample_axis(features: Tensor, offsets: Tensor, axis: Axis) -> Tensor:
    points, height, width = offsets.shape[1:]
    along, across = snake_positions(offsets, axis)
    columns, rows = (along, across) if axis == "x" else (across, along)
    # align_corners=False puts pixel i at (2i + 1) / size - 1, which is defined for a map one pixel wide too.
    grid = torch.stack(torch.broadcast_tensors((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), dim=-1)
    grid = grid.permute(0, 2, 3, 1, 4).reshape(-1, height, width * points, 2)
    samples = functional.grid_sample(
        features.to(grid.dtype), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return samples.to(features.dtype)


def sample_by_rows(features: Tensor, offsets: Tensor, axes: Sequence[Axis]) -> list[Tensor]:
    """Do the same as ``sample_by_grid`` with two reads per sample from the table of the map's pixels.

    Args:
        features: (N, C, H, W); in the memory format channels_last nothing is copied.
        offsets: (N, A·K, H, W) in pixels: K offsets across each of A axes.
        axes: The axes that the snakes lie along, in the order of their offsets.

    Returns:
        For each axis (N, C, H, W·K) of the features' dtype, in the memory format channels_last.
    """
    batch, channels, height, width = features.shape
    points = offsets.shape[1] // len(axes)
    steps = at_least_float32(offsets).unflatten(1, (len(axes), points)).transpose(0, 1)
    displacements = torch.stack(_sums_from_centre(steps.unbind(2)), dim=-1)  # (A, N, H, W, K)
    # A pixel's own place across the snake is a whole number: it need not be added before the fraction is taken.
    below = displacements.detach().floor()
    fractions = (displacements - below).flatten(1)
    neighbours = _neighbours(below.int(), axes)
    table = features.permute(0, 2, 3, 1).reshape(-1, channels).to(fractions.dtype)
    # Neither a graph that is traced nor ONNX Runtime can make use of the function of its own below.
    plain = torch.jit.is_tracing() or torch.compiler.is_compiling()
    interpolate = _interpolate_plainly if plain else _InterpolatedRows.apply
    return [
        interpolate(table, index, fraction)
        .view(batch, height, width * points, channels)
        .permute(0, 3, 1, 2)
        .to(features.dtype)
        for index, fraction in zip(neighbours, fractions.unbind(), strict=True)
    ]


def _neighbours(below: Tensor, axes: Sequence[Axis]) -> list[Tensor]:
    """Which two pixels each sample lies between.

    Args:
        below: (A, N, H, W, K) int32, whole pixels of displacement across each axis, rounded down.
        axes: The axes that the snakes lie along.

    Returns:
        For each axis (N·H·W·K, 2) int32: numbers of the pixels, counted over the batch, image by image and row by row.
        Outside the map both are the border pixel.
    """
    batch, height, width, points = below.shape[1:]
    whole = {"dtype": below.dtype, "device": below.device}
    rows = torch.arange(height, **whole).view(-1, 1, 1)
    columns = torch.arange(width, **whole).view(-1, 1)
    steps = torch.arange(-(points // 2), points // 2 + 1, **whole)
    first = torch.arange(0, batch * height * width, height * width, **whole).view(-1, 1, 1, 1)
    result = []
    for lower, axis in zip(below.unbind(), axes, strict=True):
        if axis == "x":
            along = first + (columns + steps).clamp(0, width - 1)
            across, breadth, stride = lower + rows, height, width
        else:
            along = first + (rows + steps).clamp(0, height - 1) * width
            across, breadth, stride = lower + columns, width, 1
        pair = [place.clamp(0, breadth - 1).mul_(stride).add_(along) for place in (across, across + 1)]
        result.append(torch.stack(pair, dim=-1).view(-1, 2))
    return result


def _interpolate_plainly(table: Tensor, index: Tensor, fraction: Tensor) -> Tensor:
    """Interpolate linearly between rows of a table: (R, C), (M, 2) numbers of rows, (M,) fractions to (M, C)."""
    lower, upper = table.index_select(0, index[:, 0]), table.index_select(0, index[:, 1])
    return lower + fraction.unsqueeze(1) * (upper - lower)


class _InterpolatedRows(torch.autograd.Function):
    """``_interpolate_plainly`` in one pass: ``embedding_bag`` reads, weights and adds.

    Its gradient to the table is a sum of weighted rows as well: the bag of a row of the table are the samples that
    read it. PyTorch's own gradient of ``embedding_bag`` takes several times as long.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, fraction: Tensor) -> Tensor:
        """Interpolate; see ``_interpolate_plainly``."""
        shares = torch.stack((1 - fraction, fraction), dim=1)
        ctx.save_for_backward(table, index, shares)
        return functional.embedding_bag(index, table, per_sample_weights=shares, mode="sum")

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        """Gradients to the table and the fractions."""
        table, index, shares = ctx.saved_tensors
        gradient = gradient.contiguous()
        to_table = to_fraction = None
        if ctx.needs_input_grad[0]:
            readings = index.flatten()
            order = readings.argsort()
            per_row = readings.bincount(minlength=len(table))
            to_table = functional.embedding_bag(
                order // 2,
                gradient,
                per_row.cumsum(0) - per_row,
                per_sample_weights=shares.flatten().index_select(0, order),
                mode="sum",
            )
        if ctx.needs_input_grad[2]:
            signs = torch.ones_like(shares)
            signs[:, 0] = -1
            difference = functional.embedding_bag(index, table, per_sample_weights=signs, mode="sum")
            to_fraction = difference.mul_(gradient).sum(1)
        return to_table, None, to_fraction


def sample_snakes(features: Tensor, offsets: Tensor, axes: Sequence[Axis]) -> list[Tensor]:
    """Read the features under every snake by the quickest form.

    That is rows on a CPU; kernels of its own on a GPU where there is Triton, as in PyTorch for Linux; and
    ``grid_sample`` elsewhere. Args and result are those of ``sample_by_grid``.
    """
    if features.device.type == "cpu":
        return sample_by_rows(features, offsets, axes)
    if features.is_cuda and _HAS_TRITON:
        # Imported here: it takes a while, and a CPU has no use for it.
        from .snake_triton import sample_by_kernels

        return sample_by_kernels(features, offsets, axes)
    return sample_by_grid(features, offsets, axes)


class StripConv(Conv):
    """Convolution over the K samples of every pixel, which stand side by side, then BN and SiLU.

    Args:
        c1: Input channels.
        c2: Output channels.
        points: K, samples per pixel.
    """

    def __init__(self, c1: int, c2: int, points: int) -> None:
        super().__init__(c1, c2, k=(1, points), s=(1, points), p=0)

    def forward(self, samples: Tensor) -> Tensor:
        """Convolve (N, c1, H, W·K) to (N, c2, H, W)."""
        return self.act(self.bn(self._convolve(samples)))

    def forward_fuse(self, samples: Tensor) -> Tensor:
        """Do the same after Ultralytics' ``fuse`` has folded the norm into the convolution."""
        return self.act(self._convolve(samples))

    def _convolve(self, samples: Tensor) -> Tensor:
        if not samples.is_contiguous(memory_format=torch.channels_last):
            return self.conv(samples)
        # The K · c1 numbers of a pixel are contiguous: the convolution is one matrix product.
        batch, _, height, breadth = samples.shape
        width = breadth // self.conv.kernel_size[1]
        weight = self.conv.weight.permute(0, 2, 3, 1).flatten(1)
        pixels = samples.permute(0, 2, 3, 1).reshape(batch, height, width, -1)
        return convolve_pixels(pixels, weight, self.conv.bias)


class SnakeBranch(nn.Module):
    """One directional branch: snake sampling (Eq. 1), then a strip convolution over the K samples (Eq. 9, 10).

    A map (N, c1, H, W) and offsets (N, K, H, W) become (N, c2, H, W).

    What the paper leaves open, and the choice made here:

    - Eq. 1 moves points in x and y. Here: across the snake's axis only, so that it stays a snake; along it, points are
      one pixel apart.
    - The sums of Eq. 1 begin somewhere. Here: at the centre, outwards, the end points included, so that both ends bend
      alike and every offset but the centre's counts.
    - What lies outside the map. Here: the nearest border pixel, which adds no edge of its own.
    - Norm and activation. Here: BN and SiLU as behind every convolution of YOLO11, so that BN folds for inference.

    Args:
        c1: Input channels.
        c2: Output channels.
        kernel: K, points of a snake, odd.
        axis: The axis the snake lies along.
    """

    def __init__(self, c1: int, c2: int, kernel: int, axis: Axis) -> None:
        super().__init__()
        self.axis: Axis = axis
        self.strip = StripConv(c1, c2, kernel)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Convolve ``x`` along its snakes.

        Args:
            x: (N, c1, H, W).
            offsets: (N, K, H, W) in pixels across the branch's axis.

        Returns:
            (N, c2, H, W).
        """
        (samples,) = sample_snakes(x, offsets, (self.axis,))
        return self.strip(samples)
