"""Letterbox (paper 2.1): resize to a square canvas without distortion, pad with grey, and the exact way back.

The longer side becomes the canvas size: ratio r = S / max(w, h). The content is round(w r) x round(h r) pixels,
rounded half up, centred. The map from original to canvas coordinates is, per axis,

    x_canvas = x * (content_width / width) + pad_x

so that the content's edges map onto the image's edges exactly; it differs from r by less than half a canvas pixel
over the whole side.

A network that takes rectangles needs less padding: with a stride, each axis is padded to its next multiple only.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.raster import rle_to_window, window_to_rle

PADDING_GREY = 114

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The transform between an original of ``width`` x ``height`` pixels and a canvas.

    Attributes:
        width: Columns of the original.
        height: Rows of the original.
        canvas: Longer side of the canvas in pixels.
        stride: The canvas is a rectangle whose sides are multiples of this, which divides ``canvas``; None: a square.
    """

    width: int
    height: int
    canvas: int
    stride: int | None = None

    @property
    def ratio(self) -> float:
        """R = canvas / max(width, height)."""
        return self.canvas / max(self.width, self.height)

    @property
    def content_size(self) -> tuple[int, int]:
        """(width, height) of the image content on the canvas."""
        return _round_half_up(self.width * self.ratio), _round_half_up(self.height * self.ratio)

    @property
    def canvas_size(self) -> tuple[int, int]:
        """(width, height) of the canvas."""
        if self.stride is None:
            return self.canvas, self.canvas
        width, height = (math.ceil(side / self.stride) * self.stride for side in self.content_size)
        return width, height

    @property
    def padding(self) -> tuple[int, int]:
        """(pad_x, pad_y): canvas pixels left of and above the content."""
        (width, height), (canvas_width, canvas_height) = self.content_size, self.canvas_size
        return (canvas_width - width) // 2, (canvas_height - height) // 2

    @property
    def scale(self) -> tuple[float, float]:
        """(x, y) factor from original to canvas pixels."""
        width, height = self.content_size
        return width / self.width, height / self.height

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and pad an image (H, W[, 3]) of the original, at any resolution, to the canvas."""
        canvas_width, canvas_height = self.canvas_size
        canvas = np.full((canvas_height, canvas_width, *pixels.shape[2:]), PADDING_GREY, dtype=np.uint8)
        self.content(canvas)[:] = self.resize(pixels)
        return canvas

    def resize(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The content without its padding: an image (H, W[, 3]) of the original at ``content_size``."""
        # Pillow's bilinear filter widens with the scale, so one interpolation serves up and down without aliasing.
        return np.asarray(Image.fromarray(pixels).resize(self.content_size, Image.Resampling.BILINEAR))

    def content(self, canvas: NDArray[_Value]) -> NDArray[_Value]:
        """The part (h, w[, ...]) of a canvas (H, W[, ...]) that is not padding; what is written to it stands there."""
        (width, height), (pad_x, pad_y) = self.content_size, self.padding
        return canvas[pad_y : pad_y + height, pad_x : pad_x + width]

    def to_canvas(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) original x, y to canvas x, y."""
        return points * self.scale + self.padding

    def to_original(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) canvas x, y to original x, y."""
        return (points - self.padding) / self.scale

    def instance_to_canvas(self, instance: Instance) -> Instance:
        """The instance on the canvas; masks are resampled, polygons moved."""
        region = instance.region
        if isinstance(region, Rle):
            moved: tuple[Polygon, ...] | Rle = self._mask_to_canvas(region)
        else:
            moved = tuple(
                Polygon(self.to_canvas(part.exterior), tuple(self.to_canvas(hole) for hole in part.holes))
                for part in region
            )
        return replace(instance, region=moved)

    def restore(
        self,
        values: NDArray[Any],
        origin: tuple[float, float] = (0.0, 0.0),
        network_size: int | None = None,
    ) -> tuple[NDArray[np.float32], int, int]:
        """Bring a map from network resolution back to original pixels, bilinearly.

        Args:
            values: (h, w) mask or probability map: a window of the canvas at network resolution.
            origin: (x, y) of the window's outer corner, in pixels of that resolution.
            network_size: Longer side of the canvas at network resolution; ``canvas`` by default.

        Returns:
            (window, x, y): the smallest window of the original that the map touches, float32, and the column and
            row of its first pixel. Zero-sized when the map lies wholly on the padding.
        """
        import cv2

        zoom = self.canvas / (network_size or self.canvas)  # network pixel -> canvas pixel
        rows, columns = values.shape
        corners = np.array([origin, (origin[0] + columns, origin[1] + rows)], dtype=np.float64) * zoom
        (left, top), (right, bottom) = self.to_original(corners)
        # One more pixel on each side for the bilinear flank.
        x0, y0 = max(math.floor(left) - 1, 0), max(math.floor(top) - 1, 0)
        x1, y1 = min(math.ceil(right) + 1, self.width), min(math.ceil(bottom) + 1, self.height)
        if x1 <= x0 or y1 <= y0:
            return np.zeros((0, 0), dtype=np.float32), x0, y0
        # warpAffine wants the source index of each destination index; pixel centres lie at +0.5.
        matrix = np.zeros((2, 3))
        for axis, (start, offset) in enumerate(zip((x0, y0), origin, strict=True)):
            factor = self.scale[axis] / zoom
            matrix[axis, axis] = factor
            matrix[axis, 2] = (start + 0.5) * factor + self.padding[axis] / zoom - offset - 0.5
        window = cv2.warpAffine(
            values.astype(np.float32),
            matrix,
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        return np.asarray(window, dtype=np.float32), x0, y0

    def restore_mask(self, values: NDArray[Any], origin: tuple[float, float] = (0.0, 0.0)) -> Rle:
        """``restore`` from the canvas, then keep what exceeds one half: the mask in original pixels."""
        window, x, y = self.restore(values, origin)
        return window_to_rle(window > 0.5, x, y, self.height, self.width)

    def _mask_to_canvas(self, rle: Rle) -> Rle:
        """Resample only where the mask is: on the rest of the canvas there is nothing to find."""
        window, x, y = rle_to_window(rle)
        content_width, content_height = self.content_size
        canvas_width, canvas_height = self.canvas_size
        left, right = _resized_range(x, window.shape[1], self.width, content_width)
        top, bottom = _resized_range(y, window.shape[0], self.height, content_height)
        if window.size == 0:
            return window_to_rle(window, 0, 0, canvas_height, canvas_width)
        # All that the filter reaches from the outermost pixels; beyond it the image is empty, too.
        margin_x, margin_y = (math.ceil(3 / factor) + 2 for factor in self.scale)
        x0, y0 = max(x - margin_x, 0), max(y - margin_y, 0)
        x1 = min(x + window.shape[1] + margin_x, self.width)
        y1 = min(y + window.shape[0] + margin_y, self.height)
        grey = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
        grey[y - y0 : y - y0 + window.shape[0], x - x0 : x - x0 + window.shape[1]] = window * np.uint8(255)
        scale_x, scale_y = self.scale
        source = (
            left / scale_x - x0,
            top / scale_y - y0,
            min(right / scale_x - x0, x1 - x0),  # rounding must not lead out of the image
            min(bottom / scale_y - y0, y1 - y0),
        )
        content = Image.fromarray(grey).resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=source)
        pad_x, pad_y = self.padding
        return window_to_rle(np.asarray(content) > 127, left + pad_x, top + pad_y, canvas_height, canvas_width)


def _resized_range(start: int, length: int, full: int, content: int) -> tuple[int, int]:
    """First and one past the last resized pixel that a range of ``full`` pixels reaches, along one axis."""
    scale = content / full
    return max(math.floor(start * scale - 1), 0), min(math.ceil((start + length) * scale + 1), content)


def _round_half_up(value: float) -> int:
    return max(math.floor(value + 0.5), 1)
