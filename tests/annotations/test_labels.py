import re
from pathlib import Path

import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.labels import check_labels
from nanoseg_bench.errors import AnnotationError

CLASSES = ("Nanocube", "nanorod")


def instances(*labels, crowd=False):
    return [Instance(label, (), crowd=crowd) for label in labels]


def test_what_is_in_order():
    check_labels(Path("a.json"), instances("nanorod", "ignore", "Nanocube"), CLASSES)
    check_labels(Path("a.json"), instances(None, "ignore", "nanorod", crowd=True), CLASSES)
    check_labels(Path("a.json"), instances("ignore"), ())


@pytest.mark.parametrize(
    ("label", "hint"),
    [
        ("nanocbue", "did you mean 'Nanocube'? "),
        (" NANORODS ", "did you mean 'nanorod'? "),
        ("Ignor", "did you mean 'ignore'? "),
        ("xyz", ""),
        (None, ""),
    ],
)
def test_the_label_and_the_one_that_may_be_meant_are_named(label, hint):
    message = (
        f"a.json: instance 2 is labelled {label!r}, which is not in the class list (Nanocube, nanorod); {hint}rename "
        "it, or add it to the classes"
    )
    with pytest.raises(AnnotationError, match=f"^{re.escape(message)}$"):
        check_labels(Path("a.json"), instances("ignore", label, "nanorod"), CLASSES)


def test_a_crowd_of_another_class_is_refused():
    with pytest.raises(AnnotationError, match="instance 1 is labelled 'sphere'"):
        check_labels(Path("a.json"), instances("sphere", crowd=True), CLASSES)
