"""One LabelMe shape to a region: every ``shape_type`` that has an area."""

import base64
import io
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.instance import Polygon, Rle
from nanoseg_bench.annotations.json_values import FARTHEST
from nanoseg_bench.annotations.points import CURVE_DEVIATION, as_outline, as_points, ellipse_outline
from nanoseg_bench.annotations.raster import mask_to_rle, window_to_rle
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.images import open_image

WITHOUT_AREA = ("line", "linestrip", "point", "points")
"""Shape types that outline nothing."""

# A mask that reaches over the image's edge is cut; one of another magnitude is an attack or a mistake.
_LARGEST_MASK = 4
_QUADRILATERALS = ("oriented_rectangle", "rotation")
_WITH_AREA = ("polygon", "rectangle", "circle", *_QUADRILATERALS, "mask")


def shape_region(shape: dict[str, Any], height: int, width: int, where: str) -> Polygon | Rle:
    """The region of one shape, in an image of ``height`` x ``width`` pixels.

    A circle becomes a polygon that deviates from it by less than 0.01 px. A polygon may leave the image; a mask is
    cut at its edge.

    Args:
        shape: The entry of the file's ``shapes``.
        height: Rows of the image.
        width: Columns.
        where: File, shape number and label, for messages.

    Raises:
        AnnotationError: The shape is malformed or of a type that is not known.
    """
    kind = shape.get("shape_type") or "polygon"  # LabelMe before 4.0 knew polygons only and did not write the type
    if kind == "mask":
        return _mask(shape, height, width, where)
    points = _points(shape, where)
    if kind == "polygon":
        return Polygon(_outline(points, where))
    if kind == "circle":
        return Polygon(_circle(_exactly(points, 2, kind, where)))
    if kind == "rectangle" and len(points) != 4:
        return Polygon(_rectangle(_exactly(points, 2, kind, where)))
    if kind in _QUADRILATERALS or kind == "rectangle":  # X-AnyLabeling writes a rectangle as its four corners
        return Polygon(_outline(_exactly(points, 4, kind, where), where))
    known = ", ".join(_WITH_AREA + WITHOUT_AREA)
    raise AnnotationError(f"{where}: shape_type {kind!r} is not known ({known}); draw it as a polygon")


def plain_polygons(shapes: Sequence[Any]) -> list[Polygon | None]:
    """The Polygon of each shape that is a well-formed polygon; None for the others, which ``shape_region`` reads.

    All points of a file are converted at once: a call for each of its hundreds of shapes takes longer than all else.
    """
    plain = [number for number, shape in enumerate(shapes) if _may_be_plain(shape)]
    outlines = [shapes[number]["points"] for number in plain]
    points = list(chain.from_iterable(outlines))
    found: list[Polygon | None] = [None] * len(shapes)
    if not points or not set(map(type, points)) <= {list}:
        return found
    try:
        x, y = zip(*points, strict=True)  # refuses points that are not two numbers
        numbers = np.empty((len(x), 2))
        numbers[:, 0], numbers[:, 1] = x, y
    except (TypeError, ValueError, OverflowError):
        return found
    if not (np.abs(numbers) <= FARTHEST).all():
        return found
    end = 0
    for number, outline in zip(plain, outlines, strict=True):
        start, end = end, end + len(outline)
        # Mostly, the first points tell already that there are three different ones.
        if len(set(map(tuple, outline[:8]))) >= 3 or len(set(map(tuple, outline))) >= 3:
            found[number] = Polygon(numbers[start : end - 1 if outline[0] == outline[-1] else end])
    return found


def encode_mask(mask: NDArray[np.bool_]) -> tuple[list[list[float]], str]:
    """LabelMe's ``points`` (first and last pixel inside) and ``mask`` (base64 of a PNG of that window) of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    stream = io.BytesIO()
    Image.fromarray(window.astype(np.uint8)).save(stream, format="PNG")
    corners = [[float(columns[0]), float(rows[0])], [float(columns[-1]), float(rows[-1])]]
    return corners, base64.b64encode(stream.getvalue()).decode("ascii")


def _may_be_plain(shape: Any) -> bool:
    return (
        isinstance(shape, dict)
        and (shape.get("shape_type") or "polygon") == "polygon"
        and isinstance(shape.get("points"), list)
    )


def _points(shape: dict[str, Any], where: str) -> NDArray[np.float64]:
    try:
        return as_points(shape.get("points"))
    except ValueError as error:
        raise AnnotationError(f"{where}: {error}; draw the shape again or delete it") from error


def _exactly(points: NDArray[np.float64], number: int, kind: str, where: str) -> NDArray[np.float64]:
    if len(points) != number:
        raise AnnotationError(f"{where}: a {kind} has {number} points, this one {len(points)}; draw it again")
    return points


def _outline(points: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    try:
        return as_outline(points)
    except ValueError as error:
        raise AnnotationError(
            f"{where}: {error}; open the file in LabelMe and draw the shape again or delete it"
        ) from error


def _rectangle(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _circle(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre and a point on the circle to a polygon."""
    (x, y), (rim_x, rim_y) = points.tolist()
    radius = max(float(np.hypot(rim_x - x, rim_y - y)), CURVE_DEVIATION)
    return ellipse_outline(x, y, radius, radius)


def _mask(shape: dict[str, Any], height: int, width: int, where: str) -> Rle:
    window = _decode(shape.get("mask"), height, width, where)
    rows, columns = window.shape
    if not shape.get("points") and (rows, columns) == (height, width):
        return mask_to_rle(window)  # some tools store the whole image's mask, and need no place for it
    corners = _exactly(_points(shape, where), 2, "mask", where)
    (left, top), (right, bottom) = corners.astype(int).tolist()
    # The corners are the first and the last pixel; some exporters write one past the last.
    if abs(right - left + 1 - columns) > 1 or abs(bottom - top + 1 - rows) > 1:
        raise AnnotationError(
            f"{where}: 'mask' is {columns}x{rows} px, its points span {right - left + 1}x{bottom - top + 1} px; "
            "draw the mask again"
        )
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + columns, width), min(top + rows, height)
    if x1 <= x0 or y1 <= y0:
        return mask_to_rle(np.zeros((height, width), dtype=bool))
    return window_to_rle(window[y0 - top : y1 - top, x0 - left : x1 - left], x0, y0, height, width)


def _decode(encoded: Any, height: int, width: int, where: str) -> NDArray[np.bool_]:
    try:
        with open_image(io.BytesIO(base64.b64decode(encoded, validate=True))) as image:
            columns, rows = image.size
            if columns > _LARGEST_MASK * width or rows > _LARGEST_MASK * height:
                raise AnnotationError(
                    f"{where}: 'mask' is {columns}x{rows} px on an image of {width}x{height} px; draw the mask again"
                )
            pixels = np.asarray(image)
    except AnnotationError:
        raise
    except Exception as error:
        # On a broken header Pillow raises nearly anything: SyntaxError, OverflowError, struct.error, ...
        raise AnnotationError(f"{where}: 'mask' is not a base64-encoded PNG; draw the mask again") from error
    return np.asarray(pixels.any(axis=2) if pixels.ndim == 3 else pixels, dtype=bool)
