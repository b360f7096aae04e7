"""The label of one image in YOLO-seg text, as it is written; what its lines cannot hold is counted."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.clipping import points_outside
from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.loss import ImageLoss, iou_as_read, worst_and_mean
from nanoseg_bench.annotations.raster import area, polygons_to_rle, to_rle
from nanoseg_bench.annotations.tracing import to_outlines
from nanoseg_bench.errors import AnnotationError

_MILLION = 1_000_000
_PAIRS_AT_ONCE = 4_000_000
_NO_POINTS = np.zeros((0, 2), dtype=np.int64)
_NO_TRIANGLE = np.zeros((3, 2), dtype=np.int64)
_ONES = np.array([b" 0.", b" 1."])
_THREE_DIGITS = np.array([b"%03d" % number for number in range(1000)])


@dataclass(frozen=True, eq=False, slots=True)
class YoloLine:
    """One particle and its line.

    Attributes:
        instance: The particle.
        class_index: Position of its label among the classes.
        outline: (N, 2) x and y in millionths of the image's width and height; N is 0 where nothing is left to write.
        parts: How many outlines were joined.
        holes: How many holes were filled.
        points_clipped: How many points lay outside the image.
    """

    instance: Instance
    class_index: int
    outline: NDArray[np.int64]
    parts: int
    holes: int
    points_clipped: int

    @property
    def exact(self) -> bool:
        """Whether the line says all that the instance does, and so need not be compared pixel by pixel."""
        plain = not isinstance(self.instance.region, Rle) and self.parts == 1
        return plain and not self.holes and not self.points_clipped and len(self.outline) > 0


@dataclass(frozen=True, eq=False, slots=True)
class YoloLabel:
    """The label of one image.

    Attributes:
        lines: Its particles, those included of which nothing is left to write.
        ignored: Number of ignore regions.
        height: Rows of the image.
        width: Columns.
    """

    lines: tuple[YoloLine, ...]
    ignored: int
    height: int
    width: int

    def content(self) -> bytes:
        """The label file."""
        shares = _as_text(np.concatenate([_NO_POINTS, *(line.outline for line in self.lines)]))
        ends = accumulate(len(line.outline) for line in self.lines)
        return b"".join(
            b"%d%s\n" % (line.class_index, shares[end - len(line.outline) : end].tobytes())
            for line, end in zip(self.lines, ends, strict=True)
            if len(line.outline)
        )

    def loss(self) -> ImageLoss:
        """What a reader of the file sees against the truth."""
        ious: list[float] = []
        compared = outside = 0
        for line in self.lines:
            if line.exact:
                ious.append(1.0)
                continue
            truth = to_rle(line.instance, self.height, self.width)
            if area(truth):
                compared += 1
                ious.append(iou_as_read(self._seen(line), truth))
            else:
                outside += len(line.outline) == 0
        written = [line for line in self.lines if len(line.outline)]
        worst, mean = worst_and_mean(ious)
        return ImageLoss(
            instances=len(written),
            outside=outside,
            vanished=len(self.lines) - len(written) - outside,
            ignored_lost=self.ignored,
            parts_joined=sum(line.parts - 1 for line in written),
            holes_lost=sum(line.holes for line in written),
            points_clipped=sum(line.points_clipped for line in self.lines),
            compared=compared,
            worst_iou=worst,
            mean_iou=mean,
        )

    def _seen(self, line: YoloLine) -> Rle:
        outline = line.outline / _MILLION * (self.width, self.height)
        return polygons_to_rle([Polygon(outline)] if len(outline) else [], self.height, self.width)


def yolo_label(path: Path, instances: Iterable[Instance], classes: Sequence[str], height: int, width: int) -> YoloLabel:
    """The label file of one image. Ignore regions have no line.

    Coordinates are kept within [0, 1]: Ultralytics drops an image with one of them slightly outside.

    Args:
        path: The ``.txt`` file, for messages.
        instances: Particles in pixels of the image.
        classes: Class names; the position is the class index.
        height: Rows of the image.
        width: Columns.

    Raises:
        AnnotationError: A label is not among ``classes``.
    """
    indices = {name: position for position, name in enumerate(classes)}
    particles: list[tuple[Instance, int]] = []
    ignored = 0
    for position, instance in enumerate(instances, start=1):
        if instance.ignored:
            ignored += 1
        elif instance.label is None or instance.label not in indices:
            raise AnnotationError(
                f"{path}: instance {position}: label {instance.label!r} is not one of the classes: {', '.join(classes)}"
            )
        else:
            particles.append((instance, indices[instance.label]))
    outside = points_outside([instance for instance, _ in particles], height, width)
    outlines = [
        # Most particles are one polygon inside the image; they cost nothing here.
        list(instance.region)
        if number == 0 and not isinstance(instance.region, Rle)
        else to_outlines(instance, height, width)
        for (instance, _), number in zip(particles, outside, strict=True)
    ]
    joined = _in_millionths([_join(parts) for parts in outlines], height, width)
    enough = _enough_points(joined)
    lines = tuple(
        YoloLine(
            instance=instance,
            class_index=index,
            outline=outline if fits else outline[:0],
            parts=len(parts),
            holes=sum(len(part.holes) for part in parts),
            points_clipped=number,
        )
        for (instance, index), parts, outline, fits, number in zip(
            particles, outlines, joined, enough, outside, strict=True
        )
    )
    return YoloLabel(lines, ignored, height, width)


def _in_millionths(outlines: Sequence[NDArray[np.float64]], height: int, width: int) -> list[NDArray[np.int64]]:
    points = np.concatenate([np.zeros((0, 2)), *outlines])
    shares = np.clip(np.rint(points / (width, height) * _MILLION), 0, _MILLION).astype(np.int64)
    ends = np.cumsum([len(outline) for outline in outlines]).tolist()
    return [shares[end - len(outline) : end] for end, outline in zip(ends, outlines, strict=True)]


def _enough_points(outlines: Sequence[NDArray[np.int64]]) -> list[bool]:
    """Whether each outline has three different points; mostly, its first three are."""
    firsts = np.array([outline[:3] if len(outline) >= 3 else _NO_TRIANGLE for outline in outlines])
    firsts = firsts.reshape(-1, 3, 2)
    different = (firsts != np.roll(firsts, 1, axis=1)).any(axis=2).all(axis=1).tolist()
    return [
        enough or len(set(map(tuple, outline.tolist()))) >= 3
        for enough, outline in zip(different, outlines, strict=True)
    ]


def _as_text(points: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Millionths to (N, 6) pieces of text, `` 0.``, ``123``, ``456`` for x and for y.

    Formatting numbers one by one costs more than all else in an export; here they are looked up, three digits each.
    """
    numbers = points.reshape(-1).astype(np.int32)
    thousands = numbers // 1000
    ones = thousands // 1000
    pieces = np.empty((len(numbers), 3), dtype="S3")
    pieces[:, 0] = _ONES[ones]
    pieces[:, 1] = _THREE_DIGITS[thousands - 1000 * ones]
    pieces[:, 2] = _THREE_DIGITS[numbers - 1000 * thousands]
    return pieces.reshape(-1, 6)


