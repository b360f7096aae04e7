"""Labels against a class list."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance
from nanoseg_bench.errors import AnnotationError


def check_labels(where: Path, instances: Sequence[Instance], classes: Sequence[str]) -> None:
    """Refuse a label that is not a class; ``ignore``, and a crowd region without a label, are in order.

    Args:
        where: The file to name.
        instances: In the order of the file.
        classes: The class list.

    Raises:
        AnnotationError: Names the file and the label, and the class that may be meant.
    """
    known = frozenset(classes)
    for number, instance in enumerate(instances, start=1):
        if not is_in_order(instance, known):
            fault = not_in_classes(instance.label, classes)
            raise AnnotationError(f"{where}: instance {number} is labelled {instance.label!r}, which {fault}")


def is_in_order(instance: Instance, classes: frozenset[str]) -> bool:
    """Whether the label of an instance may stand beside these classes."""
    return instance.label in classes or (instance.ignored and instance.label in (None, IGNORE_LABEL))


def not_in_classes(label: str | None, classes: Sequence[str]) -> str:
    """The end of a message on a label that is not a class: the list, the class that may be meant, the way out."""
    by_case = {name.lower(): name for name in (*classes, IGNORE_LABEL)}
    close = difflib.get_close_matches((label or "").strip().lower(), by_case, n=1)
    hint = f"did you mean {by_case[close[0]]!r}? " if close else ""
    return f"is not in the class list ({', '.join(classes)}); {hint}rename it, or add it to the classes"
