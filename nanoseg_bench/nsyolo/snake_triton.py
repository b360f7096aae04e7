# ruff: noqa: ANN001, ANN202 - Triton gives the arguments of a kernel their types.
# mypy: disable-error-code="no-untyped-def,untyped-decorator"
"""Snake sampling on a GPU: one kernel reads all samples of an axis, one more brings their gradients back.

``grid_sample`` wants a grid, which takes more time to make than to use, reads float32 only, and adds its gradients
pixel by pixel; here a program reads the offsets themselves, and whole rows of channels. Triton comes with PyTorch where
that has CUDA. With ``TRITON_INTERPRET=1`` set before it is imported, the same kernels run on a CPU, slowly.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

_PIXELS = 32  # of a program


@triton.jit
def _locate(place, position, displacement, along, height, width, ALONG_X: tl.constexpr):
    """Rows of the two pixels around a point, and how far it lies from the first to the second."""
    whole = tl.floor(displacement)
    lower = position + whole.to(tl.int32)
    breadth = height if ALONG_X else width
    length = width if ALONG_X else height
    first = tl.minimum(tl.maximum(lower, 0), breadth - 1)
    second = tl.minimum(tl.maximum(lower + 1, 0), breadth - 1)
    along = tl.minimum(tl.maximum(along, 0), length - 1)
    if ALONG_X:
        return place + first * width + along, place + second * width + along, displacement - whole
    return place + along * width + first, place + along * width + second, displacement - whole


@triton.jit
def _own_pixels(
    pixels,
    height,
    width,
    image_step,
    row_step,
    column_step,
    ALONG_X: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Where this program works.

    Returns:
        The pixels' numbers, which of them exist, the number of their image's first pixel, their positions across and
        along the snake, and the way from the first offset to theirs.
    """
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    image, rest = pixel // (height * width), pixel % (height * width)
    row, column = rest // width, rest % width
    step_to = image.to(tl.int64) * image_step + row * row_step + column * column_step
    position, along = (row, column) if ALONG_X else (column, row)
    return pixel, pixel < pixels, image * height * width, position, along, step_to


