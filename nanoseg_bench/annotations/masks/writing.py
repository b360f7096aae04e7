"""Instance maps, written, with the table of the particles' classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Rle
from nanoseg_bench.annotations.raster import run_lengths, to_rle
from nanoseg_bench.files import atomic_path

_LARGEST_16_BIT = 65535

LABELS_FILE = "instances.csv"
LABELS_COLUMNS = ("name", "value", "label")
"""Beside instance maps: the class of each particle."""


@dataclass(frozen=True, slots=True)
class MapLoss:
    """What became of the instances in an instance map, which knows neither classes nor overlaps.

    Attributes:
        instances: Particles that have a pixel in the map.
        overlapped_pixels: Pixels that more than one particle covers; each belongs to the last of them.
        vanished: Particles without a pixel in the map: outside of the image, or covered by later ones.
        values: The value of each instance that was given, in their order; 0 where it has no pixel.
        path: The file written; its suffix is ``.tif`` where 16 bits do not suffice.
    """

    instances: int
    overlapped_pixels: int
    vanished: int
    values: tuple[int, ...]
    path: Path


def write_instance_map(path: Path, instances: Sequence[Instance], height: int, width: int) -> MapLoss:
    """Write an instance map atomically: the k-th particle has the value k; same input, same bytes.

    A 16-bit PNG, or a 32-bit TIFF beyond 65,535 particles. Ignore regions are not written.

    Args:
        path: The ``.png`` file.
        instances: Particles in pixels of the image.
        height: Rows of the image.
        width: Columns.

    Returns:
        What was written and what was lost.
    """
    particles = sum(not instance.ignored for instance in instances)
    wide = particles > _LARGEST_16_BIT
    # In columns, as the runs are: a particle is written without looking at the rest of the image.
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
    path = path.with_suffix(".tif") if wide else path
    with atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(columns.reshape(width, height).T)).save(temporary)
    left = set(np.unique(columns).tolist()) - {0}
    kept = tuple(value if value in left else 0 for value in given)
    return MapLoss(len(left), int(claimed_again.sum()), particles - len(left), kept, path)


def _pixels_inside(rle: Rle) -> NDArray[np.int64]:
    """Positions of the mask's pixels, counted down the columns."""
    ends = np.cumsum(run_lengths(rle.counts))
    starts, lengths = ends[:-1:2], np.diff(ends)[::2]
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.repeat(starts - before, lengths) + np.arange(int(lengths.sum())), dtype=np.int64)
