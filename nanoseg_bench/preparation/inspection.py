"""A first look at every micrograph: can it be read, is it what its annotation says, what identifies it.

What comes back is small and holds no outlines and no pixels, so that a data set may be larger than memory.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.faults import Problem
from nanoseg_bench.annotations.image_files import composed, original_name
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.labels import check_labels
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.errors import NanosegError, PreparationError
from nanoseg_bench.marks import Mark
from nanoseg_bench.marks.detection import find_marks
from nanoseg_bench.preparation.banners import unlabelled_banners
from nanoseg_bench.preparation.fingerprint import compared_at, fingerprint, write_fingerprint
from nanoseg_bench.preparation.hashing import pixels_sha256, truth_sha256
from nanoseg_bench.preparation.tiling import read_pixels


@dataclass(frozen=True, eq=False, slots=True)
class InspectionTask:
    """What to look at.

    Attributes:
        ref: The micrograph.
        classes: The labels that may occur, besides ``ignore``; None allows any.
        fingerprint_path: Where to write what the image is compared by; None looks at the annotation only.
    """

    ref: MicrographRef
    classes: tuple[str, ...] | None
    fingerprint_path: Path | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Inspection:
    """What the first look at a micrograph gave.

    Attributes:
        micrograph: What the annotation says, without the outlines; its scale may come from the image or a table, and
            its source group from the user.
        scale_from: Who knows the scale: ``annotation``, a kind of image metadata, or ``scale-csv``.
        labels: Number of particles by label; ignore regions are not counted.
        ignored: Number of ignore regions.
        reading: What reading the image decided (page, contrast), as JSON; empty for plain 8-bit images.
        pixels_sha256: Of the decoded pixels and their shape; empty when they were not read.
        truth_sha256: Of labels and regions.
        fingerprint_path: The file to compare it by.
        marks: Information bars, scale bars and lettering that were found on it.
        unlabelled_banners: Information bars that no ignore region covers.
        one_grey: All pixels have the same value.
    """

    micrograph: Micrograph
    scale_from: str
    labels: Mapping[str, int]
    ignored: int
    reading: Mapping[str, Any] = field(default_factory=dict)
    pixels_sha256: str = ""
    truth_sha256: str = ""
    fingerprint_path: Path | None = None
    marks: tuple[Mark, ...] = ()
    unlabelled_banners: int = 0
    one_grey: bool = False

    @property
    def name(self) -> str:
        """``Micrograph.name``."""
        return self.micrograph.name

    @property
    def whole(self) -> str:
        """Name of the micrograph that it is a tile of, which users' tables know; its own where it is whole."""
        cutout = self.micrograph.cutout
        return self.name if cutout is None else cutout.whole

    @property
    def image_path(self) -> Path:
        """Where its pixels are."""
        return self.micrograph.image_path

    @property
    def own_group(self) -> str:
        """Specimen, session, figure or paper, as it is named; where nobody did, the image that it was made from.

        Names that differ in the Unicode form of a character, or in blanks around them, look the same and are one.
        """
        named = composed(self.micrograph.source_group or "").strip()
        # The tiles of a micrograph, and the altered versions of an image, are of one source.
        return named or original_name(self.whole)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader of the annotation left out or mended, a sentence each."""
        return self.micrograph.all_notes

    @property
    def is_blank(self) -> bool:
        """Whether it shows nothing, as a failed export or a corner of a stitched field, and nothing is drawn on it."""
        return self.one_grey and not self.labels and not self.ignored

    @property
    def particles(self) -> int:
        """Number of instances that are to be found."""
        return sum(self.labels.values())


def inspect(task: InspectionTask) -> Inspection | Problem:
    """Read a micrograph and identify its pixels and its truth; a fault of the data comes back as a Problem."""
    try:
        return _inspect(task)
    except NanosegError as error:
        return Problem(task.ref.name, task.ref.path, error)


def twice_annotated(inspections: Sequence[Inspection], entries: Sequence[MicrographRef]) -> dict[int, Problem]:
    """Problems of the entries whose name or image is that of an earlier one, by their position.

    Args:
        inspections: In the order of ``entries``.
        entries: Where they come from.
    """
    names: dict[str, MicrographRef] = {}
    images: dict[tuple[Path, int, int], MicrographRef] = {}
    problems = {}
    for position, (inspection, entry) in enumerate(zip(inspections, entries, strict=True)):
        image = Path(os.path.realpath(inspection.image_path))
        cutout = inspection.micrograph.cutout
        part = (image, 0, 0) if cutout is None else (image, cutout.x, cutout.y)
        if inspection.name in names:
            error = f"{entry.path}: named {inspection.name!r}, and so is {names[inspection.name].path}; rename one"
        elif part in images:
            error = f"{entry.path}: annotates {image.name}, and so does {images[part].path}; keep one of the two"
        else:
            names[inspection.name] = images[part] = entry
            continue
        problems[position] = Problem(entry.name, entry.path, PreparationError(error))
    return problems


def _inspect(task: InspectionTask) -> Inspection:
    micrograph = task.ref.read()
    if task.classes is not None:
        check_labels(task.ref.path, micrograph.instances, task.classes)
    labels = Counter(str(each.label) for each in micrograph.instances if not each.ignored)
    fields: dict[str, Any] = {
        "micrograph": replace(micrograph, instances=()),
        "scale_from": "" if micrograph.nm_per_px is None else "annotation",
        "labels": dict(sorted(labels.items())),
        "ignored": len(micrograph.instances) - labels.total(),
    }
    if task.fingerprint_path is not None:
        fields |= _look_at_pixels(task.ref, micrograph, task.fingerprint_path)
    return Inspection(**fields)


def _look_at_pixels(ref: MicrographRef, micrograph: Micrograph, fingerprint_path: Path) -> dict[str, Any]:
    pixels, notes = read_pixels(ref, micrograph)
    height, width = pixels.shape[:2]
    if (width, height) != (micrograph.width, micrograph.height):
        raise PreparationError(
            f"{micrograph.image_path}: {width}x{height} px, but annotated as {micrograph.width}x{micrograph.height}; "
            "annotate this image, or put the annotated one back"
        )
    write_fingerprint(fingerprint_path, fingerprint(compared_at(width, height).resize(pixels)))
    marks = find_marks(pixels).found
    found: dict[str, Any] = {
        "marks": marks,
        "unlabelled_banners": len(unlabelled_banners(micrograph, marks)),
        "reading": notes.as_json(),
        "pixels_sha256": pixels_sha256(pixels),
        "truth_sha256": truth_sha256(micrograph.instances),
        "one_grey": bool((pixels.min(axis=(0, 1)) == pixels.max(axis=(0, 1))).all()),
        "fingerprint_path": fingerprint_path,
    }
    if micrograph.nm_per_px is None and notes.nm_per_px is not None:
        found["micrograph"] = replace(micrograph, instances=(), nm_per_px=notes.nm_per_px)
        found["scale_from"] = notes.scale_from or "image"
    return found
