"""What a person changed of the outlines of a micrograph: taken out, counted, moved, named, drawn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.errors import ReviewError
from nanoseg_bench.measure.particles import Decisions
from nanoseg_bench.report.analysis.micrograph import AnalysedMicrograph, judged
from nanoseg_bench.report.by_hand import hand_work
from nanoseg_bench.report.review.geometry import MultiPolygon, polygons_of


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Drawn:
    """An outline that a person drew, merged or split.

    Attributes:
        outline: In pixels of the micrograph.
        label: Its class; None takes that of what it was made from, or the only class that there is.
        made_from: Numbers of the outlines that it was merged or split from.
    """

    outline: MultiPolygon
    label: str | None = None
    made_from: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Edits:
    """All that differs from what the model outlined; particles by their numbers in the table.

    What is drawn has the numbers after the model's, in order. One that is deleted again stays here and is ``removed``,
    so that the others keep their numbers.

    Attributes:
        removed: Do not count.
        counted: Count although they lie on a mark or touch the border of the field.
        changed: Outlines in place of those of the model, or of those that were drawn.
        labels: Classes in place of the model's.
        drawn: Further outlines.
    """

    removed: frozenset[int] = frozenset()
    counted: frozenset[int] = frozenset()
    changed: Mapping[int, MultiPolygon] = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)
    drawn: tuple[Drawn, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What ``as_json`` gave; keys of numbers may be texts, and what is missing is empty."""
        return cls(
            removed=frozenset(document.get("removed", ())),
            counted=frozenset(document.get("counted", ())),
            changed={int(number): outline for number, outline in document.get("changed", {}).items()},
            labels={int(number): label for number, label in document.get("labels", {}).items()},
            drawn=tuple(
                Drawn(outline=each["outline"], label=each.get("label"), made_from=tuple(each.get("from") or ()))
                for each in document.get("drawn", ())
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """As the page sends it."""
        return {
            "removed": sorted(self.removed),
            "counted": sorted(self.counted),
            "changed": dict(self.changed),
            "labels": dict(self.labels),
            "drawn": [
                {"outline": each.outline, "label": each.label, "from": list(each.made_from)} for each in self.drawn
            ],
        }


def apply_edits(analysed: AnalysedMicrograph, edits: Edits) -> AnalysedMicrograph:
    """A micrograph as a person edited it.

    Every outline keeps its number. What a person changed, named, counted or drew counts at any confidence.

    Args:
        analysed: As the model left it, without earlier edits.
        edits: All of them, not only the newest.

    Raises:
        ReviewError: A number is of no outline, or an outline is none.
    """
    instances = analysed.image.instances
    total = len(instances) + len(edits.drawn)
    numbers = [edits.removed, edits.counted, edits.changed, edits.labels, *(each.made_from for each in edits.drawn)]
    if wrong := sorted({number for each in numbers for number in each if not 1 <= number <= total}):
        raise ReviewError(
            f"there is no outline {wrong[0]}: {analysed.image.name} has 1 to {total}; load the page again"
        )
    edited = [_edited(number, each, edits) for number, each in enumerate(instances, start=1)]
    found = judged(
        analysed,
        image=replace(analysed.image, instances=(*edited, *_draw(edits, edited))),
        decisions=Decisions(removed=edits.removed, counted=edits.counted),
    )
    return replace(found, image=replace(found.image, edited=hand_work(found.table).total))


def _edited(number: int, instance: Instance, edits: Edits) -> Instance:
    if number in edits.changed:
        region = polygons_of(edits.changed[number], f"outline {number}")
        # The model's confidence was that in another outline.
        instance = replace(instance, region=region, score=None, origin="changed")
    if number in edits.counted:
        instance = replace(instance, origin="changed")
    label = edits.labels.get(number, instance.label)
    return instance if label == instance.label else replace(instance, label=label, origin="changed")


def _draw(edits: Edits, others: Sequence[Instance]) -> list[Instance]:
    """What a person drew, in order; what it was made from may have been drawn itself."""
    every = list(others)
    for each in edits.drawn:
        number = len(every) + 1
        parents = [every[parent - 1].label for parent in each.made_from if parent < number]
        label = edits.labels.get(number, each.label) or _only(parents) or _only(one.label for one in others)
        outline = edits.changed.get(number, each.outline)
        every.append(Instance(label, polygons_of(outline, f"outline {number}"), origin="drawn"))
    return every[len(others) :]


def _only(labels: Iterable[str | None]) -> str | None:
    """The one label that all have; None where there are several, or none."""
    found = set(labels)
    return found.pop() if len(found) == 1 else None
