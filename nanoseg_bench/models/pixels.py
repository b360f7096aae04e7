"""From pixels to instances: the one place where U-Net, DeepLabv3+ and Otsu get their particles.

The foreground is thresholded, small holes are filled, and touching particles are cut by a watershed on the distance
to the background. Two maxima of the distance are two particles when the neck between them is clearly narrower than the
narrower of the two; that rule has no length in it, so it holds for particles of any size. A network that has learnt
where the middles of particles are cuts by these instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.models.base import MIN_SCORE
from nanoseg_bench.models.options import PostProcessing
from nanoseg_bench.preparation.letterbox import Letterbox

DEFAULT = PostProcessing()


@dataclass(frozen=True, eq=False, slots=True)
class PixelInstance:
    """One particle on the canvas.

    Attributes:
        mask: (h, w) bool window.
        x: Column of the window's first pixel on the canvas.
        y: Row of it.
        class_index: Most probable class; None where the model knows no classes.
        score: Mean foreground probability inside, times the fit of the depth where one rates it.
    """

    mask: NDArray[np.bool_]
    x: int
    y: int
    class_index: int | None
    score: float


def instances_from_probability(
    foreground: NDArray[np.float32],
    letterbox: Letterbox,
    class_probabilities: NDArray[np.float32] | None = None,
    parameters: PostProcessing = DEFAULT,
    split: Callable[[NDArray[np.bool_]], NDArray[np.int32]] | None = None,
    depth: NDArray[np.float32] | None = None,
) -> list[PixelInstance]:
    """Cut a foreground probability into particles.

    Args:
        foreground: (S, S) probability of being inside any particle, at canvas resolution.
        letterbox: Says which part of the canvas is image; its padding is background.
        class_probabilities: (C, S, S) probability of each class; an instance gets the class of the highest mean.
        parameters: Threshold, splitting and cleaning.
        split: Labels the particles of a mask; ``split_touching`` by default.
        depth: (S, S) learnt depth that rates each particle by its fit, see ``depth_fit``; None: none does.

    Returns:
        Particles in no particular order.
    """
    mask = np.zeros(foreground.shape, dtype=bool)
    letterbox.content(mask)[:] = letterbox.content(foreground) > parameters.threshold
    filled = fill_small_holes(mask, parameters.max_hole)
    labels = split_touching(filled, parameters) if split is None else split(filled)
    found = []
    for number, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        inside = labels[window] == number
        if inside.sum() < parameters.min_area * labels.size:
            continue
        class_index = None
        if class_probabilities is not None:
            class_index = int(class_probabilities[(slice(None), *window)][:, inside].mean(axis=1).argmax())
        score = float(foreground[window][inside].mean())
        if depth is not None:
            score *= depth_fit(labels, number, window, depth)
        found.append(PixelInstance(inside, window[1].start, window[0].start, class_index, score))
    return found


def restore_instances(
    found: Sequence[PixelInstance], letterbox: Letterbox, classes: Sequence[str], max_detections: int
) -> list[Instance]:
    """Particles in original pixels, best score first, at most ``max_detections``."""
    best = sorted(found, key=lambda particle: particle.score, reverse=True)[:max_detections]
    restored = []
    for particle in best:
        if particle.score < MIN_SCORE:
            break
        label = None if particle.class_index is None else classes[particle.class_index]
        region = letterbox.restore_mask(particle.mask, (particle.x, particle.y))
        restored.append(Instance(label, region, particle.score))
    return restored


def fill_small_holes(mask: NDArray[np.bool_], max_hole: float) -> NDArray[np.bool_]:
    """Fill holes of at most ``max_hole`` times the filled area of the region around them.

    Filling every hole would also fill the background that a ring of particles encloses.
    """
    filled = ndimage.binary_fill_holes(mask)
    holes, count = ndimage.label(filled & ~mask)
    if count == 0:
        return mask
    regions, _ = ndimage.label(filled)
    region_areas = np.bincount(regions.ravel())
    hole_areas = np.bincount(holes.ravel())
    around = np.zeros(count + 1, dtype=regions.dtype)
    around[holes.ravel()] = regions.ravel()
    small = hole_areas <= max_hole * region_areas[around]
    small[0] = False
    return mask | small[holes]


def split_touching(mask: NDArray[np.bool_], parameters: PostProcessing = DEFAULT) -> NDArray[np.int32]:
    """Label the particles of a mask: (H, W) int32, 0 is background.

    Markers are the maxima of the distance transform d that survive a reconstruction of min(neck d, d - min_depth)
    under d: those whose neck towards any higher maximum is narrower than ``neck`` times their own width.
    """
    distance = distance_to_background(mask)
    # The pixels touching the background have distance 1; thinner than that has no neck to speak of.
    lowered = np.minimum(distance * parameters.neck, distance - parameters.min_depth).clip(min=0)
    markers, _ = ndimage.label(_tops(distance, lowered) & mask, structure=np.ones((3, 3)))
    return watershed(-distance, markers, mask=mask).astype(np.int32)


def split_at_middles(
    mask: NDArray[np.bool_], depth: NDArray[np.float32], middle: float, neck: float = DEFAULT.neck
) -> NDArray[np.int32]:
    """Label the particles of a mask by a learnt depth: (H, W) int32, 0 is background.

    Markers are the maxima of the depth that lie above ``middle`` and are apart by the rule of ``split_touching``: the
    saddle towards any higher maximum is below ``neck`` times their own depth, so the ripples of a network are none. A
    region of the mask without a marker is one particle.

    Args:
        mask: (H, W) what belongs to any particle.
        depth: (H, W) in [0, 1], as ``models.depth`` defines it.
        middle: Least depth of a marker.
        neck: See above.
    """
    depth = np.where(mask, depth, 0)
    tops = _tops(depth, depth * np.float32(neck)) & (depth > middle)
    markers, count = ndimage.label(tops, structure=np.ones((3, 3)))
    regions, _ = ndimage.label(mask)
    has_marker = np.zeros(regions.max() + 1, dtype=bool)
    has_marker[regions[tops]] = True
    whole = mask & ~has_marker[regions]
    markers[whole] = count + regions[whole]
    return watershed(-depth, markers, mask=mask).astype(np.int32)


def depth_fit(labels: NDArray[np.int32], number: int, window: tuple[slice, slice], depth: NDArray[np.float32]) -> float:
    """How well a learnt depth fits an outline: the soft IoU of it and of the depth that the outline has by itself.

    Two particles taken for one, half a particle, and a region that the network took for nothing have a depth of another
    shape, whatever the probability of their pixels.

    Args:
        labels: (S, S) int32.
        number: The particle's.
        window: Rows and columns that hold it.
        depth: (S, S) in [0, 1], as ``models.depth`` defines it.

    Returns:
        The sum of the smaller of both depths over that of the larger, in [0, 1].
    """
    rows, columns = (slice(max(side.start - 1, 0), side.stop + 1) for side in window)
    inside = labels[rows, columns] == number
    distance = distance_to_edge(inside)[inside]
    own, learnt = distance / distance.max(), depth[rows, columns][inside]
    return float(np.minimum(own, learnt).sum() / np.maximum(own, learnt).sum())


def _tops(height: NDArray[np.float32], lowered: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a maximum stands out: no higher one floods it when all are ``lowered`` and grow again under ``height``."""
    top: NDArray[np.bool_] = reconstruction(lowered, height) <= lowered
    return top


