"""Finds information bars, scale bars, boxes and lettering on a micrograph by shape; nothing is read."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.images.pixels import as_grey, shrunk
from nanoseg_bench.marks.banner import FLAT_STEP, strip_rows
from nanoseg_bench.marks.glyphs import Region, components, glyph_candidates, region
from nanoseg_bench.marks.mark import BANNER, BAR, BOX, TEXT, Mark, Marks

MAX_SIDE = 1600
"""Longer side in px at which marks other than information bars are looked for; they are sized by the image."""

_LEVELS = (20, 60)
"""Grey values from black and from white that count as ink, strict first: small print is softened by its edges."""

_COLOURED = 70
_GREY_IMAGE = 0.9
"""Largest less smallest channel of a coloured pixel; in a micrograph at least this share of the pixels is grey."""

_GAP = 1.1
_LEVEL = 0.75
_ALIKE = 0.45
"""Neighbours on a line, in heights: gap, overlap of their rows, ratio of their heights."""

_STROKES_ALIKE = 2.2
"""Widths of the strokes of one line: ratio of the widest to the median."""

_HOLLOWED = 0.55
"""Share of the letters of a line that have notches or holes; "1", "l" and "I" have none."""

_FRAME = 0.3
_LONG = 4
"""A line of at least so many letters is text by itself; it lies within this part of the height from an edge, or twice
as many of its letters are hollowed."""

_BAR_LENGTH = (0.03, 0.6)
_BAR_ASPECT = 4.5
_BAR_FILLED = 0.85
_BAR_EXACT = 0.96
_BAR_STANDS_OUT = 0.7
_BAR_TEXT = 2.5
"""A scale bar: length as part of the longer side, length in heights, share of its box, the same without lettering near
it, contrast around it, and how far its lettering may be, in heights of the lettering."""

_BAR_EDGE = 0.25
_BAR_ALONE_STANDS_OUT = 0.95
_BAR_ALIKE = 1.6
"""Without lettering, a bar lies within this part of the image's height from its lower edge, contrasts with nearly all
that is around it, and no other region's area is so near to its own."""

_BOX = (0.02, 0.5)
_BOX_FILLED = 0.4
_BOX_CONTRAST = 80
"""Sides of a box as parts of the longer side of the image, the share of it that is not written on, and the grey values
between it and what is."""

_CORNER = 0.12
"""Lettering of a panel begins within this part of the width and height from a corner, a single letter from an upper
one."""

_SINGLE_STROKE = 0.35
_SINGLE_NOTCH = 0.93
_SINGLE_SLIM = 0.82
"""A letter by itself: width of its strokes in heights, part of its hull that it covers with a hole and without one."""

_CORNER_LETTER = 0.03
_CORNER_STANDS_OUT = 0.9
"""The same in a corner: height as part of the longer side, and contrast around it."""

_MOST_ALIKE = 3
_ALIKE_STANDS_OUT = 0.7
"""How many more regions than the line has letters may have their size, and the contrast around such regions."""

_BASE = 0.15
_ON_BASE = 0.6
"""Letters whose feet are so near to the median, in heights, stand on the base line; so many do."""

_PRINT = 6
_PRINT_CONTRAST = 60
_PLAIN = 0.85
_BLACK = 40
_WHITE = 245
_PLAIN_GREY = 0.95
"""Pieces of print in an information bar, their grey values from its ground, and the share of the rest that is ground
where it is nearly black or white, and where it is grey as a micrograph's background is."""

_MAX_TEXT = 0.15
"""Where more of the image looks like lettering, it is a pattern of the micrograph."""

_SOFT_EDGE = 0.06
"""Soft edge of a letter in heights."""

_KNOWN = 0.5
"""A letter of whose ink more than this share was found before is that letter."""

_BLOT = 1.5
"""Wider than this, in strokes of its line, is no stroke."""


