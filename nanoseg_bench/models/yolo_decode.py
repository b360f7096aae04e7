"""From a YOLO segmentation network's output to particles in original pixels.

Suppression is class-agnostic with one label per box: a particle that could be a cube or a sphere is one particle, not
two. Ultralytics' own function is not used because it stops at a time limit and then returns the remaining images empty.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_convert, nms

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.models.options import SharedPixels
from nanoseg_bench.models.shared_pixels import MaskWindow, settle_shared_pixels
from nanoseg_bench.preparation.letterbox import Letterbox

_MARGIN = 1  # prototype pixels around a box, for the bilinear flank


def select_detections(output: Tensor, class_count: int, min_score: float, limit: int, iou: float) -> Tensor:
    """Confidence filter and non-maximum suppression for one image.

    Args:
        output: (4 + class_count + K, A): centre x, centre y, width, height in network pixels, class scores, and K mask
            coefficients of every anchor.
        class_count: Number of classes.
        min_score: Boxes below this score are dropped.
        limit: Number of boxes to keep.
        iou: Of two boxes with more overlap, the better one stays.

    Returns:
        (N, 6 + K) float32: x1, y1, x2, y2, score, class, coefficients; best score first. Anchors with a value that is
        NaN or infinite are left out.
    """
    scores, labels = output[4 : 4 + class_count].float().max(dim=0)
    # Only the few anchors that are left by their score are looked at whole.
    chosen = (scores >= min_score).nonzero()[:, 0]
    rows = output[:, chosen].float().T
    finite = rows.isfinite().all(dim=1)
    rows, scores, labels = rows[finite], scores[chosen][finite], labels[chosen][finite]
    boxes = box_convert(rows[:, :4], "cxcywh", "xyxy")
    kept = nms(boxes, scores, iou)[:limit]
    columns = (boxes[kept], scores[kept, None], labels[kept, None].float(), rows[kept, 4 + class_count :])
    return torch.cat(columns, dim=1)


def decode_instances(
    detections: NDArray[np.float32],
    prototypes: NDArray[np.float32],
    letterbox: Letterbox,
    classes: Sequence[str],
    shared_pixels: SharedPixels = "both",
) -> list[Instance]:
    """Turn detections into instances in original pixels; those without a pixel are dropped.

    A mask is a weighted sum of the prototypes, brought to original pixels bilinearly before it is cut at zero
    (probability 0.5) and cropped to its box. Only the box's window is ever computed.

    Args:
        detections: (N, 6 + K) as ``select_detections`` returns them.
        prototypes: (K, H, W) of the same image.
        letterbox: Between original pixels and the network's input.
        classes: Class names.
        shared_pixels: Pixels that two masks claim are ``both``'s, or the ``surer``'s (``shared_pixels``).
    """
    found: Iterable[MaskWindow] = _decode_windows(detections, prototypes, letterbox)
    if shared_pixels == "surer":
        found = settle_shared_pixels(list(found))
    # Otherwise one window is in memory at a time: there may be thousands, each as large as its particle.
    return [
        Instance(
            classes[each.label],
            window_to_rle(each.mask, each.left, each.top, letterbox.height, letterbox.width),
            each.score,
        )
        for each in found
        if each.mask.any()
    ]


def _decode_windows(
    detections: NDArray[np.float32], prototypes: NDArray[np.float32], letterbox: Letterbox
) -> Iterator[MaskWindow]:
    """The masks of the detections, one after the other."""
    height, width = prototypes.shape[1:]
    side = max(height, width)
    for row in detections:
        box = row[:4].astype(np.float64)
        x0, y0, x1, y1 = _window(box * (side / letterbox.canvas), width, height)
        if x1 <= x0 or y1 <= y0:
            continue
        window = prototypes[:, y0:y1, x0:x1]
        logits = (row[6:] @ window.reshape(len(window), -1)).reshape(window.shape[1:])
        restored, left, top = letterbox.restore(logits, (x0, y0), side)
        corners = letterbox.to_original(box.reshape(2, 2))
        mask = _crop(restored > 0, corners, left, top)
        yield MaskWindow(mask, restored, left, top, min(float(row[4]), 1.0), int(row[5]))


def _window(box: NDArray[np.float64], width: int, height: int) -> tuple[int, int, int, int]:
    """Box in prototype pixels to whole pixels with a margin, clipped to the grid."""
    x0, y0 = (max(math.floor(value) - _MARGIN, 0) for value in box[:2])
    x1, y1 = (min(math.ceil(value) + _MARGIN, side) for value, side in zip(box[2:], (width, height), strict=True))
    return x0, y0, x1, y1


def _crop(mask: NDArray[np.bool_], corners: NDArray[np.float64], left: int, top: int) -> NDArray[np.bool_]:
    """Clear the pixels whose centre lies outside the box; ``mask`` begins at column ``left``, row ``top``."""
    (x0, y0), (x1, y1) = corners - (left + 0.5, top + 0.5)
    columns, rows = np.arange(mask.shape[1]), np.arange(mask.shape[0])
    inside: NDArray[np.bool_] = ((rows >= y0) & (rows < y1))[:, None] & ((columns >= x0) & (columns < x1))[None, :]
    return mask & inside
