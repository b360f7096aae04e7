"""Large annotated micrographs in tiles, each a micrograph of its own: ``prepare --tile``.

A field of 4096 px that is letterboxed to a canvas of 640 px loses its small particles. Its tiles adjoin and do not
overlap, so that no part of it is learnt or judged twice. Nothing is resampled: a pixel of a tile is a pixel of the
micrograph, and scores are in original pixels as ever. All tiles of a micrograph are one source group. A particle that a
seam cuts becomes one particle on each side of it, as at the border of any field; where a piece is hardly anything of
its particle, nobody knows what it is, so that it is an ignore region.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Cutout, Instance, Micrograph, Polygon
from nanoseg_bench.annotations.raster import bounding_boxes, move_rle, rle_to_window, to_rle, window_to_rle
from nanoseg_bench.annotations.source import MicrographRef
from nanoseg_bench.annotations.tally import Tally
from nanoseg_bench.errors import NanosegError
from nanoseg_bench.images import ImageNotes, read_with_notes
from nanoseg_bench.parallel import Workers

_SLIVER = 0.1
"""Part of a particle below which what a tile shows of it is an ignore region."""


@dataclass(frozen=True, slots=True)
class TileRef:
    """A MicrographRef to one tile of a micrograph.

    Attributes:
        ref: The whole micrograph.
        key: Of the whole, the same for all of its tiles and no other's: also in another process.
        row: Of the tile, from 1.
        column: Likewise.
        x: First column of pixels.
        y: First row.
        width: Columns.
        height: Rows.
    """

    ref: MicrographRef
    key: str
    row: int
    column: int
    x: int
    y: int
    width: int
    height: int

    @property
    def name(self) -> str:
        """That of the whole, with the tile's place."""
        return f"{self.ref.name}~{self.row}-{self.column}"

    @property
    def path(self) -> Path:
        """The file to name in messages."""
        return self.ref.path

    def read(self) -> Micrograph:
        """Read the whole annotation, and keep what the tile shows; raises what reading it raises.

        What was noted of the whole comes with each of its tiles, see ``noted_once``.
        """
        whole = _whole(self)
        instances, divided = self._cut(whole)
        micrograph = whole.micrograph
        return replace(
            micrograph,
            name=self.name,
            width=self.width,
            height=self.height,
            instances=instances,
            cutout=Cutout(micrograph.name, self.x, self.y, micrograph.width, micrograph.height, divided),
        )

    def _cut(self, whole: "_Whole") -> tuple[tuple[Instance, ...], int]:
        """What the tile shows, and how many particles are divided whose middle lies in it."""
        shown: list[Instance] = []
        divided = 0
        left, top, columns, rows = whole.boxes.T
        near = (left < self.x + self.width) & (left + columns > self.x)
        near &= (top < self.y + self.height) & (top + rows > self.y)
        if self.x == 0 and self.y == 0:
            near |= columns == 0  # without a pixel in the image, which is counted where it is read
        for number in np.flatnonzero(near).tolist():
            instance = whole.micrograph.instances[number]
            window, x, y = rle_to_window(whole.masks[number])
            first_column, first_row = max(self.x - x, 0), max(self.y - y, 0)
            piece = window[first_row : self.y + self.height - y, first_column : self.x + self.width - x]
            if piece.shape == window.shape:
                shown.append(self._moved(instance))
                continue
            middle_x, middle_y = x + window.shape[1] / 2, y + window.shape[0] / 2
            middle = self.x <= middle_x < self.x + self.width and self.y <= middle_y < self.y + self.height
            divided += middle and not instance.ignored
            if piece.any():
                place = x + first_column - self.x, y + first_row - self.y
                region = window_to_rle(piece, *place, self.height, self.width)
                sliver = piece.sum() < _SLIVER * window.sum() and not instance.ignored
                shown.append(replace(instance, region=region, label=IGNORE_LABEL if sliver else instance.label))
        return tuple(shown), divided

    def _moved(self, instance: Instance) -> Instance:
        """One that no seam cuts, with its own outline."""
        if isinstance(instance.region, tuple):
            place = np.array([self.x, self.y], dtype=np.float64)
            parts = (
                Polygon(part.exterior - place, tuple(hole - place for hole in part.holes)) for part in instance.region
            )
            return replace(instance, region=tuple(parts))
        return replace(instance, region=move_rle(instance.region, -self.x, -self.y, self.height, self.width))