def find_marks(pixels: NDArray[np.uint8], *, rows: bool = False) -> Marks:
    """Find what was written onto a micrograph.

    - A banner is a flat strip along the upper or lower edge with lettering in it.
    - Lettering is black, white or coloured, has thin strokes, notches, sharp contrast all around and neighbours on a
      line; a single letter counts in a corner only.
    - A scale bar is a level, filled strip with lettering beside it, or an exact rectangle near the lower edge.
    - A box is a filled upright rectangle with lettering or a bar in it.

    Grey lettering, print of less than 6 px and single letters off the corners are missed.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
        rows: Whether a row of words along the upper or lower edge is lettering, too, also without a banner under it.
            Preparation does without, so that prepared sets and published tables stay what they were.
    """
    height, width = pixels.shape[:2]
    factor = MAX_SIDE / max(height, width)
    if factor < 1:
        return _enlarge(_find(shrunk(pixels, factor), [], rows), find_banners(pixels), height, width)
    return _find(pixels, find_banners(pixels), rows)


def find_banners(pixels: NDArray[np.uint8]) -> list[Mark]:
    """The information bars alone, which is quick.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
    """
    grey = as_grey(pixels)
    height, width = grey.shape
    top, bottom = strip_rows(grey, on_bright=True), height - strip_rows(grey[::-1], on_bright=True)
    strips = [Mark(BANNER, 0, 0, width, top), Mark(BANNER, 0, bottom, width, height)]
    return [strip for strip in strips if _area(strip) and _is_written_on(grey[strip.box])]


def _find(pixels: NDArray[np.uint8], banners: Sequence[Mark], with_rows: bool) -> Marks:
    grey = as_grey(pixels)
    height, width = grey.shape
    lines: list[list[Region]] = []
    bars: list[Region] = []
    boxes: list[Region] = []
    for ink in _inks(pixels, grey):
        labels, stats = components(ink, grey)
        candidates = glyph_candidates(labels, stats, grey)
        lines += [line for line in _lines(candidates) if _is_line(line)]
        lines += [[glyph] for glyph in candidates if _is_letter_by_itself(glyph)]
        bars += [region(label, labels, stats, grey) for label in _bar_labels(labels, stats, grey)]
        boxes += _boxes(labels, stats, grey)
    bars = [bar for bar in bars if bar.stands_out >= _BAR_STANDS_OUT]
    rows = _rows_of_print(lines, height) if with_rows else set()
    lines = [line for line in lines if id(line) in rows or _is_text(line, bars, boxes, grey.shape)]
    text = [_around(TEXT, line) for line in lines]
    if sum(_area(mark) for mark in set(text)) > _MAX_TEXT * height * width:
        lines, text = [], []
    scale = [_around(BAR, [bar]) for bar in bars if _is_scale_bar(bar, text, height)]
    written = [*lines, *([bar] for bar in bars if _around(BAR, [bar]) in scale)]
    filled = [_around(BOX, [box]) for box in boxes if any(_holds(box, one) for one in written)]
    found = sorted({*banners, *_joined(text), *scale, *filled})
    return Marks(tuple(found), height, width, *_number(lines, grey.shape))


def _enlarge(marks: Marks, banners: Sequence[Mark], height: int, width: int) -> Marks:
    across, along = width / marks.width, height / marks.height
    found = [
        Mark(
            each.kind,
            int(each.left * across),
            int(each.top * along),
            min(int(np.ceil(each.right * across)), width),
            min(int(np.ceil(each.bottom * along)), height),
        )
        for each in marks.found
    ]
    return Marks(tuple(sorted([*banners, *found])), height, width, marks.seen_ink, marks.letters * max(across, along))


def _inks(pixels: NDArray[np.uint8], grey: NDArray[np.uint8]) -> Iterator[NDArray[np.bool_]]:
    for level in _LEVELS:
        yield grey <= level
        yield grey >= 255 - level
    if pixels.ndim == 3:
        colour = (pixels.max(axis=2) - pixels.min(axis=2)) >= _COLOURED
        if 0 < colour.mean() < 1 - _GREY_IMAGE:
            yield colour


