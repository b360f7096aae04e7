"""What a size of a sample is uncertain by: calibration, outlines, edge, sampling, threshold (GUM, JCGM 100)."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nanoseg_bench.measure.confidence_curve import against_confidence
from nanoseg_bench.measure.particles import BELOW_CONFIDENCE, counted
from nanoseg_bench.measure.resampling import MIN_PARTICLES
from nanoseg_bench.measure.sample import Summary
from nanoseg_bench.measure.statistics import STATISTICS

EDGE_PX = 0.5
"""How far outlines may lie outside or inside of the edge everywhere, px: half of a pixel, where nothing is known."""

CONFIDENCE_MARGIN = 0.1
"""How far another choice of the confidence may lie."""

COVERAGE_FACTOR = 2.0
"""From the combined standard uncertainty to the expanded one, about 95 %."""

_RECTANGULAR = 1 / math.sqrt(3)
_OF_ABSOLUTE_MEDIAN = 1.4826
"""From the median of absolute errors to the standard deviation of normal ones."""


@dataclass(frozen=True, slots=True)
class OutlineErrors:
    """How a model's outlines differ from those of annotators, in micrographs that it has not seen; relative.

    Attributes:
        typical: Median, over the micrographs, of the absolute error of the median diameter.
        bias: Median of (found − true) / true diameter over the particles that were found.
        bias_interval: Ends of its 95 % interval; None where there is none.
        images: Micrographs.
    """

    typical: float
    bias: float
    bias_interval: tuple[float, float] | None
    images: int


@dataclass(frozen=True, slots=True)
class Component:
    """One source of uncertainty.

    Attributes:
        name: ``calibration``, ``outlines``, ``edge``, ``sampling`` or ``threshold``.
        standard_uncertainty: In the statistic's unit; NaN where it is not known.
        basis: Where the number comes from, or why there is none.
    """

    name: str
    standard_uncertainty: float
    basis: str


@dataclass(frozen=True, slots=True)
class Budget:
    """The uncertainty of one statistic.

    Attributes:
        statistic: ``d50``, ``mean``, ...
        value: Of the sample.
        unit: Of value and uncertainties.
        components: Independent of each other.
    """

    statistic: str
    value: float
    unit: str
    components: tuple[Component, ...]

    @property
    def combined(self) -> float:
        """Combined standard uncertainty: the root of the sum of the squares of what is known."""
        return math.sqrt(sum(each.standard_uncertainty**2 for each in self._known))

    @property
    def expanded(self) -> float:
        """``COVERAGE_FACTOR`` times the combined one."""
        return COVERAGE_FACTOR * self.combined

    @property
    def unknown(self) -> tuple[str, ...]:
        """Sources that the combined uncertainty leaves out."""
        return tuple(each.name for each in self.components if math.isnan(each.standard_uncertainty))

    @property
    def _known(self) -> list[Component]:
        return [each for each in self.components if not math.isnan(each.standard_uncertainty)]


def make_budget(
    table: pd.DataFrame,
    summary: Summary,
    *,
    statistic: str = "d50",
    calibration: float | None = None,
    outlines: OutlineErrors | None = None,
    edge_px: float = EDGE_PX,
    confidence: float | None = None,
    confidence_range: tuple[float, float] | None = None,
) -> Budget:
    """The uncertainty of a size of the number distribution.

    Args:
        table: Of particles, also of those below the confidence.
        summary: Of a length of it (``sample.summarise``).
        statistic: A statistic with the unit of the values.
        calibration: Relative standard uncertainty of the scale (0.01: 1 %); None where it is not known.
        outlines: What is known of the model that drew them; None where nothing is.
        edge_px: How far outlines may lie outside or inside of the edge everywhere.
        confidence: From which particles count; None where they have none.
        confidence_range: Where another choice of it may lie: the interval of an operating point. By default
            ``CONFIDENCE_MARGIN`` on both sides.

    Raises:
        ValueError: The statistic, or the quantity, is a ratio.
    """
    if summary.unit not in ("px", "nm") or statistic not in (each.name for each in STATISTICS if each.of_unit):
        raise ValueError(f"{statistic} of {summary.column} is no length, and has no budget")
    known = summary.estimates[statistic]
    in_nm = summary.unit == "nm"
    components = (
        _calibration(known.value, calibration, in_nm),
        _outlines(known.value, outlines),
        _edge(table, edge_px, in_nm),
        _sampling(summary, known.standard_error),
        _threshold(table, summary, statistic, confidence, confidence_range),
    )
    return Budget(statistic, known.value, summary.unit, components)


def _calibration(value: float, relative: float | None, in_nm: bool) -> Component:
    if not in_nm:
        return Component("calibration", 0.0, "none: sizes are in pixels")
    if relative is None:
        return Component("calibration", math.nan, "not known: the scale came without an uncertainty")
    return Component("calibration", value * relative, f"{100 * relative:.2g} % of the scale")


def _outlines(value: float, errors: OutlineErrors | None) -> Component:
    if errors is None:
        return Component("outlines", math.nan, "not known")
    ends = errors.bias_interval
    interval = "" if ends is None else f" (95 % interval {in_percent(ends[0])} to {in_percent(ends[1])} %)"
    return Component(
        "outlines",
        value * _OF_ABSOLUTE_MEDIAN * errors.typical,
        f"the model misses the median diameter by {100 * errors.typical:.1f} % in the typical of {errors.images} "
        "micrographs that it has not seen, against annotators' outlines; 1.48 times that, as of normal errors. "
        f"Bias of single particles: {in_percent(errors.bias)} %{interval}, not corrected",
    )


def in_percent(share: float) -> str:
    """A signed share in per cent, with a minus sign and not a hyphen."""
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")


def _sampling(summary: Summary, standard_error: float) -> Component:
    if math.isnan(standard_error):
        return Component("sampling", math.nan, f"not known: fewer than {MIN_PARTICLES} particles")
    return Component("sampling", standard_error, f"bootstrap over {summary.drawn}")


def _edge(table: pd.DataFrame, edge_px: float, in_nm: bool) -> Component:
    scale = float(counted(table)["nm_per_px"].median()) if in_nm else 1.0
    return Component(
        "edge",
        2 * edge_px * scale * _RECTANGULAR,
        f"outlines, annotators' too, up to {edge_px:g} px outside or inside of the edge, on both sides, equally "
        "likely (assumed)",
    )


def _threshold(
    table: pd.DataFrame,
    summary: Summary,
    statistic: str,
    confidence: float | None,
    confidence_range: tuple[float, float] | None,
) -> Component:
    if confidence is None or counted(table)["confidence"].isna().all():
        return Component("threshold", 0.0, "none: particles have no confidence")
    lo, hi = confidence_range or (max(confidence - CONFIDENCE_MARGIN, 0.0), min(confidence + CONFIDENCE_MARGIN, 1.0))
    found_below = bool((table["exclusion"] == BELOW_CONFIDENCE).any())
    if not found_below:
        lo = confidence
    curve = against_confidence(
        table, summary.column, [confidence, lo, hi], statistic=statistic, border_weighted=summary.border_weighted
    )
    change = float(np.nanmax(np.abs(curve[statistic] - curve[statistic].iloc[0])))
    basis = f"largest change for a confidence of {lo:.2g} to {hi:.2g}"
    if not found_below:
        basis += "; particles below were not looked for"
    return Component("threshold", change * _RECTANGULAR, basis)
