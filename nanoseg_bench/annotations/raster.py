"""The one rasteriser: for the truth and for every model's output.

pycocotools rasterises at five times the resolution and stays within 0.25 % of a disc's equivalent diameter, where
``cv2.fillPoly`` and PIL paint the outline too and inflate an 8 px disc by 14 %.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from nanoseg_bench.annotations.clipping import clip_outline
from nanoseg_bench.annotations.instance import Instance, Polygon, Rle
from nanoseg_bench.errors import AnnotationError

# pycocotools walks along every edge and holds five points per pixel of it, in 32-bit numbers: an outline that reaches
# far out of the image is cut off at this many pixels around it first.
_MARGIN = 16.0

# At 80 bytes of memory for each pixel. An outline that goes through all pixels of a large image is none of a particle.
_LONGEST_OUTLINE = 5_000_000

# pycocotools.mask.area notes the number of masks in 8 bits; NumPy 2 refuses more.
_MASKS_PER_AREA_CALL = 255


def to_rle(instance: Instance, height: int, width: int) -> Rle:
    """Rasterise an instance on an image of ``height`` x ``width`` pixels; what lies outside is clipped.

    Raises:
        ValueError: The instance is a mask of another size.
        AnnotationError: As ``require_drawable``.
    """
    if isinstance(instance.region, Rle):
        if (instance.region.height, instance.region.width) != (height, width):
            raise ValueError(
                f"mask of {instance.region.width}x{instance.region.height} px on an image of {width}x{height} px"
            )
        return instance.region
    return polygons_to_rle(instance.region, height, width)


def require_drawable(outline: NDArray[np.float64], height: int, width: int, where: str = "an outline") -> None:
    """Refuse an outline that runs to and fro across the image so often that drawing it would fill the memory.

    Args:
        outline: (N, 2) x, y.
        height: Rows of the image.
        width: Columns.
        where: What it is of, for the message.

    Raises:
        AnnotationError: Its edges are longer than any particle's.
    """
    if len(outline) * (max(height, width) + 2 * _MARGIN) <= _LONGEST_OUTLINE:
        return  # whatever the corners
    near = outline.clip(-_MARGIN, (width + _MARGIN, height + _MARGIN))
    length = float(np.abs(near - np.roll(near, -1, axis=0)).max(axis=1).sum())
    if length > _LONGEST_OUTLINE:
        raise AnnotationError(
            f"{where}: its {len(outline)} corners are joined by edges of {length:.2g} px in all, on an image of "
            f"{width} x {height} px; that outlines no particle: draw it again, or delete it"
        )


def polygons_to_rle(polygons: Sequence[Polygon], height: int, width: int) -> Rle:
    """Union of the polygons, each less its holes.

    Raises:
        AnnotationError: As ``require_drawable``.
    """
    if any(polygon.holes for polygon in polygons):
        parts = [_fill(part.exterior, height, width) & ~_fill_all(part.holes, height, width) for part in polygons]
        return mask_to_rle(np.logical_or.reduce(parts))
    outlines = [flat for polygon in polygons if (flat := _flat(polygon.exterior, height, width))]
    if not outlines:
        return mask_to_rle(np.zeros((height, width), dtype=bool))
    return from_coco(coco_mask.merge(coco_mask.frPyObjects(outlines, height, width)))


def to_mask(instance: Instance, height: int, width: int) -> NDArray[np.bool_]:
    """The instance as a (height, width) boolean array."""
    return rle_to_mask(to_rle(instance, height, width))


def mask_to_rle(mask: NDArray[Any]) -> Rle:
    """Encode a (height, width) array; non-zero is inside."""
    return from_coco(coco_mask.encode(np.asfortranarray(mask.astype(bool), dtype=np.uint8)))


def window_to_rle(window: NDArray[Any], x: int, y: int, height: int, width: int) -> Rle:
    """Encode a small mask that lies on an empty image, without making the image.

    Equals ``mask_to_rle`` of the image with the window pasted in, byte for byte, in a fraction of the time: models
    return hundreds of small masks per micrograph.

    Args:
        window: (h, w) array wholly inside the image; non-zero is inside the mask.
        x: Column of the window's first pixel.
        y: Row of the window's first pixel.
        height: Rows of the image.
        width: Columns of the image.
    """
    rows, columns = window.shape
    # Column-major with one empty row below, so that every run ends in its own column.
    padded = np.zeros((columns, rows + 1), dtype=bool)
    padded[:, :rows] = window.T != 0
    column, row = np.divmod(np.flatnonzero(np.diff(padded.ravel(), prepend=False)), rows + 1)
    edges = (column + x) * height + row + y  # start, end, start, end, ... in the image's column-major order
    # A run that reaches the image's lower edge goes on at the top of the next column.
    joined = 2 * np.flatnonzero(edges[1:-1:2] == edges[2::2])
    edges = np.delete(edges, np.concatenate([joined + 1, joined + 2]))
    counts = np.diff(edges, prepend=0, append=height * width)
    if counts.size > 1 and counts[-1] == 0:
        counts = counts[:-1]
    return from_coco(coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width))


def rle_to_mask(rle: Rle) -> NDArray[np.bool_]:
    """Decode to a (height, width) boolean array."""
    decoded: NDArray[np.uint8] = coco_mask.decode(to_coco(rle))
    return decoded.astype(bool)


def rle_to_window(rle: Rle) -> tuple[NDArray[np.bool_], int, int]:
    """Decode the bounding box only: most particles are a hundredth of their image.

    Returns:
        (window, x, y): the (h, w) part of ``rle_to_mask`` that holds every pixel of the mask, and the column and row
        of its first pixel; h and w are 0 for an empty mask.
    """
    x, y, width, height = (int(value) for value in bounding_box(rle))
    if width == 0:
        return np.zeros((0, 0), dtype=bool), 0, 0
    # Only the columns of the box, one below the other: each run as long as it is in there.
    ends = (np.cumsum(run_lengths(rle.counts)) - x * rle.height).clip(0, width * rle.height)
    inside = np.arange(len(ends) + 1) % 2 == 1
    lengths = np.diff(ends, prepend=0, append=width * rle.height)
    columns = np.repeat(inside, lengths).reshape(width, rle.height)
    return np.ascontiguousarray(columns[:, y : y + height].T), x, y


def move_rle(rle: Rle, x: int, y: int, height: int, width: int) -> Rle:
    """The mask on an image of another size; what comes to lie outside of that is cut off.

    Args:
        rle: The mask.
        x: By how many columns it is moved to the right.
        y: By how many rows it is moved down.
        height: Rows of the other image.
        width: Its columns.
    """
    window, left, top = rle_to_window(rle)
    left, top = left + x, top + y
    inside = window[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    return window_to_rle(inside, max(left, 0), max(top, 0), height, width)


def run_lengths(counts: bytes) -> NDArray[np.int64]:
    """Lengths of the runs outside, inside, outside, ... of COCO's compressed counts.

    A number is written in characters of five bits, the lowest first; the sixth bit says that more follow, the highest
    of the last five is the sign. From the fourth number on, each is the difference to the last but one. The counts are
    trusted: ``coco.regions.read_region`` reads those of others.
    """
    characters = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((characters & 0x20) == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    position = np.arange(len(characters)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((characters & 0x1F) << (5 * position), starts)
    numbers -= np.where(characters[ends] & 0x10, np.int64(1) << (5 * lengths), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return np.asarray(numbers, dtype=np.int64)


def area(rle: Rle) -> int:
    """Number of pixels inside."""
    return int(coco_mask.area(to_coco(rle)))


def bounding_box(rle: Rle) -> tuple[float, float, float, float]:
    """(x, y, width, height) in pixels; all zero for an empty mask."""
    x, y, width, height = coco_mask.toBbox(to_coco(rle)).tolist()
    return x, y, width, height


def areas(regions: Sequence[Rle]) -> NDArray[np.float64]:
    """(N,) pixels inside each mask."""
    coco = [to_coco(region) for region in regions]
    parts = [
        coco_mask.area(coco[start : start + _MASKS_PER_AREA_CALL])
        for start in range(0, len(coco), _MASKS_PER_AREA_CALL)
    ]
    return np.concatenate([np.zeros(0), *parts])


def bounding_boxes(regions: Sequence[Rle]) -> NDArray[np.float64]:
    """(N, 4) x, y, width, height of each mask, px; all zero for an empty one."""
    boxes = coco_mask.toBbox([to_coco(region) for region in regions]) if regions else []
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def iou_matrix(
    predicted: Sequence[Rle], truth: Sequence[Rle], crowd: Sequence[bool] | None = None
) -> NDArray[np.float64]:
    """IoU of every pair, shape (len(predicted), len(truth)).

    Against a crowd region the union is the predicted area alone, as in COCO.
    """
    if not predicted or not truth:
        return np.zeros((len(predicted), len(truth)))
    flags = [int(flag) for flag in crowd] if crowd is not None else [0] * len(truth)
    result = coco_mask.iou([to_coco(rle) for rle in predicted], [to_coco(rle) for rle in truth], flags)
    return np.asarray(result, dtype=np.float64)


def inside_share(regions: Sequence[Rle], region: Rle) -> NDArray[np.float64]:
    """(N,) share of each mask's area that lies inside one region."""
    return iou_matrix(regions, [region], [True])[:, 0]


