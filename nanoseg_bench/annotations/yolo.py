"""YOLO-seg text: what Ultralytics trains on. A lossy export, and the loss is counted.

One line is one particle: the class index, then x and y of its outline, divided by the image's width and height. There
are no holes, no particles of several parts and no ignore regions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import cdist

from nanoseg_bench.annotations.clipping import clip_outline
from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.raster import bounding_box, rle_to_mask
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import write_text

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class YoloLoss:
    """What one label file could not hold.

    Attributes:
        instances: Lines written.
        parts_joined: Parts beyond the first, each tied to its particle by a bridge of no width.
        holes_lost: Holes that are filled in the label.
        vanished: Particles left out because fewer than three points remain inside the image.
    """

    instances: int
    parts_joined: int
    holes_lost: int
    vanished: int


def to_outlines(instance: Instance, height: int, width: int) -> list[Polygon]:
    """Outlines of an instance, inside an image of ``height`` x ``width`` pixels.

    Polygons stay as they are, cut at the image's edge. Masks are traced half-way between the pixel centres inside and
    outside (marching squares at 0.5), which takes 0.5 px² from each part whatever its size: 1 % of an 8 px disc.
    """
    if isinstance(instance.region, Rle):
        return _trace(instance.region)
    return [clipped for part in instance.region if (clipped := _clip(part, height, width)) is not None]


def write_yolo(path: Path, instances: Iterable[Instance], classes: Sequence[str], height: int, width: int) -> YoloLoss:
    """Write one label file atomically; same input, same bytes. Ignore regions are not written.

    Coordinates are kept within [0, 1]: Ultralytics drops an image with one of them slightly outside.

    Args:
        path: The ``.txt`` file.
        instances: Particles in pixels of the image.
        classes: Class names; the position is the class index.
        height: Rows of the image.
        width: Columns.

    Returns:
        What was written and what was lost.

    Raises:
        AnnotationError: A label is not among ``classes``.
    """
    lines: list[str] = []
    parts_joined = holes_lost = vanished = 0
    indices = {name: position for position, name in enumerate(classes)}
    for position, instance in enumerate(instances, start=1):
        if instance.ignored:
            continue
        if instance.label is None or instance.label not in indices:
            where = f"{path}: instance {position}"
            raise AnnotationError(f"{where}: label {instance.label!r} is not one of the classes: {', '.join(classes)}")
        outlines = to_outlines(instance, height, width)
        points = _normalise(_join([outline.exterior for outline in outlines]), height, width)
        if len(np.unique(points, axis=0)) < 3:
            vanished += 1
            continue
        parts_joined += len(outlines) - 1
        holes_lost += sum(len(outline.holes) for outline in outlines)
        values = " ".join(f"{value:.{_DECIMALS}f}" for value in points.reshape(-1))
        lines.append(f"{indices[instance.label]} {values}\n")
    write_text(path, "".join(lines))
    return YoloLoss(len(lines), parts_joined, holes_lost, vanished)


def _normalise(outline: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    return np.clip(np.round(outline / (width, height), _DECIMALS), 0.0, 1.0)


def _clip(polygon: Polygon, height: int, width: int) -> Polygon | None:
    if (polygon.exterior >= 0).all() and (polygon.exterior <= (width, height)).all():
        return polygon
    exterior = clip_outline(polygon.exterior, 0, 0, width, height)
    if len(exterior) < 3:
        return None
    holes = (clip_outline(hole, 0, 0, width, height) for hole in polygon.holes)
    return Polygon(exterior, tuple(hole for hole in holes if len(hole) >= 3))


def _join(outlines: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """One outline through all of them, going there and back between the nearest points."""
    if not outlines:
        return np.zeros((0, 2))
    joined = outlines[0]
    for outline in outlines[1:]:
        here, there = np.unravel_index(np.argmin(cdist(joined, outline)), (len(joined), len(outline)))
        tour = np.concatenate((outline[there:], outline[: there + 1]))
        joined = np.concatenate((joined[: here + 1], tour, joined[here:]))
    return joined


def _trace(rle: Rle) -> list[Polygon]:
    # Only the window around the particle is looked at: most are a hundredth of their image.
    left, top, width, height = (int(value) for value in bounding_box(rle))
    if width == 0:
        return []
    numbers, _ = ndimage.label(rle_to_mask(rle)[top : top + height, left : left + width], structure=_EIGHT_NEIGHBOURS)
    polygons: list[Polygon] = []
    for number, window in enumerate(ndimage.find_objects(numbers), start=1):
        part = np.pad(numbers[window] == number, 1)
        filled = ndimage.binary_fill_holes(part)
        # From indices of the padded window to pixels: back over the padding, to the pixel's centre, into the image.
        shift = np.array([left + window[1].start, top + window[0].start]) - 0.5
        hole_numbers, holes = ndimage.label(filled & ~part)
        inner = tuple(_contour(hole_numbers == hole, "low") + shift for hole in range(1, holes + 1))
        polygons.append(Polygon(_contour(filled, "high") + shift, inner))
    return polygons


def _contour(region: NDArray[np.bool_], fully_connected: str) -> NDArray[np.float64]:
    """Outline (x, y) of a region in one piece without holes, in index coordinates, without points on straight runs."""
    from skimage.measure import find_contours

    contours = find_contours(region.astype(np.float64), 0.5, fully_connected=fully_connected)
    outline = max(contours, key=len)[:-1, ::-1]
    before, after = outline - np.roll(outline, 1, axis=0), np.roll(outline, -1, axis=0) - outline
    return np.asarray(outline[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]], dtype=np.float64)
