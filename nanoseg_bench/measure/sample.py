"""A sample: the particles of one micrograph or of several, pooled, as numbers that can be published."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import ALL_CLASSES
from nanoseg_bench.errors import MeasurementError
from nanoseg_bench.measure.columns import SHAPE_FROM_PX, SHAPE_SURE_FROM_PX, column_of
from nanoseg_bench.measure.fits import Fit, fit_distributions
from nanoseg_bench.measure.kinds import is_rod
from nanoseg_bench.measure.particles import (
    AT_BORDER,
    BELOW_CONFIDENCE,
    BETWEEN_REASONS,
    TOO_SMALL,
    count_exclusions,
    counted,
)
from nanoseg_bench.measure.resampling import FEW, MIN_IMAGES, MIN_PARTICLES, Estimate, estimate
from nanoseg_bench.measure.statistics import STATISTICS
from nanoseg_bench.wording import counted as in_words
from nanoseg_bench.wording import did_you_mean, shortened

Weighting = Literal["number", "area", "volume"]
Unit = Literal["px", "nm"]

WEIGHTINGS: dict[Weighting, str] = {
    "number": "each particle counts the same",
    "area": "each counts with its projected area",
    "volume": "each counts with the volume of the sphere of its diameter",
}
"""What the shares of a distribution are shares of (ISO 9276: the indices 0, 2 and 3)."""

TOO_FEW = f"Below {MIN_PARTICLES} particles, D10, D90, span and intervals are not given"

RESAMPLES = 2000

ALL = ALL_CLASSES
"""In place of a class: all particles."""

_MUCH_AT_BORDER = 0.2
_MANY_UNSURE, _MUCH_UNSURE = 10, 0.5
"""Outlines below the confidence from which the count of an image hangs on it: so many, and so many for each one above.
Of the 41 validation images of EMPS, with the shipped NSYOLO (0.51, looked for down to 0.25), one is such: 20 beside 13,
where annotators see 5 particles. Of the others with as many below, the next has 12 beside 42. What it cannot tell: in
five of these images more than a seventh of ten particles or more is missed, and none of the five is such."""
_SAME_SCALE = 0.01
_MOST_NAMES = 3  # of images that share a warning
_ANY_KIND = ("diameter", "feret_max", "feret_min", "aspect_ratio", "circularity")
_RODS = ("length", "width")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The distribution of one quantity in a sample.

    Attributes:
        column: Of the table of particles.
        unit: Of the values; empty for a ratio.
        weighting: What the shares are shares of.
        border_weighted: Whether particles stand for those of their extent that the border left out.
        count: Particles that count and have the quantity.
        images: Micrographs that those are of.
        largest_share: Of the distribution, that the particle of most weight makes up; NaN without particles.
        estimates: By the name of a statistic (``statistics.STATISTICS``), with 95 % intervals.
        drawn: What the intervals' resamples draw.
        resamples: How many.
        fits: Normal and log-normal distribution; empty for a sample that is too small, and where none was asked for.
    """

    column: str
    unit: str
    weighting: Weighting
    border_weighted: bool
    count: int
    images: int
    largest_share: float
    estimates: Mapping[str, Estimate]
    drawn: Literal["images", "particles"]
    resamples: int
    fits: tuple[Fit, ...]

    @property
    def subject(self) -> str:
        """What the numbers are of."""
        border = (
            "weighted for those that the border left out (Miles–Lantuéjoul)" if self.border_weighted else "unweighted"
        )
        return (
            f"{in_words(self.count, 'particle')} of {in_words(self.images, 'image')}, {border}; "
            f"{self.weighting} distribution: {WEIGHTINGS[self.weighting]}"
        )

    @property
    def sentence(self) -> str:
        """``subject``, and what the intervals are, for a report."""
        if self.count < MIN_PARTICLES:
            return f"{self.subject}. {TOO_FEW}."
        few_images = f", since they are of fewer than {MIN_IMAGES} images: they hold for these, not for the specimen"
        reason = "" if self.drawn == "images" else few_images
        few = f"; none of D10, D90 and span below {FEW} particles" if self.count < FEW else ""
        return (
            f"{self.subject}. Intervals of 95 % by bootstrap over {self.drawn}{reason}: expanded percentiles "
            f"(doi:10.1080/00031305.2015.1089789) of {self.resamples} resamples{few}."
        )


