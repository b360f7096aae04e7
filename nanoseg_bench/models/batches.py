"""Batches out of packed images: pixels, and for every region the canvas pixels that it covers.

Plain torch on the device where the packed images lie, so the same code serves the CPU's loader and the one on the
training device. One affine map per image moves pixels and regions alike: an image is sampled bilinearly, and a region
covers a canvas pixel when the image pixel under its centre belongs to it. Only pixels near a region are looked at: the
cost goes with the area of the particles, not with their number times the canvas.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nanoseg_bench.models.augmentation import Views
from nanoseg_bench.models.packed_images import PackedImages, Regions
from nanoseg_bench.preparation.augment import MIN_VISIBLE
from nanoseg_bench.preparation.letterbox import PADDING_GREY


@dataclass(frozen=True, eq=False, slots=True)
class InstanceBatch:
    """B canvases of S px with N regions, which together cover T pixels; all on one device.

    Attributes:
        pixels: (B, C, S, S) uint8; C is 1 or 3.
        canvas_of: (N,) int64, rising: the canvas that a region lies on.
        label: (N,) int64 class index; -1 for what is to be ignored. Later regions of a canvas lie above earlier ones.
        boxes: (N, 4) int64 x0, y0, x1, y1: tight around the covered pixels, the last row and column not included.
        region_of: (T,) int64 region that covers a pixel; a pixel under two particles is there twice.
        x: (T,) int64 column of the pixel.
        y: (T,) int64 row of it.
    """

    pixels: Tensor
    canvas_of: Tensor
    label: Tensor
    boxes: Tensor
    region_of: Tensor
    x: Tensor
    y: Tensor

    @property
    def size(self) -> int:
        """Side of the canvases in pixels."""
        return int(self.pixels.shape[-1])


def assemble(packed: PackedImages, views: Views) -> InstanceBatch:
    """Lay images and their regions on canvases as ``views`` says.

    Particles are cut at the edge of their tile. One of which less than ``MIN_VISIBLE`` stays visible is dropped, by the
    rule that the prepared copies follow; its pixels stay.
    """
    device = packed.pixels.device
    views = replace(views, image=packed.slots[views.image])
    rows, counts = packed.rows_of(views.image)
    view = np.repeat(np.arange(len(counts)), counts)
    regions = packed.regions.at(rows)
    windows = _windows_on_canvas(regions, views.matrix[view], views.bounds[view])
    inside = (windows.width > 0) & (windows.height > 0)
    view, regions, windows = view[inside], regions.at(inside), _Windows(*(column[inside] for column in windows))
    canvas_of, label = torch.from_numpy(views.canvas[view]).to(device), torch.from_numpy(regions.label).to(device)
    if not views.moved:
        pixels = _at(packed.pixels, torch.from_numpy(views.image).to(device))
        ends = (windows.x, windows.y, windows.x + windows.width, windows.y + windows.height)
        boxes = torch.from_numpy(np.stack(ends, axis=1)).to(device)
        return InstanceBatch(pixels, canvas_of, label, boxes, *_covered_pixels(packed.covered, regions, windows, None))

    backward = _inverse(views.matrix)
    pixels = _warp_pixels(packed.pixels, views, backward)
    region_of, x, y = _covered_pixels(packed.covered, regions, windows, backward[view])
    # What is not to be judged stays not to be judged, however little of it is left.
    least = np.where(regions.label < 0, 0.0, MIN_VISIBLE * regions.area * _magnification(views.matrix[view]))
    visible = torch.bincount(region_of, minlength=len(label))
    kept = (visible >= torch.from_numpy(np.maximum(least, 1)).to(device)).nonzero()[:, 0]
    renumbered = torch.full_like(label, -1).scatter_(0, kept, torch.arange(len(kept), device=device))
    region_of = _at(renumbered, region_of)
    region_of, x, y = _select(region_of >= 0, region_of, x, y)
    boxes = _boxes(region_of, x, y, len(kept), views.size)
    return InstanceBatch(pixels, _at(canvas_of, kept), _at(label, kept), boxes, region_of, x, y)


class _Windows(NamedTuple):
    """Canvas pixels that regions may cover: (N,) int64 each."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    width: NDArray[np.int64]
    height: NDArray[np.int64]


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Canvas to image, (V, 2, 3)."""
    linear = np.linalg.inv(matrix[:, :, :2])
    return np.concatenate([linear, -linear @ matrix[:, :, 2:]], axis=2)


def _magnification(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Canvas pixels per image pixel."""
    return np.asarray(np.abs(np.linalg.det(matrix[:, :, :2])))


def _windows_on_canvas(regions: Regions, matrix: NDArray[np.float64], tile: NDArray[np.int64]) -> _Windows:
    """Around the moved corners of a region's box, as far as its tile goes; (N, 2, 3) and (N, 4)."""
    x, y, x1, y1 = regions.x, regions.y, regions.x + regions.width, regions.y + regions.height
    corners = np.stack([np.stack([x, x1, x, x1]), np.stack([y, y, y1, y1])]).transpose(2, 0, 1)
    moved = matrix[:, :, :2] @ corners + matrix[:, :, 2:]
    low = np.maximum(np.floor(moved.min(axis=2)).astype(np.int64), tile[:, :2])
    high = np.minimum(np.ceil(moved.max(axis=2)).astype(np.int64), tile[:, 2:])
    return _Windows(*low.T, *(high - low).T)


