"""A first look at every micrograph: can it be read, is it what its annotation says, what identifies it.

What comes back is small and holds no outlines and no pixels, so that a data set may be larger than memory.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.faults import Problem
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.labels import check_labels
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.annotations.tally import Tally
from nanoseg_bench.errors import NanosegError, PreparationError
from nanoseg_bench.imageio import read_with_notes
from nanoseg_bench.marks import Mark
from nanoseg_bench.marks.detection import find_marks
from nanoseg_bench.preparation.banners import unlabelled_banners
from nanoseg_bench.preparation.fingerprint import fingerprint, write_fingerprint
from nanoseg_bench.preparation.hashing import pixels_sha256, truth_sha256
from nanoseg_bench.preparation.letterbox import Letterbox

FINGERPRINT_SIDE = 640
"""The longer side, in pixels, that images are compared at."""


@dataclass(frozen=True, eq=False, slots=True)
class InspectionTask:
    """What to look at.

    Attributes:
        entry: The micrograph.
        classes: The labels that may occur, besides ``ignore``; None allows any.
        fingerprint_path: Where to write what the image is compared by; None looks at the annotation only.
    """

    entry: MicrographRef
    classes: tuple[str, ...] | None
    fingerprint_path: Path | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Inspection:
    """What the first look at a micrograph gave.

    Attributes:
        name: ``Micrograph.name``.
        image_path: Where its pixels are.
        width: In pixels.
        height: In pixels.
        source_group: As the annotation names it.
        nm_per_px: Scale, where known.
        scale_from: Who knows the scale: ``annotation``, a kind of image metadata, or ``scale-csv``.
        attributes: ``Micrograph.attributes``.
        labels: Number of particles by label; ignore regions are not counted.
        ignored: Number of ignore regions.
        notes: What the reader of the annotation left out or mended.
        tally: ``Micrograph.tally``.
        without_area: ``Micrograph.without_area``.
        reading: What reading the image decided (page, contrast), as JSON; empty for plain 8-bit images.
        pixels_sha256: Of the decoded pixels and their shape; empty when they were not read.
        truth_sha256: Of labels and regions.
        fingerprint_path: The file to compare it by.
        pieces: ``Micrograph.pieces``.
        begun_by: The model that drew the truth's first outlines; None where none is known to have.
        marks: Information bars, scale bars and lettering that were found on it.
        unlabelled_banners: Information bars that no ignore region covers.
    """

    name: str
    image_path: Path
    width: int
    height: int
    source_group: str | None
    nm_per_px: float | None
    scale_from: str
    attributes: Mapping[str, str]
    labels: Mapping[str, int]
    ignored: int
    notes: tuple[str, ...]
    tally: Tally = Tally()  # noqa: RUF009, it is frozen
    without_area: Mapping[str, int] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    pixels_sha256: str = ""
    truth_sha256: str = ""
    fingerprint_path: Path | None = None
    pieces: Mapping[str, int] = field(default_factory=dict)
    begun_by: BegunBy | None = None
    marks: tuple[Mark, ...] = ()
    unlabelled_banners: int = 0

    @property
    def particles(self) -> int:
        """Number of instances that are to be found."""
        return sum(self.labels.values())


def inspect(task: InspectionTask) -> Inspection | Problem:
    """Read a micrograph and identify its pixels and its truth; a fault of the data comes back as a Problem."""
    try:
        return _inspect(task)
    except NanosegError as error:
        return Problem(task.entry.name, task.entry.path, error)


def twice_annotated(inspections: Sequence[Inspection], entries: Sequence[MicrographRef]) -> dict[int, Problem]:
    """Problems of the entries whose name or image is that of an earlier one, by their position.

    Args:
        inspections: In the order of ``entries``.
        entries: Where they come from.
    """
    names: dict[str, MicrographRef] = {}
    images: dict[Path, MicrographRef] = {}
    problems = {}
    for position, (inspection, entry) in enumerate(zip(inspections, entries, strict=True)):
        image = Path(os.path.realpath(inspection.image_path))
        if inspection.name in names:
            error = f"{entry.path}: named {inspection.name!r}, and so is {names[inspection.name].path}; rename one"
        elif image in images:
            error = f"{entry.path}: annotates {image.name}, and so does {images[image].path}; keep one of the two"
        else:
            names[inspection.name] = images[image] = entry
            continue
        problems[position] = Problem(entry.name, entry.path, PreparationError(error))
    return problems


def _inspect(task: InspectionTask) -> Inspection:
    micrograph = task.entry.read()
    if task.classes is not None:
        check_labels(task.entry.path, micrograph.instances, task.classes)
    labels = Counter(str(each.label) for each in micrograph.instances if not each.ignored)
    fields: dict[str, Any] = {
        "name": micrograph.name,
        "image_path": micrograph.image_path,
        "width": micrograph.width,
        "height": micrograph.height,
        "source_group": micrograph.source_group,
        "nm_per_px": micrograph.nm_per_px,
        "scale_from": "" if micrograph.nm_per_px is None else "annotation",
        "attributes": dict(micrograph.attributes),
        "labels": dict(sorted(labels.items())),
        "ignored": len(micrograph.instances) - labels.total(),
        "notes": (*micrograph.notes, *micrograph.tally.notes()),
        "tally": micrograph.tally,
        "without_area": dict(micrograph.without_area),
        "pieces": dict(micrograph.pieces),
        "begun_by": micrograph.begun_by,
    }
    if task.fingerprint_path is not None:
        fields |= _look_at_pixels(micrograph, task.fingerprint_path)
    return Inspection(**fields)


def _look_at_pixels(micrograph: Micrograph, fingerprint_path: Path) -> dict[str, Any]:
    pixels, notes = read_with_notes(micrograph.image_path)
    height, width = pixels.shape[:2]
    if (width, height) != (micrograph.width, micrograph.height):
        raise PreparationError(
            f"{micrograph.image_path}: {width}x{height} px, but annotated as {micrograph.width}x{micrograph.height}; "
            "annotate this image, or put the annotated one back"
        )
    write_fingerprint(fingerprint_path, fingerprint(Letterbox(width, height, FINGERPRINT_SIDE).resize(pixels)))
    marks = find_marks(pixels).found
    found: dict[str, Any] = {
        "marks": marks,
        "unlabelled_banners": len(unlabelled_banners(micrograph, marks)),
        "reading": notes.as_json(),
        "pixels_sha256": pixels_sha256(pixels),
        "truth_sha256": truth_sha256(micrograph.instances),
        "fingerprint_path": fingerprint_path,
    }
    if micrograph.nm_per_px is None and notes.nm_per_px is not None:
        found |= {"nm_per_px": notes.nm_per_px, "scale_from": notes.scale_from or "image"}
    return found
