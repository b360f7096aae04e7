import cv2
import numpy as np
import pytest

from nanoseg_bench.measure.morphology import measure_mask
from nanoseg_bench.measure.shape_names.forms import NAMES, draw_form
from nanoseg_bench.measure.shape_names.namer import OTHER, shipped_namer, with_products
from nanoseg_bench.measure.shape_names.silhouettes import draw_silhouette
from nanoseg_bench.measure.shape_names.training import (
    HELD_OUT,
    LEAST_CERTAINTY,
    described,
    draw_silhouettes,
    fit_namer,
)


@pytest.fixture(scope="module")
def held_out():
    return described(draw_silhouettes(60, HELD_OUT), main_part=True)


def test_silhouettes_are_large_enough_and_the_same_each_time():
    first, again = (list(draw_silhouettes(5, HELD_OUT)) for _ in range(2))
    assert [each.name for each in first] == [name for name in NAMES for _ in range(5)]
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first, again, strict=True))
    assert min(np.sqrt(4 * each.mask.sum() / np.pi) for each in first) >= 20


def test_rendered_outlines_get_their_names_and_few_a_wrong_one(held_out):
    descriptors, names = held_out
    found = np.array([NAMES.index(each.name) for each in shipped_namer().name(list(descriptors))])
    other = NAMES.index(OTHER)
    whole = names != other
    assert np.mean(found[whole] == names[whole]) > 0.93
    assert np.mean((found != names)[whole & (found != other)]) < 0.03
    assert np.mean(found[~whole] == other) > 0.7


def test_certainties_are_as_often_right_as_they_say(held_out):
    """Expected calibration error, in five bins of equal numbers (Naeini et al., 2015)."""
    descriptors, names = held_out
    probabilities = shipped_namer().probabilities(descriptors)
    certainty, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == names
    bins = np.array_split(np.argsort(certainty), 5)
    assert np.mean([abs(certainty[each].mean() - right[each].mean()) for each in bins]) < 0.04


def test_a_small_budget_fits_the_same_namer_each_time_and_a_useful_one(held_out):
    pytest.importorskip("sklearn")
    descriptors, names = held_out
    first, again = fit_namer(40), fit_namer(40)
    assert np.array_equal(first.weights, again.weights)
    assert first.least_certainty == LEAST_CERTAINTY
    assert np.mean(first.probabilities(descriptors).argmax(axis=1) == names) > 0.8


def test_probabilities_are_those_of_scikit_learn(held_out):
    linear_model = pytest.importorskip("sklearn.linear_model")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    descriptors, _ = held_out
    namer = shipped_namer()
    reference = linear_model.LogisticRegression()
    reference.classes_ = np.arange(len(NAMES))
    reference.coef_, reference.intercept_ = namer.weights, namer.intercepts
    standard = (np.clip(descriptors, namer.low, namer.high) - namer.mean) / namer.scale
    features = preprocessing.PolynomialFeatures(2, include_bias=False).fit_transform(standard)
    assert np.allclose(features, with_products(standard))
    assert np.allclose(reference.predict_proba(features), namer.probabilities(descriptors))


@pytest.mark.slow
def test_the_shipped_numbers_come_out_of_the_training_again(held_out):
    pytest.importorskip("sklearn")
    descriptors, _ = held_out
    again, shipped = fit_namer(4000), shipped_namer()
    assert shipped.least_certainty == LEAST_CERTAINTY
    assert np.allclose(again.mean, shipped.mean, rtol=1e-4, atol=1e-6)
    assert np.abs(again.probabilities(descriptors) - shipped.probabilities(descriptors)).max() < 0.01


def test_silhouettes_are_torn_as_often_as_not():
    """Discs on the edge make it longer than that of its hull; a sphere alone has no hollow."""
    convexities = [
        measure_mask(draw_silhouette("sphere", np.random.default_rng(seed)).mask).convexity for seed in range(80)
    ]
    assert 0.2 < np.mean(np.array(convexities) < 0.98) < 0.6


def test_rods_are_half_as_long_again_as_wide_or_more_and_most_of_them_short():
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(200):
        points = draw_form("rod", rng).outline
        width, height = cv2.minAreaRect(points.astype(np.float32))[1]
        ratios.append(max(width, height) / min(width, height))
    assert np.quantile(ratios, 0.02) > 1.25
    assert 0.35 < np.mean(np.array(ratios) < 3) < 0.6


def test_what_is_other_is_of_many_kinds():
    solidities = [
        each.mask.sum() / (np.ptp(np.nonzero(each.mask), axis=1) + 1).prod()
        for each in (draw_silhouette(OTHER, np.random.default_rng(seed)) for seed in range(60))
    ]
    assert np.ptp(solidities) > 0.5
