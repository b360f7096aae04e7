"""YOLO-seg text: what Ultralytics trains on. A lossy export, and the loss is counted.

One line is one particle: the class index, then x and y of its outline, divided by the image's width and height. There
are no holes, no particles of several parts and no ignore regions. An image without a label file shows no particle.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.clipping import clip_outline, points_outside
from nanoseg_bench.annotations.faults import refuse_faults, refuse_shapes
from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon, Rle
from nanoseg_bench.annotations.labels import classes_among, own_label, without_background
from nanoseg_bench.annotations.source import NotAnAnnotationError, Source
from nanoseg_bench.annotations.tally import Tally
from nanoseg_bench.annotations.tracing import trace
from nanoseg_bench.annotations.yolo_layout import find_layout
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import write_bytes
from nanoseg_bench.imageio import image_size
from nanoseg_bench.wording import counted

_MILLION = 1_000_000
_PAIRS_AT_ONCE = 4_000_000
_NO_POINTS = np.zeros((0, 2), dtype=np.int64)
_NO_TRIANGLE = np.zeros((3, 2), dtype=np.int64)
_ONES = np.array([b" 0.", b" 1."])
_THREE_DIGITS = np.array([b"%03d" % number for number in range(1000)])
# A share of the width or height that lies farther out of [0, 1] was meant as pixels.
_FARTHEST_SHARE = 2.0


@dataclass(frozen=True, slots=True)
class YoloEntry:
    """One image of a YOLO data set.

    Attributes:
        name: Its path below the folder without suffix and without ``images``.
        path: The label; the image where there is none.
        image: The image.
        label: The label; None where there is none: the image shows no particle.
        classes: Class names by index.
        problem: Why it cannot be used; empty when all is well.
    """

    name: str
    path: Path
    image: Path | None
    label: Path | None
    classes: tuple[str, ...]
    problem: str = ""

    def read(self) -> Micrograph:
        """Read the label and the image's size. Coordinates outside [0, 1] stay: the outline leaves the image.

        Raises:
            NotAnAnnotationError: The label is another text, and has no image.
            FaultyShapesError: Names every line that is malformed, a box, or of a class that has no name, and holds what
                remains without them.
            AnnotationError: The image is missing.
            ImageError: The image cannot be read.
        """
        if self.image is None and self.label is not None and self.label.is_file() and not _looks_like_label(self.label):
            raise NotAnAnnotationError(f"{self.label}: a text, but no label")
        if self.problem or self.image is None:
            raise AnnotationError(self.problem)
        width, height = image_size(self.image)
        if self.label is None:
            notes = ("has no label file and is taken as background",)
            return Micrograph(self.name, self.image, width, height, notes=notes)
        found, faults = _read_lines(self.label, tuple(map(own_label, self.classes)), height, width, scored=False)
        instances, background = without_background(found)
        micrograph = Micrograph(self.name, self.image, width, height, instances, tally=Tally(background=background))
        refuse_shapes(self.label, faults, micrograph)
        return micrograph


def open_yolo(folder: Path, classes: Sequence[str] | None = None) -> Source:
    """List the images of a YOLO data set: the layouts that Ultralytics reads, or images with labels beside them.

    Args:
        folder: With ``data.yaml``, or ``images/`` and ``labels/``, or both kinds of files in one folder.
        classes: Class names by index; None takes those of ``data.yaml`` or ``classes.txt``.

    Raises:
        AnnotationError: No images, no labels or no class names, or ``data.yaml`` is malformed.
    """
    layout = find_layout(folder, classes)
    entries = []
    for each in layout.images:
        path = each.label or each.image
        if path is not None:
            entries.append(YoloEntry(each.name, path, each.image, each.label, layout.classes, each.problem))
    return Source("yolo", tuple(entries), classes=classes_among(layout.classes), split=layout.split)


def read_yolo(
    path: Path, classes: Sequence[str] | None, height: int, width: int, *, scored: bool = False
) -> list[Instance]:
    """Read one label file. Coordinates outside [0, 1] stay: the outline leaves the image.

    Args:
        path: The ``.txt`` file.
        classes: Class names by index; None where nobody knows what the indices mean: there are no labels then.
        height: Rows of the image.
        width: Columns.
        scored: Whether a number behind the outline is its confidence, as programs write it that predict.

    Raises:
        AnnotationError: Names every line that is malformed, a box, or of a class that has no name.
    """
    instances, faults = _read_lines(path, classes, height, width, scored=scored)
    refuse_faults(path, faults)
    return instances


def _read_lines(
    path: Path, classes: Sequence[str] | None, height: int, width: int, *, scored: bool
) -> tuple[list[Instance], list[str]]:
    """The instances of a label file, and what is wrong with each line that is none."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not a text file; a label holds numbers only") from error
    instances: list[Instance] = []
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        where = f"line {number}"
        try:
            # x and y come in pairs: with the class, a line without confidence has an odd number of words.
            score = _score(words.pop(), where) if scored and len(words) % 2 == 0 else None
            label = _class_name(words[0], classes, where)
            outline = _outline(words[1:], where) * (width, height)
        except AnnotationError as error:
            faults.append(str(error))
        else:
            instances.append(Instance(label, (Polygon(outline),), score))
    return instances, faults


