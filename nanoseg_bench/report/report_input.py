"""What all files about one sample are written from."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.images import Acquisition
from nanoseg_bench.measure.uncertainty import OutlineErrors
from nanoseg_bench.report.sample_statistics import SampleStatistics

SHOWN_MICROGRAPHS = 4
"""Micrographs of a sample that its report shows with their outlines, the first ones."""

_OPTION = re.compile(r" \(--[^()]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What found the particles.

    Attributes:
        model: Name and origin: ``NSYOLO (shipped weights nsyolo)``.
        model_id: As in the leaderboards, for annotations that it began; empty where nobody knows.
        run: Id of the training, where it is one of this package's.
        weights_sha256: Of the weights; None for a model without any.
        confidence: From which particles count; None for outlines without confidence.
        confidence_source: Who chose it.
        annotated: Whether people outlined all of them, and no model was asked.
        quality: What is known of how good it is, one sentence each.
        outlines: How its outlines differ from annotators', for the budget of uncertainty; None where nobody knows.
        versions: Of the software, by name.
    """

    model: str
    model_id: str = ""
    run: str | None = None
    weights_sha256: str | None = None
    confidence: float | None = None
    confidence_source: str = ""
    annotated: bool = False
    quality: tuple[str, ...] = ()
    outlines: OutlineErrors | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Method":
        """What ``dataclasses.asdict`` made of one, after JSON."""
        known = dict(document)
        known["quality"] = tuple(known.get("quality", ()))
        outlines = known.get("outlines")
        if outlines is not None:
            ends = outlines["bias_interval"]
            known["outlines"] = OutlineErrors(**{**outlines, "bias_interval": None if ends is None else tuple(ends)})
        return cls(**known)

    @property
    def begun_by(self) -> BegunBy | None:
        """What annotations say of the model that began them; None where nobody knows it."""
        return BegunBy(self.model_id, self.run, self.weights_sha256) if self.model_id else None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ReportedImage:
    """One micrograph of the sample.

    Attributes:
        name: As in the column ``image`` of the table.
        path: Where its pixels are.
        sha256: Of the file.
        width: Columns.
        height: Rows.
        instances: Its outlines, in the order of the numbers in the table: the first has the number 1. Only the first
            ``SHOWN_MICROGRAPHS`` of a sample need theirs.
        nm_per_px: Its scale; None where it is unknown.
        scale_source: How it is known, in words: ``read from the file (zeiss)``.
        bottom: Row below the field, where an information bar begins; None where there is none.
        acquisition: How it was taken, and where that was read.
        edited: Outlines that a person changed, added or deleted after the model.
        file_name: That people know the file by, where ``path`` is only where it is kept.
    """

    name: str
    path: Path
    sha256: str
    width: int
    height: int
    instances: tuple[Instance, ...]
    nm_per_px: float | None = None
    scale_source: str = ""
    bottom: int | None = None
    acquisition: Acquisition = Acquisition()  # noqa: RUF009, it is frozen
    edited: int = 0
    file_name: str = ""

    @property
    def shown_name(self) -> str:
        """The name of its file, for people."""
        return self.file_name or self.path.name


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ReportInput:
    """A measured sample, and how it was measured.

    Attributes:
        sample: Its name.
        images: Its micrographs, in the order in which they are shown.
        particles: One row per outline of all of them, with the columns of ``measure.columns``.
        statistics: Of those that count.
        method: What found them.
        filters: Which particles count, one sentence each.
        made: When the analysis was made, with its time zone; nothing else tells the time to what is written.
        operator: Who made it; empty where nobody is named.
        classes: In the order of the colours; those of the table otherwise.
        warnings: What a reader must know, one sentence each.
    """

    sample: str
    images: tuple[ReportedImage, ...]
    particles: pd.DataFrame
    statistics: SampleStatistics
    method: Method
    filters: tuple[str, ...]
    made: datetime.datetime
    operator: str = ""
    classes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def without_options(sentence: str) -> str:
    """A sentence without the options of the command line that it advises: whoever reads a report or a page has none."""
    return _OPTION.sub("", sentence)
