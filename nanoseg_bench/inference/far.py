"""Particles that are larger than what the network was trained on: seen whole from twice as far away.

A network that is trained on views of a part of the canvas has seen nothing longer than such a view, and outlines
nothing longer: it cuts a larger particle into pieces, each about as long as a view. On a canvas where the micrograph
takes half of the side, the same particle is half as long.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.extents import extents_of
from nanoseg_bench.annotations.instance import Instance, score_of
from nanoseg_bench.annotations.raster import area, inside_share, iou_matrix, move_rle, to_rle
from nanoseg_bench.inference.tiles import AUTO, Find, Tiles, lengths_of, mask_of
from nanoseg_bench.preparation.letterbox import PADDING_GREY
from nanoseg_bench.wording import counted

_LONGEST = 0.94
"""Of the length of a training view: outlines from here on may be pieces.

On 34 of EMPS' training images with particles of 0.8 views and more, NSYOLO (preset ``fine``) outlined nothing longer
than 1.01 views, and pieces of larger particles were 0.94 views long or longer. With the look from afar it found 110 of
their 132 particles instead of 105, and outlined 24 that are none instead of 56."""

_INSIDE = 0.5
"""A piece lies in the particle with more than this share of its own area."""

_SAME = 0.8
"""Two outlines with a greater IoU are the same particle, seen whole from near and from afar."""

_PIECE = 0.1
"""What lies in a particle that was cut, and is smaller than this share of it, is on it, and no piece of it."""


def longest_whole(longest: int, canvas: int, height: int, width: int) -> float:
    """Length in pixels of a micrograph from which an outline may be a piece of a longer particle.

    Args:
        longest: Side of the views that the network was trained on, in pixels of its input.
        canvas: Side of its input in prediction.
        height: Rows of the micrograph.
        width: Its columns.
    """
    return _LONGEST * longest * max(height, width) / canvas


def may_be_cut(found: Sequence[Instance], limit: float) -> NDArray[np.bool_]:
    """(N,) which outlines reach ``longest_whole``."""
    return lengths_of(extents_of(found)) >= limit


def warn_of_pieces(number: int, tiles: Tiles) -> str:
    """What a user must be told of so many outlines that may be pieces; empty of none."""
    if not number:
        return ""
    closer = "" if tiles == AUTO else " (--tiles auto looks whether they are one from afar)"
    return (
        f"{counted(number, 'outline is', 'outlines are')} as long as the longest that the model has learnt to "
        f"outline, and may be pieces of larger particles: look at them, and put the pieces together by hand{closer}, "
        "or take the image at a lower magnification"
    )


def look_from_afar(
    find: Find, pixels: NDArray[np.uint8], found: Sequence[Instance], limit: float
) -> tuple[list[Instance], list[Instance]]:
    """Put pieces of large particles together, where a look from afar shows the particle whole.

    Args:
        find: Of the model.
        pixels: (H, W) or (H, W, 3) uint8.
        found: In the micrograph as it is: masks of its size.
        limit: ``longest_whole``.

    Returns:
        Particles in pixels of the micrograph, best score first; and those of them that may still be pieces, since from
        afar they look otherwise, or not at all, or are as long as a view there, too.
    """
    suspects = may_be_cut(found, limit)
    if not suspects.any():
        return list(found), []
    far = _find_afar(find, pixels)
    far = [each for each, is_large in zip(far, may_be_cut(far, limit), strict=True) if is_large]
    masks = [mask_of(each) for each in found]
    areas = extents_of(found).areas
    gone, whole = np.zeros(len(found), dtype=bool), np.zeros(len(found), dtype=bool)
    put_together: list[Instance] = []
    for each in sorted(far, key=score_of, reverse=True):
        if any(iou_matrix([mask_of(other) for other in put_together], [mask_of(each)])[:, 0] > _INSIDE):
            continue
        inside = inside_share(masks, mask_of(each)) > _INSIDE
        same = iou_matrix(masks, [mask_of(each)])[:, 0] > _SAME
        if (same & ~gone).any():
            whole |= same  # the nearer look draws it sharper
        elif (inside & suspects & ~gone).any():
            gone |= inside & (suspects | (areas > _PIECE * area(mask_of(each))))
            put_together.append(each)
    kept = [each for each, is_gone in zip(found, gone, strict=True) if not is_gone]
    cut = [each for each, may in zip(found, suspects & ~gone & ~whole, strict=True) if may]
    # From twice as far away a view is twice as long in the micrograph.
    cut += [each for each, may in zip(put_together, may_be_cut(put_together, 2 * limit), strict=True) if may]
    return sorted([*kept, *put_together], key=score_of, reverse=True), cut


def _find_afar(find: Find, pixels: NDArray[np.uint8]) -> list[Instance]:
    """What is found where the micrograph takes half of the canvas, in pixels of the micrograph."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    before = side // 2
    # The longer side is enough: letterboxing adds the same grey along the other one.
    top, left = (0, before) if width >= height else (before, 0)
    size = (height, 2 * side) if width >= height else (2 * side, width)
    wide = np.full((*size, *pixels.shape[2:]), PADDING_GREY, dtype=np.uint8)
    wide[top : top + height, left : left + width] = pixels
    moved = (replace(each, region=move_rle(to_rle(each, *size), -left, -top, height, width)) for each in find(wide))
    return [each for each in moved if area(mask_of(each))]
