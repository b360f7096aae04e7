"""One region of a VIA file to a polygon: every shape that has an area."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Polygon
from nanoseg_bench.annotations.json_values import first_wrong_number, is_coordinate
from nanoseg_bench.annotations.points import as_outline, ellipse_outline
from nanoseg_bench.errors import AnnotationError

WITHOUT_AREA = ("line", "point", "polyline")
"""Shapes that outline nothing."""

_WITH_AREA = ("polygon", "rect", "circle", "ellipse")


def region_polygon(shape: Mapping[str, Any], where: str) -> Polygon:
    """The polygon of one region; circles and ellipses deviate from it by less than 0.01 px.

    Args:
        shape: The region's ``shape_attributes``; lengths in pixels, ``theta`` in radians, clockwise as seen.
        where: File, image and region number, for messages.

    Raises:
        AnnotationError: The region is malformed, has no extent, or is of a shape that is not known.
    """
    kind = shape["name"]
    if kind == "polygon":
        return Polygon(_polygon(shape, where))
    if kind == "rect":
        return Polygon(_rectangle(shape, where))
    if kind == "circle":
        x, y, radius = _numbers(shape, ("cx", "cy", "r"), where)
        return Polygon(_ellipse(x, y, radius, radius, 0.0, where))
    if kind == "ellipse":
        x, y, radius_x, radius_y = _numbers(shape, ("cx", "cy", "rx", "ry"), where)
        (theta,) = _numbers(shape, ("theta",), where) if "theta" in shape else (0.0,)
        return Polygon(_ellipse(x, y, radius_x, radius_y, theta, where))
    known = ", ".join(_WITH_AREA + WITHOUT_AREA)
    raise AnnotationError(f"{where}: shape {kind!a} is not known ({known}); draw it as a polygon")


def _numbers(shape: Mapping[str, Any], keys: tuple[str, ...], where: str) -> list[float]:
    for key in keys:
        if not is_coordinate(shape.get(key)):
            raise AnnotationError(
                f"{where}: {key!r} of a {shape['name']} is {shape.get(key)!a}; draw the region again or delete it"
            )
    return [float(shape[key]) for key in keys]


def _polygon(shape: Mapping[str, Any], where: str) -> NDArray[np.float64]:
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if (
        not isinstance(xs, list)
        or not isinstance(ys, list)
        or len(xs) != len(ys)
        or not all(map(is_coordinate, xs))
        or not all(map(is_coordinate, ys))
    ):
        wrong = "".join(
            f"{text}; "
            for name, values in (("all_points_x", xs), ("all_points_y", ys))
            if isinstance(values, list) and (text := first_wrong_number(name, values))
        )
        raise AnnotationError(
            f"{where}: {wrong}'all_points_x' and 'all_points_y' must be as many positions in pixels each; draw it again"
        )
    try:
        return as_outline(np.array([xs, ys], dtype=np.float64).T.reshape(-1, 2))  # VIA 1 closes its polygons
    except ValueError as error:
        raise AnnotationError(f"{where}: {error}; draw it again or delete it") from error


def _rectangle(shape: Mapping[str, Any], where: str) -> NDArray[np.float64]:
    left, top, width, height = _numbers(shape, ("x", "y", "width", "height"), where)
    _check_extent(width, height, "rect", where)
    right, bottom = left + width, top + height
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _ellipse(x: float, y: float, radius_x: float, radius_y: float, theta: float, where: str) -> NDArray[np.float64]:
    _check_extent(radius_x, radius_y, "circle or ellipse", where)
    return ellipse_outline(x, y, radius_x, radius_y, theta)


def _check_extent(first: float, second: float, kind: str, where: str) -> None:
    if min(first, second) <= 0:
        raise AnnotationError(f"{where}: a {kind} without extent ({first} by {second} px); draw it again or delete it")
