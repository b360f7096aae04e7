"""What lines in charts show of a record: curves, corruptions, diameters; the page and the figures draw the same."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.evaluation.result import Diameters, Numbers
from nanoseg_bench.leaderboard.palette import Look
from nanoseg_bench.runs.record import Record

PRECISION_RECALL = "precision_against_recall"

CURVES = {
    PRECISION_RECALL: "Precision and recall, any class",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}
"""Curves of the test set with their titles; all but the first run over the confidence."""

AP_UNDER_CORRUPTION = "map_50_95_agnostic"
"""With all particles as one class: the one number that every model has."""


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """A record with the look of its lines.

    Attributes:
        record: What is shown of.
        look: Of its model, in every chart.
        leads: Whether it is the first seed of its model; the others are drawn paler.
        marker: Of its points.
        identifier: Of its lines on a page; empty in a figure.
    """

    record: Record
    look: Look
    leads: bool
    marker: str
    identifier: str = ""


def curve(record: Record, name: str) -> Numbers:
    """The 101 points of a curve of ``CURVES`` over recalls or confidences 0.00, 0.01, ... 1.00; empty without."""
    details = record.details
    if name == PRECISION_RECALL:
        return details.precision_at_recall
    return () if details.by_confidence is None else getattr(details.by_confidence, name)


def operating_point(record: Record, name: str) -> tuple[float, float] | None:
    """Confidence and score at it, for a curve over the confidence; None where either is unknown.

    None also beyond the curve, which runs from 0 to 1: the scores of a tool from outside may only rank its particles.
    """
    confidence, score = record.scores.get("confidence"), record.scores.get(name)
    if name == PRECISION_RECALL or confidence is None or score is None or not 0 <= confidence <= 1:
        return None
    return confidence, score


def by_severity(record: Record) -> dict[str, Numbers]:
    """AP of each corruption at severity 0, which is the image as it is, to 5; of the eval set ``robustness``."""
    clean = record.scores.get(f"{AP_UNDER_CORRUPTION}_clean")
    return {
        name: (clean, *(scores.get(AP_UNDER_CORRUPTION) for scores in severities))
        for name, severities in record.details.corruptions.items()
    }


def diameters(record: Record, unit: str) -> Diameters | None:
    """Percentiles of the diameters in ``px`` or ``nm``; None where there are none."""
    return next((sample for sample in record.details.diameters if sample.unit == unit), None)


def array(values: Sequence[float | None]) -> NDArray[np.float64]:
    """(N,) float64; what is not defined is NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
