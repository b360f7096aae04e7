"""Which bar a text belongs to: both have one grey value, and stand together."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.measure.scale.bar import PLAIN, RULER, SPLIT, Bar, measure_bar
from nanoseg_bench.measure.scale.finder import quality
from nanoseg_bench.measure.scale.line import Line
from nanoseg_bench.measure.scale.ruler import find_ruler

_REACH = 4.0
"""Rows above and below a text in which its bar is looked for, in heights of the text."""

_INK_ALIKE = (14, 36)
_INKED = 0.5
"""Grey values by which a bar and its text differ, strictly and loosely; part of the contrast of the letters that a thin
bar has."""

_THIN = 3.0
"""A bar of fewer px has no pixel that is not dimmed by an edge."""

_INKED_ROW = 0.04
_AT_EDGES = 3.0
_THICK_STROKE = (0.25, 2)
_THICKS = 2.0
_COVERED = 0.5
_HARDLY = 0.1
"""Part of a row of a line of text that is ink; how much ink at the edges of a line speaks against its being ink; width
in heights of the line, and px of soft edges, that no stroke of a letter has in both directions; how much what is so
wide speaks against it; part of the box that letters cover at most; and what each of these leaves of the trust at
least."""

_SHORTEST = 0.35
_ASPECT = 1.8
"""Length of a bar in heights of its text, and in thicknesses."""

_NEAR = 2.0
_BESIDE = 4.0
_THICK = (0.8, 0.7)
_GREY_ALIKE = 40.0
_OTHER_POLARITY = 0.4
_LEAST_LENGTH = 0.7
_LEAST_PART = 0.4
_WITHIN_LINE = 0.15
_OFF_MIDDLE = 0.2
_ACROSS = 0.3
_LONG = 6.0
_SHORT = (0.4, 0.5)
_LEAST_PIECE = 4
_PIECE = 0.5
"""Trust in a pair falls to one half at these distances of a bar and its text and this thickness beyond the usual, in
heights of the text, and this difference of grey values; where one is bright and the other dark it is multiplied. A bar
has a least length in heights of its text and, within the box of the text, in widths of it; it lies off the middle row
of the letters, or across them. Bars are seldom so many times as long as their text, or shorter than so much of it: of
one without a length so much trust would be left. Px of a piece of a bar beside its text, and heights of the text by
which it reaches beyond the box of it."""


@dataclass(frozen=True, slots=True)
class Ink:
    """What a text is written in.

    Attributes:
        box: (left, top, right, bottom) of the letters themselves, px.
        grey: Their grey value.
        ground: That of what they are written on.
        trust: From 0 to 1: how likely it is this one, and not another.
    """

    box: tuple[int, int, int, int]
    grey: float
    ground: float
    trust: float = 1.0

    @property
    def bright(self) -> bool:
        """Whether the letters are brighter than their ground."""
        return self.grey > self.ground

    @property
    def height(self) -> float:
        """Height of the letters, px."""
        return float(max(self.box[3] - self.box[1], 1))


def find_inks(grey: NDArray[np.uint8], line: Line) -> list[Ink]:
    """Grey value, ground and extent of the letters of a line, the likeliest first.

    Outlined letters have two inks, and of letters on particles nobody knows whether the ground shows between them.

    Args:
        grey: (H, W) uint8.
        line: With some ground around the letters.
    """
    height, width = grey.shape
    left, top = int(max(line.left, 0)), int(max(line.top, 0))
    right, bottom = int(min(np.ceil(line.right), width)), int(min(np.ceil(line.bottom), height))
    window = grey[top:bottom, left:right].astype(np.float32)
    if window.size < 4:
        return [Ink((left, top, right, bottom), 0.0, 255.0)]
    values, ground = _inks_and_ground(window)
    inks = []
    for value, trust in values:
        written = np.abs(window - value) < abs(value - ground) / 2
        first, after = _largest_group(written.mean(axis=1) >= _INKED_ROW)
        inks.append(Ink((left, top + first, right, top + after), value, ground, trust))
    return inks


def _inks_and_ground(window: NDArray[np.float32]) -> tuple[list[tuple[float, float]], float]:
    """Grey values that the letters may have, each with its trust, and that of what they are written on.

    Letters are the darkest or the brightest there is, made of strokes, and hardly any of their pixels lie at the edges
    of their box; one edge may run along a bar. The ground that shows between two particles, on which letters stand, is
    brighter than these, but wider than a stroke; the paper of a label covers most of the box.
    """
    edges = (window[0], window[-1], window[:, 0], window[:, -1])
    ground = float(np.median(np.concatenate(edges)))
    side = round(_THICK_STROKE[0] * min(window.shape)) + _THICK_STROKE[1]
    stroke = np.ones((side, side), np.uint8)

    def merit(value: float) -> float:
        reach = max(0.35 * abs(value - ground), 1.0)
        at_edges = float(np.median([float((np.abs(edge - value) < reach).mean()) for edge in edges]))
        near = (np.abs(window - value) < reach).astype(np.uint8)
        wide = float(cv2.morphologyEx(near, cv2.MORPH_OPEN, stroke).sum() / max(near.sum(), 1))
        doubts = (1.0 - _AT_EDGES * at_edges, 1.0 - _THICKS * wide, float(near.mean() <= _COVERED))
        return abs(value - ground) * math.prod(max(each, _HARDLY) for each in doubts)

    merits = sorted(((merit(float(value)), float(value)) for value in np.percentile(window, (3, 97))), reverse=True)
    best = max(merits[0][0], 1e-6)
    return [(value, each / best) for each, value in merits if each >= _OTHER_POLARITY * merits[0][0]], ground


def _largest_group(rows: NDArray[np.bool_]) -> tuple[int, int]:
    """First and after the last of the longest unbroken part: the letters, without the edge of a bar below them."""
    steps = np.diff(np.pad(rows.astype(np.int8), 1))
    groups = zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True)
    return max(groups, key=lambda each: each[1] - each[0], default=(0, len(rows)))


def bars_near(grey: NDArray[np.uint8], ink: Ink, known: Sequence[Bar] = ()) -> list[Bar]:
    """Strips and rows of ticks near a text in its ink; of a bar that the text interrupts, also the whole.

    Args:
        grey: (H, W) uint8.
        ink: Of the text.
        known: Further strips that may be pieces of such a bar.
    """
    height = grey.shape[0]
    top, bottom = ink.box[1], ink.box[3]
    rows = slice(max(int(top - _REACH * ink.height), 0), min(int(bottom + _REACH * ink.height) + 1, height))
    window = grey[rows].astype(np.float32)
    found: list[Bar] = []
    beyond = (window >= ink.grey) if ink.bright else (window <= ink.grey)
    # Thin lines are dimmed by their soft edges.
    inked = (window - ink.ground) * (1 if ink.bright else -1) >= _INKED * abs(ink.grey - ink.ground)
    for near in (np.abs(window - ink.grey) <= _INK_ALIKE[0], np.abs(window - ink.grey) <= _INK_ALIKE[1], inked):
        found += _strips(grey, near | beyond, rows.start, ink)
    ruler = find_ruler(grey[rows], ink.height, ink.grey, ink.ground) if ink.grey != ink.ground else None
    if ruler is not None:
        found.append(replace(ruler, top=ruler.top + rows.start, bottom=ruler.bottom + rows.start))
    return [*found, *_joined([*found, *known], ink)]


def _strips(grey: NDArray[np.uint8], near: NDArray[np.bool_], first_row: int, ink: Ink) -> Iterable[Bar]:
    """Level runs of ink, measured."""
    shortest = max(round(_SHORTEST * ink.height), _LEAST_PIECE + 2)
    runs = cv2.morphologyEx(near.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, shortest), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=4)
    for left, top, across, down, area in stats[1:].tolist():
        if across < _ASPECT * down or down > 1.5 * ink.height or area < 0.6 * across * down:
            continue
        top += first_row
        if _is_inside(ink, left, top, left + across, top + down):
            continue
        bar = measure_bar(grey, left, top, left + across, top + down, bright=ink.bright)
        if bar is not None and bar.length >= _ASPECT * bar.thickness and bar.filled >= 0.6:
            yield bar


def _is_inside(ink: Ink, left: int, top: int, right: int, bottom: int) -> bool:
    """Whether a run is a stroke of the letters."""
    box = ink.box
    margin = 0.1 * ink.height
    within = left >= box[0] - 1 and right <= box[2] + 1 and top >= box[1] - margin and bottom <= box[3] + margin
    return within and right - left < _LEAST_PART * (box[2] - box[0])


def _is_stroke(bar: Bar, ink: Ink) -> bool:
    """Whether a strip is a part of the letters, or too short for their bar."""
    if bar.length < _LEAST_LENGTH * ink.height:
        return True
    left, top, right, bottom = ink.box
    within = bar.x0 >= left - 1 and bar.x1 <= right + 1 and bar.y > top and bar.y < bottom
    return bar.kind == PLAIN and within and bar.length < _LEAST_PART * (right - left)


def is_in_line(bar: Bar, line: Line) -> bool:
    """Whether a strip is a part of the letters of a line that is not its own text."""
    margin = _WITHIN_LINE * line.height
    level = line.top + margin <= bar.y <= line.bottom - margin
    return level and bar.kind == PLAIN and bar.x0 >= line.left - 1 and bar.x1 <= line.right + 1


def without_pieces(bars: Sequence[Bar]) -> list[Bar]:
    """The same without the pieces of bars that their text interrupts: only the whole is as long as the text says."""
    wholes = [bar for bar in bars if bar.kind == SPLIT]

    def is_piece(bar: Bar, whole: Bar) -> bool:
        level = whole.top - 1 <= bar.y <= whole.bottom + 1
        return level and bar.x0 >= whole.x0 - 1 and bar.x1 <= whole.x1 + 1

    return [bar for bar in bars if bar.kind != PLAIN or not any(is_piece(bar, whole) for whole in wholes)]


def _joined(bars: Sequence[Bar], ink: Ink) -> list[Bar]:
    """Bars that the text interrupts: two pieces of equal height and grey value on both sides of it.

    The box of the text may hold the ends of the pieces, which readers take for dashes.
    """
    left, top, right, bottom = ink.box
    middle = (left + right) / 2
    on_level = [bar for bar in bars if bar.kind == PLAIN and top <= bar.y <= bottom]
    before = [bar for bar in on_level if bar.x1 <= middle and bar.x0 <= left - _PIECE * ink.height]
    after = [bar for bar in on_level if bar.x0 >= middle and bar.x1 >= right + _PIECE * ink.height]
    whole = []
    for one in before:
        for other in after:
            level = abs(one.y - other.y) <= max(1.5, 0.1 * ink.height)
            alike = abs(one.grey - other.grey) <= _INK_ALIKE[1] and 0.5 <= one.length / other.length <= 2.0
            close = left - one.x1 <= 1.5 * ink.height and other.x0 - right <= 1.5 * ink.height
            if level and alike and close:
                whole.append(
                    replace(
                        one,
                        x1=other.x1,
                        end_contrast=min(one.end_contrast, other.end_contrast),
                        spread=max(one.spread, other.spread),
                        filled=min(one.filled, other.filled),
                        stands_out=min(one.stands_out, other.stands_out),
                        cut=one.cut or other.cut,
                        kind=SPLIT,
                    )
                )
    return whole


def belongs(bar: Bar, ink: Ink) -> float:
    """How well a bar and a text go together, from 0 to 1.

    A product of one factor each for: the bar by itself, the distance of both, how they are aligned, their grey values,
    and the sizes of the bar against the letters.
    """
    left, top, right, bottom = (float(edge) for edge in ink.box)
    unit = ink.height
    if _is_stroke(bar, ink):
        return 0.0
    across = bar.x1 > left and bar.x0 < right and bar.kind != SPLIT
    middle = (top + bottom) / 2
    if across and abs(bar.y - middle) > _OFF_MIDDLE * unit:
        # The box of the letters holds the edge of the bar, too.
        top, bottom = (top, min(bottom, bar.top)) if bar.y > middle else (max(top, bar.bottom), bottom)
        across = False
    down = max(bar.top - bottom, top - bar.bottom, 0.0) / unit
    aside = max(bar.x0 - right, left - bar.x1, 0.0) / unit
    near = _falling(down, _NEAR) * _falling(aside, _BESIDE) * (_ACROSS if across and down == 0 else 1.0)
    shift = abs((bar.x0 + bar.x1) - (left + right)) / 2 / max(bar.length, right - left)
    edges = min(abs(bar.x0 - left), abs(bar.x1 - right)) / unit
    aligned = 1.0 if shift <= 0.12 or edges <= 0.5 else 0.9 if aside == 0 else 0.8
    # What is thin is dimmed by its edges: letters against their bar, or a line against its letters.
    dimmed = bar.thickness < _THIN or abs(bar.grey - ink.ground) > abs(ink.grey - ink.ground)
    alike = _falling(abs(bar.grey - ink.grey) * (0.5 if dimmed else 1.0), _GREY_ALIKE, 2)
    if (bar.contrast > 0) != ink.bright:
        alike = _OTHER_POLARITY
    thick = 1.0 if bar.kind == RULER else _falling(max(bar.thickness / unit - _THICK[0], 0.0), _THICK[1], 2)
    long = bar.length / max(right - left, 1)
    sized = 0.7 if long > _LONG and bar.kind != SPLIT else min(1.0, _SHORT[1] + long / _SHORT[0] * (1.0 - _SHORT[1]))
    return float(ink.trust * quality(bar) ** 0.5 * near * aligned * alike * thick * sized)


def _falling(value: float, half: float, power: int = 4) -> float:
    return 1.0 / (1.0 + (value / half) ** power)