def union(regions: Sequence[Rle]) -> Rle:
    """Pixels in at least one of the masks; there must be one."""
    return from_coco(coco_mask.merge([to_coco(region) for region in regions]))


def intersection(first: Rle, second: Rle) -> Rle:
    """Pixels in both masks."""
    return from_coco(coco_mask.merge([to_coco(first), to_coco(second)], intersect=True))


def to_coco(rle: Rle) -> dict[str, Any]:
    """The dictionary that pycocotools takes (``counts`` are bytes)."""
    return {"size": [rle.height, rle.width], "counts": rle.counts}


def from_coco(coco: dict[str, Any]) -> Rle:
    """Read COCO's compressed dictionary; ``counts`` may be bytes or text."""
    counts = coco["counts"]
    height, width = coco["size"]
    return Rle(int(height), int(width), counts.encode("ascii") if isinstance(counts, str) else bytes(counts))


def _flat(outline: NDArray[np.float64], height: int, width: int) -> list[float]:
    """COCO's flat list; empty when the outline has no area near the image."""
    require_drawable(outline, height, width)
    if (outline < -_MARGIN).any() or (outline > (width + _MARGIN, height + _MARGIN)).any():
        outline = clip_outline(outline, -_MARGIN, -_MARGIN, width + _MARGIN, height + _MARGIN)
    flat: list[float] = outline.reshape(-1).tolist() if len(outline) >= 3 else []
    return flat


def _fill(outline: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    return rle_to_mask(polygons_to_rle([Polygon(outline)], height, width))


def _fill_all(outlines: Sequence[NDArray[np.float64]], height: int, width: int) -> NDArray[np.bool_]:
    return rle_to_mask(polygons_to_rle([Polygon(outline) for outline in outlines], height, width))
