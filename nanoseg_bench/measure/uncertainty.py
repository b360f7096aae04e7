"""What the median size of a sample is uncertain by (GUM, JCGM 100).

Calibration of the microscope, reading of the scale, outlines, edge, sampling, threshold.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t

from nanoseg_bench.measure.confidence_curve import against_confidence
from nanoseg_bench.measure.particles import counted
from nanoseg_bench.measure.resampling import MIN_IMAGES, MIN_PARTICLES
from nanoseg_bench.measure.sample import Summary
from nanoseg_bench.wording import minus

EDGE_PX = 0.5
"""How far outlines may lie outside or inside of the edge everywhere, px: half of a pixel, where nothing is known."""

CONFIDENCE_MARGIN = 0.1
"""How far another choice of the confidence may lie."""

LEVEL = 0.9545
"""Of the interval that the expanded uncertainty spans: a coverage factor of 2 where the combined one is well known."""

_RECTANGULAR = 1 / math.sqrt(3)
_OF_ABSOLUTE_MEDIAN = 1.4826
"""From the median of absolute errors to the standard deviation of normal ones."""

_EFFICIENCY_OF_MEDIAN = 0.37
"""How much a standard deviation of that kind knows of normal errors, beside one of their squares (P. J. Rousseeuw, C.
Croux, J. Am. Stat. Assoc. 88 (1993) 1273)."""


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
        name: ``calibration``, ``scale reading``, ``outlines``, ``edge``, ``sampling`` or ``threshold``.
        standard_uncertainty: In the unit of the median; NaN where it is not known.
        basis: Where the number comes from, or why there is none.
        degrees_of_freedom: Of the number, which is an estimate itself; infinite for bounds that are assumed.
    """

    name: str
    standard_uncertainty: float
    basis: str
    degrees_of_freedom: float = math.inf


@dataclass(frozen=True, slots=True)
class Budget:
    """The uncertainty of a median.

    Attributes:
        value: The median of the sample.
        unit: Of value and uncertainties.
        components: Independent of each other.
    """

    value: float
    unit: str
    components: tuple[Component, ...]

    @property
    def combined(self) -> float:
        """Combined standard uncertainty: the root of the sum of the squares of what is known."""
        return math.sqrt(sum(each.standard_uncertainty**2 for each in self._known))

    @property
    def expanded(self) -> float:
        """``coverage_factor`` times the combined one."""
        return self.coverage_factor * self.combined

    @property
    def degrees_of_freedom(self) -> float:
        """Effective ones of the combined uncertainty (Welch–Satterthwaite; JCGM 100, G.4.1)."""
        if not self.combined:
            return math.inf
        shares = ((each.standard_uncertainty / self.combined) ** 4 / each.degrees_of_freedom for each in self._known)
        total = sum(shares)
        return 1 / total if total else math.inf

    @property
    def coverage_factor(self) -> float:
        """From the combined to the expanded uncertainty: Student's t, 2 for many particles and more for few images."""
        return float(t.ppf((1 + LEVEL) / 2, self.degrees_of_freedom))

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
    scale_reading: float = 0.0,
    outlines: OutlineErrors | None = None,
    confidence: float | None = None,
) -> Budget:
    """The uncertainty of the median size, D50 of the number distribution.

    Args:
        table: Of particles, also of those below the confidence.
        summary: Of a length of it (``sample.summarise``).
        scale_reading: Relative standard uncertainty of reading the scale off the micrograph (0.01: 1 %); 0 where it is
            stated. How far the microscope's magnification itself is off, no micrograph tells.
        outlines: What is known of the model that drew them; None where nothing is.
        confidence: From which particles count; None where they have none.

    Raises:
        ValueError: The quantity is no length.
    """
    if summary.unit not in ("px", "nm"):
        raise ValueError(f"{summary.column} is no length, and has no budget")
    median = summary.estimates["d50"]
    in_nm = summary.unit == "nm"
    components = (
        *(_scale(median.value, scale_reading) if in_nm else ()),
        _outlines(median.value, outlines),
        _edge(table, in_nm),
        _sampling(summary, median.standard_error),
        _threshold(table, summary, confidence),
    )
    return Budget(median.value, summary.unit, components)


def _scale(value: float, reading: float) -> tuple[Component, Component]:
    calibration = Component(
        "calibration",
        math.nan,
        "not known: how far the magnification of the microscope is off; a standard tells it (SEM: ISO 16700, TEM: "
        "ISO 29301)",
    )
    basis = f"{100 * reading:.2g} % of the scale, by the ends of its bar or the digits of its number"
    told = basis if reading else "none: the scale came as a number"
    return calibration, Component("scale reading", value * reading, told)


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
        max(_EFFICIENCY_OF_MEDIAN * (errors.images - 1), 1.0),
    )


def in_percent(share: float) -> str:
    """A signed share in per cent, with a minus sign and not a hyphen."""
    return minus(f"{100 * share:+z.1f}")


def _sampling(summary: Summary, standard_error: float) -> Component:
    if math.isnan(standard_error):
        return Component("sampling", math.nan, f"not known: fewer than {MIN_PARTICLES} particles")
    if summary.drawn == "images":
        return Component("sampling", standard_error, f"bootstrap over {summary.images} images", summary.images - 1)
    basis = (
        f"bootstrap over {summary.count} particles of fewer than {MIN_IMAGES} images: how much images of this specimen "
        "differ is not in it"
    )
    return Component("sampling", standard_error, basis, summary.count - 1)


def _edge(table: pd.DataFrame, in_nm: bool) -> Component:
    scale = float(counted(table)["nm_per_px"].median()) if in_nm else 1.0
    return Component(
        "edge",
        2 * EDGE_PX * scale * _RECTANGULAR,
        f"outlines, annotators' too, up to {EDGE_PX:g} px outside or inside of the edge, on both sides, equally "
        "likely (assumed)",
    )


def _threshold(table: pd.DataFrame, summary: Summary, confidence: float | None) -> Component:
    if confidence is None or counted(table)["confidence"].isna().all():
        return Component("threshold", 0.0, "none: particles have no confidence")
    lo, hi = max(confidence - CONFIDENCE_MARGIN, 0.0), min(confidence + CONFIDENCE_MARGIN, 1.0)
    # Whatever else speaks against them: the border, say.
    known_below = bool((table["confidence"] < confidence).any())
    # Of outlines below the least confident one nothing is known: a finder keeps them from some confidence on.
    lo = max(lo, float(table["confidence"].min())) if known_below else confidence
    levels = [confidence, lo, hi]
    d50 = against_confidence(table, summary.column, levels, border_weighted=summary.border_weighted)["d50"]
    change = float(np.nanmax(np.abs(d50 - d50.iloc[0])))
    basis = f"largest change for a confidence of {lo:.2g} to {hi:.2g}"
    if not known_below:
        basis += "; no outline below is known"
    return Component("threshold", change * _RECTANGULAR, basis)
