"""Labels against a class list, and against each other."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nanoseg_bench.annotations.faults import refuse_faults
from nanoseg_bench.annotations.instance import BACKGROUND_LABEL, FOREIGN_IGNORE_LABEL, IGNORE_LABEL, Instance
from nanoseg_bench.wording import counted, did_you_mean


def own_label(label: str) -> str:
    """The label as this package writes it: an ignore region has one name, whatever the tool called it."""
    return IGNORE_LABEL if label == FOREIGN_IGNORE_LABEL else label


def classes_among(names: Iterable[str]) -> tuple[str, ...]:
    """The names of a tool's class list that are classes of particles, each once: no ignore region, no background."""
    labels = map(own_label, names)
    return tuple(dict.fromkeys(label for label in labels if label not in (IGNORE_LABEL, BACKGROUND_LABEL)))


def without_background(instances: Sequence[Instance]) -> tuple[tuple[Instance, ...], int]:
    """The instances that do not say of themselves that they are background, and the number of those that do."""
    kept = tuple(each for each in instances if each.label != BACKGROUND_LABEL)
    return kept, len(instances) - len(kept)


def check_labels(where: Path, instances: Sequence[Instance], classes: Sequence[str]) -> None:
    """Refuse a label that is not a class; ``ignore``, and a crowd region without a label, are in order.

    Args:
        where: The file to name.
        instances: In the order of the file.
        classes: The class list.

    Raises:
        AnnotationError: Names the file, each such label once, and the class that may be meant.
    """
    known = frozenset(classes)
    faults: dict[str | None, str] = {}
    for number, instance in enumerate(instances, start=1):
        if not is_in_order(instance, known) and instance.label not in faults:
            fault = not_in_classes(instance.label, classes)
            faults[instance.label] = f"instance {number} is labelled {instance.label!r}, which {fault}"
    refuse_faults(where, list(faults.values()))


def is_in_order(instance: Instance, classes: frozenset[str]) -> bool:
    """Whether the label of an instance may stand beside these classes."""
    return instance.label in classes or (instance.ignored and instance.label in (None, IGNORE_LABEL))


def not_in_classes(label: str | None, classes: Sequence[str]) -> str:
    """The end of a message on a label that is not a class: the list, the class that may be meant, the way out."""
    hint = did_you_mean((label or "").strip(), (*classes, IGNORE_LABEL))
    return f"is not in the class list ({', '.join(classes)}); {hint}rename it, or add it to the classes"


def without_spelling(name: str) -> str:
    """A name without what a reader overlooks in it: case, number of blanks, Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def warn_of_similar_labels(particles: Mapping[str, int], first_files: Mapping[str, str] | None = None) -> list[str]:
    """One sentence for each set of labels that a reader takes for the same, while they are different classes.

    Labels are similar that differ in case, blanks or the Unicode form of a character only. They are not merged: which
    is meant, or whether each is, only the annotator knows.

    Args:
        particles: Number of particles by label, ignore regions not counted.
        first_files: Where each label stands first, to be told with it.
    """
    similar: dict[str, list[str]] = defaultdict(list)
    for label in sorted(particles):
        similar[without_spelling(label)].append(label)
    warnings = []
    for key, labels in similar.items():
        told = _tell(labels, particles, first_files or {})
        if key == IGNORE_LABEL:
            warnings.append(
                f"{told}: taken for particles, since only {IGNORE_LABEL!r}, written so, is an ignore region; rename it"
            )
        elif len(labels) > 1:
            where = "" if first_files else "; of LabelMe files, annotate --check says where they stand"
            warnings.append(
                f"{told}: each is a class of its own, though they differ only in case, blanks or the form of a "
                f"character; if they mean one class, give them one name{where}"
            )
    return warnings


def _tell(labels: Sequence[str], particles: Mapping[str, int], first_files: Mapping[str, str]) -> str:
    # Two forms of one character look the same: then only their numbers show the difference.
    alike = len({unicodedata.normalize("NFKC", label) for label in labels}) < len(labels)
    told = []
    for label in labels:
        first = f", first in {first_files[label]}" if label in first_files else ""
        name = ascii(label) if alike else repr(label)
        told.append(f"{name} ({counted(particles[label], 'particle')}{first})")
    return ("labels " if len(told) > 1 else "label ") + ", ".join(told)
