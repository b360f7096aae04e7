"""What every micrograph is looked at for, whatever its format: faulty shapes, shapes without a pixel, twins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nanoseg_bench.annotations.extents import Extents, extents_of, place_of
from nanoseg_bench.annotations.faults import FaultyShapesError
from nanoseg_bench.annotations.instance import Micrograph, Rle
from nanoseg_bench.annotations.json_values import is_storable
from nanoseg_bench.annotations.raster import area, require_drawable, to_rle
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.annotations.twins import find_twins
from nanoseg_bench.errors import AnnotationError


@dataclass(frozen=True, eq=False, slots=True)
class CheckedRef:
    """A MicrographRef that tells in ``Micrograph.tally`` what it left out and what it doubts.

    Attributes:
        ref: What reads the file.
        skip_faulty: Leave out shapes that cannot be read; they are an error otherwise, and always where nothing else
            would be left of the image: it would then count as background.
        drop_twins: Of two outlines of one particle with one label, leave out the second.
    """

    ref: MicrographRef
    skip_faulty: bool = False
    drop_twins: bool = False

    @property
    def name(self) -> str:
        """``Micrograph.name``."""
        return self.ref.name

    @property
    def path(self) -> Path:
        """Where the annotation is read from; faults name it."""
        return self.ref.path

    def read(self) -> Micrograph:
        """Read the micrograph without the shapes that cover no pixel though they lie in the image.

        Raises:
            AnnotationError: As ``ref`` does; or its name is no UTF-8, in which reports and sets are written; or its
                outlines are too long or too many to be drawn.
            ImageError: As ``ref`` does.
        """
        if not is_storable(self.name):
            raise AnnotationError(f"{self.path}: the name of the file is not in UTF-8; rename it, and its image")
        try:
            micrograph = self.ref.read()
        except FaultyShapesError as error:
            if not self.skip_faulty or error.rest is None or not error.rest.instances:
                raise
            micrograph = replace(error.rest, tally=replace(error.rest.tally, faulty=error.faults))
        try:
            return _checked(micrograph, self.drop_twins)
        except AnnotationError as error:
            raise AnnotationError(f"{self.path}: {error}") from error


def _checked(micrograph: Micrograph, drop_twins: bool) -> Micrograph:
    for instance in micrograph.instances:
        for part in () if isinstance(instance.region, Rle) else instance.region:
            for outline in (part.exterior, *part.holes):
                require_drawable(outline, micrograph.height, micrograph.width, str(instance.label))
    extents = extents_of(micrograph.instances)
    empty = _find_empty(micrograph, extents)
    if empty:
        micrograph = _without(micrograph, empty)
        extents = extents_of(micrograph.instances)
    return _settle_twins(micrograph, extents, drop_twins)


def _find_empty(micrograph: Micrograph, extents: Extents) -> list[int]:
    """Positions of the instances that lie in the image and cover no pixel of it."""
    left, top, right, bottom = extents.boxes.T
    inside = (right >= 0) & (bottom >= 0) & (left <= micrograph.width) & (top <= micrograph.height)
    # Only what is small or thin is drawn: an outline of more area than this covers the centre of some pixel.
    candidates: list[int] = np.flatnonzero(inside & (extents.areas <= right - left + bottom - top)).tolist()
    instances, size = micrograph.instances, (micrograph.height, micrograph.width)
    return [number for number in candidates if not area(to_rle(instances[number], *size))]


def _without(micrograph: Micrograph, empty: Sequence[int]) -> Micrograph:
    left_out = frozenset(empty)
    kept = tuple(each for number, each in enumerate(micrograph.instances) if number not in left_out)
    told = tuple(place_of(micrograph.instances[number]) for number in empty)
    return replace(micrograph, instances=kept, tally=replace(micrograph.tally, empty=told))


def _settle_twins(micrograph: Micrograph, extents: Extents, drop: bool) -> Micrograph:
    particles = [number for number, each in enumerate(micrograph.instances) if not each.ignored]
    instances = [micrograph.instances[number] for number in particles]
    pairs = find_twins(instances, micrograph.height, micrograph.width, extents.boxes[particles])
    if not pairs:
        return micrograph
    firsts: dict[int, list[int]] = {}
    for pair in pairs:
        firsts.setdefault(particles[pair.second], []).append(particles[pair.first])
    dropped: set[int] = set()
    told_dropped, told = [], []
    for second in sorted(firsts):
        instance = micrograph.instances[second]
        kept = [micrograph.instances[first] for first in firsts[second] if first not in dropped]
        if drop and any(each.label == instance.label for each in kept):
            dropped.add(second)
            told_dropped.append(place_of(instance))
        elif kept:
            other = next((each.label for each in kept if each.label != instance.label), None)
            told.append(place_of(instance) + ("" if other is None else f", also as {other}"))
    return replace(
        micrograph,
        instances=tuple(each for number, each in enumerate(micrograph.instances) if number not in dropped),
        tally=replace(micrograph.tally, twins=tuple(told), twins_dropped=tuple(told_dropped)),
    )
