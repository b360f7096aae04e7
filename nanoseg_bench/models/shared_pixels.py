"""Pixels that two masks claim: a mask is cut off at its box, and until there it may run on into a neighbour.

A network whose masks are sums of prototypes has the same maps for all particles of a micrograph, so the mask of one
takes in what looks alike within its box: rectangular pieces of neighbours. The neighbour's own mask is surer of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SURE_FROM = 0.25
"""Score from which a particle takes pixels from others: what is hardly believed in must not eat what is sure."""

ONE_PARTICLE_FROM = 0.5
"""Share of the smaller mask from which two masks are taken for two answers to one particle, which keep their pixels."""


@dataclass(frozen=True, eq=False, slots=True)
class MaskWindow:
    """A mask before it is final.

    Attributes:
        mask: (h, w) its pixels within its box.
        logits: (h, w) float32, how sure the network is of each pixel; positive where ``mask`` may be set.
        left: First column of the window in the micrograph.
        top: First row.
        score: Of the particle.
        label: Number of its class.
    """

    mask: NDArray[np.bool_]
    logits: NDArray[np.float32]
    left: int
    top: int
    score: float
    label: int = 0

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the window, the last two exclusive."""
        height, width = self.mask.shape
        return self.left, self.top, self.left + width, self.top + height

    def part(self, box: tuple[int, int, int, int]) -> tuple[slice, slice]:
        """Where a box of the micrograph lies within the window."""
        left, top, right, bottom = box
        return slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)


def settle_shared_pixels(found: Sequence[MaskWindow]) -> list[MaskWindow]:
    """Give each pixel that two masks share to the one with the higher logit there.

    Of each pair, only a particle of at least ``SURE_FROM`` takes pixels. Pairs that share ``ONE_PARTICLE_FROM`` of the
    smaller mask or more are left alone.

    Args:
        found: Of one micrograph, in any order.

    Returns:
        The same windows with the pixels that are left to them; one may have none.
    """
    masks = [each.mask.copy() for each in found]
    areas = [int(each.mask.sum()) for each in found]
    for first, second in _overlapping(found):
        a, b = found[first], found[second]
        common = _intersection(a.box, b.box)
        in_a, in_b = a.part(common), b.part(common)
        shared = a.mask[in_a] & b.mask[in_b]
        number = int(shared.sum())
        if not number or number >= ONE_PARTICLE_FROM * min(areas[first], areas[second]):
            continue
        surer = a.logits[in_a] >= b.logits[in_b]
        if b.score >= SURE_FROM:
            masks[first][in_a] &= ~(shared & ~surer)
        if a.score >= SURE_FROM:
            masks[second][in_b] &= ~(shared & surer)
    return [replace(each, mask=mask) for each, mask in zip(found, masks, strict=True)]


def _intersection(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def _overlapping(found: Sequence[MaskWindow]) -> list[tuple[int, int]]:
    """Pairs of windows that overlap, at least one of them of a sure particle; the first index is the smaller one."""
    if len(found) < 2:
        return []
    left, top, right, bottom = np.array([each.box for each in found]).T
    sure = np.array([each.score for each in found]) >= SURE_FROM
    pairs: list[tuple[int, int]] = []
    for index in range(len(found) - 1):
        others = slice(index + 1, None)
        meets = (left[others] < right[index]) & (right[others] > left[index])
        meets &= (top[others] < bottom[index]) & (bottom[others] > top[index])
        meets &= sure[others] | sure[index]
        pairs += [(index, int(other)) for other in index + 1 + meets.nonzero()[0]]
    return pairs
