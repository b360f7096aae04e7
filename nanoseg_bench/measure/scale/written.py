"""What is written on a micrograph about its scale: bars with their lengths, and the words of its information bar."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.images import as_grey
from nanoseg_bench.marks import Mark
from nanoseg_bench.marks.detection import find_banners
from nanoseg_bench.measure.scale.bar import Bar
from nanoseg_bench.measure.scale.finder import find_bars, likeness
from nanoseg_bench.measure.scale.info_bar import InfoText, read_info
from nanoseg_bench.measure.scale.line import Line
from nanoseg_bench.measure.scale.pairing import Ink, bars_near, belongs, find_inks, is_in_line, without_pieces
from nanoseg_bench.measure.scale.reader import Reader, open_reader
from nanoseg_bench.measure.scale.result import LabelledBar
from nanoseg_bench.measure.scale.text import ScaleText, read_lengths

_LEAST_BELONGS = 0.02
"""Below this a bar and a text have nothing to do with each other."""

_ENOUGH = 0.5
"""Confidence from which no more text is looked for."""

_LOWER = 0.32
_ABOVE = 0.14
_BESIDE = 0.15
_LEAST_SIDE = 8
_CUT = 0.6
"""Where text is looked for: part of the height at the lower edge, parts of the height and width around a strip, px of
what can hold letters, and distance of a line from the edge of its window, in its heights, at which it may be cut."""

_LARGE, _SMALL, _SMALLEST = 1600, 960, 480
"""Longer sides in px at which text is looked for; small print is found in large pictures, bold print in small ones."""

_RIVAL = 0.5
_DOUBT = 0.5
"""A strip elsewhere that goes as well with a text as its bar leaves so little of the confidence; one that goes so much
less well leaves all of it."""

_MOST_BARS = 2
_CLEAR = 0.5
_LIKELY = 0.3
"""Strips at which text is looked for: how many, and how much they look like bars; the same of a bar without a text."""


@dataclass(frozen=True, slots=True)
class StatedLength:
    """A length that is written on a micrograph.

    Attributes:
        text: What it says.
        score: How surely it was read, from 0 to 1.
        inks: What it may be written in, the likeliest first.
        line: Where it stands.
    """

    text: ScaleText
    score: float
    inks: tuple[Ink, ...]
    line: Line

    @property
    def sureness(self) -> float:
        """From 0 to 1: that it was read right, and is the label of a bar."""
        alone = 1.0 if self.text.alone else 0.8
        return float(self.text.trust * min(self.score / 0.9, 1.0) ** 2 * alone)


@dataclass(frozen=True, slots=True)
class Written:
    """What is written on a micrograph about its scale.

    Attributes:
        bars: With the lengths that their texts state, the surest first.
        bare: The strip that looks most like a scale bar by itself; None where none does.
        info: Words of the information bar.
        reciprocal: What a length of reciprocal space says (``5 1/nm``); empty where there is none.
    """

    bars: tuple[LabelledBar, ...] = ()
    bare: Bar | None = None
    info: InfoText = field(default_factory=InfoText)
    reciprocal: str = ""


def read_written(pixels: NDArray[np.uint8], *, read_text: bool, everywhere: bool = True) -> Written:
    """Look for bars and, where text is read, for what they and the information bar say.

    Text is looked for where it mostly stands: in information bars or the lower part of the image, and at strips that
    look like bars; in all of the image only when there is no labelled bar.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
        read_text: Without it, ``bars``, ``info`` and ``reciprocal`` stay empty.
        everywhere: Whether it is looked for in all of the image, too, where the other places have no labelled bar.

    Raises:
        MissingExtraError: Text is to be read and RapidOCR is not installed.
    """
    grey = as_grey(pixels)
    bars = find_bars(grey)
    bare = next((bar for bar in bars if likeness(bar) >= _LIKELY), None)
    if not read_text:
        return Written(bare=bare)
    reader = open_reader()
    lines: list[Line] = []
    stated: list[StatedLength] = []
    labelled: list[LabelledBar] = []
    for windows in _windows(grey.shape[0], grey.shape[1], find_banners(pixels), bars, everywhere):
        known = lines
        for window in windows:
            lines = with_readings(lines, _read(reader, pixels, window))
        new = stated_lengths(grey, [line for line in lines if not any(line is other for other in known)])
        stated += new
        labelled += label_bars(grey, bars, [each for each in new if not each.text.reciprocal], lines)
        labelled.sort(key=lambda each: -each.confidence)
        if labelled and labelled[0].confidence >= _ENOUGH:
            break
    reciprocal = max((each for each in stated if each.text.reciprocal), key=lambda each: each.sureness, default=None)
    refused = reciprocal.text.text if reciprocal is not None and not labelled else ""
    return Written(tuple(labelled), bare, read_info(lines), refused)


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of the image, and the longer side at which lettering is looked for in it, px."""

    left: int
    top: int
    right: int
    bottom: int
    side: int


