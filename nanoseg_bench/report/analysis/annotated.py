"""Outlines that people drew, or corrected, measured as they are: no model is asked."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.errors import NotAnAnnotationError
from nanoseg_bench.annotations.instance import Micrograph
from nanoseg_bench.annotations.left_out import note_without_area
from nanoseg_bench.annotations.readers import open_source
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.errors import AnnotationError, NanosegError, UsageError
from nanoseg_bench.files import sha256_file
from nanoseg_bench.inference.image_files import require_outside
from nanoseg_bench.measure.particles import Rules
from nanoseg_bench.progress import track
from nanoseg_bench.report.analysis.finder import Found
from nanoseg_bench.report.analysis.members import Member, members_of
from nanoseg_bench.report.grouping import UNNAMED
from nanoseg_bench.report.report_input import Method
from nanoseg_bench.runs.provenance import versions_of

if TYPE_CHECKING:
    from nanoseg_bench.report.analysis.micrograph import Choices

_PACKAGES = ("numpy", "scikit-image", "opencv-python-headless", "rapidocr")


@dataclass(frozen=True, slots=True)
class Annotated:
    """Annotations of some micrographs.

    Attributes:
        entries: By the micrograph's name in the table.
        formats: Of the annotations.
        classes: Of all of them, in the order of the colours.
        begun_by: The models that drew the first outlines of some.
        faults: What is wrong with those that cannot be read, by the name in the table.
    """

    entries: Mapping[str, MicrographRef]
    formats: tuple[str, ...]
    classes: tuple[str, ...]
    begun_by: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What is measured."""
        return "annotations"

    @property
    def settings(self) -> dict[str, Any]:
        """That no model is asked."""
        return {"annotated": list(self.formats)}

    def method(self) -> Method:
        """Who outlined the particles."""
        begun = f", some begun by {'; '.join(self.begun_by)}" if self.begun_by else ""
        return Method(
            model=f"outlines as people annotated them ({', '.join(self.formats)}){begun}",
            annotated=True,
            versions=versions_of(_PACKAGES),
        )

    def rules(self, choices: "Choices") -> Rules:
        """All of them, also beside and on what is written; a person outlined what is to be counted."""
        return Rules(confidence=None, min_diameter=choices.min_diameter, keep_marks=True)

    def margin_px(self, height: int, width: int) -> int:
        """The polygon of a mask that reaches the last pixel ends a pixel before it, and hands are no surer."""
        return 2

    def key(self, name: str) -> str | None:
        """SHA-256 of the file that holds the annotation; None where it is gone, which whoever reads it tells.

        Raises:
            AnnotationError: It, or its image, could not be read.
        """
        if name in self.faults:
            raise AnnotationError(self.faults[name])
        try:
            return sha256_file(self.entries[name].path)
        except OSError:
            return None

    def find(self, pixels: NDArray[np.uint8], path: Path, name: str, choices: "Choices") -> Found:
        """What is annotated, ignore regions aside.

        Raises:
            AnnotationError: The annotation is malformed.
            ImageError: Its image cannot be read.
            UsageError: It is of another image by now.
        """
        micrograph = self.entries[name].read()
        if os.path.realpath(micrograph.image_path) != os.path.realpath(path):
            raise UsageError(f"{self.entries[name].path}: is of {micrograph.image_path} by now; analyse it again")
        instances = tuple(
            each if each.label else replace(each, label=UNNAMED) for each in micrograph.instances if not each.ignored
        )
        return Found(instances=instances, warnings=_told(micrograph), nm_per_px=micrograph.nm_per_px)


def find_annotated(
    given: Sequence[Path], out: Path, sample_by: str | None, source_format: str = "auto"
) -> tuple[list[Member], Annotated]:
    """List the annotated micrographs; a file that cannot be read is listed, too, and fails in its turn.

    Args:
        given: Folders, or files that annotate many images, in any format that ``prepare`` reads.
        out: Folder that will be written.
        sample_by: Rule of ``measure.sampling_by``; None puts all micrographs together.
        source_format: Of the annotations; ``auto`` finds it out.

    Raises:
        AnnotationError: A path is missing, holds no annotations or several formats, or is malformed.
        UsageError: An image is annotated twice, ``out`` would be read the next time, or the rule is unknown.
        PreparationError: The rule does not fit all images.
    """
    refs: dict[Path, MicrographRef] = {}
    faults: dict[Path, str] = {}
    formats: list[str] = []
    classes: list[str] = []
    begun_by: list[str] = []
    for path in given:
        require_outside(out, path)
        source = open_source(path, source_format)
        for problem in source.problems:
            raise problem.error
        formats.append(source.format)
        classes += source.classes or ()
        for ref in track(source.entries, "read annotations"):
            try:
                micrograph = ref.read()
            except NotAnAnnotationError:
                continue
            except NanosegError as error:
                refs[ref.path.absolute()] = ref
                faults[ref.path.absolute()] = str(error)
                continue
            image = micrograph.image_path.absolute()
            if image in refs:
                raise UsageError(f"{ref.path}: {image} is annotated by {refs[image].path}, too; take one of them away")
            refs[image] = ref
            classes += sorted({each.label or UNNAMED for each in micrograph.instances if not each.ignored})
            begun_by += [str(micrograph.begun_by)] if micrograph.begun_by else []
    if not refs:
        raise UsageError(f"{', '.join(map(str, given))}: no annotated image; leave --annotated out to find particles")
    members = members_of(list(refs), given, sample_by)
    entries = {member.stem: refs[member.image_path] for member in members}
    told = {member.stem: faults[member.image_path] for member in members if member.image_path in faults}
    return members, Annotated(
        entries=entries,
        formats=tuple(dict.fromkeys(formats)),
        classes=tuple(dict.fromkeys(classes)),
        begun_by=tuple(dict.fromkeys(begun_by)),
        faults=told,
    )


def _told(micrograph: Micrograph) -> tuple[str, ...]:
    """What a user must see of what was read."""
    return (*micrograph.tally.notes(), *note_without_area(micrograph.without_area))
