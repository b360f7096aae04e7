"""A scale bar: where it ends to a fraction of a pixel, and how much it looks like one."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PLAIN, SPLIT, RULER = "plain", "split", "ruler"
"""A strip or a line; one that its own text interrupts; a row of ticks."""

_NOISE = 6
_SPREADS = 4.0
_SAME = (10, 40)
"""Grey values by which one bar varies along itself: what JPEG adds, spreads (median absolute deviations) that are
allowed, and the least and most of both together."""

_GAP = 2
"""Pixels of another grey value that do not end a bar."""

_BEYOND = (2, 6)
"""Pixels from an end where the ground beside a bar begins and stops being its own."""

_LEAST_CONTRAST = 18

_RIDGE = 0.45
_BESIDE = (2, 4)
_CAP = 3
_LEAST_RUN = 6
"""Where a bar crosses what is brighter or darker, it goes on as long as it stands out on both sides by so much of what
it does elsewhere. Rows from its soft edge in which its sides are looked at; px that a stroke at its end is broad, at
least; and px of a part of it that tells something."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A level strip of one grey value.

    Coordinates count from the outer edge of the first pixel, so that a strip over columns 10 to 19 has the ends 10.0
    and 20.0.

    Attributes:
        x0: Left end at half height, px.
        x1: Right end at half height, px.
        top: Upper edge, px.
        bottom: Lower edge, px.
        grey: Its grey value.
        contrast: How much it is brighter than its surroundings; negative for a dark bar.
        end_contrast: Grey values between it and what lies beyond the end that stands out less, in its own direction.
        spread: Grey values by which it varies along itself.
        filled: Part of its box that has its grey value.
        stands_out: Part of what lies above and below it that has another grey value.
        cut: Whether an end lies on the border of the image.
        kind: ``PLAIN``, ``SPLIT`` or ``RULER``.
    """

    x0: float
    x1: float
    top: float
    bottom: float
    grey: float
    contrast: float
    end_contrast: float
    spread: float
    filled: float
    stands_out: float
    cut: bool
    kind: str = PLAIN

    @property
    def length(self) -> float:
        """From end to end, px."""
        return self.x1 - self.x0

    @property
    def thickness(self) -> float:
        """Across the bar, px."""
        return self.bottom - self.top

    @property
    def y(self) -> float:
        """Middle row of the bar, px."""
        return (self.top + self.bottom) / 2

    @property
    def line(self) -> tuple[float, float, float, float]:
        """``(x0, y0, x1, y1)`` from end to end, px."""
        return self.x0, self.y, self.x1, self.y


def measure_bar(grey: NDArray[np.uint8], left: int, top: int, right: int, bottom: int, *, bright: bool) -> Bar | None:
    """The bar at a place where there may be one; None where there is no level strip of one grey value.

    Args:
        grey: (H, W) uint8.
        left: First column of the place.
        top: First row.
        right: Column after the last.
        bottom: Row after the last.
        bright: Whether it is brighter than its surroundings.
    """
    height, width = grey.shape
    top, bottom, left, right = max(top, 0), min(bottom, height), max(left, 0), min(right, width)
    if right - left < 4 or bottom <= top:
        return None
    # Both ends may hold ticks or lie on something else.
    core = _core_rows(grey, left, top, right, bottom, bright=bright)
    rows = grey[core].astype(np.float32)
    profile = rows.mean(axis=0)
    inner = profile[left + (right - left) // 6 : right - (right - left) // 6]
    level = float(np.median(inner))
    spread = float(np.median(np.abs(inner - level)))
    same = float(np.clip(_SPREADS * spread + _NOISE, *_SAME))
    run = _run(np.abs(profile - level) <= same, (left + right) // 2, left, right)
    if run is None:
        return None
    first, after = _continued(grey, core, run, profile, same, bright=bright)
    around, stands_out = _around(grey, core, first, after, level, bright=bright)
    contrast = level - around
    if (contrast if bright else -contrast) < _LEAST_CONTRAST:
        return None
    near = min(max(_BEYOND[1], (after - first) // 8), after - first)
    x0, left_contrast = _end(profile, first, -1, float(np.median(profile[first : first + near])), bright=bright)
    x1, right_contrast = _end(profile, after - 1, 1, float(np.median(profile[after - near : after])), bright=bright)
    upper, lower = _edges(grey, core, first, after, level, bright=bright)
    box = grey[round(upper) : max(round(lower), round(upper) + 1), first:after].astype(np.float32)
    return Bar(
        x0,
        x1,
        upper,
        lower,
        level,
        contrast,
        min(left_contrast, right_contrast),
        spread,
        float((np.abs(box - level) <= max(same, abs(contrast) / 2)).mean()) if box.size else 0.0,
        stands_out,
        cut=first <= 0 or after >= width,
    )


def _core_rows(grey: NDArray[np.uint8], left: int, top: int, right: int, bottom: int, *, bright: bool) -> slice:
    """The rows whose grey value is nearest to the extreme of the strip: without its soft edges."""
    eighth = (right - left) // 8
    values = np.median(grey[top:bottom, left + eighth : right - eighth], axis=1)
    extreme = values.max() if bright else values.min()
    around = values.min() if bright else values.max()
    near = np.abs(values - extreme) <= max(0.15 * abs(extreme - around), 3)
    best = int(values.argmax() if bright else values.argmin())
    first = last = best
    while first > 0 and near[first - 1]:
        first -= 1
    while last + 1 < len(near) and near[last + 1]:
        last += 1
    return slice(top + first, top + last + 1)


def _run(same: NDArray[np.bool_], seed: int, left: int, right: int) -> tuple[int, int] | None:
    """First column and column after the last of the longest run that meets the place; small gaps do not end it."""
    closed = cv2.morphologyEx(
        np.pad(same.astype(np.uint8), _GAP)[None], cv2.MORPH_CLOSE, np.ones((1, _GAP + 1), np.uint8)
    )
    steps = np.diff(np.pad(closed[0, _GAP:-_GAP].astype(np.int8), 1))
    runs = [
        (int(first), int(after))
        for first, after in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
        if first < right and after > left
    ]
    if not runs:
        return None
    return max(runs, key=lambda each: (each[1] - each[0], each[0] <= seed < each[1]))


def _continued(
    grey: NDArray[np.uint8],
    core: slice,
    run: tuple[int, int],
    profile: NDArray[np.float32],
    same: float,
    *,
    bright: bool,
) -> tuple[int, int]:
    """A run as far as it goes on over other ground: thin lines are mixed with what they cross.

    There it is a ridge, which stands out from the rows above and below. The stroke at an end of a bar stands out from
    nothing there, and has the grey value of the bar.
    """
    above = grey[max(core.start - _BESIDE[1], 0) : max(core.start - _BESIDE[0], 0)]
    below = grey[core.stop + _BESIDE[0] : core.stop + _BESIDE[1]]
    first, after = run
    if not len(above) or not len(below) or after - first < _LEAST_RUN:
        return run
    sides = above.mean(axis=0), below.mean(axis=0)
    ridge = profile - np.maximum(*sides) if bright else np.minimum(*sides) - profile
    least = max(_RIDGE * float(np.median(ridge[first:after])), _LEAST_CONTRAST / 2)
    # Neighbours speak against noise, and a column for itself against the soft edge of its neighbours.
    stands_out = (np.convolve(ridge, np.full(3, 1 / 3), mode="same") >= least) & (ridge >= least / 2)
    longest_cap = max(_CAP, core.stop - core.start)

    def go_on(inside: int, step: int) -> int:
        """The last column in this direction."""
        last = column = inside
        missing = 0
        while 0 <= column + step < len(profile) and missing <= _GAP:
            column += step
            missing = 0 if stands_out[column] else missing + 1
            last = last if missing else column
        if abs(last - inside) < _LEAST_RUN:
            return inside
        level = float(np.median(profile[min(last, last - step * _LEAST_RUN) : max(last, last - step * _LEAST_RUN) + 1]))
        for column in range(last + step, last + step * (longest_cap + 1), step):
            if not 0 <= column < len(profile) or abs(profile[column] - level) > same:
                return column - step
        return last

    return go_on(first, -1), go_on(after - 1, 1) + 1


def _around(
    grey: NDArray[np.uint8], core: slice, first: int, after: int, level: float, *, bright: bool
) -> tuple[float, float]:
    """Grey value above and below the bar, and the part of it that differs from the bar."""
    thick = core.stop - core.start
    reach = max(round(0.6 * thick), 3)
    strips = []
    for start, stop in ((core.start - reach - 2, core.start - 2), (core.stop + 2, core.stop + 2 + reach)):
        strip = grey[max(start, 0) : max(min(stop, grey.shape[0]), 0), first:after]
        if strip.size:
            strips.append(strip.astype(np.float32))
    if not strips:
        return level, 0.0
    values = np.concatenate([strip.ravel() for strip in strips])
    darker = (level - values) if bright else (values - level)
    around = float(np.median(values))
    return around, float((darker >= max(0.4 * abs(level - around), _LEAST_CONTRAST / 2)).mean())


def _end(profile: NDArray[np.float32], inside: int, step: int, level: float, *, bright: bool) -> tuple[float, float]:
    """(position of the end at half height, grey values between the bar and what lies beyond it).

    The ground beyond is what the profile reaches some pixels further out, or nearer where it turns back: something else
    may stand there.
    """
    beyond = profile[inside + step :: step][: _BEYOND[1]] if 0 <= inside + step < len(profile) else profile[:0]
    if not len(beyond):
        return float(inside + (step > 0)), 0.0
    signed = (level - beyond) if bright else (beyond - level)
    deepest = float(signed[: _BEYOND[1]].max())
    settled = float(np.median(signed[_BEYOND[0] :])) if len(signed) > _BEYOND[0] else deepest
    # Sharpened images undershoot beside a bar: the ground is what follows, if it is still ground.
    depth = settled if settled >= 0.5 * deepest else deepest
    if depth < 2:
        return float(inside + (step > 0)), max(depth, 0.0)
    half = depth / 2
    values = np.concatenate([[0.0], signed])
    outside = int(np.argmax(values >= half))
    fraction = (half - values[outside - 1]) / max(values[outside] - values[outside - 1], 1e-6)
    # Centres of pixels are half a pixel from their edges; a step between two of them is an edge midway.
    centre = inside + 0.5 + step * (outside - 1 + fraction)
    return float(centre), depth


def _edges(
    grey: NDArray[np.uint8], core: slice, first: int, after: int, level: float, *, bright: bool
) -> tuple[float, float]:
    """Upper and lower edge at half height, where the ground differs most: a bar may lie across particles."""
    quarter = (after - first) // 4
    reach = core.stop - core.start + _BEYOND[1]
    above = max(core.start - 3 * reach, 0)
    columns = grey[above : core.stop + 3 * reach, first + quarter : max(after - quarter, first + quarter + 1)]
    column = np.percentile(columns, 25 if bright else 75, axis=1).astype(np.float32)
    core = slice(core.start - above, core.stop - above)
    ends = (column[max(core.start - reach, 0) : core.start], column[core.stop : core.stop + reach])
    ground = np.concatenate(ends)
    half = abs(level - float(np.median(ground))) / 2 if len(ground) else 0.0

    def edge(inside: int, step: int) -> float:
        row = inside
        while 0 <= row + step < len(column) and abs(column[row + step] - level) < half:
            row += step
        if not 0 <= row + step < len(column):
            return float(row + (step > 0))
        near, far = abs(float(column[row]) - level), abs(float(column[row + step]) - level)
        return row + 0.5 + step * min(max((half - near) / max(far - near, 1e-6), 0.0), 1.0)

    return above + edge(core.start, -1), above + edge(core.stop - 1, 1)
