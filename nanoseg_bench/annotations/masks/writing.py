"""Instance maps, written, with the table of the particles' classes."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.clipping import points_outside
from nanoseg_bench.annotations.instance import Instance, Micrograph, Rle
from nanoseg_bench.annotations.loss import ImageLoss, iou_as_read, worst_and_mean
from nanoseg_bench.annotations.masks.particles import regions_of_values
from nanoseg_bench.annotations.raster import area, run_lengths, to_rle
from nanoseg_bench.annotations.writer import IMAGES, Encoded, Share, WriteOptions, Writer, particles_of

LABELS_FILE = "instances.csv"
LABELS_COLUMNS = ("name", "value", "label")
"""Beside instance maps: the class of each particle."""

_LARGEST_16_BIT = 65535
_MASKS = "masks"


class MaskWriter(Writer):
    """An instance map for each image. It holds no overlaps, and no ignore regions."""

    folders = (IMAGES, _MASKS)
    image_folder = IMAGES

    def encode(self, micrograph: Micrograph, stem: str, source: Path, options: WriteOptions) -> Encoded:
        """The map of one micrograph; its row of the table is value and label of each particle."""
        drawn = draw_instance_map(micrograph.instances, micrograph.height, micrograph.width)
        pairs = zip(drawn.numbers, micrograph.instances, strict=True)
        labels = tuple((number, each.label or "") for number, each in pairs if number)
        return Encoded(drawn.loss(), f"{_MASKS}/{stem}{drawn.suffix}", lambda image: drawn.content(), labels)

    @contextmanager
    def shared_file(self, root: Path, options: WriteOptions) -> Iterator[Share]:
        """The table of the particles' classes."""
        with (root / LABELS_FILE).open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(LABELS_COLUMNS)
            yield lambda image, size, labels: rows.writerows((Path(image).stem, *pair) for pair in labels)


@dataclass(frozen=True, eq=False, slots=True)
class InstanceMap:
    """Instances as the values of an image, which knows neither classes nor overlaps.

    Attributes:
        values: (H, W); the k-th particle has the value k, and a pixel that several share belongs to the last of them.
        instances: As they were given.
        numbers: The value of each; 0 where it has no pixel.
        overlapped_pixels: Pixels that more than one particle covers.
    """

    values: NDArray[Any]
    instances: tuple[Instance, ...]
    numbers: tuple[int, ...]
    overlapped_pixels: int

    @property
    def suffix(self) -> str:
        """``.png`` of 16 bits, or ``.tif`` of 32 beyond 65,535 particles."""
        return ".png" if self.values.dtype == np.uint16 else ".tif"

    def content(self) -> bytes:
        """The image file; same input, same bytes."""
        stream = io.BytesIO()
        Image.fromarray(self.values).save(stream, "PNG" if self.suffix == ".png" else "TIFF")
        return stream.getvalue()

    def loss(self) -> ImageLoss:
        """What a reader of the map sees against the truth."""
        height, width = self.values.shape
        particles = particles_of(self.instances)
        numbers = [number for number, each in zip(self.numbers, self.instances, strict=True) if not each.ignored]
        truths = [to_rle(each, height, width) for each in particles]
        shown = [place for place, truth in enumerate(truths) if area(truth)]
        ious = [1.0] * len(shown)
        if self.overlapped_pixels:
            seen = dict(zip(filter(None, numbers), regions_of_values(self.values), strict=True))
            ious = [iou_as_read(seen[numbers[place]], truths[place]) if numbers[place] else 0.0 for place in shown]
        worst, mean = worst_and_mean(ious)
        kept = sum(number > 0 for number in numbers)
        return ImageLoss(
            instances=kept,
            outside=len(particles) - len(shown),
            vanished=len(shown) - kept,
            ignored_lost=len(self.instances) - len(particles),
            points_clipped=sum(points_outside(particles, height, width)),
            overlapped_pixels=self.overlapped_pixels,
            compared=len(shown) if self.overlapped_pixels else 0,
            worst_iou=worst,
            mean_iou=mean,
        )


def draw_instance_map(instances: Sequence[Instance], height: int, width: int) -> InstanceMap:
    """Draw an instance map. Ignore regions are left out.

    Args:
        instances: Particles in pixels of the image.
        height: Rows of the image.
        width: Columns.
    """
    wide = len(particles_of(instances)) > _LARGEST_16_BIT
    # In columns, as the runs are: a particle is drawn without looking at the rest of the image.
    columns: NDArray[Any] = np.zeros(width * height, dtype=np.int32 if wide else np.uint16)
    claimed_again = np.zeros(width * height, dtype=bool)
    given: list[int] = []
    number = 0
    for instance in instances:
        if instance.ignored:
            given.append(0)
            continue
        number += 1
        inside = _pixels_inside(to_rle(instance, height, width))
        claimed_again[inside] |= columns[inside] > 0
        columns[inside] = number
        given.append(number)
    left = set(np.unique(columns).tolist())
    return InstanceMap(
        values=np.ascontiguousarray(columns.reshape(width, height).T),
        instances=tuple(instances),
        numbers=tuple(each if each in left else 0 for each in given),
        overlapped_pixels=int(claimed_again.sum()),
    )


def _pixels_inside(rle: Rle) -> NDArray[np.int64]:
    """Positions of the mask's pixels, counted down the columns."""
    ends = np.cumsum(run_lengths(rle.counts))
    starts, lengths = ends[:-1:2], np.diff(ends)[::2]
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.repeat(starts - before, lengths) + np.arange(int(lengths.sum())), dtype=np.int64)