@triton.jit
def _read_samples(
    features,
    offsets,
    samples,
    pixels,
    height,
    width,
    image_step,
    point_step,
    row_step,
    column_step,
    CHANNELS: tl.constexpr,
    POINTS: tl.constexpr,
    ALONG_X: tl.constexpr,
    PIXELS: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Samples (pixels, POINTS, CHANNELS) of features (pixels, CHANNELS)."""
    pixel, inside, place, position, along, step_to = _own_pixels(
        pixels, height, width, image_step, row_step, column_step, ALONG_X, PIXELS
    )
    offset = offsets + step_to
    channel = tl.arange(0, WIDE)[None, :]
    both = inside[:, None] & (channel < CHANNELS)
    out = samples + pixel.to(tl.int64)[:, None] * (POINTS * CHANNELS) + channel
    centre: tl.constexpr = POINTS // 2

    here = tl.load(features + pixel[:, None] * CHANNELS + channel, both)
    tl.store(out + centre * CHANNELS, here, both)
    for side in tl.static_range(-1, 2, 2):
        displacement = tl.zeros((PIXELS,), offsets.dtype.element_ty)
        for step in tl.static_range(1, centre + 1):
            displacement += tl.load(offset + (centre + side * step) * point_step, inside, 0)
            first, second, share = _locate(place, position, displacement, along + side * step, height, width, ALONG_X)
            low = tl.load(features + first[:, None] * CHANNELS + channel, both).to(share.dtype)
            high = tl.load(features + second[:, None] * CHANNELS + channel, both).to(share.dtype)
            value = low + share[:, None] * (high - low)
            tl.store(out + (centre + side * step) * CHANNELS, value.to(samples.dtype.element_ty), both)


@triton.jit
def _return_gradients(
    features,
    offsets,
    gradients,
    to_features,
    to_offsets,
    pixels,
    height,
    width,
    image_step,
    point_step,
    row_step,
    column_step,
    CHANNELS: tl.constexpr,
    POINTS: tl.constexpr,
    ALONG_X: tl.constexpr,
    PIXELS: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Adds to ``to_features`` (pixels, CHANNELS) and fills ``to_offsets`` (pixels, POINTS)."""
    pixel, inside, place, position, along, step_to = _own_pixels(
        pixels, height, width, image_step, row_step, column_step, ALONG_X, PIXELS
    )
    offset = offsets + step_to
    channel = tl.arange(0, WIDE)[None, :]
    both = inside[:, None] & (channel < CHANNELS)
    given = gradients + pixel.to(tl.int64)[:, None] * (POINTS * CHANNELS) + channel
    centre: tl.constexpr = POINTS // 2

    nothing = tl.zeros((PIXELS,), offsets.dtype.element_ty)
    here = tl.load(given + centre * CHANNELS, both, 0).to(nothing.dtype)
    tl.atomic_add(to_features + pixel[:, None] * CHANNELS + channel, here, both, "relaxed")
    tl.store(to_offsets + pixel * POINTS + centre, nothing, inside)
    for side in tl.static_range(-1, 2, 2):
        # An offset moves its own point and all beyond it, so the far ones are summed first.
        total = nothing
        for step in tl.static_range(centre, 0, -1):
            displacement = nothing
            for inner in tl.static_range(1, step + 1):
                displacement += tl.load(offset + (centre + side * inner) * point_step, inside, 0)
            first, second, share = _locate(place, position, displacement, along + side * step, height, width, ALONG_X)
            first, second = first[:, None] * CHANNELS + channel, second[:, None] * CHANNELS + channel
            gradient = tl.load(given + (centre + side * step) * CHANNELS, both, 0).to(share.dtype)
            to_second = share[:, None] * gradient
            tl.atomic_add(to_features + first, gradient - to_second, both, "relaxed")
            tl.atomic_add(to_features + second, to_second, both, "relaxed")
            low = tl.load(features + first, both, 0).to(share.dtype)
            high = tl.load(features + second, both, 0).to(share.dtype)
            total += tl.sum((high - low) * gradient, axis=1)
            tl.store(to_offsets + pixel * POINTS + (centre + side * step), total, inside)


def sample_by_kernels(features: Tensor, offsets: Tensor, axes: Sequence[str]) -> list[Tensor]:
    """Read the features under every snake; args and result are those of ``snake.sample_by_grid``."""
    parts = zip(offsets.chunk(len(axes), 1), axes, strict=True)
    return [_read(features, part, axis == "x").permute(0, 3, 1, 2) for part, axis in parts]


# Operators of their own, which torch.compile takes as they are.
@torch.library.custom_op("nanoseg_bench::read_snakes", mutates_args=())
def _read(features: Tensor, offsets: Tensor, along_x: bool) -> Tensor:
    """(N, C, H, W) and (N, K, H, W), at least float32, to (N, H, W·K, C)."""
    features = features.contiguous(memory_format=torch.channels_last)
    samples = _samples_like(features, offsets, along_x)
    _launch(_read_samples, features, offsets, (samples,), along_x)
    return samples


@_read.register_fake
def _samples_like(features: Tensor, offsets: Tensor, along_x: bool) -> Tensor:
    batch, channels, height, width = features.shape
    return features.new_empty(batch, height, width * offsets.shape[1], channels)


@torch.library.custom_op("nanoseg_bench::return_snake_gradients", mutates_args=())
def _return(features: Tensor, offsets: Tensor, gradient: Tensor, along_x: bool) -> tuple[Tensor, Tensor]:
    """To the features, (N, H, W, C), and to the offsets, (N, H, W, K), in the dtype of the offsets."""
    features = features.contiguous(memory_format=torch.channels_last)
    to_features, to_offsets = _gradients_like(features, offsets, gradient, along_x)
    _launch(_return_gradients, features, offsets, (gradient.contiguous(), to_features.zero_(), to_offsets), along_x)
    return to_features, to_offsets


@_return.register_fake
def _gradients_like(features: Tensor, offsets: Tensor, gradient: Tensor, along_x: bool) -> tuple[Tensor, Tensor]:
    batch, channels, height, width = features.shape
    shape = batch, height, width
    return offsets.new_empty(*shape, channels), offsets.new_empty(*shape, offsets.shape[1])


def _keep_inputs(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
    features, offsets, ctx.along_x = inputs
    ctx.save_for_backward(features, offsets)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
    features, offsets = ctx.saved_tensors
    to_features, to_offsets = _return(features, offsets, gradient, ctx.along_x)
    return to_features.permute(0, 3, 1, 2).to(features.dtype), to_offsets.permute(0, 3, 1, 2), None


_read.register_autograd(_backward, setup_context=_keep_inputs)


def _launch(kernel: Any, features: Tensor, offsets: Tensor, others: tuple[Tensor, ...], along_x: bool) -> None:
    batch, channels, height, width = features.shape
    pixels = batch * height * width
    # Triton launches on the current device, which need not be that of the tensors.
    with torch.cuda.device_of(features):
        kernel[(triton.cdiv(pixels, _PIXELS),)](
            features,
            offsets,
            *others,
            pixels,
            height,
            width,
            *offsets.stride(),
            CHANNELS=channels,
            POINTS=offsets.shape[1],
            ALONG_X=along_x,
            PIXELS=_PIXELS,
            WIDE=triton.next_power_of_2(channels),
        )