def summarise(
    table: pd.DataFrame,
    column: str,
    *,
    weighting: Weighting = "number",
    border_weighted: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
    fit: bool = True,
) -> Summary:
    """The distribution of one quantity over the particles that count.

    Args:
        table: Of particles, of one image or of several; images are told apart by their name.
        column: Of lengths, areas or ratios: ``diameter_nm``.
        weighting: What the shares are shares of. Areas and volumes are those of the particle's pixels and of its
            equivalent sphere, whatever the quantity.
        border_weighted: Count each particle with its ``border_weight``. Particles that touch the border are left out,
            and large ones touch it more often; without the weight the sample is too small-grained.
        resamples: Of the bootstrap.
        seed: Of its draws.
        fit: Whether distributions are fitted to it.

    Raises:
        MeasurementError: The table has no such column.
    """
    if column not in table:
        there = [str(name) for name in table.columns]
        raise MeasurementError(f"no column {column!r}; {did_you_mean(column, there)}there are {', '.join(there)}")
    # Arrays, not tables: a page asks for dozens of summaries at once.
    known = table["exclusion"].isna().to_numpy() & table[column].notna().to_numpy()
    values = table[column].to_numpy(dtype=np.float64)[known]
    weights = _weights(table, known, weighting, border_weighted)
    images, names = pd.factorize(table["image"].to_numpy()[known])
    estimates, drawn = estimate(values, weights, images.astype(np.intp), resamples=resamples, seed=seed)
    return Summary(
        column=column,
        unit=_unit_of(column),
        weighting=weighting,
        border_weighted=border_weighted,
        count=len(values),
        images=len(names),
        largest_share=float(weights.max() / weights.sum()) if len(weights) else math.nan,
        estimates=estimates,
        drawn=drawn,
        resamples=resamples,
        fits=fit_distributions(values, weights) if fit and len(values) else (),
    )


def particle_weights(table: pd.DataFrame, weighting: Weighting, border_weighted: bool) -> NDArray[np.float64]:
    """(N,) how much each particle of a table stands for, relative to the others.

    Areas are taken in nm² where all particles have them, so that images of different magnification pool rightly.
    """
    return _weights(table, np.ones(len(table), dtype=bool), weighting, border_weighted)


def _weights(
    table: pd.DataFrame, kept: NDArray[np.bool_], weighting: Weighting, border_weighted: bool
) -> NDArray[np.float64]:
    """``particle_weights`` of some rows."""
    power = {"number": 0.0, "area": 1.0, "volume": 1.5}[weighting]
    in_nm = bool(kept.any()) and not np.isnan(table["nm_per_px"].to_numpy(dtype=np.float64)[kept]).any()
    area = table["area_nm2" if in_nm else "area_px2"].to_numpy(dtype=np.float64)[kept]
    by_size = area**power
    return by_size * table["border_weight"].to_numpy(dtype=np.float64)[kept] if border_weighted else by_size


def pooled_unit(table: pd.DataFrame) -> Unit:
    """The unit of a sample: nm where every micrograph has a scale, else px."""
    return "nm" if len(table) and bool(table["nm_per_px"].notna().all()) else "px"


def quantities_of(table: pd.DataFrame, name: str = ALL) -> tuple[str, ...]:
    """Quantities that are worth a line for a class: lengths and widths of rods, edges of cubes."""
    extra = _RODS if is_rod(name) else ()
    has_edge = table["edge_length_px"].notna() & table["exclusion"].isna()
    edges = ("edge_length",) if bool(has_edge.any()) else ()
    return _ANY_KIND[:1] + extra + edges + _ANY_KIND[1:]


