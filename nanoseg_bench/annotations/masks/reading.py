"""Mask images: instance maps, whose value says which particle a pixel belongs to, and binary masks. 0 is background."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from nanoseg_bench.annotations.errors import MissingImageError
from nanoseg_bench.annotations.image_files import checked_size
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph
from nanoseg_bench.annotations.masks.class_table import read_class_table
from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.masks.pairs import find_mask_folders, find_mask_pairs
from nanoseg_bench.annotations.masks.particles import find_particles, made_for, read_values, values_to_instances
from nanoseg_bench.annotations.masks.patterns import recognise
from nanoseg_bench.annotations.masks.values import read_mask_values
from nanoseg_bench.annotations.masks.writing import LABELS_FILE
from nanoseg_bench.annotations.source import Source
from nanoseg_bench.images import image_size

_TAKEN_FOR = {
    "binary": "binary masks, of which each connected piece is a particle",
    "instance": "instance maps, of which each value is a particle",
}

_LOG = logging.getLogger(__name__)


def read_instance_map(path: Path, label: str | None) -> list[Instance]:
    """Read an instance map: PNG or TIFF of 1 to 64 bits, or a palette image (the index counts).

    Every value but 0 is one particle, in several parts where its pixels do not hang together.

    Args:
        path: The map.
        label: Class name of its particles; None where the classes are not known.

    Returns:
        Masks in the order of their values.

    Raises:
        ImageError: The file is missing or truncated.
        AnnotationError: The image has different channels, fractions or negative values.
    """
    return values_to_instances(read_mask_values(path), label, path)


@dataclass(frozen=True, slots=True)
class MaskRef:
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
            raise MissingImageError(f"{self.path}: {self.fault}")
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

    A table ``instances.csv`` (name, value, label) in the folder, or in or beside that of the masks, as ``convert``
    writes it, names the classes of the particles of instance maps; see ``read_class_table``.

    Args:
        folder: The folder, or that of the images.
        mask_folder: The folder of the masks.
        options: How they are read. Of kind ``auto``, each Micrograph's notes say what its mask was taken for.

    Raises:
        AnnotationError: There are no masks, it is not clear which files they are, their values look like neither
            numbers of particles nor particles against background, or the table is malformed.
    """
    options = options or MaskOptions()
    pairs = find_mask_pairs(folder, mask_folder)
    # Beside the folder of the masks, as ``convert`` lays it.
    of_masks = mask_folder or find_mask_folders(folder)[1]
    places = (folder,) if of_masks is None else (folder, of_masks, of_masks.parent)
    tables = (place / LABELS_FILE for place in places)
    table = next((path for path in tables if path.is_file()), None)
    labels = {} if table is None else read_class_table(table, [pair.name for pair in pairs if pair.masks])
    chosen = options.kind == "auto" and not labels
    if options.kind == "auto":
        kind = "instance" if labels else recognise([pair.masks[0] for pair in pairs if pair.masks])
        options = replace(options, kind=kind)
    if chosen:
        # Once for all, where a wrong guess is seen before anything is made of it.
        what = _TAKEN_FOR[options.kind]
        _LOG.info("%s: taken for %s; if they are not, say what they are with --mask-kind", mask_folder or folder, what)
    entries = [
        MaskRef(
            pair.name,
            pair.masks[0],
            pair.images[0] if pair.images else None,
            pair.fault,
            options,
            chosen,
            labels.get(pair.name, ()),
        )
        for pair in pairs
        if pair.masks
    ]
    bare = tuple(path for pair in pairs if not pair.masks for path in pair.images)
    classes = tuple(dict.fromkeys(name for _, name in options.names if name != IGNORE_LABEL))
    return Source("masks", tuple(entries), classes=classes or None, unannotated=bare)