def _covered_pixels(
    covered: Tensor, regions: Regions, windows: _Windows, backward: NDArray[np.float64] | None
) -> tuple[Tensor, ...]:
    """Look the canvas pixels of ``windows`` up in the regions.

    Args:
        covered: As in ``PackedImages``.
        regions: N of them.
        windows: On the canvas; the regions' own windows where nothing moves.
        backward: (N, 2, 3) canvas to image; None where nothing moves.

    Returns:
        ``region_of``, ``x`` and ``y`` of an ``InstanceBatch``.
    """
    device = covered.device
    sizes = windows.width * windows.height
    # One copy to the device for all that is said of a region.
    table = np.stack([*windows[:3], sizes, np.cumsum(sizes) - sizes, *regions[1:6]])
    left, top, width, pixels, begin, box_x, box_y, box_width, box_height, start = torch.from_numpy(table).to(device)
    total = int(sizes.sum())  # known here, which spares the device a question to the host
    region_of = torch.repeat_interleave(torch.arange(len(sizes), device=device), pixels, output_size=total)
    within = torch.arange(total, device=device) - _at(begin, region_of)
    if backward is None:
        region_of, within = _select(_at(covered, _at(start, region_of) + within), region_of, within)
    columns = _at(width, region_of)
    x, y = _at(left, region_of) + within % columns, _at(top, region_of) + within // columns
    if backward is None:
        return region_of, x, y

    matrix = [_at(entry, region_of) for entry in _on_device(backward, device)]
    image_x, image_y = _apply(matrix, x + 0.5, y + 0.5)
    column, row = image_x.floor().long() - _at(box_x, region_of), image_y.floor().long() - _at(box_y, region_of)
    columns = _at(box_width, region_of)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < _at(box_height, region_of))
    region_of, x, y, index = _select(inside, region_of, x, y, _at(start, region_of) + row * columns + column)
    return _select(_at(covered, index), region_of, x, y)


def _at(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` of one dimension, which is ten times slower written so on the CPU."""
    return values.index_select(0, index)


def _select(chosen: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Each of ``values`` where ``chosen`` is true; all of one dimension."""
    index = chosen.nonzero()[:, 0]
    return tuple(_at(each, index) for each in values)


def _warp_pixels(pixels: Tensor, views: Views, backward: NDArray[np.float64]) -> Tensor:
    """Canvases (B, C, S, S) uint8: bilinear samples of the images, the padding's grey around them."""
    size, device = pixels.shape[-1], pixels.device
    columns = torch.arange(views.size, device=device) + 0.5
    rows = columns[:, None]
    # Differences from the padding's grey, which is what lies outside of an image.
    canvases = torch.zeros((len(views.contrast), pixels.shape[1], views.size, views.size), device=device)
    for number in range(int(views.tile.max()) + 1):
        chosen = views.tile == number
        canvas, image = (torch.from_numpy(numbers[chosen]).to(device) for numbers in (views.canvas, views.image))
        x, y = _apply(_on_device(backward[chosen], device)[:, :, None, None], columns, rows)
        grid = torch.stack([x, y], dim=-1) * (2 / size) - 1
        source = _at(pixels, image).float().sub_(PADDING_GREY)
        seen = functional.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        x0, y0, x1, y1 = torch.from_numpy(views.bounds[chosen]).to(device).T[..., None, None, None]
        in_tile = (columns > x0) & (columns < x1) & (rows > y0) & (rows < y1)
        canvases[canvas] = torch.where(in_tile, seen, canvases[canvas])
    contrast, brightness = (
        torch.from_numpy(values.astype(np.float32)).to(device)[:, None, None, None]
        for values in (views.contrast, views.brightness)
    )
    return (canvases * contrast + (PADDING_GREY + brightness)).round().clamp(0, 255).to(torch.uint8)


def _apply(matrix: Iterable[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Map points; the six entries of ``matrix`` broadcast against ``x`` and ``y``."""
    # Not a matrix product, whose precision depends on the settings of the device.
    a, b, c, d, e, f = matrix
    return a * x + b * y + c, d * x + e * y + f


def _boxes(region_of: Tensor, x: Tensor, y: Tensor, number: int, size: int) -> Tensor:
    """(N, 4) int64 x0, y0, x1, y1 around the pixels of each region."""
    low, high = (
        torch.full((2, number), size, device=x.device),
        torch.zeros((2, number), dtype=torch.int64, device=x.device),
    )
    for axis, values in enumerate((x, y)):
        low[axis].scatter_reduce_(0, region_of, values, "amin")
        high[axis].scatter_reduce_(0, region_of, values + 1, "amax")
    return torch.cat([low, high]).T


def _on_device(matrix: NDArray[np.float64], device: torch.device) -> Tensor:
    """(V, 2, 3) to (6, V) float32."""
    return torch.from_numpy(np.ascontiguousarray(matrix.reshape(-1, 6).T, dtype=np.float32)).to(device)
