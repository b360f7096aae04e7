"""Where to look: the points of an explanation at which snakes are drawn when nobody names any."""

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import rle_to_window, to_rle
from nanoseg_bench.explanation.explanation import Explanation, Point, SnakeLayer


def choose_points(explanation: Explanation, snakes: SnakeLayer, count: int) -> list[Point]:
    """Points on the outlines of the most confident particles, each where the boundary is strongest.

    The strength is A_b, and the instance boundary map for a layer without. Points whose snakes would leave the
    micrograph, and particles so near to an earlier one that their snakes would cross, are passed over; where nothing is
    left, as on a very small map, snakes that leave it count too. Where there is no particle, the middles of those cells
    are taken in which the confidence is highest.

    Returns:
        At most ``count`` points in original pixels, the most confident particle's first.
    """
    choose = _choose_on_outlines if explanation.instances else _choose_by_confidence
    whole = _whole_snakes(explanation, snakes)
    return choose(whole, explanation, snakes, count) or choose(np.ones_like(whole), explanation, snakes, count)


def _whole_snakes(explanation: Explanation, snakes: SnakeLayer) -> NDArray[np.bool_]:
    """(h, w): whether a cell's snakes stay on the micrograph and away from the map's border, where they are cut off."""
    height, width = explanation.pixels.shape[:2]
    positions = np.concatenate((snakes.along_x, snakes.along_y), axis=2)
    whole = np.asarray(((positions >= 0) & (positions < (width, height))).all(axis=(2, 3)), dtype=bool)
    reach = snakes.along_x.shape[2] // 2
    for side in (whole, whole[::-1], whole.T, whole.T[::-1]):
        side[:reach] = False
    return whole


def _choose_by_confidence(
    allowed_cells: NDArray[np.bool_], explanation: Explanation, snakes: SnakeLayer, count: int
) -> list[Point]:
    """Choose the middles of allowed cells, (h, w), in order of the confidence there, so that snakes do not cross."""
    height, width = explanation.confidence.shape
    cells = np.argwhere(allowed_cells)
    middles = explanation.letterbox.to_original((cells[:, ::-1].astype(np.float64) + 0.5) * snakes.cell)
    inside = ((middles >= 0) & (middles < (width, height))).all(axis=1)
    cells, middles = cells[inside], middles[inside]
    columns, rows = middles.astype(np.int64).T
    chosen: list[int] = []
    for number in np.argsort(-explanation.confidence[rows, columns], kind="stable"):
        apart = np.abs(cells[chosen] - cells[number]).max(axis=1, initial=0) >= snakes.along_x.shape[2]
        if apart.all():
            chosen.append(int(number))
        if len(chosen) == count:
            break
    return [(float(x), float(y)) for x, y in middles[chosen]]


def _choose_on_outlines(
    allowed_cells: NDArray[np.bool_], explanation: Explanation, snakes: SnakeLayer, count: int
) -> list[Point]:
    """Choose points whose cells are allowed, (h, w)."""
    strength = explanation.instance_boundary if snakes.attention is None else snakes.attention
    height, width = strength.shape
    chosen = np.empty((0, 2), dtype=np.int64)
    points: list[Point] = []
    for instance in explanation.instances:
        x, y = _outline_pixels(to_rle(instance, height, width))
        cells = explanation.cells_at(np.stack((x, y), axis=1).astype(np.float64) + 0.5, snakes)
        apart = (np.abs(cells[:, None] - chosen).max(axis=2) >= snakes.along_x.shape[2]).all(axis=1)
        allowed = np.flatnonzero(allowed_cells[cells[:, 0], cells[:, 1]] & apart)
        if len(allowed):
            best = allowed[strength[y[allowed], x[allowed]].argmax()]
            chosen = np.vstack((chosen, cells[best]))
            points.append((float(x[best]) + 0.5, float(y[best]) + 0.5))
        if len(points) == count:
            break
    return points


def _outline_pixels(mask: Rle) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns and rows of the mask's pixels that have a neighbour outside it."""
    window, x, y = rle_to_window(mask)
    padded = np.pad(window, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    rows, columns = np.nonzero(window & ~inner)
    return columns + x, rows + y
