"""Information bars that nobody labelled become ignore regions, where the user asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Micrograph, Polygon
from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.images import read_image
from nanoseg_bench.marks import BANNER, Mark
from nanoseg_bench.marks.detection import find_banners

_LABELLED = 0.5
"""A bar of which more than this share is an ignore region was labelled by somebody."""


@dataclass(frozen=True, slots=True)
class IgnoringBanners:
    """A MicrographRef whose unlabelled information bars are ignore regions; particles under them stay particles.

    Attributes:
        ref: The micrograph as it was annotated.
    """

    ref: MicrographRef

    @property
    def name(self) -> str:
        """``Micrograph.name``."""
        return self.ref.name

    @property
    def path(self) -> Path:
        """The file to name in messages."""
        return self.ref.path

    def read(self) -> Micrograph:
        """Read annotation and pixels, and add the bars; raises what the annotation and the image raise."""
        micrograph = self.ref.read()
        pixels = read_image(micrograph.image_path)
        if pixels.shape[:2] != (micrograph.height, micrograph.width):
            return micrograph  # refused by whoever compares the sizes
        bars = unlabelled_banners(micrograph, find_banners(pixels))
        return replace(micrograph, instances=(*micrograph.instances, *(_ignore(bar) for bar in bars)))


def unlabelled_banners(micrograph: Micrograph, marks: Sequence[Mark]) -> list[Mark]:
    """Those of the marks that are information bars and that no ignore region covers.

    Args:
        micrograph: With its ignore regions.
        marks: Found on it.
    """
    height, width = micrograph.height, micrograph.width
    ignored = np.zeros((height, width), dtype=bool)
    bars = [mark for mark in marks if mark.kind == BANNER]
    for instance in micrograph.instances if bars else ():
        if instance.ignored:
            ignored |= to_mask(instance, height, width)
    return [bar for bar in bars if ignored[bar.box].mean() <= _LABELLED]


def _ignore(bar: Mark) -> Instance:
    corners = [[bar.left, bar.top], [bar.right, bar.top], [bar.right, bar.bottom], [bar.left, bar.bottom]]
    return Instance(IGNORE_LABEL, (Polygon(np.array(corners, dtype=np.float64)),))
