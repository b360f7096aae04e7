"""The statistics of a sample that its files tell, computed once for all of them."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from nanoseg_bench.measure.columns import column_of
from nanoseg_bench.measure.confidence_curve import against_confidence
from nanoseg_bench.measure.sample import RESAMPLES, Summary, Unit, pooled_unit, summarise, summary_table
from nanoseg_bench.measure.uncertainty import Budget, OutlineErrors, make_budget
from nanoseg_bench.report.grouping import grouping_column


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SampleStatistics:
    """Of the particles that count.

    Attributes:
        unit: Of all lengths.
        size: Diameter, each particle counted the same.
        plain: ``size`` without border weights; None where it has none.
        by_area: Diameter, each counted with its area.
        by_volume: Diameter, each counted with the volume of its sphere.
        by_group: ``measure.sample.summary_table`` of all particles and of each class or shape.
        groups_from: The column that names the groups.
        curve: ``measure.confidence_curve`` of the diameter; empty where particles have no confidence.
        budget: Uncertainty of the median diameter; None without particles, and without resamples.
    """

    unit: Unit
    size: Summary
    plain: Summary | None
    by_area: Summary
    by_volume: Summary
    by_group: pd.DataFrame
    groups_from: Literal["class", "shape"]
    curve: pd.DataFrame
    budget: Budget | None


def compute_sample(
    particles: pd.DataFrame,
    *,
    border_weighted: bool,
    confidence: float | None = None,
    scale_reading: float = 0.0,
    outlines: OutlineErrors | None = None,
    resamples: int = RESAMPLES,
) -> SampleStatistics:
    """Everything that a report tells of a sample.

    Args:
        particles: Of one micrograph or of several, with the columns of ``measure.columns``.
        border_weighted: Whether particles stand for those of their extent that the border left out.
        confidence: From which particles count; None where they have none.
        scale_reading: Relative standard uncertainty of reading the scale off the micrographs; 0 where it is stated.
        outlines: How the model's outlines differ from annotators'; None where it is not known.
        resamples: Of the bootstrap; 0 for no intervals.
    """
    unit = pooled_unit(particles)
    column = column_of("diameter", unit).name
    size, by_area, by_volume = (
        summarise(particles, column, weighting=weighting, border_weighted=border_weighted, resamples=resamples)
        for weighting in ("number", "area", "volume")
    )
    plain = summarise(particles, column, border_weighted=False, resamples=resamples, fit=False)
    groups_from = grouping_column(particles)
    by_group = summary_table(particles, by=groups_from, unit=unit, border_weighted=border_weighted, resamples=resamples)
    curve = against_confidence(particles, column, border_weighted=border_weighted)
    sampled = size.count and resamples
    budget = (
        make_budget(particles, size, scale_reading=scale_reading, outlines=outlines, confidence=confidence)
        if sampled
        else None
    )
    return SampleStatistics(
        unit=unit,
        size=size,
        plain=plain if border_weighted else None,
        by_area=by_area,
        by_volume=by_volume,
        by_group=by_group,
        groups_from=groups_from,
        curve=curve,
        budget=budget,
    )