def summary_table(
    table: pd.DataFrame,
    *,
    by: str = "class",
    quantities: Sequence[str] | str | None = None,
    unit: Unit | None = None,
    border_weighted: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Statistics of all particles and of each class, or of each image or sample.

    Args:
        table: Of particles, of one image or of several.
        by: The column that names the classes: ``class``, ``shape``, ``image``, or one of the caller's own.
        quantities: One or several, without unit (``diameter``); by default those of ``quantities_of`` of each class.
        unit: Of lengths; by default ``pooled_unit``.
        border_weighted: As for ``summarise``.
        resamples: As for ``summarise``; 0 for no intervals, where there are many classes.
        seed: As for ``summarise``.

    Returns:
        One row per class and quantity: ``class``, ``quantity``, ``unit``, ``weighting``, ``count``, ``images``,
        ``intervals_over``, then each statistic with ``_lo`` and ``_hi``. The first class is ``ALL``; where there is
        just one class, or none is named, it is the only one.

    Raises:
        MeasurementError: There is no such quantity.
    """
    quantities = [quantities] if isinstance(quantities, str) else quantities
    unit = unit or pooled_unit(table)
    names = sorted(table.loc[table["exclusion"].isna(), by].dropna().unique())
    groups = [(ALL, table), *((name, table[table[by] == name]) for name in names if len(names) > 1)]
    lone = names[0] if len(names) == 1 else ALL
    rows = []
    for name, group in groups:
        for quantity in quantities or quantities_of(group, lone if name == ALL else name):
            column = column_of(quantity, unit)
            summary = summarise(
                group, column.name, border_weighted=border_weighted, resamples=resamples, seed=seed, fit=False
            )
            rows.append({by: name, "quantity": quantity, "unit": column.unit, **_as_row(summary)})
    return pd.DataFrame(rows)


def warnings_of(table: pd.DataFrame) -> list[str]:
    """What a reader of the sample must know, one sentence each; of the whole sample, not of its classes."""
    known = counted(table)
    found: list[str] = []
    if not len(known):
        found.append("no particle counts; look at the outlines, and try a lower confidence (--confidence 0.25)")
    elif len(known) < FEW:
        missing = "D10, D90 and intervals" if len(known) < MIN_PARTICLES else "intervals of D10 and D90"
        told = f"{in_words(len(known), 'particle')}: below {FEW}, the distribution is a rough guess"
        found.append(f"{told}, and {missing} are not given; measure more images")
    if len(known):
        median = float(known["diameter_px"].median())
        if median < SHAPE_FROM_PX:
            found.append(
                f"The median diameter is {median:.1f} px: below {SHAPE_FROM_PX:g} px shapes are not measured, and "
                "sizes depend on single pixels; take images at a higher magnification"
            )
        elif median < SHAPE_SURE_FROM_PX:
            found.append(
                f"The median diameter is {median:.1f} px: shapes of particles below {SHAPE_SURE_FROM_PX:g} px are rough"
            )
    left_out = count_exclusions(table)
    at_border, small = left_out.get(AT_BORDER, 0), left_out.get(TOO_SMALL, 0)
    if at_border > _MUCH_AT_BORDER * (at_border + len(known)):
        found.append(
            f"{at_border} of {at_border + len(known)} particles touch the border of their image and are left out: the "
            "field is small for these particles"
        )
    if small > len(known):
        found.append(f"{small} outlines are below the minimum diameter, more than the {len(known)} that count")
    if len(known):
        found += _unsure_images(table)
    return found + _scale_warnings(known)


def _unsure_images(table: pd.DataFrame) -> list[str]:
    """What to say of images where the curve of the count against the confidence is steep below the one that is used."""
    reasons = table["exclusion"].fillna("").str.split(BETWEEN_REASONS, regex=False).map(set)
    whole_or_cut = reasons.map(lambda each: each <= {"", AT_BORDER, BELOW_CONFIDENCE})
    below = reasons.map(lambda each: BELOW_CONFIDENCE in each)
    of_images = table["image"]
    unsure = of_images[whole_or_cut & below].value_counts()
    sure = of_images[whole_or_cut & ~below].value_counts().reindex(unsure.index, fill_value=0)
    names = sorted(unsure.index[(unsure >= _MANY_UNSURE) & (unsure >= _MUCH_UNSURE * sure)])
    if not names:
        return []
    inside = of_images.isin(names) & whole_or_cut & below
    lowest, highest = table.loc[inside, "confidence"].agg(["min", "max"])
    where = "" if of_images.nunique() == 1 else f" in {shortened(names, _MOST_NAMES)}"
    return [
        f"{int(unsure[names].sum())} outlines of a confidence of {lowest:.2f} to {highest:.2f} do not count{where}, "
        f"beside {int(sure[names].sum())} of which the model is surer: particles may be missing, or it takes other "
        "things for some, and their number hangs on the confidence; look at the outlines, and compare with those of a "
        f"lower one (--confidence {math.floor(100 * lowest) / 100:g})"
    ]


def _scale_warnings(known: pd.DataFrame) -> list[str]:
    scales = known.groupby("image")["nm_per_px"].first()
    without = int(scales.isna().sum())
    if without and len(scales) > 1:
        return [
            f"{without} of {in_words(len(scales), 'image')} have no scale: sizes are pooled in px, which is right only "
            "at one magnification"
        ]
    if not without and len(scales) and scales.max() > (1 + _SAME_SCALE) * scales.min():
        return [
            f"Images of {scales.min():.3g} to {scales.max():.3g} nm per px are pooled, each particle counted the same: "
            "small ones are found in those of higher magnification only, which show few of the large ones; report "
            "magnifications that differ much as samples of their own (--sample-by)"
        ]
    return []


def _unit_of(column: str) -> str:
    for suffix, unit in (("_nm2", "nm²"), ("_px2", "px²"), ("_nm", "nm"), ("_px", "px"), ("_deg", "°")):
        if column.endswith(suffix):
            return unit
    return ""


def _as_row(summary: Summary) -> dict[str, object]:
    row: dict[str, object] = {
        "weighting": summary.weighting,
        "count": summary.count,
        "images": summary.images,
        "intervals_over": summary.drawn,
    }
    for statistic in STATISTICS:
        known = summary.estimates[statistic.name]
        row |= {statistic.name: known.value, f"{statistic.name}_lo": known.lo, f"{statistic.name}_hi": known.hi}
    return row
