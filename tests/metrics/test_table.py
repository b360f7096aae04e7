import pytest

from nanoseg_bench.metrics.table import METRICS, columns, in_order, metric

PLACES = {
    "page": lambda shown: shown.page,
    "terminal, test": lambda shown: shown.terminal.place if shown.terminal and shown.terminal.turn else None,
    "markdown": lambda shown: shown.markdown,
    "figure": lambda shown: shown.figure,
    "card": lambda shown: shown.card,
}


def test_no_name_and_no_column_stands_twice():
    names = [column for each in METRICS for column in each.columns]
    assert len(set(names)) == len(names)


def test_every_metric_is_explained_once():
    for each in METRICS:
        assert bool(each.meaning) != bool(each.explained_with), each.name
        if each.explained_with:
            assert metric(each.explained_with).meaning, each.name
        assert "|" not in each.meaning, f"{each.name}: breaks a table of Markdown"


def test_what_is_shown_has_a_heading_a_hint_and_a_direction_that_agrees_with_its_sign():
    for each in METRICS:
        if each.shown.page is not None:
            assert each.heading and each.about, each.name
        if each.shown.figure is not None or each.shown.card is not None:
            assert each.title or each.heading, each.name
        assert not each.signed or each.better == "zero", each.name
        assert not (each.whole and each.unit == "%"), each.name


def test_functions_of_detections_are_in_groups_that_are_made_of_them():
    """``evaluation.detection_scores`` calls them; in another group their columns would stay empty."""
    groups = {each.group for each in METRICS if each.of_detections}
    assert groups <= {"detection", "literature", "counts"}
    assert len([each for each in METRICS if each.of_detections]) >= 3


@pytest.mark.parametrize("medium", PLACES)
def test_places_are_unambiguous(medium):
    shown = [each for each in in_order(PLACES[medium]) if not each.name.startswith("detection_rate")]
    places = [PLACES[medium](each.shown) for each in shown]
    assert len(shown) > 4
    assert places == sorted(set(places))


def test_intervals_follow_their_metric():
    found = columns("detection")
    place = found.index("f1")
    assert found[place : place + 3] == ("f1", "f1_lo", "f1_hi")


@pytest.mark.parametrize(
    ("name", "in_line", "in_words", "digits"),
    [
        ("f1", "F1", "F1", 3),
        ("training_seconds", "training s", "training", 0),
        ("count_error_relative", "count error %", "count error", 3),
        ("diameter_w1_px", "W1, pooled px", "diameters, W1", 2),
        ("training_core_seconds", "core hours", "core hours", 0),
    ],
)
def test_names_and_digits_follow_from_the_entry(name, in_line, in_words, digits):
    found = metric(name)
    assert (found.in_line, found.in_words, found.digits_unscaled) == (in_line, in_words, digits)
