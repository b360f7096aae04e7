"""Large micrographs in overlapping tiles, where their particles would be too small to be seen on one canvas.

A micrograph is always looked at as a whole first. A tile of 1/m of its longer side, letterboxed to the same canvas,
shows it m times as large. What one look sees well the other does not: a particle that is larger than the overlap of two
tiles is cut by every tile that it lies in, and is taken from the whole; a smaller one lies wholly in at least one tile.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.extents import Extents, boxes_near, extents_of
from nanoseg_bench.annotations.instance import Instance, Rle, score_of
from nanoseg_bench.annotations.raster import area, inside_share, iou_matrix, move_rle, to_rle
from nanoseg_bench.errors import UsageError
from nanoseg_bench.progress import track

AUTO: Literal["auto"] = "auto"
OFF: Literal["off"] = "off"

Tiles = Literal["auto", "off"] | int
"""See ``find_everywhere``."""

OVERLAP = 0.25
"""Of a tile's side, shared with the next tile at least."""

SMALL = 16.0
SEEN = 24.0
"""Diameters in pixels of the canvas: below the first, particles are missed, at the second they are not.

Of the particles of EMPS' validation images NSYOLO (preset ``cpu``) found 0.45 between 8 and 12 px, 0.69 up to 16 px,
0.93 up to 20 px, 0.92 up to 24 px."""

_SMALL_SHARE = 0.1
_FEW = 3
"""Tiles are used where this share of the particles is small, or where fewer particles than this are found at all."""

_LEAST = 1.5
"""Less magnification than this over the whole micrograph is not worth the time."""

_SAME = 0.5
"""Two outlines with a greater IoU are of one particle."""

_MADE_UP = 0.5
"""A particle of the whole micrograph is doubted where smaller ones cover more of it than this share."""

_SEAM = 2.0
"""Pixels of the canvas: what comes so near to an edge of its tile is cut by it."""

