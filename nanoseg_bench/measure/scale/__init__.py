"""The scale of a micrograph, nm per pixel: found with a confidence, or as the user gives it.

``find_scale`` goes through what may tell it; below ``GATE`` its answer is a proposal to ask the user about. Text is
read with RapidOCR where it is installed; its models come with it, nothing is fetched.
"""

from nanoseg_bench.measure.scale.chain import find_scale, restate
from nanoseg_bench.measure.scale.given import parse_length, parse_line, parse_scale
from nanoseg_bench.measure.scale.reader import has_reader
from nanoseg_bench.measure.scale.result import (
    GATE,
    INFO_BAR,
    LINE,
    METADATA,
    NONE,
    SCALE_BAR,
    SOURCES,
    TYPED,
    FoundScale,
    LabelledBar,
)

__all__ = [
    "GATE",
    "INFO_BAR",
    "LINE",
    "METADATA",
    "NONE",
    "SCALE_BAR",
    "SOURCES",
    "TYPED",
    "FoundScale",
    "LabelledBar",
    "find_scale",
    "has_reader",
    "parse_length",
    "parse_line",
    "parse_scale",
    "restate",
]
