"""Micrograph and Instance: what every annotation file becomes and every model returns.

Coordinates are continuous pixels: x to the right, y down, (0, 0) the outer corner of the first pixel, so the centre
of pixel (row, column) lies at (column + 0.5, row + 0.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.tally import Tally
from nanoseg_bench.wording import counted

IGNORE_LABEL = "ignore"
"""Regions of this label are neither truth nor false positives."""

FOREIGN_IGNORE_LABEL = "__ignore__"
"""How LabelMe's own examples and exporters call such a region."""

BACKGROUND_LABEL = "_background_"
"""How they call what is no object: class 0 of their label images."""

ALL_CLASSES = "all"
"""In tables of classes, in place of a class: all particles. No class can be called so."""


Origin = Literal["model", "changed", "drawn"]
"""Who outlined a particle: a model; a model, and a person changed it or decided about it; a person."""

BY_HAND: tuple[Origin, ...] = ("changed", "drawn")
"""Origins that a person answers for."""


@dataclass(frozen=True, eq=False, slots=True)
class Polygon:
    """One outline with its holes.

    Attributes:
        exterior: (N, 2) float64 array of x, y; N >= 3; not closed (the last point is not the first again).
        holes: Outlines cut out of it, same layout.
    """

    exterior: NDArray[np.float64]
    holes: tuple[NDArray[np.float64], ...] = ()

    def __repr__(self) -> str:
        holes = f", {counted(len(self.holes), 'hole')}" if self.holes else ""
        return f"Polygon({len(self.exterior)} points{holes})"


@dataclass(frozen=True, slots=True)
class Rle:
    """A binary mask as COCO's compressed run-length encoding (column-major).

    Attributes:
        height: Rows of the image that the mask belongs to.
        width: Columns of that image.
        counts: COCO's compressed counts.
    """

    height: int
    width: int
    counts: bytes = field(repr=False)


@dataclass(frozen=True, eq=False, slots=True)
class Instance:
    """One particle.

    Attributes:
        label: Class name; None where the annotator or the model knows no classes.
        region: Polygons (several parts are one particle; holes are kept) or a mask.
        score: Confidence in [0, 1]; None for truth.
        crowd: COCO's ``iscrowd``: a region with particles that were not outlined one by one.
        on_mark: A model outlined it on an information bar, a scale bar or lettering: it is shown and not counted.
        origin: Who outlined it; None where nobody says.
    """

    label: str | None
    region: tuple[Polygon, ...] | Rle
    score: float | None = None
    crowd: bool = False
    on_mark: bool = False
    origin: Origin | None = None

    @property
    def ignored(self) -> bool:
        """Whether the region is neither truth nor a false positive."""
        return self.crowd or self.on_mark or self.label == IGNORE_LABEL


def score_of(instance: Instance) -> float:
    """Its confidence; 0 where there is none, as for truth."""
    return 0.0 if instance.score is None else instance.score


@dataclass(frozen=True, slots=True)
class Cutout:
    """Which part of an image a micrograph is, where it is not all of it.

    Attributes:
        whole: Name of the whole micrograph.
        x: Column of the image that is the first one here.
        y: Row of the image that is the first one here.
        whole_width: Columns of the image.
        whole_height: Rows.
        divided: Particles that an edge of the part cuts and whose middle lies in it, so that each is counted once.
    """

    whole: str
    x: int
    y: int
    whole_width: int
    whole_height: int
    divided: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Micrograph:
    """One image as it came from the microscope or from a figure, with its truth.

    Attributes:
        name: Identifies the image in its data set: its path below the folder without suffix, ``/`` as separator.
        image_path: Where the pixels are.
        width: Columns of the image as ``images.read_image`` returns it.
        height: Rows.
        instances: Its particles and ignore regions.
        source_group: Specimen, session, figure or paper; all images of one group stay in one split.
        nm_per_px: Scale, where known.
        attributes: What else is known (``modality``, ``specimen``, ``ood_shape``).
        notes: What the reader left out or mended, one sentence each.
        without_area: Shapes that the reader left out because they outline nothing: how many of each kind.
        not_carried: Keys under which the file says something that has no place here, such as ``flags`` or ``licenses``.
        pieces: Of a mask that was taken apart: how many ``pieces`` became particles, how many of those are ``specks``,
            and how many were ``left_out`` for being small.
        tally: What became of shapes that are no particle, or may not be one of their own.
        begun_by: The model that drew the first outlines; None where a person did, or where that is not known.
        cutout: Which part of the image it is; None for all of it.
    """

    name: str
    image_path: Path
    width: int
    height: int
    instances: tuple[Instance, ...] = ()
    source_group: str | None = None
    nm_per_px: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    without_area: Mapping[str, int] = field(default_factory=dict)
    not_carried: tuple[str, ...] = ()
    pieces: Mapping[str, int] = field(default_factory=dict)
    tally: Tally = Tally()  # noqa: RUF009, it is frozen
    begun_by: BegunBy | None = None
    cutout: Cutout | None = None

    @property
    def all_notes(self) -> tuple[str, ...]:
        """``notes``, and a sentence on each kind of shape that is no particle, or may not be one of its own."""
        return (*self.notes, *self.tally.notes())

    def __repr__(self) -> str:
        return f"Micrograph({self.name!r}, {self.width} x {self.height} px, {counted(len(self.instances), 'instance')})"
