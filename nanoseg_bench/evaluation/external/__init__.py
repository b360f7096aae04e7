"""Predictions of other tools, and of other people: read in the formats they come in, and held to the same rules."""

from nanoseg_bench.evaluation.external.formats import FORMATS
from nanoseg_bench.evaluation.external.reading import External, read_external

__all__ = ["FORMATS", "External", "read_external"]
