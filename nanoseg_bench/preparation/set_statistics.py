"""What a split of a prepared set holds, in numbers: for the preview's tables and charts."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.preparation.prepared_set import SPLITS, PreparedSet
from nanoseg_bench.wording import counted

_CLASSES_APART = 20
"""Of more classes, the shares of the rarest are summed up in a last row."""


@dataclass(frozen=True, eq=False, slots=True)
class SplitStatistics:
    """Of one split, from the truth in original pixels; augmented copies do not enter.

    Attributes:
        split: Its name.
        images: Originals.
        copies: Augmented copies.
        group_sizes: Originals by source group.
        class_particles: Particles by class.
        class_images: Originals that show the class.
        class_groups: Source groups that show the class.
        particles_per_image: One number per original, background images as 0.
        ignore_regions: Regions that are neither truth nor a false positive.
        diameters_px: Equivalent diameter of every particle, in pixels of the original.
        diameters_canvas: The same in pixels of the canvas, as networks see it.
        diameters_nm: The same in nanometres, of the particles whose image has a known scale.
        scaled_images: Originals of known scale.
    """

    split: str
    images: int
    copies: int
    group_sizes: Counter[str]
    class_particles: Counter[str]
    class_images: Counter[str]
    class_groups: Counter[str]
    particles_per_image: NDArray[np.int64]
    ignore_regions: int
    diameters_px: NDArray[np.float64]
    diameters_canvas: NDArray[np.float64]
    diameters_nm: NDArray[np.float64]
    scaled_images: int

    @property
    def particles(self) -> int:
        """All particles of the originals."""
        return self.class_particles.total()

    @property
    def background(self) -> int:
        """Originals without a particle."""
        return int((self.particles_per_image == 0).sum())


def split_statistics(prepared: PreparedSet) -> list[SplitStatistics]:
    """Statistics of every split that the set has, in the usual order.

    Raises:
        DatasetError: The set's files are malformed.
    """
    return [_of_split(prepared, split) for split in SPLITS if prepared.has(split)]


def class_shares(statistics: Sequence[SplitStatistics], classes: Sequence[str]) -> list[tuple[str, list[float]]]:
    """Percent of each split's particles by class, in the order of the splits; of many classes, the rarest in one row.

    Args:
        statistics: By split.
        classes: In the order to show them in.
    """
    totals = Counter({name: sum(each.class_particles[name] for each in statistics) for name in classes})
    frequent = dict(totals.most_common(_CLASSES_APART))
    rows = [(name, [each.class_particles[name] for each in statistics]) for name in classes if name in frequent]
    rest = [name for name in classes if name not in frequent]
    if rest:
        counts = [sum(each.class_particles[name] for name in rest) for each in statistics]
        rows.append((counted(len(rest), "other"), counts))
    wholes = [max(each.particles, 1) for each in statistics]
    return [(name, [100 * count / whole for count, whole in zip(counts, wholes, strict=True)]) for name, counts in rows]


def _of_split(prepared: PreparedSet, split: str) -> SplitStatistics:
    rows = prepared.images(split)
    originals = [row for row in rows if row.parent is None]
    group_of = {row.name: row.source_group for row in originals}
    ratios = {row.name: row.letterbox.ratio for row in originals}
    scales = {row.name: row.nm_per_px for row in originals if row.nm_per_px is not None}
    per_image: Counter[str] = Counter(dict.fromkeys(group_of, 0))
    class_particles: Counter[str] = Counter()
    shown: set[tuple[str, str]] = set()
    pixels, canvas, nanometres, ignored = array("d"), array("d"), array("d"), 0
    for region in prepared.truth_regions(split):
        if region.image not in group_of:
            continue  # of another part of the fold
        if region.ignored:
            ignored += 1
            continue
        per_image[region.image] += 1
        class_particles[region.label] += 1
        shown.add((region.image, region.label))
        diameter = 2.0 * (region.area / np.pi) ** 0.5
        pixels.append(diameter)
        canvas.append(diameter * ratios[region.image])
        if region.image in scales:
            nanometres.append(diameter * scales[region.image])
    return SplitStatistics(
        split=split,
        images=len(originals),
        copies=len(rows) - len(originals),
        group_sizes=Counter(row.source_group for row in originals),
        class_particles=class_particles,
        class_images=Counter(label for _, label in shown),
        class_groups=Counter(label for _, label in {(group_of[image], label) for image, label in shown}),
        particles_per_image=np.array(list(per_image.values()), dtype=np.int64),
        ignore_regions=ignored,
        diameters_px=np.array(pixels),
        diameters_canvas=np.array(canvas),
        diameters_nm=np.array(nanometres),
        scaled_images=len(scales),
    )
