from dataclasses import replace

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.operating_point import (
    DECISIVE_GROUPS,
    DEFAULT_CONFIDENCE,
    EVERY_PARTICLE,
    FLAT,
    RULE,
    choose_operating_point,
)
from nanoseg_bench.evaluation.predictions import compare
from nanoseg_bench.metrics.matching import match


def f1_at(eval_set, predictions, confidence, names=None):
    """F1 by one whole matching at this confidence."""
    hits, predicted, truth = np.sum([counts_at(eval_set, predictions, confidence, names)], axis=0)
    return 2 * hits / (predicted + truth)


def counts_at(eval_set, predictions, confidence, names=None):
    hits = predicted = truth = 0
    for name, overlap in zip(eval_set.images, compare(eval_set, predictions), strict=True):
        if names is None or name in names:
            kept = overlap.keep(confidence)
            hits += match(kept.iou)[0].size
            predicted += len(kept.predicted)
            truth += len(kept.truth)
    return hits, predicted, truth


def best_by_trying(eval_set, predictions, names):
    """The middle of the range of confidences with the best F1; of equally good ranges the highest."""
    scores = sorted({one.score for name in names for one in predictions.images[name]}, reverse=True)
    values = [f1_at(eval_set, predictions, score, names) for score in scores]
    if not values or max(values) == 0:
        return None
    place = int(np.argmax(values))
    return (scores[place] + ([*scores, 0.0][place + 1])) / 2


def apart(eval_set):
    return replace(eval_set, source_groups={name: name for name in eval_set.images})


