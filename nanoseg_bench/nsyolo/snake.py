"""Dynamic snake sampling and the strip convolution over its samples (Eq. 1, 9, 10).

A snake of K points lies along one axis; across that axis every point is displaced by the sum of the offsets between
the centre and itself, so neighbouring points never drift apart by more than one offset.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules.conv import Conv

Axis = Literal["x", "y"]


def at_least_float32(values: Tensor) -> Tensor:
    """Raise half precision to float32 and leave the rest: a half-precision position errs by 0.02 px at 160 px."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def accumulate_from_centre(offsets: Tensor) -> Tensor:
    """Sum the offsets from the centre point outwards, the end points included (the sums of Eq. 1).

    The centre's own sum is empty: its offset has no effect. The published code of dynamic snake convolution leaves the
    end points out, so that at K = 3 nothing is learned; its later variant sums as is done here.

    Args:
        offsets: (N, K, H, W), K odd.

    Returns:
        (N, K, H, W) displacements in pixels; zero at the centre.
    """
    steps = offsets.unbind(1)
    centre = len(steps) // 2
    displacements = [torch.zeros_like(steps[centre])]
    for distance in range(1, centre + 1):
        displacements.append(displacements[-1] + steps[centre + distance])
        displacements.insert(0, displacements[0] + steps[centre - distance])
    return torch.stack(displacements, dim=1)


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


def sample_by_grid(features: Tensor, offsets: Tensor, axis: Axis) -> Tensor:
    """Read the features under every snake with ``grid_sample``: the quickest form in eager mode.

    Args:
        features: (N, C, H, W).
        offsets: (N, K, H, W) in pixels across ``axis``.
        axis: The axis the snake lies along.

    Returns:
        (N, C, H, W·K) of the features' dtype: the K samples of a pixel stand side by side. Points outside the map read
        the nearest border pixel.
    """
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


def sample_by_gather(features: Tensor, offsets: Tensor, axis: Axis) -> Tensor:
    """Do the same as ``sample_by_grid`` with two gathers and one linear interpolation.

    A snake's positions are whole numbers along its axis, so two of the four bilinear weights vanish. GridSample is
    slow in ONNX Runtime on the CPU, so exported graphs use this form.

    Args:
        features: (N, C, H, W).
        offsets: (N, K, H, W) in pixels across ``axis``.
        axis: The axis the snake lies along.

    Returns:
        (N, C, H, W·K) of the features' dtype.
    """
    channels, height, width = features.shape[1:]
    points = offsets.shape[1]
    along, across = snake_positions(offsets, axis)
    length, breadth = (width, height) if axis == "x" else (height, width)
    along = along.clamp(0, length - 1).long()
    across = across.clamp(0, breadth - 1)
    lower = across.detach().floor()
    fraction = across - lower
    first = lower.long()
    second = (first + 1).clamp(max=breadth - 1)
    flat = features.flatten(2).to(across.dtype)

    def read(position: Tensor) -> Tensor:
        index = position * width + along if axis == "x" else along * width + position
        return flat.gather(2, _side_by_side(index).flatten(2).expand(-1, channels, -1))

    share = _side_by_side(fraction).flatten(2)
    samples = torch.lerp(read(first), read(second), share.expand(-1, channels, -1))
    return samples.reshape(-1, channels, height, width * points).to(features.dtype)


def _side_by_side(values: Tensor) -> Tensor:
    """Turn (N, K, H, W) into (N, 1, H, W·K)."""
    points, height, width = values.shape[1:]
    return values.permute(0, 2, 3, 1).reshape(-1, 1, height, width * points)


class SnakeBranch(nn.Module):
    """One directional branch: snake sampling, then a strip convolution over the K samples, BN, SiLU (Eq. 9, 10).

    Attributes:
        sampler: ``auto`` takes ``gather`` while a graph is exported to ONNX and ``grid`` otherwise; both give the same
            numbers.
    """

    sampler: Literal["auto", "grid", "gather"] = "auto"

    def __init__(self, c1: int, c2: int, kernel: int, axis: Axis) -> None:
        super().__init__()
        self.axis: Axis = axis
        # One step of the strip per pixel: the K samples of a pixel stand side by side in the sampled map.
        self.strip = Conv(c1, c2, k=(1, kernel), s=(1, kernel), p=0)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Convolve ``x`` along its snakes.

        Args:
            x: (N, c1, H, W).
            offsets: (N, K, H, W) in pixels across the branch's axis.

        Returns:
            (N, c2, H, W).
        """
        exporting = self.sampler == "auto" and torch.onnx.is_in_onnx_export()
        sample = sample_by_gather if exporting or self.sampler == "gather" else sample_by_grid
        return self.strip(sample(x, offsets, self.axis))
