"""What a reader of an exported file sees, against the truth: nothing that a format cannot hold is lost silently.

Both are rasterised by the one rasteriser and compared, but only where they can differ: where holes were filled, parts
joined, points clipped or masks traced. An outline that was written as it stands has an IoU of 1 without being drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import iou_matrix

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


def iou_as_read(seen: Rle, truth: Rle) -> float:
    """IoU of a particle as a reader sees it with its truth."""
    return round_iou(float(iou_matrix([seen], [truth])[0, 0]))


def round_iou(iou: float) -> float:
    """An IoU in so many decimals that equal inputs give equal reports on every machine."""
    return round(iou, _DECIMALS)


def worst_and_mean(ious: Sequence[float]) -> tuple[float, float]:
    """Smallest and mean IoU of an image's particles; 1 where there is none."""
    if not ious:
        return 1.0, 1.0
    return min(ious), round_iou(sum(ious) / len(ious))