@dataclass(frozen=True, slots=True)
class YoloLoss:
    """What one label file could not hold.

    Attributes:
        instances: Lines written.
        parts_joined: Parts beyond the first, each tied to its particle by a bridge of no width.
        holes_lost: Holes that are filled in the label.
        vanished: Particles left out because fewer than three points remain inside the image.
        points_clipped: Outline points that lay outside the image.
        ignored: Ignore regions, which have no line.
    """

    instances: int
    parts_joined: int
    holes_lost: int
    vanished: int
    points_clipped: int = 0
    ignored: int = 0


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

    def loss(self) -> YoloLoss:
        """What the file does not hold, counted."""
        written = [line for line in self.lines if len(line.outline)]
        return YoloLoss(
            instances=len(written),
            parts_joined=sum(line.parts - 1 for line in written),
            holes_lost=sum(line.holes for line in written),
            vanished=len(self.lines) - len(written),
            points_clipped=sum(line.points_clipped for line in self.lines),
            ignored=self.ignored,
        )


def to_outlines(instance: Instance, height: int, width: int) -> list[Polygon]:
    """Outlines of an instance, inside an image of ``height`` x ``width`` pixels.

    Polygons stay as they are, cut at the image's edge. Masks are traced along the edges of their pixels: the outline
    encloses exactly the mask's area, and rasterises to exactly its pixels.
    """
    if isinstance(instance.region, Rle):
        return trace(instance.region)
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
    label = yolo_label(path, instances, classes, height, width)
    write_bytes(path, label.content())
    return label.loss()


def yolo_label(path: Path, instances: Iterable[Instance], classes: Sequence[str], height: int, width: int) -> YoloLabel:
    """What ``write_yolo`` writes to ``path``."""
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


def _looks_like_label(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(200).split()
    return not start or start[0].replace(b".", b"").isdigit()


def _score(word: str, where: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise AnnotationError(f"{where}: ends with {word!r}; behind an outline stands its confidence") from error


def _class_name(word: str, classes: Sequence[str] | None, where: str) -> str | None:
    try:
        index = float(word)
    except ValueError:
        index = math.nan
    if not index.is_integer():
        raise AnnotationError(f"{where}: begins with {word!r}; a line begins with the index of its class")
    if classes is None:
        return None
    if not 0 <= index < len(classes):
        raise AnnotationError(
            f"{where}: class {int(index)}, but there are {len(classes)} ({', '.join(classes)}), numbered from 0; "
            "add the missing names"
        )
    return classes[int(index)]


def _outline(words: Sequence[str], where: str) -> NDArray[np.float64]:
    if len(words) == 4:
        raise AnnotationError(
            f"{where}: five numbers are a box, and a box is no outline; give the segmentation labels of this data set"
        )
    if len(words) < 6 or len(words) % 2:
        raise AnnotationError(
            f"{where}: {counted(len(words), 'coordinate')}; an outline has x and y of three points or more, so an even "
            "number"
        )
    try:
        shares = np.array([float(word) for word in words]).reshape(-1, 2)
    except ValueError as error:
        raise AnnotationError(f"{where}: {error}; after the class, a line holds numbers only") from error
    wrong = ~(np.abs(shares - 0.5) <= _FARTHEST_SHARE + 0.5)
    if wrong.any():
        raise AnnotationError(
            f"{where}: a coordinate is {shares[wrong][0]:g}, which is not between 0 and 1; divide x by the image's "
            "width and y by its height"
        )
    return shares


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


def _clip(polygon: Polygon, height: int, width: int) -> Polygon | None:
    if (polygon.exterior >= 0).all() and (polygon.exterior <= (width, height)).all():
        return polygon
    exterior = clip_outline(polygon.exterior, 0, 0, width, height)
    if len(exterior) < 3:
        return None
    holes = (clip_outline(hole, 0, 0, width, height) for hole in polygon.holes)
    return Polygon(exterior, tuple(hole for hole in holes if len(hole) >= 3))


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
