"""Memory layout of the maps inside the paper's blocks.

Snakes read pixels and routing moves tokens, with all their channels: both are quickest where a pixel's channels stand
side by side (channels_last), whatever the layout of the network around them. A convolution that looks at one pixel at
a time is then a plain matrix product.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


def to_channels_last(maps: Tensor) -> Tensor:
    """Bring (N, C, H, W) into channels_last; the gradient goes back in the layout that ``maps`` has."""
    return _to(maps, torch.channels_last, torch.channels_last if _is_channels_last(maps) else torch.contiguous_format)


def to_layout_of(other: Tensor, maps: Tensor) -> Tensor:
    """Bring ``maps``, which is in channels_last, into the layout of ``other``; its gradient comes in channels_last."""
    return maps if _is_channels_last(other) else _to(maps, torch.contiguous_format, torch.channels_last)


def convolve_pixels(pixels: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve pixel by pixel: (N, H, W, c1) and (c2, c1) to (N, c2, H, W) in channels_last."""
    return functional.linear(pixels, kernel, bias).permute(0, 3, 1, 2)


def _is_channels_last(maps: Tensor) -> bool:
    # Not is_contiguous(memory_format=...): a slice of channels, as in C2PSA, is not contiguous in either layout.
    return maps.stride(1) == 1


def _to(maps: Tensor, layout: torch.memory_format, back: torch.memory_format) -> Tensor:
    return _Relayout.apply(maps, layout, back) if maps.requires_grad else maps.contiguous(memory_format=layout)


class _Relayout(torch.autograd.Function):
    """``contiguous`` whose gradient is brought into a layout too: operations on mixed layouts take twice as long."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, layout: torch.memory_format, back: torch.memory_format) -> Tensor:
        """Copy into ``layout``, where it is another one."""
        ctx.back = back
        return maps.contiguous(memory_format=layout)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient in the layout ``back``."""
        return gradient.contiguous(memory_format=ctx.back), None, None
