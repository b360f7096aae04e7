"""Outlines and scale bars in pixels, anti-aliased, on a micrograph at any resolution."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nanoseg_bench.annotations.instance import Polygon
from nanoseg_bench.drawing.outlines import DASHES, TINT, Outline, Size
from nanoseg_bench.drawing.scale_bar import ScaleBar
from nanoseg_bench.images import as_rgb

LINE = 2
"""Pixels of the picture: a line's width; its dark rim adds half of that on either side."""

_SUBPIXEL_BITS = 4
_HATCH_PERIOD = 5  # line widths


def draw_outlines(
    pixels: NDArray[np.uint8], outlines: Sequence[Outline], size: Size | None = None, line: int = LINE
) -> NDArray[np.uint8]:
    """Draw outlines on a copy of a micrograph; lines lie over all rims, so that none is covered by a neighbour's.

    Args:
        pixels: (h, w) or (h, w, 3) uint8, at any resolution.
        outlines: In pixels of the micrograph.
        size: (width, height) of the micrograph; by default, that of ``pixels``.
        line: Width of a line in pixels of the picture.

    Returns:
        (h, w, 3) uint8.
    """
    picture = np.array(as_rgb(pixels))
    zoom = _zoom((picture.shape[1], picture.shape[0]), size)
    tinted = [each for each in outlines if each.fill == "tint"]
    if tinted:
        layer = picture.copy()
        for each in tinted:
            for part in each.parts:
                cv2.fillPoly(layer, _lines(part, zoom), each.colour, cv2.LINE_AA, _SUBPIXEL_BITS)
        picture = cv2.addWeighted(layer, TINT, picture, 1 - TINT, 0)
    _hatch(picture, [part for each in outlines if each.fill == "hatch" for part in each.parts], zoom, line)
    lines = [[ring for part in each.parts for ring in _lines(part, zoom)] for each in outlines]
    widths = [max(line // 2, 1) if each.thin else line for each in outlines]
    for rings, wide in zip(lines, widths, strict=True):
        cv2.polylines(picture, rings, True, (0, 0, 0), 2 * wide, cv2.LINE_AA, _SUBPIXEL_BITS)
    for rings, wide, each in zip(lines, widths, outlines, strict=True):
        if each.dashed:
            pieces = [dash for part in each.parts for dash in _dashes(part, zoom, wide)]
            cv2.polylines(picture, pieces, False, each.colour, wide, cv2.LINE_AA, _SUBPIXEL_BITS)
        else:
            cv2.polylines(picture, rings, True, each.colour, wide, cv2.LINE_AA, _SUBPIXEL_BITS)
    return picture


def draw_numbers(
    picture: NDArray[np.uint8], outlines: Sequence[Outline], size: Size | None = None
) -> NDArray[np.uint8]:
    """Write the numbers of outlines into them, on a copy of a picture; those that are too small stay without.

    Args:
        picture: (h, w) or (h, w, 3) uint8, at any resolution.
        outlines: In pixels of the micrograph; those with a ``number``.
        size: (width, height) of the micrograph; by default, that of ``picture``.

    Returns:
        (h, w, 3) uint8.
    """
    drawn = Image.fromarray(as_rgb(picture))
    zoom = _zoom(drawn.size, size)
    letters = max(min(drawn.size) / 60, 10.0)
    draw = ImageDraw.Draw(drawn)
    for each in outlines:
        if each.number is None or not each.parts:
            continue
        largest = max((part.exterior for part in each.parts), key=lambda ring: float(np.prod(np.ptp(ring, axis=0))))
        first, last = largest.min(axis=0) * zoom, largest.max(axis=0) * zoom
        if min(last - first) >= 2 * letters:
            x, y = (first + last) / 2
            draw.text(
                (x, y), str(each.number), "white", _font(letters), anchor="mm", stroke_width=2, stroke_fill="black"
            )
    return np.asarray(drawn)


def draw_scale_bar(picture: NDArray[np.uint8], bar: ScaleBar, size: Size | None = None) -> NDArray[np.uint8]:
    """Draw a white bar with a dark rim and its length above it, on a copy of a picture.

    Args:
        picture: (h, w) or (h, w, 3) uint8, at any resolution.
        bar: In pixels of the micrograph.
        size: (width, height) of the micrograph; by default, that of ``picture``.

    Returns:
        (h, w, 3) uint8.
    """
    drawn = Image.fromarray(as_rgb(picture))
    zoom_x, zoom_y = _zoom(drawn.size, size)
    letters = max(drawn.width / 32, 10.0)
    thickness, rim = max(round(letters / 4), 2), max(round(letters / 16), 1)
    left, y = round(bar.left * zoom_x), round(bar.y * zoom_y)
    right = max(round(bar.right * zoom_x), left + 1)
    top = y - thickness // 2
    draw = ImageDraw.Draw(drawn)
    # The end points belong to Pillow's rectangles.
    draw.rectangle((left - rim, top - rim, right - 1 + rim, top + thickness - 1 + rim), "black")
    draw.rectangle((left, top, right - 1, top + thickness - 1), "white")
    draw.text(
        ((left + right) / 2, top - 2 * rim), bar.text, "white", _font(letters),
        anchor="md", stroke_width=rim, stroke_fill="black",
    )  # fmt: skip
    return np.asarray(drawn)


def resized(pixels: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """A picture at another size (width, height); shrinking does not alias, since Pillow's filter widens with it."""
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def _zoom(drawn: Size, size: Size | None) -> tuple[float, float]:
    """Pixels of the picture for one of the micrograph, across and down."""
    return (1.0, 1.0) if size is None else (drawn[0] / size[0], drawn[1] / size[1])


def _lines(part: Polygon, zoom: tuple[float, float]) -> list[NDArray[np.int32]]:
    """Outline and holes in the fixed-point coordinates of cv2, whose pixel centres are whole numbers."""
    rings = (part.exterior, *part.holes)
    return [_fixed(ring * zoom) for ring in rings]


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round((points - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)[:, None]


def _dashes(part: Polygon, zoom: tuple[float, float], line: int) -> list[NDArray[np.int32]]:
    """Open pieces along outline and holes: as many whole dashes as there is room for, evenly."""
    on, off = (length * line for length in DASHES)
    pieces = []
    for ring in (part.exterior, *part.holes):
        points = np.concatenate([ring, ring[:1]]) * zoom
        until = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        count = max(round(until[-1] / (on + off)), 1)
        starts = until[-1] / count * np.arange(count)
        for start, end in zip(starts, starts + until[-1] / count * on / (on + off), strict=True):
            between = until[(until > start) & (until < end)]
            along = np.concatenate([[start], between, [end]])
            pieces.append(_fixed(np.column_stack([np.interp(along, until, axis) for axis in points.T])))
    return pieces


def _hatch(picture: NDArray[np.uint8], parts: Sequence[Polygon], zoom: tuple[float, float], line: int) -> None:
    """Grey out, in stripes along the diagonal."""
    if not parts:
        return
    inside = np.zeros(picture.shape[:2], np.uint8)
    for part in parts:
        cv2.fillPoly(inside, _lines(part, zoom), 1, cv2.LINE_8, _SUBPIXEL_BITS)
    rows, columns = np.nonzero(inside)
    period = _HATCH_PERIOD * line
    light = (rows + columns) % period < period // 2
    shaded = picture[rows, columns] // 2 + np.uint8(64)
    shaded[light] = shaded[light] // 2 + np.uint8(90)
    picture[rows, columns] = shaded


@cache
def _font(height: float) -> ImageFont.FreeTypeFont:
    """Letters that matplotlib comes with: those of Pillow lack the micro sign."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), height)
