"""Finds and reads lettering with RapidOCR, whose models come with its package: nothing is fetched."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.extras import is_installed, require_packages
from nanoseg_bench.measure.scale.line import Line
from nanoseg_bench.measure.scale.text import begins_with_length, is_unit, read_lengths

_PACKAGES = ("rapidocr", "onnxruntime")

_LEAST_WIDE = 1.2
"""Width in heights of a line that may state a length: round particles look like the letter O."""

_LEAST_HIGH = 8
"""Height in px below which no line can be found; of a long, low part RapidOCR would make one of millions of pixels."""

_ENLARGED = 2.0
"""Small parts are enlarged so much at most, since small print is overlooked."""

_MOST_LINES = 20
_MARGIN = 0.12
"""Lines that are read of one image at most, and ground around a line, in its heights, that is read with it."""


_ON_LEVEL = 0.6
"""Part of the height of a box that another one has, or stands beside it, where both are one line."""

_NUMBER = 1.5
"""Ground on the left of a unit, in its heights, that its number may stand in."""

_CONTRADICTED = 0.6
"""What is left of the score of a length that reads otherwise with more ground."""

_Box = tuple[float, float, float, float]
"""Left, top, right, bottom, px."""


def has_reader() -> bool:
    """Whether RapidOCR and what it computes with are installed."""
    return all(is_installed(package) for package in _PACKAGES)


def open_reader() -> "Reader":
    """The one reader of this process; it loads its models (a second or two) when it is first used.

    Raises:
        MissingExtraError: RapidOCR is not installed.
    """
    otherwise = "or give the scale yourself (--scale 0.42nm, --scale-bar 200nm)"
    require_packages("reading the text of scale bars", *_PACKAGES, otherwise=otherwise)
    return _reader()


@cache
def _reader() -> "Reader":
    return Reader()


class Reader:
    """Finds and reads lines of text. One call at a time: the engine keeps the settings of its last call."""

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        self._lock = threading.Lock()
        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.max_side_len": 4000,
                "Det.limit_type": "max",
                "Det.limit_side_len": 4000,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, pixels: NDArray[np.uint8], side: int) -> list[Line]:
        """The lines of text of an image that may state a length, from below; so many at most.

        Args:
            pixels: (H, W) or (H, W, 3) uint8.
            side: Longer side in px at which lines are looked for; they are read at full size. The time that it takes
                goes with the square of it.
        """
        colour = _as_bgr(pixels)
        boxes = [box for box in self._boxes(colour, side) if box[2] - box[0] >= _LEAST_WIDE * (box[3] - box[1])]
        boxes = sorted(boxes, key=lambda box: (-box[1], box[0]))[:_MOST_LINES]
        lines = self._lines(colour, boxes)
        # What stands apart, a slim "1" or the "0." of "0.5 µm", may be left out of the box.
        doubtful = [line for line in lines if is_unit(line.text) or begins_with_length(line.text)]
        wider = self._lines(colour, [_wider(line) for line in doubtful])
        better = {id(line): _fuller(line, wide) for line, wide in zip(doubtful, wider, strict=True)}
        return [better.get(id(line), line) for line in lines]

    def _lines(self, colour: NDArray[np.uint8], boxes: Sequence[_Box]) -> list[Line]:
        texts = self._texts([_cropped(colour, box) for box in boxes])
        return [Line(text, score, *box) for box, (text, score) in zip(boxes, texts, strict=True)]

    def _boxes(self, colour: NDArray[np.uint8], side: int) -> list[_Box]:
        """(left, top, right, bottom) of each line."""
        factor = min(side / max(colour.shape[:2]), _ENLARGED)
        if factor * min(colour.shape[:2]) < _LEAST_HIGH:
            return []
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        with self._lock:
            sized = cv2.resize(colour, None, fx=factor, fy=factor, interpolation=how)
            found = self._engine(sized, use_det=True, use_cls=False, use_rec=False)
        if found.boxes is None:
            return []
        corners = np.asarray(found.boxes, dtype=np.float64) / factor
        return _joined([(*each.min(axis=0).tolist(), *each.max(axis=0).tolist()) for each in corners])

    def _texts(self, crops: Sequence[NDArray[np.uint8]]) -> list[tuple[str, float]]:
        """Text and score of images that show one line each."""
        read: list[tuple[str, float]] = []
        with self._lock:
            for crop in crops:
                found = self._engine(crop, use_det=False, use_cls=False, use_rec=True)
                read.append((str(found.txts[0]), float(found.scores[0])) if found.txts else ("", 0.0))
        return read


def _joined(boxes: Sequence[_Box]) -> list[_Box]:
    """Boxes of lines, those that lie over each other as one: the half of a number is another number."""
    joined: list[_Box] = []
    for box in sorted(boxes):
        for place, other in enumerate(joined):
            across = min(box[2], other[2]) - max(box[0], other[0])
            down = min(box[3], other[3]) - max(box[1], other[1])
            lower, higher = sorted((box[3] - box[1], other[3] - other[1]))
            if across > 0 and down > _ON_LEVEL * lower and lower > _ON_LEVEL * higher:
                joined[place] = (*np.minimum(box, other)[:2].tolist(), *np.maximum(box, other)[2:].tolist())
                break
        else:
            joined.append(box)
    return joined


def _wider(line: Line) -> _Box:
    return max(line.left - _NUMBER * line.height, 0.0), line.top, line.right, line.bottom


def _fuller(line: Line, wide: Line) -> Line:
    """The reading with more ground on the left where it is the surer one; otherwise a difference is a doubt."""
    narrow, wider = read_lengths(line.text), read_lengths(wide.text)
    if not wider or (narrow and wider[0].nm == narrow[0].nm):
        return line
    return wide if not narrow or wide.score >= line.score else replace(line, score=_CONTRADICTED * line.score)


def _cropped(colour: NDArray[np.uint8], box: _Box) -> NDArray[np.uint8]:
    margin = _MARGIN * (box[3] - box[1])
    top, left = max(int(box[1] - margin), 0), max(int(box[0] - margin), 0)
    return colour[top : int(np.ceil(box[3] + margin)), left : int(np.ceil(box[2] + margin))]


def _as_bgr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    code = cv2.COLOR_GRAY2BGR if pixels.ndim == 2 else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)