def _join(parts: Sequence[Polygon]) -> NDArray[np.float64]:
    """One outline through all parts, going there and back between the nearest points."""
    outlines = [part.exterior for part in parts if not _in_a_hole(part, parts)]
    if not outlines:
        return np.zeros((0, 2))
    joined = outlines[0]
    for outline in outlines[1:]:
        here, there = _nearest(joined, outline)
        tour = np.concatenate((outline[there:], outline[: there + 1]))
        joined = np.concatenate((joined[: here + 1], tour, joined[here:]))
    return joined


def _in_a_hole(part: Polygon, parts: Sequence[Polygon]) -> bool:
    """Whether a part lies in another one's hole: that is filled, and joining the part would cut it out again."""
    return any(_encloses(hole, part.exterior[0]) for other in parts if other is not part for hole in other.holes)


def _encloses(outline: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    """Whether a ray from the point to the right meets the outline an odd number of times."""
    x, y = point
    following = np.roll(outline, -1, axis=0)
    crossing = (outline[:, 1] > y) != (following[:, 1] > y)
    start, end = outline[crossing], following[crossing]
    meets = start[:, 0] + (y - start[:, 1]) / (end[:, 1] - start[:, 1]) * (end[:, 0] - start[:, 0])
    return bool(np.count_nonzero(meets > x) % 2)


def _nearest(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[int, int]:
    """Positions of the two points that are nearest to each other, in bounded memory."""
    rows = max(_PAIRS_AT_ONCE // len(second), 1)
    best = (math.inf, 0, 0)
    for start in range(0, len(first), rows):
        block = first[start : start + rows]
        distances = (block[:, None, 0] - second[None, :, 0]) ** 2 + (block[:, None, 1] - second[None, :, 1]) ** 2
        here, there = divmod(int(np.argmin(distances)), len(second))
        best = min(best, (float(distances[here, there]), start + here, there))
    return best[1], best[2]
