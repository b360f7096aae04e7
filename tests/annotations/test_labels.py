import re
from pathlib import Path

import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.labels import check_labels, warn_of_similar_labels
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


def test_every_label_that_is_none_is_told_once():
    with pytest.raises(AnnotationError) as error:
        check_labels(Path("a.json"), instances("rods", "ignore", "rods", "nanorod", None), CLASSES)
    first, *lines = str(error.value).splitlines()
    assert first == "a.json: 2 faults:"
    assert [line.split(",")[0].strip() for line in lines] == [
        "instance 1 is labelled 'rods'",
        "instance 5 is labelled None",
    ]


@pytest.mark.parametrize(
    ("particles", "told"),
    [
        ({"Cube": 5, "cube": 1, "rod": 3}, "labels 'Cube' (5 particles), 'cube' (1 particle): each"),
        ({"cube ": 2, "cube": 1}, "labels 'cube' (1 particle), 'cube ' (2 particles): each"),
        (
            {"nano  cube": 2, "Nano\u00a0cube": 1},
            "labels 'Nano\\xa0cube' (1 particle), 'nano  cube' (2 particles): each",
        ),
        ({"Na\u0308he": 2, "N\u00e4he": 1}, "labels 'Na\\u0308he' (2 particles), 'N\\xe4he' (1 particle): each"),
        ({"\u00b5m": 2, "\u03bcm": 1}, "labels '\\xb5m' (2 particles), '\\u03bcm' (1 particle): each"),
        ({"STRASSE": 2, "straße": 1}, "labels 'STRASSE' (2 particles), 'straße' (1 particle): each"),
        ({"Ignore": 1, "rod": 3}, "label 'Ignore' (1 particle): taken for particles, since only 'ignore'"),
        ({"IGNORE ": 1, "Ignore": 2}, "labels 'IGNORE ' (1 particle), 'Ignore' (2 particles): taken for particles"),
    ],
)
def test_labels_that_a_reader_takes_for_the_same(particles, told):
    (warning,) = warn_of_similar_labels(particles)
    assert warning.startswith(told)


def test_labels_that_differ_are_not_told():
    assert (
        warn_of_similar_labels({"cube": 1, "cubes": 1, "cu be": 1, "Würfel": 1, "Wurfel": 1, "立方体": 1, "立方": 1})
        == []
    )
    assert warn_of_similar_labels({}) == []


def test_each_set_of_similar_labels_is_told_with_its_files():
    particles = {"Cube": 1, "cube": 1, "rod": 1, "Rod": 2}
    first, second = warn_of_similar_labels(particles, {"Cube": "a", "cube": "b/c", "rod": "a", "Rod": "d"})
    assert "'Cube' (1 particle, first in a), 'cube' (1 particle, first in b/c)" in first
    assert "'Rod' (2 particles, first in d), 'rod' (1 particle, first in a)" in second
