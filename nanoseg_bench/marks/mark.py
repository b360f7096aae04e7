"""A mark: something that was written onto a micrograph, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BANNER, BAR, BOX, TEXT = KINDS = ("banner", "bar", "box", "text")
"""An information bar along an edge, a scale bar, a filled box under lettering, a line of lettering."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """One thing that was written onto a micrograph.

    Attributes:
        kind: One of ``KINDS``.
        left: First column, px.
        top: First row, px.
        right: Column after the last.
        bottom: Row after the last.
    """

    kind: str
    left: int
    top: int
    right: int
    bottom: int

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def marks_as_json(marks: Sequence[Mark]) -> list[list[str | int]]:
    """``[kind, left, top, right, bottom]`` of each."""
    return [[mark.kind, mark.left, mark.top, mark.right, mark.bottom] for mark in marks]


def marks_from_json(rows: Sequence[Sequence[Any]]) -> tuple[Mark, ...]:
    """What ``marks_as_json`` made.

    Raises:
        ValueError, TypeError: They are none.
    """
    try:
        return tuple(Mark(str(kind), *(int(value) for value in box)) for kind, *box in rows)
    except OverflowError as error:  # of an infinite number
        raise ValueError(f"a mark without an end ({error})") from error


@dataclass(frozen=True, eq=False, slots=True)
class Marks:
    """All marks of one micrograph.

    Attributes:
        found: By kind, then from the left.
        height: Rows of the micrograph.
        width: Its columns.
        seen_ink: ``ink`` at the size at which marks were looked for. At four bytes a pixel, that of a large micrograph
            takes more memory than the micrograph, and most callers ask for ``found`` only.
        letters: (N, 2) float64: width of the strokes, with their soft edges, and height of the letters of the line that
            a number of ``ink`` belongs to, px.
    """

    found: tuple[Mark, ...]
    height: int
    width: int
    seen_ink: NDArray[np.int32]
    letters: NDArray[np.float64]

    @property
    def ink(self) -> NDArray[np.int32]:
        """(H, W) int32: 0 where nothing is written; each letter, with its soft edge, has a number of its own.

        Made anew each time that it is asked for.
        """
        if self.seen_ink.shape == (self.height, self.width):
            return self.seen_ink
        import cv2

        ink = cv2.resize(self.seen_ink, (self.width, self.height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(ink, dtype=np.int32)

    def of(self, *kinds: str) -> list[Mark]:
        """The marks of some kinds, in the order of ``found``."""
        return [mark for mark in self.found if mark.kind in kinds]

    def mask(self, *kinds: str) -> NDArray[np.bool_]:
        """(H, W) bool: inside the boxes of some kinds; of all by default."""
        return boxes_mask(self.of(*(kinds or KINDS)), self.height, self.width)


def boxes_mask(marks: Sequence[Mark], height: int, width: int) -> NDArray[np.bool_]:
    """(H, W) bool, True inside the boxes of the marks."""
    mask = np.zeros((height, width), dtype=bool)
    for mark in marks:
        mask[mark.box] = True
    return mask