def distance_to_background(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W) distance of each pixel's centre to that of the nearest background pixel, in pixels; 0 on background.

    Where there is no background, all pixels are as far from it as the diagonal is long: OpenCV says 65536 or, on
    Intel's processors, 1.8e19, whose square is infinite.

    OpenCV's last digit depends on where in memory the mask lies, and the watershed's ties on that digit. The square of
    a distance between pixels is a whole number, so rounding it restores the exact one: same mask, same particles.
    """
    if mask.all():
        return np.full(mask.shape, np.hypot(*mask.shape), dtype=np.float32)
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(np.square(distance)))


def distance_to_edge(owner: NDArray[Any]) -> NDArray[np.float32]:
    """(H, W) pixels from a pixel's centre to the edge of its particle, which touching ones have between their pixels.

    Args:
        owner: (H, W) the particle that a pixel shows, 0 for none. What lies outside is not known: the border of the
            array is no edge.
    """
    edge = np.zeros(owner.shape, dtype=bool)
    for axis in (0, 1):
        differ = np.diff(owner, axis=axis) != 0
        before, after = (slice(None, -1), slice(1, None)) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        edge[before] |= differ
        edge[after] |= differ
    # The centre of a pixel at the edge lies half a pixel inside.
    return distance_to_background((owner > 0) & ~edge) + np.float32(0.5)