def _lines(candidates: Sequence[Region]) -> list[list[Region]]:
    """Letters that stand beside one another, two or more; ``candidates`` come from the left."""
    owner = list(range(len(candidates)))

    def root(index: int) -> int:
        while owner[index] != index:
            owner[index] = owner[owner[index]]
            index = owner[index]
        return index

    tallest = max((each.height for each in candidates), default=0)
    for first, one in enumerate(candidates):
        for second in range(first + 1, len(candidates)):
            if candidates[second].left - one.right > _GAP * tallest:
                break
            if _are_neighbours(one, candidates[second]):
                owner[root(second)] = root(first)
    groups: dict[int, list[Region]] = {}
    for index, each in enumerate(candidates):
        groups.setdefault(root(index), []).append(each)
    return [group for group in groups.values() if len(group) > 1]


def _are_neighbours(one: Region, other: Region) -> bool:
    low, tall = sorted((one.height, other.height))
    if low < _ALIKE * tall:
        return False
    overlap = min(one.bottom, other.bottom) - max(one.top, other.top)
    gap = other.left - one.right
    if overlap < _LEVEL * low or not -0.3 * tall <= gap <= _GAP * tall:
        return False
    return one.is_letter and other.is_letter


def _is_line(group: Sequence[Region]) -> bool:
    """Whether the letters have strokes of one width, and notches."""
    strokes = [each.stroke for each in group]
    if max(strokes) > _STROKES_ALIKE * float(np.median(strokes)):
        return False
    return sum(each.is_hollowed for each in group) >= _HOLLOWED * len(group)


def _is_text(line: Sequence[Region], bars: Sequence[Region], boxes: Sequence[Region], shape: tuple[int, int]) -> bool:
    """Whether a line stands where text does: at a bar, in a box, in a corner; or is long."""
    height, width = shape
    mark = _around(TEXT, line)
    in_frame = mark.bottom <= _FRAME * height or mark.top >= (1 - _FRAME) * height
    if in_frame and any(_holds(box, line) for box in boxes):
        return True
    if not _has_few_alike(line):
        return False
    if in_frame and len(line) > 1 and any(_is_beside(bar, mark) for bar in bars):
        return True
    across = mark.left <= _CORNER * width or mark.right >= (1 - _CORNER) * width
    if len(line) == 1:
        return across and mark.top <= _CORNER * height and _is_corner_letter(line[0], shape)
    if across and (mark.top <= _CORNER * height or mark.bottom >= (1 - _CORNER) * height):
        return True
    if not _share_base(line):
        return False
    hollowed = sum(each.is_hollowed for each in line)
    return hollowed >= 2 * _LONG or (in_frame and len(line) >= _LONG and hollowed >= _LONG - 1)


def _rows_of_print(lines: Sequence[Sequence[Region]], height: int) -> set[int]:
    """The lines, by their ``id``, that make up a row of print along the upper or lower edge.

    An instrument may write its row onto the specimen, without a bar under it. Words that stand apart are lines of their
    own, and each would be taken for a part of a pattern, since the others look like it.
    """
    rows: list[list[Sequence[Region]]] = []
    for line in lines:
        mark = _around(TEXT, line)
        if len(line) < 2 or (mark.bottom > _CORNER * height and mark.top < (1 - _CORNER) * height):
            continue
        row = next((row for row in rows if row[0][0].labels is line[0].labels and _on_level(row[0], line)), None)
        if row is None:
            rows.append([line])
        else:
            row.append(line)
    found: set[int] = set()
    for row in rows:
        letters = [letter for line in row for letter in line]
        hollowed = sum(letter.is_hollowed for letter in letters)
        if len(row) > 1 and hollowed >= 2 * _LONG and _share_base(letters) and _has_few_alike(letters):
            found.update(id(line) for line in row)
    return found


def _on_level(one: Sequence[Region], other: Sequence[Region]) -> bool:
    first, second = _around(TEXT, one), _around(TEXT, other)
    low, tall = sorted((first.bottom - first.top, second.bottom - second.top))
    overlap = min(first.bottom, second.bottom) - max(first.top, second.top)
    return low >= _ALIKE * tall and overlap >= _LEVEL * low


def _share_base(line: Sequence[Region]) -> bool:
    """Whether most letters stand on one base line."""
    bottoms = np.array([each.bottom for each in line])
    reach = max(_BASE * float(np.median([each.height for each in line])), 1.0)
    return bool((np.abs(bottoms - np.median(bottoms)) <= reach).mean() >= _ON_BASE)


