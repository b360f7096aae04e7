"""Reviewed micrographs as one sample: what its numbers, charts and files are made of."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.sample import RESAMPLES
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph
from nanoseg_bench.report.analysis.pooling import pooled, report_on
from nanoseg_bench.report.report_input import Method, ReportInput, without_options
from nanoseg_bench.report.review.filters import Filters, apply_filters, filter_sentences

_NO_SCALE = "no scale, in a sample whose other micrographs have one"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ReviewedSample:
    """A sample.

    Attributes:
        members: Its micrographs by id, with the particles that count; names in their tables differ.
        unscaled: Why all particles of a micrograph are left out, by its id.
        report: What is told of the sample.
    """

    members: Mapping[str, AnalysedMicrograph]
    unscaled: Mapping[str, str]
    report: ReportInput


def make_sample(
    micrographs: Mapping[str, AnalysedMicrograph],
    filters: Filters,
    *,
    method: Method,
    made: datetime.datetime,
    sample: str = "",
    operator: str = "",
    classes: tuple[str, ...] = (),
    resamples: int = RESAMPLES,
) -> ReviewedSample:
    """Pool micrographs after all that a person decided.

    Args:
        micrographs: By id, at least one; edited and rescaled, without filters.
        filters: Which particles count.
        method: What found them.
        made: When the analysis was made.
        sample: Name of the sample; by default that of its micrograph, or how many there are.
        operator: Who makes the analysis.
        classes: Of the model, in the order of the colours.
        resamples: Of the bootstrap; 0 for no intervals.

    Raises:
        MeasurementError: A diameter of the filters is in nm, and no micrograph has a scale.
    """
    told_apart = _told_apart(micrographs)
    together, _ = pooled(list(told_apart.values()))
    scaled = {id(each) for each in together}
    others = {key: each for key, each in told_apart.items() if id(each) not in scaled}
    inside = [key for key in told_apart if key not in others]
    found = dict(zip(inside, apply_filters([told_apart[key] for key in inside], filters, classes), strict=True))
    left_out = dict(zip(others, apply_filters(list(others.values()), _in_px(filters), classes), strict=True))
    members = {key: found.get(key) or left_out[key] for key in told_apart}
    method = _with_confidence(method, filters, list(found.values()))
    report = report_on(
        sample or _name(members),
        list(members.values()),
        method=method,
        filters=filter_sentences(list(found.values()), filters, classes),
        border_weighted=filters.border_weighted,
        made=made,
        operator=operator,
        classes=classes,
        resamples=resamples,
    )
    report = replace(report, warnings=tuple(map(without_options, report.warnings)))
    return ReviewedSample(members=members, unscaled=dict.fromkeys(left_out, _NO_SCALE), report=report)


def _with_confidence(method: Method, filters: Filters, members: Sequence[AnalysedMicrograph]) -> Method:
    """The method with the confidence from which particles count here."""
    used = {each.rules.confidence for each in members}
    if len(used) != 1 or used == {method.confidence}:
        return method
    source = method.confidence_source if filters.confidence is None else "as set by hand"
    return replace(method, confidence=used.pop(), confidence_source=source)


def _told_apart(micrographs: Mapping[str, AnalysedMicrograph]) -> dict[str, AnalysedMicrograph]:
    """The same with names that differ, since tables tell micrographs apart by them, and files of these names."""
    taken: set[str] = set()
    found = {}
    for key, each in micrographs.items():
        name, number = each.image.name, 1
        while name in taken:
            number += 1
            name = f"{each.image.name}-{number}"
        taken.add(name)
        image = replace(each.image, name=name, file_name=each.image.file_name or f"{name}{each.image.path.suffix}")
        found[key] = replace(each, image=image)
    return found


def _in_px(filters: Filters) -> Filters:
    """The same without diameters in nm, for micrographs without a scale."""
    return replace(filters, min_diameter=_of_px(filters.min_diameter), max_diameter=_of_px(filters.max_diameter))


def _of_px(length: Length | None) -> Length | None:
    return None if length is None or length.unit != "px" else length


def _name(members: Mapping[str, AnalysedMicrograph]) -> str:
    names = [each.image.name for each in members.values()]
    return names[0] if len(names) == 1 else f"{len(names)} micrographs"
