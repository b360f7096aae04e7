"""A row of ticks at equal distances, as Hitachi draws its scale: it is as long as from the first tick to the last."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.measure.scale.bar import RULER, Bar

_LEAST_TICKS = 6
_WIDEST = 0.5
_TALLEST = 2.0
_SHORTEST = 3
"""Ticks of a ruler, and of one: width as part of its height, height in heights of the lettering and in px."""

_BROAD = 0.6
_LEAST_BROAD = 7
"""What is wider is no tick: in heights of the lettering, and in px."""

_DIVISIONS = (4, 5, 10, 20)
_ODD = 0.2
"""How many parts rulers are divided into, and how much a ruler of other parts is one: an end of it was not found."""

_CLOSEST = 3.0
_UNEVEN = (1.5, 0.12)
_COMPLETE = 0.8
"""Least distance of ticks in px, how far one may be from its place in px and in distances, and the part of them that is
found."""

_INK = 0.35
"""Part of the contrast of the lettering from which a pixel belongs to a tick; thin ones are dimmed by their edges."""

_LEVEL = 0.7
"""Part of the shorter of two ticks of one row that stands beside the other; the ends and the middle are longer."""


@dataclass(frozen=True, slots=True)
class _Tick:
    """One upright stroke."""

    x: float
    top: int
    bottom: int


def find_ruler(grey: NDArray[np.uint8], letter_height: float, ink: float, ground: float) -> Bar | None:
    """The row of most ticks at equal distances; None where there is none.

    Args:
        grey: (H, W) uint8.
        letter_height: Of the lettering that states the length, px.
        ink: Its grey value.
        ground: Grey value of what it is written on.
    """
    near = ((grey.astype(np.float32) - ground) / (ink - ground) >= _INK).astype(np.uint8)
    # What is broad, as the micrograph above an information bar, would hold the ticks that reach up to it together.
    broad = np.ones((1, max(round(_BROAD * letter_height), _LEAST_BROAD)), np.uint8)
    near -= cv2.morphologyEx(near, cv2.MORPH_OPEN, broad)
    _, _, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    ticks = [
        _Tick(_middle(grey, left, top, across, down, ink, ground), top, top + down)
        for left, top, across, down, area in stats[1:].tolist()
        if _SHORTEST <= down <= _TALLEST * letter_height
        and across <= max(_WIDEST * down, 2)
        and area >= 0.7 * across * down
    ]
    rows = [[tick for tick in ticks if _on_level(tick, first)] for first in ticks]
    best = max((_even(row) for row in rows if len(row) >= _LEAST_TICKS), key=len, default=[])
    if len(best) < _LEAST_TICKS:
        return None
    distance = float(np.median(np.diff([tick.x for tick in best])))
    whole = round((best[-1].x - best[0].x) / distance) in _DIVISIONS
    top, bottom = min(tick.top for tick in best), max(tick.bottom for tick in best)
    return Bar(
        best[0].x,
        best[-1].x,
        float(top),
        float(bottom),
        ink,
        ink - ground,
        abs(ink - ground),
        0.0,
        1.0 if whole else _ODD,
        1.0,
        cut=False,
        kind=RULER,
    )


def _on_level(one: _Tick, other: _Tick) -> bool:
    common = min(one.bottom, other.bottom) - max(one.top, other.top)
    return common >= _LEVEL * min(one.bottom - one.top, other.bottom - other.top)


def _middle(grey: NDArray[np.uint8], left: int, top: int, across: int, down: int, ink: float, ground: float) -> float:
    """Middle of a stroke with its soft edges, to a fraction of a pixel, weighted by how much of it is ink."""
    first = max(left - 1, 0)
    columns = grey[top : top + down, first : left + across + 1].astype(np.float64).mean(axis=0)
    weight = np.clip((columns - ground) / (ink - ground), 0.0, 1.0)
    return first + 0.5 + float((weight * np.arange(len(columns))).sum() / max(weight.sum(), 1e-6))


def _even(row: Sequence[_Tick]) -> list[_Tick]:
    """The ticks of a row that stand at equal distances, hardly one left out; the most that there are."""
    ordered = sorted(row, key=lambda tick: tick.x)
    best: list[_Tick] = []
    for first, start in enumerate(ordered):
        for second in ordered[first + 1 :]:
            comb = _comb(ordered[first:], start.x, second.x - start.x)
            if len(comb) > len(best):
                best = comb
    return best


def _comb(ticks: Sequence[_Tick], start: float, distance: float) -> list[_Tick]:
    """The ticks at ``start`` and every ``distance`` from there, until two are missing."""
    if distance < _CLOSEST:
        return []
    comb = [ticks[0]]
    slot = 0
    for tick in ticks[1:]:
        # The distance is known better the longer the row.
        step = (comb[-1].x - start) / slot if slot else distance
        number = round((tick.x - start) / step)
        if number > slot + 2:
            break
        if number > slot and abs(tick.x - start - number * step) <= max(_UNEVEN[0], _UNEVEN[1] * step):
            comb.append(tick)
            slot = number
    return comb if len(comb) >= _COMPLETE * (slot + 1) else []