class _Whole:
    """A micrograph that tiles are cut out of: read, decoded and rasterised once for all of them."""

    def __init__(self, ref: MicrographRef) -> None:
        self.micrograph = ref.read()
        height, width = self.micrograph.height, self.micrograph.width
        self.masks = [to_rle(each, height, width) for each in self.micrograph.instances]
        self.boxes = bounding_boxes(self.masks)

    @cached_property
    def pixels(self) -> tuple[NDArray[np.uint8], ImageNotes]:
        return read_with_notes(self.micrograph.image_path)


_last: dict[str, _Whole] = {}
"""The whole that this process read last, by its key. Tiles come in the order of their wholes, so that one is enough,
and a second one might be too much for the memory."""


def _whole(tile: TileRef) -> _Whole:
    whole = _last.get(tile.key)
    if whole is None:
        _last.clear()  # before the next one is decoded
        whole = _last[tile.key] = _Whole(tile.ref)
    return whole


def forget_wholes() -> None:
    """Keep nothing in the memory of this process of the micrographs that tiles were cut out of."""
    _last.clear()


def whole_name(ref: MicrographRef) -> str:
    """Name of the micrograph that ``ref`` is a tile of; its own where it is whole."""
    return ref.ref.name if isinstance(ref, TileRef) else ref.name


def noted_once(micrographs: Iterable[Micrograph]) -> list[Micrograph]:
    """The same; of the tiles of one micrograph, only the first still has what reading the whole noted."""
    told: set[str] = set()
    once = []
    for each in micrographs:
        if each.cutout is not None and each.cutout.whole in told:
            each = replace(each, notes=(), tally=Tally(), pieces={}, without_area={}, not_carried=())
        if each.cutout is not None:
            told.add(each.cutout.whole)
        once.append(each)
    return once


def in_tiles(entries: Sequence[MicrographRef], side: int, workers: Workers) -> list[MicrographRef]:
    """The tiles of all micrographs that are larger than one; the others, and those that cannot be read, as they are.

    Args:
        entries: Whole micrographs.
        side: About so many pixels is each tile long and wide: from two thirds to one and a half times as many.
        workers: Processes.
    """
    found: list[MicrographRef] = []
    for entry, size in zip(entries, workers.each(_size, entries, "measuring micrographs"), strict=True):
        found += [entry] if size is None else lay_tiles(entry, *size, side)
    return found


def lay_tiles(entry: MicrographRef, width: int, height: int, side: int) -> Sequence[MicrographRef]:
    """Adjoining tiles of nearly equal size that cover a micrograph, row by row; itself where one covers it.

    Args:
        entry: The micrograph.
        width: Its columns.
        height: Its rows.
        side: Wanted side of a tile in pixels.
    """
    across, down = _starts(width, side), _starts(height, side)
    if len(across) == len(down) == 2:
        return [entry]
    key = uuid4().hex
    return [
        TileRef(entry, key, row, column, left, top, right - left, bottom - top)
        for row, (top, bottom) in enumerate(pairwise(down), start=1)
        for column, (left, right) in enumerate(pairwise(across), start=1)
    ]


def read_pixels(ref: MicrographRef, micrograph: Micrograph) -> tuple[NDArray[np.uint8], ImageNotes]:
    """The pixels of a micrograph, which may be a part of its file; contrast is mapped on the whole.

    Args:
        ref: Of the micrograph.
        micrograph: What it was read as.

    Raises:
        ImageError: The file cannot be read.
    """
    if not isinstance(ref, TileRef):
        return read_with_notes(micrograph.image_path)
    whole = _whole(ref)
    pixels, notes = whole.pixels
    if pixels.shape[:2] != (whole.micrograph.height, whole.micrograph.width):
        return pixels, notes  # refused by whoever compares the sizes
    return np.ascontiguousarray(pixels[ref.y : ref.y + ref.height, ref.x : ref.x + ref.width]), notes


def _starts(length: int, side: int) -> list[int]:
    """First pixels of adjoining tiles, and where the last one ends."""
    number = max(round(length / side), 1)
    return [round(step * length / number) for step in range(number + 1)]


def _size(entry: MicrographRef) -> tuple[int, int] | None:
    """(width, height); None where the entry cannot be read, which is told when it is read again."""
    try:
        micrograph = entry.read()
    except NanosegError:
        return None
    return micrograph.width, micrograph.height