def _is_corner_letter(glyph: Region, shape: tuple[int, int]) -> bool:
    return glyph.height >= _CORNER_LETTER * max(shape) and glyph.stands_out >= _CORNER_STANDS_OUT


def _has_few_alike(line: Sequence[Region]) -> bool:
    """Whether hardly any other region has the size of these letters, as particles have among themselves."""
    one, own = line[0], {each.label for each in line}
    heights = one.stats[:, 3] / float(np.median([each.height for each in line]))
    alike = np.flatnonzero((heights >= 0.6) & (heights <= 1.6))
    left = _MOST_ALIKE + len(line)
    for label in alike.tolist():
        if (
            label
            and label not in own
            and region(label, one.labels, one.stats, one.grey).stands_out >= _ALIKE_STANDS_OUT
        ):
            left -= 1
        if left < 0:
            return False
    return True


def _is_letter_by_itself(glyph: Region) -> bool:
    if not glyph.is_letter or glyph.stroke > _SINGLE_STROKE * glyph.height:
        return False
    return glyph.filled < (_SINGLE_NOTCH if glyph.has_hole else _SINGLE_SLIM)


def _bar_labels(labels: NDArray[np.int32], stats: NDArray[np.int32], grey: NDArray[np.uint8]) -> list[int]:
    side = max(grey.shape)
    width, height = stats[:, 2], stats[:, 3]
    sized = (width >= _BAR_LENGTH[0] * side) & (width <= _BAR_LENGTH[1] * side) & (width >= 2.5 * height)
    sized[0] = False
    return [label for label in np.flatnonzero(sized).tolist() if _bar_fill(labels, stats, label) >= _BAR_FILLED]


