"""Which particles count, as a person sets it: the model is not asked again, and nothing is measured again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import pandas as pd

from nanoseg_bench.measure.length import Length
from nanoseg_bench.measure.particles import BETWEEN_REASONS, OTHER_NAME, Rules
from nanoseg_bench.measure.shape_names.namer import shipped_namer
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph, Border, judged, rule_sentences
from nanoseg_bench.report.by_hand import hand_work
from nanoseg_bench.report.grouping import UNNAMED, group_of, grouping_column


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which particles of a sample count.

    Attributes:
        confidence: Those of a lower one do not, unless a person answers for them; None for the one that the micrographs
            were analysed with.
        min_diameter: Smaller ones do not.
        max_diameter: Larger ones do not.
        border: What becomes of those that touch the border of the field.
        classes: Those of other groups do not: of other classes, or of other shapes where those tell particles apart.
            None counts all, as do names of shapes where classes tell particles apart, and conversely.
        keep_marks: What lies on information bars, scale bars and lettering counts.
    """

    confidence: float | None = None
    min_diameter: Length | None = None
    max_diameter: Length | None = None
    border: Border = "weight"
    classes: tuple[str, ...] | None = None
    keep_marks: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """As the page sends it; what is missing is as by default."""
        classes = document.get("classes")
        return cls(
            confidence=document.get("confidence"),
            min_diameter=_length(document.get("min_diameter")),
            max_diameter=_length(document.get("max_diameter")),
            border=document.get("border") or "weight",
            classes=None if classes is None else tuple(classes),
            keep_marks=bool(document.get("keep_marks")),
        )

    @property
    def border_weighted(self) -> bool:
        """Whether particles stand for those of their extent that the border left out."""
        return self.border == "weight"


def apply_filters(
    every: Sequence[AnalysedMicrograph], filters: Filters, classes: Sequence[str] = ()
) -> list[AnalysedMicrograph]:
    """The micrographs of a sample, with the particles that count by the filters.

    Args:
        every: Edited or not.
        filters: For all of them, since what tells particles apart hangs on the whole sample.
        classes: Of the model.

    Raises:
        MeasurementError: A diameter is in nm, and the scale of a micrograph is unknown.
    """
    found = [judged(each, rules=_rules(each, filters), border=filters.border) for each in every]
    if filters.classes is None or not found:
        return found
    particles = pd.concat([each.table for each in found], ignore_index=True)
    groups_from = grouping_column(particles)
    if _says_nothing(filters.classes, groups_from, particles, classes):
        return found
    return [replace(each, table=_of_groups(each.table, groups_from, filters.classes)) for each in found]


def filter_sentences(
    every: Sequence[AnalysedMicrograph], filters: Filters, classes: Sequence[str] = ()
) -> tuple[str, ...]:
    """Which particles count, and what a person decided about single ones, for a report.

    Args:
        every: Micrographs after ``apply_filters``.
        filters: The same.
        classes: The same.
    """
    if not every:
        return ()
    sentences = list(rule_sentences(every[0].rules, filters.border))
    particles = pd.concat([each.table for each in every], ignore_index=True)
    groups_from = grouping_column(particles)
    if filters.classes is not None and not _says_nothing(filters.classes, groups_from, particles, classes):
        what = "class" if groups_from == "class" else "shape of outline"
        found = set(group_of(particles, groups_from))
        # What is chosen, but nowhere found, a reader need not know; of nothing else there is something to say.
        names = [name for name in filters.classes if name in found] or filters.classes
        sentences.append(f"Of them, those count whose {what} is {' or '.join(names) or 'none'}.")
    work = hand_work(particles)
    if work.total:
        sentences.append(f"A person {work.sentence}; what a person changed or drew counts at any confidence.")
    return tuple(sentences)


def _rules(analysed: AnalysedMicrograph, filters: Filters) -> Rules:
    return Rules(
        confidence=analysed.rules.confidence if filters.confidence is None else filters.confidence,
        min_diameter=filters.min_diameter,
        max_diameter=filters.max_diameter,
        keep_marks=filters.keep_marks,
    )


def _says_nothing(
    names: Sequence[str], groups_from: Literal["class", "shape"], particles: pd.DataFrame, classes: Sequence[str]
) -> bool:
    """Whether names are of shapes where classes tell particles apart, or conversely.

    They were chosen while another micrograph was shown: one of several classes before one of a single class.
    """
    shapes = set(shipped_namer().names)
    of_model = {*classes, *particles["class"].dropna()}
    here, elsewhere = (shapes, of_model) if groups_from == "shape" else (of_model, shapes)
    chosen = set(names) - {UNNAMED}
    return bool(chosen & elsewhere) and not chosen & here


def _of_groups(table: pd.DataFrame, groups_from: Literal["class", "shape"], names: Sequence[str]) -> pd.DataFrame:
    """The same where those of other groups do not count."""
    others = ~group_of(table, groups_from).isin(names)
    reasons = table["exclusion"].where(~others, table["exclusion"].fillna("") + BETWEEN_REASONS + OTHER_NAME)
    exclusion = reasons.str.removeprefix(BETWEEN_REASONS)
    return table.assign(exclusion=exclusion)


def _length(document: Mapping[str, Any] | None) -> Length | None:
    return None if document is None else Length(document["value"], document["unit"])
