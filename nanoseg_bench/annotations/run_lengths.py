"""Whether masks that anybody may have written add up, before pycocotools' C code trusts them.

COCO's text has 5 bits a character, of which the sixth says "goes on"; from the fourth run on a number is the difference
to the last but one. All masks of a file are looked at together: one by one, in Python, takes as long as scoring them.
"""

from collections.abc import Sequence
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Rle

_FIRST = 48
_MOST_CHARACTERS = 8
"""Of a number: 40 bits, where the longest run of the largest image needs 33."""

_MOST_PIXELS = 1 << 40


def find_wrong_runs(regions: Sequence[Rle]) -> NDArray[np.intp]:
    """Which regions' runs are no text of COCO, negative, or do not add up to the image.

    Args:
        regions: Of images of any size.

    Returns:
        (n,) their positions, ascending.
    """
    length = np.array([len(region.counts) for region in regions], dtype=np.int64)
    bits = np.frombuffer(b"".join(region.counts for region in regions), dtype=np.uint8).astype(np.int64) - _FIRST
    wrong = length == 0
    filled = np.flatnonzero(~wrong)
    owner = np.repeat(np.arange(len(regions)), length)
    wrong[owner[(bits < 0) | (bits >= 64)]] = True
    ends = (bits & 0x20) == 0
    last = np.cumsum(length)[filled] - 1
    wrong[filled[~ends[last]]] = True
    ends[last] = True  # no number goes on into the next region
    end = np.flatnonzero(ends)
    if not len(end):
        return np.flatnonzero(wrong)
    start = np.concatenate([[0], end[:-1] + 1])
    characters = end - start + 1
    region = owner[start]
    wrong[region[characters > _MOST_CHARACTERS]] = True
    place = np.minimum(np.arange(len(bits)) - np.repeat(start, characters), _MOST_CHARACTERS)
    number = np.add.reduceat((bits & 0x1F) << (5 * place), start)
    shift = 5 * np.minimum(characters, _MOST_CHARACTERS)
    number -= np.where(bits[end] & 0x10, np.int64(1) << shift, 0)
    # Each number is its difference to the one before, of those of its region at odd places, or at even ones from 2 on.
    first_of_region = np.flatnonzero(np.diff(region, prepend=-1))
    within = np.arange(len(region)) - np.repeat(first_of_region, np.diff(first_of_region, append=len(region)))
    chain = np.where(within == 0, 0, 2 - within % 2)
    order = np.lexsort((within, chain, region))
    begins = np.flatnonzero(np.diff(3 * region[order] + chain[order], prepend=-1))
    summed = np.cumsum(number[order])
    before = np.repeat(np.concatenate([[0], summed[begins[1:] - 1]]), np.diff(begins, append=len(order)))
    runs = np.empty_like(number)
    runs[order] = summed - before
    wrong[region[runs < 0]] = True
    pixels = np.array([_pixels(each) for each in regions], dtype=np.int64)
    total = np.zeros(len(regions), dtype=np.int64)
    total[region[first_of_region]] = np.add.reduceat(runs, first_of_region)
    return np.flatnonzero(wrong | (total != pixels))


def _pixels(region: Rle) -> int:
    """Of its image; -1, which no runs add up to, where that has no size: two negative sides have a good product."""
    height, width = region.height, region.width
    is_size = isinstance(height, Integral) and isinstance(width, Integral) and height >= 0 and width >= 0
    return int(height) * int(width) if is_size and int(height) * int(width) < _MOST_PIXELS else -1