def _bar_fill(labels: NDArray[np.int32], stats: NDArray[np.int32], label: int) -> float:
    """Share of its box that the bar fills, upright strokes at its ends left out; 0 where it is not long."""
    left, top, width, height, _ = (int(value) for value in stats[label])
    end = max(width // 12, 2)
    inner = labels[top : top + height, left + end : left + width - end] == label
    rows = np.flatnonzero(inner.any(axis=1))
    if not len(rows) or width < _BAR_ASPECT * (rows[-1] - rows[0] + 1):
        return 0.0
    return float(inner[rows[0] : rows[-1] + 1].mean())


def _is_scale_bar(bar: Region, text: Sequence[Mark], height: int) -> bool:
    if bar.stands_out < _BAR_STANDS_OUT:
        return False
    if any(_is_beside(bar, line) for line in text):
        return True
    exact = bar.area >= _BAR_EXACT * bar.width * bar.height
    near_edge = bar.bottom >= (1 - _BAR_EDGE) * height
    return exact and near_edge and bar.stands_out >= _BAR_ALONE_STANDS_OUT and _is_alone(bar)


def _is_alone(bar: Region) -> bool:
    """Whether no other region of ink has the area of the bar, as one rod has that of the next."""
    areas = bar.stats[1:, 4] / bar.area
    alike = np.flatnonzero((areas >= 1 / _BAR_ALIKE) & (areas <= _BAR_ALIKE)) + 1
    others = [region(label, bar.labels, bar.stats, bar.grey) for label in alike.tolist() if label != bar.label]
    return not any(other.stands_out >= _ALIKE_STANDS_OUT for other in others)


def _is_beside(bar: Region, line: Mark) -> bool:
    """Whether a line of text lies above, below, left or right of the bar, at the distance of a caption."""
    reach = _BAR_TEXT * (line.bottom - line.top)
    below, beside = (
        max(line.top - bar.bottom, bar.top - line.bottom, 0),
        max(line.left - bar.right, bar.left - line.right, 0),
    )
    return (below <= reach / 2 and beside == 0) or (below == 0 and beside <= reach)


def _boxes(labels: NDArray[np.int32], stats: NDArray[np.int32], grey: NDArray[np.uint8]) -> list[Region]:
    side = max(grey.shape)
    width, height, area = stats[:, 2], stats[:, 3], stats[:, 4]
    sized = (np.minimum(width, height) >= side * _BOX[0]) & (np.maximum(width, height) <= side * _BOX[1])
    # What is written in the box is missing from its area.
    sized &= area >= _BOX_FILLED * width * height
    sized[0] = False
    found = [region(label, labels, stats, grey) for label in np.flatnonzero(sized).tolist()]
    return [each for each in found if each.is_box]


def _holds(box: Region, written: Sequence[Region]) -> bool:
    """Whether what is written lies inside the box and is dark on light or light on dark."""
    mark = _around(BOX, written)
    inside = box.left < mark.left and box.top < mark.top and mark.right < box.right and mark.bottom < box.bottom
    return inside and abs(box.value - written[0].value) >= _BOX_CONTRAST


def _is_written_on(strip: NDArray[np.uint8]) -> bool:
    """Whether a strip is of one grey value but for several pieces of small print."""
    ground = int(np.median(strip))
    away = np.abs(strip.astype(np.int16) - ground)
    plain = away < _PRINT_CONTRAST
    least = _PLAIN if ground <= _BLACK or ground >= _WHITE else _PLAIN_GREY
    # The median of two values that are equally frequent lies between them, where nothing is plain.
    if not plain.any() or (away[plain] <= 2 * FLAT_STEP).mean() < least:
        return False
    stats = cv2.connectedComponentsWithStats((~plain).astype(np.uint8), connectivity=8)[2][1:]
    height = strip.shape[0]
    sized = (stats[:, 3] >= 3) & (stats[:, 3] <= 0.8 * height) & (stats[:, 2] <= 3 * height)
    return int(sized.sum()) >= _PRINT


def _area(mark: Mark) -> int:
    return (mark.right - mark.left) * (mark.bottom - mark.top)


def _around(kind: str, regions: Sequence[Region]) -> Mark:
    return Mark(
        kind,
        min(each.left for each in regions),
        min(each.top for each in regions),
        max(each.right for each in regions),
        max(each.bottom for each in regions),
    )


def _joined(text: Sequence[Mark]) -> list[Mark]:
    """The same line is found at several levels; the largest of its boxes stays."""
    kept: list[Mark] = []
    for mark in sorted(text, key=_area, reverse=True):
        if not any(_covers(other, mark) for other in kept):
            kept.append(mark)
    return kept


def _covers(box: Mark, mark: Mark) -> bool:
    return box.left <= mark.left and box.top <= mark.top and mark.right <= box.right and mark.bottom <= box.bottom


def _number(lines: Sequence[Sequence[Region]], shape: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Ink of the letters with its soft edge, each with a number of its own, and the sizes of each number's letters.

    What was found at two levels is one letter, that of the stricter level, where letters touch less.
    """
    ink = np.zeros(shape, dtype=np.int32)
    letters = [(0.0, 0.0)]
    for line in lines:
        stroke = max(float(np.median([each.stroke for each in line])), 2.0)
        tallest = max(each.height for each in line)
        for glyph in line:
            reach = max(round(_SOFT_EDGE * glyph.height), 1)
            top, left = max(glyph.top - reach, 0), max(glyph.left - reach, 0)
            window = (slice(top, glyph.bottom + reach), slice(left, glyph.right + reach))
            inside = (glyph.labels[window] == glyph.label).astype(np.uint8)
            if glyph.stroke > _BLOT * stroke:
                # A particle of the letter's grey value has run together with it.
                inside &= 1 - cv2.dilate(cv2.morphologyEx(inside, cv2.MORPH_OPEN, _disc(_BLOT * stroke)), _disc(3))
            core = inside > 0
            if not core.any():
                continue
            known = np.bincount(ink[window][core], minlength=1)
            number = int(known[1:].argmax()) + 1 if known[0] < _KNOWN * core.sum() else len(letters)
            if number == len(letters):
                letters.append((stroke + 2 * reach, tallest + 2.0 * reach))
            soft = cv2.dilate(inside, _disc(2 * reach + 1)) > 0
            ink[window][soft & (ink[window] == 0)] = number
    return ink, np.array(letters, dtype=np.float64)


def _disc(diameter: float) -> NDArray[np.uint8]:
    side = 2 * int(diameter / 2) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), dtype=np.uint8)
