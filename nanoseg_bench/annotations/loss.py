"""What a reader of an exported file sees, against the truth: nothing that a format cannot hold is lost silently.

Both are rasterised by the one rasteriser and compared, but only where they can differ: where holes were filled, parts
joined, points clipped or masks traced. An outline that was written as it stands has an IoU of 1 without being drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanoseg_bench.annotations.clipping import points_outside
from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.annotations.raster import area, iou_matrix, polygons_to_rle, to_rle
from nanoseg_bench.annotations.yolo.label import YoloLabel, YoloLine

if TYPE_CHECKING:
    from nanoseg_bench.annotations.masks.writing import MapLoss
    from nanoseg_bench.annotations.simplification import Simplified

_MILLION = 1_000_000
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class ImageLoss:
    """What the export of one image does not hold, or holds otherwise.

    Attributes:
        instances: Particles that a reader finds.
        outside: Particles without a pixel inside the image; they are no truth either.
        vanished: Particles of the truth that no reader finds.
        ignored_lost: Ignore regions that the format cannot hold.
        parts_joined: Parts beyond the first of a particle, tied to it by bridges of no width.
        holes_lost: Holes that are filled.
        points_clipped: Outline points outside of the image; the outline now runs along its edge.
        overlapped_pixels: Pixels that several particles share and one of them has.
        simplified: Masks that became polygons, with fewer vertices than their pixels' edges have.
        points_before: Vertices of those masks along the pixels' edges.
        points_after: Vertices of those polygons.
        compared: Particles that were compared pixel by pixel.
        worst_iou: Smallest IoU of a particle as read with its truth; 0 where one vanished.
        mean_iou: Mean over the particles of the truth.
    """

    instances: int
    outside: int = 0
    vanished: int = 0
    ignored_lost: int = 0
    parts_joined: int = 0
    holes_lost: int = 0
    points_clipped: int = 0
    overlapped_pixels: int = 0
    simplified: int = 0
    points_before: int = 0
    points_after: int = 0
    compared: int = 0
    worst_iou: float = 1.0
    mean_iou: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """The number of particles and whatever was lost, as JSON types."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name == "instances" or getattr(self, field.name) != field.default
        }


def yolo_loss(label: YoloLabel) -> ImageLoss:
    """What a reader of a YOLO label sees against the truth."""
    counts = label.loss()
    ious: list[float] = []
    compared = outside = 0
    for line in label.lines:
        if line.exact:
            ious.append(1.0)
            continue
        truth = to_rle(line.instance, label.height, label.width)
        if area(truth):
            compared += 1
            ious.append(_iou(_seen(line, label), truth))
        else:
            outside += len(line.outline) == 0
    worst, mean = _worst_and_mean(ious)
    return ImageLoss(
        instances=counts.instances,
        outside=outside,
        vanished=counts.vanished - outside,
        ignored_lost=counts.ignored,
        parts_joined=counts.parts_joined,
        holes_lost=counts.holes_lost,
        points_clipped=counts.points_clipped,
        compared=compared,
        worst_iou=worst,
        mean_iou=mean,
    )


def outline_loss(found: Sequence["Simplified | None"], *, instances: int, outside: int) -> ImageLoss:
    """What a reader of polygons that were made of masks sees against the truth.

    Args:
        found: Of every particle; None for one that was written as it is.
        instances: Particles that were written.
        outside: Particles without a pixel inside the image.
    """
    ious = [1.0 if each is None else round(each.iou, _DECIMALS) for each in found]
    fewer = [each for each in found if each is not None and each.points < each.steps]
    worst, mean = _worst_and_mean(ious)
    return ImageLoss(
        instances=instances,
        outside=outside,
        simplified=len(fewer),
        points_before=sum(each.steps for each in fewer),
        points_after=sum(each.points for each in fewer),
        compared=len(fewer),
        worst_iou=worst,
        mean_iou=mean,
    )


def map_loss(instances: Sequence[Instance], written: "MapLoss", height: int, width: int) -> ImageLoss:
    """What a reader of an instance map sees against the truth."""
    particles = [each for each in instances if not each.ignored]
    values = [value for value, each in zip(written.values, instances, strict=True) if not each.ignored]
    truths = [to_rle(each, height, width) for each in particles]
    shown = [number for number, truth in enumerate(truths) if area(truth)]
    ious = [1.0] * len(shown)
    if written.overlapped_pixels:
        found = _read_map(written.path)
        ious = [_iou(found[values[number]], truths[number]) if values[number] else 0.0 for number in shown]
    worst, mean = _worst_and_mean(ious)
    return ImageLoss(
        instances=written.instances,
        outside=len(particles) - len(shown),
        vanished=written.vanished - (len(particles) - len(shown)),
        ignored_lost=len(instances) - len(particles),
        points_clipped=sum(points_outside(particles, height, width)),
        overlapped_pixels=written.overlapped_pixels,
        compared=len(shown) if written.overlapped_pixels else 0,
        worst_iou=worst,
        mean_iou=mean,
    )


def _read_map(path: Path) -> dict[int, Rle]:
    import numpy as np
    from PIL import Image

    from nanoseg_bench.annotations.raster import mask_to_rle

    with Image.open(path) as image:
        values = np.asarray(image)
    return {int(value): mask_to_rle(values == value) for value in np.unique(values) if value}


def _seen(line: YoloLine, label: YoloLabel) -> Rle:
    outline = line.outline / _MILLION * (label.width, label.height)
    return polygons_to_rle([Polygon(outline)] if len(outline) else [], label.height, label.width)


def _iou(seen: Rle, truth: Rle) -> float:
    return round(float(iou_matrix([seen], [truth])[0, 0]), _DECIMALS)


def _worst_and_mean(ious: Sequence[float]) -> tuple[float, float]:
    if not ious:
        return 1.0, 1.0
    return min(ious), round(sum(ious) / len(ious), _DECIMALS)
