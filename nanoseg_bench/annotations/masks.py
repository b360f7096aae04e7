"""Mask images: instance maps, whose value says which particle a pixel belongs to, and binary masks. 0 is background."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.image_files import checked_size
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph, Rle
from nanoseg_bench.annotations.mask_options import MaskOptions
from nanoseg_bench.annotations.mask_pairs import find_mask_pairs
from nanoseg_bench.annotations.mask_particles import find_particles, made_for, read_values, values_to_instances
from nanoseg_bench.annotations.mask_patterns import recognise
from nanoseg_bench.annotations.mask_values import read_mask_values
from nanoseg_bench.annotations.raster import run_lengths, to_rle
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.files import atomic_path
from nanoseg_bench.imageio import image_size

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


def read_instance_map(path: Path, label: str | None, *, colours: bool = False) -> list[Instance]:
    """Read an instance map: PNG or TIFF of 1 to 64 bits, or a palette image (the index counts).

    Every value but 0 is one particle, in several parts where its pixels do not hang together.

    Args:
        path: The map.
        label: Class name of its particles; None where the classes are not known.
        colours: Take every colour but black for one particle.

    Returns:
        Masks in the order of their values.

    Raises:
        ImageError: The file is missing or truncated.
        AnnotationError: The image has different channels, fractions or negative values.
    """
    return values_to_instances(read_mask_values(path, colours=colours), label)


@dataclass(frozen=True, slots=True)
class MaskEntry:
    """One mask and its image.

    Attributes:
        name: The image's path below its folder without suffix.
        path: The mask.
        image_path: The image; None where there is none.
        fault: Why the mask cannot be used; empty when it can.
        options: How it is read; the kind is not ``auto``.
        chosen: Whether the kind was found, not given.
        labels: Class name of single particles by their value, where a table names them.
    """

    name: str
    path: Path
    image_path: Path | None
    fault: str
    options: MaskOptions
    chosen: bool
    labels: tuple[tuple[int, str], ...] = ()

    def read(self) -> Micrograph:
        """Read the mask and the image's size.

        Raises:
            AnnotationError: The image is missing or of another size, or the mask is not of its kind.
            ImageError: Mask or image cannot be read.
        """
        if self.fault or self.image_path is None:
            raise AnnotationError(f"{self.path}: {self.fault}")
        values = read_values(self.path, self.options)
        size = made_for(values, image_size(self.image_path), self.options, self.path)
        width, height = checked_size(self.image_path, size, str(self.path))
        found = find_particles(
            values, self.options, self.path, chosen=self.chosen, size=(width, height), labels=dict(self.labels)
        )
        instances = tuple(found.instances)
        return Micrograph(self.name, self.image_path, width, height, instances, notes=found.notes, pieces=found.pieces)


def open_masks(folder: Path, mask_folder: Path | None = None, options: MaskOptions | None = None) -> Source:
    """Pair images with masks of the same name.

    Two folders are given, or one with ``images`` beside ``masks`` (or ``segmaps``, ``labels``, ``instances``), or one
    where ``NAME_mask.png`` (``_label``, ``_seg``, ``_instances``) lies beside ``NAME.png``.

    A table ``instances.csv`` in the folder (name, value, label), as ``convert`` writes it, names the classes of the
    particles of instance maps.

    Args:
        folder: The folder, or that of the images.
        mask_folder: The folder of the masks.
        options: How they are read. Of kind ``auto``, each Micrograph's notes say what its mask was taken for.

    Raises:
        AnnotationError: There are no masks, it is not clear which files they are, or their values look like neither
            numbers of particles nor particles against background.
    """
    options = options or MaskOptions()
    pairs = find_mask_pairs(folder, mask_folder)
    labels = _read_labels(folder / LABELS_FILE)
    chosen = options.kind == "auto" and not labels
    if options.kind == "auto":
        kind = "instance" if labels else recognise([pair.masks[0] for pair in pairs if pair.masks])
        options = replace(options, kind=kind)
    entries = [
        MaskEntry(
            pair.name,
            pair.masks[0],
            pair.images[0] if pair.images else None,
            pair.fault,
            options,
            chosen,
            labels.get(PurePosixPath(pair.name).name, ()),
        )
        for pair in pairs
        if pair.masks
    ]
    bare = tuple(path for pair in pairs if not pair.masks for path in pair.images)
    classes = tuple(dict.fromkeys(name for _, name in options.names if name != IGNORE_LABEL))
    return Source("masks", tuple(entries), classes=classes or None, unannotated=bare)


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


def _read_labels(path: Path) -> Mapping[str, tuple[tuple[int, str], ...]]:
    """Value and label of the particles by image; empty where there is no such table."""
    if not path.is_file():
        return {}
    labels: dict[str, list[tuple[int, str]]] = defaultdict(list)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if not set(LABELS_COLUMNS) <= set(reader.fieldnames or ()):
                return {}  # another table of this name
            for row in reader:
                labels[row["name"]].append((int(row["value"]), row["label"]))
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise AnnotationError(
            f"{path}: is no table of {', '.join(LABELS_COLUMNS)} ({error}); mend it, or take it away"
        ) from error
    return {name: tuple(pairs) for name, pairs in labels.items()}


def _pixels_inside(rle: Rle) -> NDArray[np.int64]:
    """Positions of the mask's pixels, counted down the columns."""
    ends = np.cumsum(run_lengths(rle.counts))
    starts, lengths = ends[:-1:2], np.diff(ends)[::2]
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.repeat(starts - before, lengths) + np.arange(int(lengths.sum())), dtype=np.int64)
