"""A micrograph looked at from several sides, and what is found from each put together by vote.

A network sees a particle a little differently when the micrograph is turned or mirrored, and its outline errs in
another direction each time (test-time augmentation). The vote goes by confidence: weighted boxes fusion (R. Solovyev,
W. Wang and T. Gabruseva, Image and Vision Computing 107, 2021), with masks in the place of boxes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.extents import boxes_near, extents_of
from nanoseg_bench.annotations.instance import Instance, Rle, score_of
from nanoseg_bench.annotations.raster import iou_matrix, rle_to_window, to_rle, window_to_rle
from nanoseg_bench.models.base import CanvasImage
from nanoseg_bench.preparation.letterbox import PADDING_GREY, Letterbox

LEAST_SCORE = 0.05
"""What a single side is less sure of is no vote."""

_SAME = 0.6
"""IoU from which outlines of two sides are one particle's."""

Find = Callable[[CanvasImage], Sequence[Instance]]
"""What a model finds on one canvas, in pixels of the micrograph that lies on it."""


@dataclass(frozen=True, slots=True)
class Side:
    """Where a micrograph is looked at from: turned, then mirrored.

    Attributes:
        turns: Quarter turns against the clock.
        mirrored: Left and right change places afterwards.
    """

    turns: int
    mirrored: bool

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W[, C]) as it is seen from here."""
        turned = np.rot90(pixels, self.turns)
        return turned[:, ::-1] if self.mirrored else turned

    def of_canvas(self, image: CanvasImage) -> CanvasImage:
        """A micrograph on its canvas, as it is seen from here."""
        box = image.letterbox
        width, height = (box.width, box.height) if self.turns % 2 == 0 else (box.height, box.width)
        turned = Letterbox(width, height, box.canvas, box.stride)
        columns, rows = turned.canvas_size
        pixels = np.full((rows, columns, *image.pixels.shape[2:]), PADDING_GREY, dtype=np.uint8)
        turned.content(pixels)[:] = self.of(box.content(image.pixels))
        return CanvasImage(image.name, pixels, turned)

    def back(self, instance: Instance, height: int, width: int) -> Instance:
        """A particle that was found from here, in the micrograph of ``height`` x ``width`` px."""
        rows, columns = (height, width) if self.turns % 2 == 0 else (width, height)
        window, x, y = rle_to_window(to_rle(instance, rows, columns))
        if self.mirrored:
            window, x = window[:, ::-1], columns - x - window.shape[1]
        for _ in range(self.turns):
            window, x, y = np.rot90(window, -1), rows - y - window.shape[0], x
            rows, columns = columns, rows
        return replace(instance, region=window_to_rle(window, x, y, height, width))


SIDES = tuple(Side(turns, mirrored) for mirrored in (False, True) for turns in range(4))
"""All eight; the first four are the quarter turns alone, the first the micrograph as it is."""


def find_from_sides(find: Find, image: CanvasImage, sides: int) -> list[Instance]:
    """What a model finds when it looks from several sides.

    Args:
        find: Looks at one canvas; every particle has a score.
        image: The micrograph on its canvas.
        sides: How many of ``SIDES``.

    Returns:
        Particles as masks in pixels of the micrograph, best score first.
    """
    height, width = image.letterbox.height, image.letterbox.width
    found = [
        [
            side.back(each, height, width)
            for each in find(side.of_canvas(image))
            if each.score is not None and each.score >= LEAST_SCORE
        ]
        for side in SIDES[:sides]
    ]
    return vote(found, height, width)


def vote(found: Sequence[Sequence[Instance]], height: int, width: int) -> list[Instance]:
    """One particle for the outlines that several sides have of it.

    Outlines with an IoU of 0.6 or more with the surest of them are one particle's, at most one of each side. Its score
    is the mean of theirs, 0 for a side that does not see it; a pixel belongs to it where the sides that say so have
    more than half of the score; its class is the one with the highest sum.

    Args:
        found: Of each side, scored masks of height × width.
        height: Rows of the micrograph.
        width: Columns.

    Returns:
        Best score first.
    """
    particles = [(each, side) for side, of_side in enumerate(found) for each in of_side]
    particles.sort(key=lambda each: score_of(each[0]), reverse=True)
    instances = [each for each, _ in particles]
    masks = [to_rle(each, height, width) for each in instances]
    boxes = extents_of(instances).boxes
    told = np.zeros(len(instances), dtype=bool)
    elected = []
    for number in range(len(instances)):
        if told[number]:
            continue
        near = boxes_near(boxes[number], boxes)
        near = near[~told[near]]
        ious = iou_matrix([masks[other] for other in near], [masks[number]])[:, 0]
        same = near[ious >= _SAME]
        told[same] = told[number] = True
        of_side = {particles[other][1]: other for other in same[::-1]}  # the surest of each comes last, and stays
        of_side[particles[number][1]] = number
        voters = [instances[other] for other in of_side.values()]
        elected.append(_elected(voters, [masks[other] for other in of_side.values()], len(found)))
    return sorted(elected, key=score_of, reverse=True)


def _elected(voters: Sequence[Instance], masks: Sequence[Rle], sides: int) -> Instance:
    """What the outlines of one particle make together, each of another side."""
    surest = max(voters, key=score_of)
    total = sum(map(score_of, voters))
    labels: dict[str | None, float] = {}
    for each in voters:
        labels[each.label] = labels.get(each.label, 0.0) + score_of(each)
    label = max(labels, key=lambda each: labels[each])
    elected = replace(surest, label=label, score=total / sides)
    if len(voters) == 1:
        return elected
    windows = [rle_to_window(mask) for mask in masks]
    left, top = min(x for _, x, _ in windows), min(y for _, _, y in windows)
    right = max(x + window.shape[1] for window, x, _ in windows)
    bottom = max(y + window.shape[0] for window, _, y in windows)
    votes = np.zeros((bottom - top, right - left))
    for each, (window, x, y) in zip(voters, windows, strict=True):
        votes[y - top : y - top + window.shape[0], x - left : x - left + window.shape[1]] += score_of(each) * window
    inside = votes > total / 2
    if not inside.any():
        return elected
    return replace(elected, region=window_to_rle(inside, left, top, masks[0].height, masks[0].width))