def _windows(
    height: int, width: int, banners: Sequence[Mark], bars: Sequence[Bar], everywhere: bool
) -> Iterator[list[_Window]]:
    """Where lettering is looked for: one list after the other, until a bar has its label."""
    strips = [(each.left, each.top, each.right, each.bottom) for each in banners]
    lower = (0, int((1 - _LOWER) * height), width, height)
    first = strips or [lower]
    at_bars = [_around(bar, height, width) for bar in bars[:_MOST_BARS] if likeness(bar) >= _CLEAR]
    outside = [each for each in at_bars if not any(_contains(other, each) for other in first)]
    # The size at which a line is looked for decides whether it is found: each part is looked at twice.
    small = [_Window(*each, min(each[2] - each[0], _SMALL)) for each in (*outside, lower)]
    yield [*(_Window(*each, _LARGE) for each in strips), *(small[:-1] if strips else small)]
    if strips:
        yield small[-1:]
    yield [_Window(*lower, min(2 * width, _LARGE)), *(_Window(*each, _LARGE) for each in outside)]
    if everywhere:
        yield [_Window(0, 0, width, height, _SMALLEST)]
        yield [_Window(0, 0, width, height, _SMALL)]


def _around(bar: Bar, height: int, width: int) -> tuple[int, int, int, int]:
    return (
        max(int(bar.x0 - _BESIDE * width), 0),
        max(int(bar.y - _ABOVE * height), 0),
        min(int(bar.x1 + _BESIDE * width), width),
        min(int(bar.y + _ABOVE * height), height),
    )


def _contains(window: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    """Whether the middle of the other window lies in this one, which spans the width."""
    return window[1] <= (other[1] + other[3]) / 2 <= window[3]


def _read(reader: Reader, pixels: NDArray[np.uint8], window: _Window) -> list[Line]:
    """The lines of a window, in pixels of the whole image."""
    part = pixels[window.top : window.bottom, window.left : window.right]
    if min(part.shape[:2]) < _LEAST_SIDE:
        return []
    return [
        replace(
            line,
            left=line.left + window.left,
            top=line.top + window.top,
            right=line.right + window.left,
            bottom=line.bottom + window.top,
        )
        for line in reader.read(part, window.side)
        if not _is_cut(line, window, part.shape[1], pixels.shape[1])
    ]


def with_readings(known: Sequence[Line], new: Sequence[Line]) -> list[Line]:
    """Lines with those of a further look; of two at one place the first stays, unless only the other names a length.

    At some sizes a picture's ground is taken for a part of the line, and what is read of it is no length.
    """
    lines = list(known)
    for line in new:
        same = [other for other in lines if _same_place(line, other)]
        if same and (not read_lengths(line.text) or any(read_lengths(other.text) for other in same)):
            continue
        lines = [other for other in lines if not any(other is each for each in same)] + [line]
    return lines


def _is_cut(line: Line, window: _Window, width: int, whole: int) -> bool:
    """Whether the line may go on beyond the window: a part of a number is another number."""
    near = _CUT * line.height
    return (window.left > 0 and line.left < near) or (window.left + width < whole and line.right > width - near)


def _same_place(one: Line, other: Line) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return across > 0.5 * min(one.width, other.width) and down > 0.5 * min(one.height, other.height)


def stated_lengths(grey: NDArray[np.uint8], lines: Sequence[Line]) -> list[StatedLength]:
    """The lengths that the lines of a micrograph name."""
    found = []
    for line in lines:
        for text in read_lengths(line.text):
            left, right = line.left + text.start * line.width, line.left + text.end * line.width
            part = Line(line.text, line.score, left, line.top, right, line.bottom)
            found.append(StatedLength(text, line.score, tuple(find_inks(grey, part)), line))
    return found


def label_bars(
    grey: NDArray[np.uint8], bars: Sequence[Bar], stated: Sequence[StatedLength], lines: Sequence[Line]
) -> list[LabelledBar]:
    """The best bar of each stated length, the surest first.

    Args:
        grey: (H, W) uint8.
        bars: That were found anywhere; more are looked for near each text.
        stated: Lengths of ordinary space.
        lines: All that is written; strokes of their letters are no bars.
    """
    found = []
    for length in stated:
        others = [line for line in lines if line is not length.line and len(line.text) > 1]
        pairs = []
        for ink in length.inks:
            near = [*bars, *bars_near(grey, ink, bars)]
            near = without_pieces([bar for bar in near if not any(is_in_line(bar, line) for line in others)])
            pairs += [(belongs(bar, ink), bar) for bar in near]
        fit, bar = max(pairs, key=lambda each: each[0], default=(0.0, None))
        if bar is not None and fit >= _LEAST_BELONGS:
            rival = max((other for other, each in pairs if not _is_near(each, bar)), default=0.0)
            doubt = max(rival / fit - _RIVAL, 0.0) / (1.0 - _RIVAL)
            confidence = min(fit * length.sureness, 1.0) * (1.0 - _DOUBT * doubt)
            found.append(LabelledBar(bar.line, length.text.text, length.text.nm, float(confidence)))
    return sorted(found, key=lambda each: -each.confidence)


def _is_near(one: Bar, other: Bar) -> bool:
    """Whether two strips may be parts of one bar: its edges, its middle, a piece of it."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    thick = max(one.thickness, other.thickness, _LEAST_SIDE)
    return across > 0 and abs(one.y - other.y) <= thick
