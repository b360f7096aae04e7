"""What was found in one micrograph."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import to_mask, to_rle
from nanoseg_bench.marks.coverage import lies_on_marks
from nanoseg_bench.marks.detection import find_marks
from nanoseg_bench.marks.mark import Mark
from nanoseg_bench.metrics.size_distribution import equivalent_diameters
from nanoseg_bench.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Particles:
    """The particles of one micrograph, in its pixels.

    Attributes:
        width: Columns of the micrograph.
        height: Rows.
        instances: Each with ``label`` (its class), ``score`` (the confidence) and ``region`` (its mask); best score
            first; those that lie on marks are flagged.
        magnification: Of the tiles that it was looked at in, over the whole on one canvas; 1 without tiles.
        cut: Those of ``particles`` that may be pieces of larger ones.
        marks: What is written on the micrograph; empty where nobody looked.
    """

    width: int
    height: int
    instances: tuple[Instance, ...]
    magnification: float = 1.0
    cut: tuple[Instance, ...] = ()
    marks: tuple[Mark, ...] = ()

    def __repr__(self) -> str:
        return f"Particles({self._in_short()})"

    @property
    def particles(self) -> tuple[Instance, ...]:
        """What counts: the instances that do not lie on marks."""
        return tuple(each for each in self.instances if not each.on_mark)

    @property
    def on_marks(self) -> int:
        """Number of instances that lie on an information bar, a scale bar or lettering."""
        return len(self.instances) - len(self.particles)

    @property
    def mean_diameter(self) -> float | None:
        """Mean equivalent diameter in pixels of the particles that do not touch the border; None without any."""
        diameters = equivalent_diameters([to_rle(each, self.height, self.width) for each in self.particles])
        return float(diameters.mean()) if diameters.size else None

    def masks(self) -> Iterator[NDArray[np.bool_]]:
        """(H, W) bool, true inside, of each of ``particles``, in their order and made one at a time."""
        return (to_mask(each, self.height, self.width) for each in self.particles)

    def _in_short(self) -> str:
        on_marks = f", {self.on_marks} on marks" if self.on_marks else ""
        return f"{self.width} x {self.height} px, {counted(len(self.particles), 'particle')}{on_marks}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PredictedImage(Particles):
    """The particles of one image file.

    Attributes:
        name: Stem of the files that are written of it.
        source: The image.
        source_sha256: Of the file, as it was read.
    """

    name: str
    source: Path
    source_sha256: str

    def __repr__(self) -> str:
        return f"PredictedImage({self.name!r}, {self._in_short()})"


def flag_marks(
    instances: Sequence[Instance], pixels: NDArray[np.uint8]
) -> tuple[tuple[Instance, ...], tuple[Mark, ...]]:
    """The same instances; those that lie mostly on an information bar, a scale bar or lettering are flagged.

    Args:
        instances: Of the image.
        pixels: (H, W) or (H, W, 3) uint8.

    Returns:
        The instances; and what is written on the image, for which nobody looks where there is no instance.
    """
    if not instances:
        return (), ()
    height, width = pixels.shape[:2]
    marks = find_marks(pixels, rows=True)
    if not marks.found:
        return tuple(instances), ()
    flags = lies_on_marks((to_rle(each, height, width) for each in instances), marks, pixels)
    flagged = tuple(replace(each, on_mark=flag) for each, flag in zip(instances, flags, strict=True))
    return flagged, marks.found
