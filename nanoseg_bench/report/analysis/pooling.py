"""Analysed micrographs as one sample, and everything that is told of it."""

import datetime
from collections.abc import Sequence

import pandas as pd

from nanoseg_bench.measure.columns import column_of
from nanoseg_bench.measure.particles import counted as counted_in
from nanoseg_bench.measure.resampling import MIN_PARTICLES
from nanoseg_bench.measure.sample import RESAMPLES, Summary, particle_weights, warnings_of
from nanoseg_bench.measure.statistics import compute_statistics
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph
from nanoseg_bench.report.report_input import Method, ReportInput
from nanoseg_bench.report.sample_statistics import compute_sample
from nanoseg_bench.wording import counted, shortened

_MOST_IMAGE_WARNINGS = 5
_MOST_NAMES = 3  # of micrographs that share a warning

_MUCH_OF_ONE = 0.2
"""Share of the number distribution that a single particle may stand for unasked."""


def report_on(
    sample: str,
    every: Sequence[AnalysedMicrograph],
    *,
    method: Method,
    filters: tuple[str, ...],
    border_weighted: bool,
    made: datetime.datetime,
    operator: str = "",
    classes: tuple[str, ...] = (),
    further_warnings_in: str = "",
    resamples: int = RESAMPLES,
) -> ReportInput:
    """Pool micrographs, and compute what all files about them tell.

    Args:
        sample: Its name.
        every: Its micrographs; those without a scale are left out where others have one.
        method: What found the particles; from its confidence on they count.
        filters: Which particles count, one sentence each.
        border_weighted: Whether particles stand for those of their extent that the border left out.
        made: When the analysis was made.
        operator: Who made it.
        classes: Of the model, in the order of the colours.
        further_warnings_in: The file that holds all warnings on micrographs; the first ones are told where there is
            one, else all.
        resamples: Of the bootstrap; 0 for no intervals.
    """
    analysed, unscaled = pooled(every)
    particles = pd.concat([each.table for each in analysed], ignore_index=True)
    statistics = compute_sample(
        particles,
        border_weighted=border_weighted,
        confidence=method.confidence,
        outlines=method.outlines,
        # That of the worst one: readings err apart, and how their errors add up hangs on who has which particles.
        scale_reading=max((each.scale.relative_uncertainty or 0.0 for each in analysed), default=0.0),
        resamples=resamples,
    )
    return ReportInput(
        sample=sample,
        images=tuple(each.image for each in analysed),
        particles=particles,
        statistics=statistics,
        method=method,
        filters=filters,
        made=made,
        operator=operator,
        classes=classes,
        warnings=(
            *unscaled,
            *_warn_of_copies(analysed),
            *warnings_of(particles),
            *_warn_of_one(statistics.size),
            *_image_warnings(every, further_warnings_in),
        ),
    )


def pooled(every: Sequence[AnalysedMicrograph]) -> tuple[Sequence[AnalysedMicrograph], tuple[str, ...]]:
    """The micrographs whose particles can be put together, and a sentence on the others.

    Lengths in px of different magnifications are no sample: where some micrographs have a scale, the others stay out.
    """
    scaled = [each for each in every if each.image.nm_per_px is not None]
    if not scaled or len(scaled) == len(every):
        return every, ()
    others = [each.image.shown_name for each in every if each.image.nm_per_px is None]
    return scaled, (
        f"{counted(len(others), 'image')} without a scale left out of this sample of {len(every)}: {shortened(others)}",
    )


def _warn_of_copies(analysed: Sequence[AnalysedMicrograph]) -> list[str]:
    """A file that is in a sample more than once makes its particles, and what follows from their number, look more."""
    named: dict[str, list[str]] = {}
    for each in analysed:
        named.setdefault(each.image.sha256, []).append(each.image.shown_name)
    return [
        f"{shortened(names, _MOST_NAMES)}: the same file {len(names)} times, whose particles count as often; leave all "
        "but one out"
        for names in named.values()
        if len(names) > 1
    ]


def _warn_of_one(size: Summary) -> list[str]:
    """A particle nearly as long as the field has few places in it, and so large a weight that the sizes are its own.

    Of 60 particles of about 30 px and a wire of 990 × 30 px in a field of 1000 × 800 px, the median was 113 px.
    """
    if not size.border_weighted or size.count < MIN_PARTICLES or size.largest_share < _MUCH_OF_ONE:
        return []
    return [
        f"one particle, nearly as large as the field, stands for {100 * size.largest_share:.0f} % of the number "
        "distribution by its border weight, and the sizes hang on it; compare with those without these weights "
        "(--border exclude), or take images of a wider field"
    ]


def _image_warnings(every: Sequence[AnalysedMicrograph], further_in: str) -> list[str]:
    named: dict[str, list[str]] = {}
    for each in every:
        for sentence in each.warnings:
            named.setdefault(sentence, []).append(each.image.shown_name)
    found = [
        sentence if len(every) == 1 else f"{shortened(names, _MOST_NAMES)}: {sentence}"
        for sentence, names in named.items()
    ]
    more = len(found) - _MOST_IMAGE_WARNINGS
    if more <= 0 or not further_in:
        return found
    return [*found[:_MOST_IMAGE_WARNINGS], f"{more} more warnings stand in {further_in}"]


def median_diameter(table: pd.DataFrame, nm_per_px: float | None, *, border_weighted: bool) -> float | None:
    """D50 of one micrograph's particles that count, weighted as the sample's; None where none does.

    Args:
        table: Of particles.
        nm_per_px: Its scale; without one, the diameter is in px.
        border_weighted: Whether particles stand for those of their extent that the border left out.
    """
    kept = counted_in(table)
    if kept.empty:
        return None
    values = kept[column_of("diameter", "px" if nm_per_px is None else "nm").name].to_numpy()
    weights = particle_weights(kept, "number", border_weighted)
    return float(compute_statistics(values, weights[None])["d50"][0])