Find = Callable[[NDArray[np.uint8]], list[Instance]]
"""Finds the particles of a micrograph (H, W[, 3]) that is letterboxed as a whole, in its pixels, best score first."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a micrograph.

    Attributes:
        x: First column.
        y: First row.
        width: Columns.
        height: Rows.
    """

    x: int
    y: int
    width: int
    height: int

    def cut_out(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels of the tile, of (H, W) or (H, W, 3) pixels of the field."""
        return pixels[self.y : self.y + self.height, self.x : self.x + self.width]


def lay_tiles(width: int, height: int, side: int, overlap: int) -> list[Tile]:
    """Tiles that cover a micrograph, row by row.

    All have the same size, ``side`` or what there is of the micrograph; two neighbours share ``overlap`` pixels or
    more, so that whatever is no longer than that lies wholly in one of them.

    Args:
        width: Columns of the micrograph.
        height: Rows.
        side: Of a tile, in pixels of the micrograph.
        overlap: Less than ``side``.
    """
    return [
        Tile(x, y, min(side, width), min(side, height))
        for y in _starts(height, side, overlap)
        for x in _starts(width, side, overlap)
    ]


def find_in_tiles(find: Find, pixels: NDArray[np.uint8], magnification: float, canvas: int) -> list[Instance]:
    """The particles of a micrograph that are no longer than the overlap of its tiles.

    Args:
        find: Of the model.
        pixels: (H, W) or (H, W, 3) uint8.
        magnification: Over that of the whole micrograph, above 1.
        canvas: Side of the model's canvas in pixels.

    Returns:
        Particles in pixels of the micrograph, best score first, each once.
    """
    height, width = pixels.shape[:2]
    side = _side(width, height, magnification)
    overlap = _overlap(width, height, magnification)
    seam = math.ceil(_SEAM * side / canvas)
    found: list[tuple[Instance, Tile]] = []
    for tile in track(lay_tiles(width, height, side, overlap), f"tiles, {magnification:.1f} times as large"):
        there = find(tile.cut_out(pixels))
        whole = _uncut(there, tile, seam, overlap, height, width)
        for each in whole:
            region = move_rle(to_rle(each, tile.height, tile.width), tile.x, tile.y, height, width)
            found.append((replace(each, region=region), tile))
    return _each_once(found)


def require_tiles(tiles: Tiles) -> None:
    """Refuse what ``find_everywhere`` would take for ``off``.

    Raises:
        UsageError: It is neither ``auto`` nor ``off``, nor a number from 2 on.
    """
    if tiles not in (AUTO, OFF) and (not isinstance(tiles, int) or tiles < 2):
        raise UsageError(f"tiles {tiles!r}: give auto, off, or a number of tiles from 2 on")


def find_everywhere(
    find: Find, pixels: NDArray[np.uint8], canvas: int, tiles: Tiles = AUTO
) -> tuple[list[Instance], float]:
    """The particles of a micrograph, in tiles where it needs them.

    Args:
        find: Of the model.
        pixels: (H, W) or (H, W, 3) uint8.
        canvas: Side of the model's canvas in pixels.
        tiles: ``auto``: where a tenth of the particles that were found are smaller than ``SMALL`` on the canvas, or
            hardly any was found, and the micrograph has more pixels than the canvas. ``off``: never. A number: so many
            along the longer side, overlaps aside, each of which shows its part so many times as large.

    Returns:
        Particles in pixels of the micrograph, best score first, and the greatest magnification that was used; 1 for one
        canvas.

    Raises:
        UsageError: ``tiles`` is none of these.
    """
    require_tiles(tiles)
    height, width = pixels.shape[:2]
    whole = [replace(each, region=to_rle(each, height, width)) for each in find(pixels)]

    def look_closer(magnification: float) -> list[Instance]:
        found = whole
        for step in _steps(magnification, canvas):
            found = combine(found, find_in_tiles(find, pixels, step, canvas), _overlap(width, height, step))
        return found

    if isinstance(tiles, int):
        return look_closer(tiles), float(tiles)
    found, used = whole, 1.0
    while tiles == AUTO and (wanted := _wanted(found, used, max(width, height) / canvas)) is not None:
        found, used = look_closer(wanted), wanted
    return found, used


def combine(whole: Sequence[Instance], small: Sequence[Instance], overlap: int) -> list[Instance]:
    """What was found in a whole micrograph and in its tiles, together.

    Particles up to half the overlap come from the tiles, those above the overlap from the whole; between, the tiles'
    outline is taken where both have one. Where particles from the tiles cover most of one from the whole, either that
    is a cluster of them or they are what its surface shows: the surer side stays.

    Args:
        whole: Of the whole micrograph: masks of its size.
        small: Of its tiles: likewise, none longer than ``overlap``.
        overlap: Of two tiles in pixels.

    Returns:
        Best score first.
    """
    large = [each for each, extent in zip(whole, lengths_of(extents_of(whole)), strict=True) if extent > overlap / 2]
    areas = extents_of(small).areas
    kept_large: list[Instance] = []
    kept_small = np.ones(len(small), dtype=bool)
    for each, near in zip(large, _near(large, small), strict=True):
        regions = [mask_of(small[number]) for number in near]
        if any(iou_matrix(regions, [mask_of(each)])[:, 0] > _SAME):
            continue
        inside = inside_share(regions, mask_of(each))
        covering = inside * areas[near]
        if covering.sum() > _MADE_UP * area(mask_of(each)):
            if float(covering @ [score_of(small[number]) for number in near]) >= score_of(each) * covering.sum():
                continue
            kept_small[near[inside > _SAME]] = False
        kept_large.append(each)
    rest = [each for each, keep in zip(small, kept_small, strict=True) if keep]
    return sorted([*kept_large, *rest], key=score_of, reverse=True)


def _starts(length: int, side: int, overlap: int) -> list[int]:
    if length <= side:
        return [0]
    number = math.ceil((length - side) / (side - overlap)) + 1
    return [round(step * (length - side) / (number - 1)) for step in range(number)]


def _wanted(found: Sequence[Instance], used: float, most: float) -> float | None:
    """The magnification to look with next; None where ``used`` will do, or more shows nothing new.

    Args:
        found: So far.
        used: Magnification of the last look.
        most: At which a pixel of the micrograph is one of the canvas.
    """
    if most < _LEAST * used:
        return None
    if len(found) < _FEW:
        return min(2 * used, most)
    diameters = np.sqrt(4 * extents_of(found).areas / math.pi) * used / most
    small = float(np.quantile(diameters, _SMALL_SHARE))
    return None if small >= SMALL else min(used * SEEN / small, most)


def _steps(magnification: float, canvas: int) -> list[float]:
    """Magnifications up to the last one: what is longer than the overlap of one's tiles is seen at the one before."""
    widest = max(OVERLAP * canvas / SEEN, 2.0)
    number = math.ceil(math.log(magnification) / math.log(widest) - 1e-9)
    return [magnification ** (step / number) for step in range(1, number + 1)]


def _side(width: int, height: int, magnification: float) -> int:
    return math.ceil(max(width, height) / magnification)


def _overlap(width: int, height: int, magnification: float) -> int:
    # Tiles of a single pixel, those of a micrograph with fewer pixels than tiles, share none.
    return min(math.ceil(OVERLAP * max(width, height) / magnification), _side(width, height, magnification) - 1)


def _uncut(
    found: Sequence[Instance], tile: Tile, seam: int, overlap: int, height: int, width: int
) -> Iterator[Instance]:
    """What no edge of the tile cuts, other than the micrograph's own, and is no longer than the overlap."""
    first_column, first_row = (seam if tile.x else 0), (seam if tile.y else 0)
    last_column = tile.width - (seam if tile.x + tile.width < width else 0)
    last_row = tile.height - (seam if tile.y + tile.height < height else 0)
    extents = extents_of(found)
    for each, length, box in zip(found, lengths_of(extents), extents.boxes, strict=True):
        left, top, right, bottom = box
        inside = left >= first_column and top >= first_row and right <= last_column and bottom <= last_row
        if inside and 0 < length <= overlap:
            yield each


def _each_once(found: Sequence[tuple[Instance, Tile]]) -> list[Instance]:
    """Of outlines of one particle in several tiles the surest, best score first."""
    ordered = sorted(found, key=lambda each: score_of(each[0]), reverse=True)
    particles = [particle for particle, _ in ordered]
    dropped = np.zeros(len(ordered), dtype=bool)
    for number, ((particle, tile), near) in enumerate(zip(ordered, _near(particles, particles), strict=True)):
        if dropped[number]:
            continue
        others = [other for other in near if other > number and ordered[other][1] != tile and not dropped[other]]
        ious = iou_matrix([mask_of(particles[other]) for other in others], [mask_of(particle)])
        dropped[[other for other, iou in zip(others, ious[:, 0], strict=True) if iou > _SAME]] = True
    return [particle for particle, drop in zip(particles, dropped, strict=True) if not drop]


def _near(ones: Sequence[Instance], others: Sequence[Instance]) -> Iterator[NDArray[np.intp]]:
    """For each of ``ones``, the numbers of ``others`` whose boxes overlap its own."""
    boxes = extents_of(others).boxes
    for box in extents_of(ones).boxes:
        yield boxes_near(box, boxes)


def lengths_of(extents: Extents) -> NDArray[np.float64]:
    """The longer side of each box in pixels."""
    return np.asarray((extents.boxes[:, 2:] - extents.boxes[:, :2]).max(axis=1))


def mask_of(instance: Instance) -> Rle:
    """The mask of a particle, which is of its micrograph's size here."""
    if not isinstance(instance.region, Rle):
        raise TypeError("a mask of the micrograph's size is needed")
    return instance.region
