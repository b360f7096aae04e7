"""COCO's ``segmentation``: polygons, or run lengths as a list or as compressed text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from nanoseg_bench.annotations.instance import Polygon, Rle
from nanoseg_bench.annotations.json_values import first_wrong_number, is_coordinate
from nanoseg_bench.annotations.raster import from_coco
from nanoseg_bench.errors import AnnotationError
from nanoseg_bench.wording import counted

_LONGEST_NUMBER = 60


def read_region(segmentation: Any, size: tuple[int, int], where: str) -> tuple[Polygon, ...] | Rle:
    """The region of one annotation.

    Args:
        segmentation: The value of that key.
        size: (width, height) of the image in pixels.
        where: File and annotation, for messages.

    Raises:
        AnnotationError: It is missing, empty, malformed or made for another size.
    """
    if isinstance(segmentation, dict):
        return _read_rle(segmentation, size, where)
    if isinstance(segmentation, list) and segmentation:
        return tuple(Polygon(_read_outline(flat, where)) for flat in segmentation)
    raise AnnotationError(
        f"{where}: 'segmentation' is empty or missing; it must be polygons or RLE. "
        "Boxes alone say nothing of a particle's outline: export the annotations with their masks"
    )


def _read_outline(flat: Any, where: str) -> NDArray[np.float64]:
    if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2 or not all(map(is_coordinate, flat)):
        found = ""
        if isinstance(flat, list):
            found = first_wrong_number("'segmentation'", flat) or f"there are {counted(len(flat), 'number')}"
        raise AnnotationError(
            f"{where}: {found}{'; ' if found else ''}a polygon is a flat list x1, y1, x2, y2, ... of at least three "
            "points in pixels; draw the region again or delete it"
        )
    return np.array(flat, dtype=np.float64).reshape(-1, 2)


def _read_rle(segmentation: dict[str, Any], size: tuple[int, int], where: str) -> Rle:
    width, height = size
    if segmentation.get("size") != [height, width]:
        raise AnnotationError(
            f"{where}: RLE of size {segmentation.get('size')} on an image of {width}x{height} px; "
            f"it must be [{height}, {width}] (height, width)"
        )
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        runs = _checked_run_lengths(counts)
    elif isinstance(counts, list) and all(isinstance(run, int) for run in counts):
        runs = counts
    else:
        raise AnnotationError(f"{where}: RLE 'counts' must be a text or a list of whole numbers")
    # pycocotools' C code trusts the runs: wrong ones read and write past the end of its arrays.
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise AnnotationError(f"{where}: the RLE does not add up to {width}x{height} px; write the file again")
    if isinstance(counts, str):
        return Rle(height, width, counts.encode("ascii"))
    return from_coco(coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width))


def _checked_run_lengths(counts: str) -> list[int]:
    """Lengths of the runs outside, inside, ... of COCO's text, which anybody may have written; [-1] when malformed.

    5 bits a character, the sixth says "goes on"; from the fourth run on, the difference to the last but one.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > _LONGEST_NUMBER:
            return [-1]
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs if shift == 0 else [-1]