@pytest.fixture
def grid(disc):
    """(x, y) of places for discs of radius 9 that do not touch."""
    return lambda number, radius=9: disc(14 + 27 * (number % 5), 12 + 25 * (number // 5), radius)


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_trying_every_score(make_eval_set, make_predictions, make_truth, noisy, seed):
    rng = np.random.default_rng(seed)
    truth = make_truth(rng, images=DECISIVE_GROUPS)
    truth["image-0"].append(Instance(IGNORE_LABEL, truth["image-1"][0].region))
    eval_set = apart(make_eval_set(truth, "val"))
    predictions = make_predictions(eval_set, noisy(rng, truth))
    point = choose_operating_point(eval_set, predictions)
    assert (point.source, point.reason) == ("val", "")
    assert point.confidence == best_by_trying(eval_set, predictions, eval_set.images)
    assert point.f1 == pytest.approx(f1_at(eval_set, predictions, point.confidence))
    assert point.f1 > f1_at(eval_set, predictions, 0)  # the choice matters
    assert (point.groups, point.particles) == (DECISIVE_GROUPS, 7 * DECISIVE_GROUPS)
    assert point.lo <= point.confidence <= point.hi


def test_overlapping_truth_needs_augmenting_paths(make_eval_set, make_predictions, disc):
    """The better prediction could take either particle, the later one only the first."""
    truth = {"one": [Instance("cube", disc(60, 50, 20)), Instance("cube", disc(66, 50, 20))]}
    found = [Instance("cube", disc(62, 50, 20), 0.9), Instance("cube", disc(51, 50, 20), 0.6)]
    eval_set = apart(make_eval_set({**truth, "two": truth["one"]}, "val"))
    predictions = make_predictions(eval_set, {"one": found, "two": found})
    overlap = compare(eval_set, predictions)[0]
    assert (overlap.iou > 0.5).tolist() == [[True, True], [True, False]]
    assert choose_operating_point(eval_set, predictions).confidence == 0.3


def test_ties_go_to_the_higher_confidence(make_eval_set, make_predictions, disc):
    particles = [disc(20, 20, 9), disc(60, 20, 9), disc(100, 20, 9), disc(20, 70, 9)]
    eval_set = make_eval_set({"one": [Instance("cube", region) for region in particles]}, "val")
    images = {
        "one": [
            Instance("cube", particles[0], 0.9),
            Instance("cube", particles[1], 0.8),  # 2 of 4 found, 2 predictions: F1 = 4 / 6
            Instance("cube", disc(100, 70, 9), 0.7),
            Instance("cube", disc(60, 70, 9), 0.6),
            Instance("cube", disc(125, 85, 9), 0.5),
            Instance("cube", particles[2], 0.4),  # 3 of 4, 6 predictions: F1 = 6 / 10
            Instance("cube", particles[3], 0.3),  # 4 of 4, 7 predictions: F1 = 8 / 11
            Instance("cube", disc(60, 85, 4), 0.2),  # 4 of 4, 8 predictions: F1 = 8 / 12 = 4 / 6
        ]
    }

    def chosen(images):
        """By as many copies of the image as val needs to decide."""
        names = [f"copy-{number}" for number in range(DECISIVE_GROUPS)]
        val = apart(make_eval_set(dict.fromkeys(names, eval_set.truth["one"]), "val"))
        return choose_operating_point(val, make_predictions(val, dict.fromkeys(names, images["one"]))).confidence

    assert chosen(images) == pytest.approx(0.25)
    without_last = {"one": [one for one in images["one"] if one.score not in {0.4, 0.3}]}
    without_last["one"] += [Instance("cube", particles[2], 0.1), Instance("cube", particles[3], 0.1)]
    predictions = make_predictions(eval_set, without_last)
    assert f1_at(eval_set, predictions, 0.8) == f1_at(eval_set, predictions, 0.1)
    assert chosen(without_last) == pytest.approx(0.75)


def test_wrong_class_counts_as_found(make_eval_set, make_predictions, disc):
    truth = {name: [Instance("cube", disc(60, 50, 20))] for name in "ab"}
    eval_set = apart(make_eval_set(truth, "val"))
    found = {name: [Instance("sphere", disc(60, 50, 20), 0.9), Instance("cube", disc(20, 20, 9), 0.5)] for name in "ab"}
    assert choose_operating_point(eval_set, make_predictions(eval_set, found)).confidence == pytest.approx(0.7)


def test_as_far_from_what_is_wrong_as_from_what_is_right(make_eval_set, make_predictions, grid):
    """The lowest score of a hit would leave out every particle of a new image that is scored a little lower."""
    truth = {name: [Instance("cube", grid(0)), Instance("cube", grid(3))] for name in "abc"}
    found = {
        name: [Instance("cube", grid(0), 0.9), Instance("cube", grid(3), score), Instance("cube", grid(12, 4), 0.1)]
        for name, score in (("a", 0.684), ("b", 0.7), ("c", 0.8))
    }
    eval_set = apart(make_eval_set(truth, "val"))
    point = choose_operating_point(eval_set, make_predictions(eval_set, found))
    assert (point.source, point.confidence) == ("val", pytest.approx((0.684 + 0.1) / 2))
    assert (point.flat_lo, point.flat_hi) == (0.1, 0.684)


@pytest.mark.parametrize(("ranks_only", "default"), [(False, DEFAULT_CONFIDENCE), (True, EVERY_PARTICLE)])
def test_nothing_hit_is_the_default_and_says_so(make_eval_set, make_predictions, disc, ranks_only, default):
    eval_set = make_eval_set({"one": [Instance("cube", disc(60, 50, 20))]}, "val")
    for found in ([], [Instance("cube", disc(20, 20, 5), 0.99)]):
        predictions = make_predictions(eval_set, {"one": found}, has_confidence=not ranks_only)
        point = choose_operating_point(eval_set, predictions)
        assert (point.confidence, point.source) == (default, "default")
        assert point.reason == "no prediction hits one of the 1 particles of val"
        assert point.lo is point.hi is point.flat_lo is None
        assert point.f1 == 0


def test_val_without_particles_and_of_one_group_cannot_decide(make_eval_set, make_predictions, disc):
    empty = make_eval_set({"one": []}, "val")
    found = {"one": [Instance("cube", disc(60, 50, 20), 0.9)]}
    point = choose_operating_point(empty, make_predictions(empty, found))
    assert (point.source, point.reason, point.particles) == ("default", "val has no particle", 0)
    one_group = make_eval_set({"one": [Instance("cube", disc(60, 50, 20))]}, "val")
    point = choose_operating_point(one_group, make_predictions(one_group, found))
    assert (point.source, point.confidence) == ("default", DEFAULT_CONFIDENCE)
    assert "one source group" in point.reason


def test_a_few_groups_have_to_agree(make_eval_set, make_predictions, grid):
    """Of three micrographs one is right at 0.9 and the others at 0.6: what any two choose fails on the third."""
    truth, found = {}, {}
    for name, high in (("a", 0.9), ("b", 0.6), ("c", 0.3)):
        truth[name] = [Instance("cube", grid(place)) for place in range(4)]
        found[name] = [Instance("cube", grid(place), high) for place in range(4)]
        found[name] += [Instance("cube", grid(5 + place, 5), high - 0.1) for place in range(13)]
    eval_set = apart(make_eval_set(truth, "val"))
    ranks = make_predictions(eval_set, found, has_confidence=False)
    point = choose_operating_point(eval_set, ranks)
    literal = [0, 0]
    for name in eval_set.images:
        others = [other for other in eval_set.images if other != name]
        confidence = best_by_trying(eval_set, ranks, others)
        hits, predicted, _ = counts_at(eval_set, ranks, confidence, [name])
        literal = [literal[0] + hits, literal[1] + predicted]
    left_out = 2 * literal[0] / (literal[1] + 12)
    everything = f1_at(eval_set, ranks, 0.0)
    assert left_out < everything
    assert (point.confidence, point.source) == (EVERY_PARTICLE, "default")
    assert f"F1 {left_out:.3f} on the one left out, the default {everything:.3f}" in point.reason
    assert point.f1 == pytest.approx(everything)
    assert point.lo < 0.5 < point.hi  # and how far they are apart is told


@pytest.mark.parametrize(
    ("groups", "source", "confidence"),
    [(DECISIVE_GROUPS - 2, "default", DEFAULT_CONFIDENCE), (DECISIVE_GROUPS, "val", pytest.approx(0.85))],
)
def test_from_a_number_of_groups_on_val_decides(make_eval_set, make_predictions, grid, groups, source, confidence):
    """Half the micrographs want a high confidence and half a low one: without one of them the others always win."""
    truth, found = {}, {}
    for number in range(groups):
        name, particles = f"image-{number}", [grid(place) for place in range(4)]
        truth[name] = [Instance("cube", region) for region in particles]
        found[name] = [Instance("cube", region, 0.9 if number % 2 else 0.3) for region in particles]
        if number % 2:
            found[name] += [Instance("cube", grid(5 + place, 5), 0.8) for place in range(8)]
    eval_set = apart(make_eval_set(truth, "val"))
    predictions = make_predictions(eval_set, found)
    assert f1_at(eval_set, predictions, 0.9) == f1_at(eval_set, predictions, 0.3) == pytest.approx(2 / 3)
    point = choose_operating_point(eval_set, predictions)
    assert (point.source, point.confidence) == (source, confidence)
    assert (point.reason == "") == (source == "val")


def test_a_model_that_is_too_modest_for_the_default_is_served_by_three_images(make_eval_set, make_predictions, grid):
    """A short training scores its particles at 0.05; at the default nothing would be left."""
    truth = {name: [Instance("cube", grid(place)) for place in range(3)] for name in "abc"}
    found = {
        name: [Instance("cube", grid(place), 0.05) for place in range(3)] + [Instance("cube", grid(9, 5), 0.01)]
        for name in "abc"
    }
    eval_set = apart(make_eval_set(truth, "val"))
    point = choose_operating_point(eval_set, make_predictions(eval_set, found))
    assert (point.source, point.confidence, point.f1) == ("val", pytest.approx(0.03), 1)


def test_flat_and_sure_are_told_apart(make_eval_set, make_predictions, make_truth, noisy):
    """Both by trying: the confidences whose F1 is as good, and the choices of resampled groups."""
    rng = np.random.default_rng(11)
    truth = make_truth(rng, images=DECISIVE_GROUPS)
    eval_set = apart(make_eval_set(truth, "val"))
    predictions = make_predictions(eval_set, noisy(rng, truth))
    point = choose_operating_point(eval_set, predictions)
    least, most = point.flat_lo, point.flat_hi
    assert least < point.confidence <= most
    for confidence in np.linspace(least + 1e-6, most, 9):
        assert f1_at(eval_set, predictions, confidence) >= point.f1 - FLAT - 1e-12
    for confidence in (least, most + 1e-6):
        assert f1_at(eval_set, predictions, confidence) < point.f1 - FLAT
    draws = np.random.default_rng(0).multinomial(DECISIVE_GROUPS, [1 / DECISIVE_GROUPS] * DECISIVE_GROUPS, size=1000)
    choices = []
    for row in draws[:40]:
        drawn = [name for name, times in zip(eval_set.images, row, strict=True) for _ in range(times)]
        copies = {f"{number}": name for number, name in enumerate(drawn)}
        val = apart(make_eval_set({copy: truth[name] for copy, name in copies.items()}, "val"))
        again = make_predictions(val, {copy: predictions.images[name] for copy, name in copies.items()})
        choices.append(best_by_trying(val, again, val.images))
    # 40 of the 1,000 resamples lie where the interval says, but for one or two in twenty.
    assert np.mean([point.lo <= choice <= point.hi for choice in choices]) >= 0.85
    assert choose_operating_point(eval_set, predictions) == point


@pytest.mark.parametrize("name", ["test", "ood"])
def test_choosing_on_a_published_set_is_refused(make_eval_set, make_predictions, make_truth, perfect, name):
    eval_set = make_eval_set(make_truth(np.random.default_rng(0)), name)
    with pytest.raises(PredictionsError, match=f"chosen on 'val', not on '{name}'"):
        choose_operating_point(eval_set, make_predictions(eval_set, perfect(eval_set.truth)))


def test_the_rule_names_its_numbers():
    assert f"fewer than {DECISIVE_GROUPS} source groups" in RULE
    assert f"the default is taken: {DEFAULT_CONFIDENCE}," in RULE
