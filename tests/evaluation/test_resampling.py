from dataclasses import replace

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.evaluation.comparison import compare_with_truth
from nanoseg_bench.evaluation.resampling import draw, intervals, kept_samples, resample, resample_ood
from nanoseg_bench.evaluation.scoring import RESAMPLED, evaluate

RESAMPLES = 40


@pytest.fixture
def eval_set(make_eval_set, make_truth):
    return make_eval_set(make_truth(np.random.default_rng(0)))


@pytest.fixture
def comparison(eval_set, make_predictions, noisy):
    return compare_with_truth(
        eval_set, make_predictions(eval_set, noisy(np.random.default_rng(1), eval_set.truth, decimals=17)), 0.4
    )


def repeated(eval_set, predictions, weights):
    """The resampled eval set itself: every image as often as its group was drawn."""
    times = dict(zip(sorted(set(eval_set.source_groups.values())), weights, strict=True))
    names = [name for name in eval_set.images for _ in range(int(times[eval_set.source_groups[name]]))]
    copies = {f"{number}": name for number, name in enumerate(names)}

    def renamed(values):
        return {copy: values[name] for copy, name in copies.items()}

    return (
        replace(
            eval_set,
            images=tuple(copies),
            truth=renamed(eval_set.truth),
            sizes=renamed(eval_set.sizes),
            source_groups=renamed(eval_set.source_groups),
        ),
        replace(predictions, images=renamed(predictions.images), sizes=renamed(predictions.sizes)),
    )


def test_every_value_is_the_score_of_the_resampled_set(eval_set, comparison):
    draws = draw(eval_set, RESAMPLES, 0)
    samples = resample(comparison, draws)
    assert tuple(samples) == RESAMPLED
    for number in (0, 7, RESAMPLES - 1):
        literal = repeated(eval_set, comparison.predictions, draws.weights[number])
        scores = evaluate(*literal, 0.4, resamples=0).scores
        for metric, values in samples.items():
            assert values[number] == pytest.approx(scores[metric], abs=1e-9), metric


def test_the_draws_are_those_of_every_model(eval_set):
    first, again = draw(eval_set, RESAMPLES, 0), draw(eval_set, RESAMPLES, 0)
    assert (first.weights == again.weights).all()
    assert (first.weights.sum(axis=1) == 4).all()
    assert (draw(eval_set, RESAMPLES, 1).weights != first.weights).any()
    assert first.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_models_are_paired(eval_set, make_predictions, noisy):
    """A model that finds a little less in every image is worse in every resample, though the intervals overlap."""
    images = noisy(np.random.default_rng(1), eval_set.truth)
    worse = {
        name: [one for one in found if one is not max(found, key=lambda each: each.score)]
        for name, found in images.items()
    }
    better, other = (
        evaluate(eval_set, make_predictions(eval_set, each), 0.0, resamples=200) for each in (images, worse)
    )
    pairs = zip(better.resampled["map_50_95_agnostic"], other.resampled["map_50_95_agnostic"], strict=True)
    assert all(one > two for one, two in pairs)
    assert better.scores["map_50_95_agnostic_lo"] < other.scores["map_50_95_agnostic_hi"]


def test_kept_samples_give_the_published_interval(comparison, eval_set):
    samples = resample(comparison, draw(eval_set, 500, 0))
    kept = kept_samples(samples)
    published = intervals(samples, ("f1", "map_50_95"))
    assert len(kept["f1"]) == 500
    for metric in ("f1", "map_50_95"):
        lo, hi = np.percentile(np.array(kept[metric]), [2.5, 97.5])
        assert (published[f"{metric}_lo"], published[f"{metric}_hi"]) == pytest.approx((lo, hi), abs=1e-6)


def test_what_was_not_measured_has_no_interval(eval_set, make_predictions, perfect):
    nameless = {
        name: [Instance(None, one.region, one.score) for one in found]
        for name, found in perfect(eval_set.truth).items()
    }
    comparison = compare_with_truth(eval_set, make_predictions(eval_set, nameless, knows_classes=False), None)
    samples = resample(comparison, draw(eval_set, 10, 0))
    assert list(samples) == ["map_50_95_agnostic", "map_50_agnostic"]
    assert intervals(samples, ("map_50_95", "f1")) == dict.fromkeys(["map_50_95_lo", "map_50_95_hi", "f1_lo", "f1_hi"])


def test_resamples_without_particles_are_left_out(make_eval_set, make_predictions, make_truth, perfect):
    truth = {
        "image-0": [],
        **{f"image-{n}": one for n, one in enumerate(make_truth(np.random.default_rng(0), 1).values(), 1)},
    }
    eval_set = make_eval_set(truth, groups={"image-0": "empty", "image-1": "full"})
    evaluation = evaluate(eval_set, make_predictions(eval_set, perfect(truth)), 0.5, resamples=60)
    values = evaluation.resampled["map_50_95_agnostic"]
    assert set(values) == {None, 1.0}
    assert evaluation.scores["map_50_95_agnostic_lo"] == 1.0


def test_one_group_is_not_resampled(eval_set):
    one = replace(eval_set, source_groups=dict.fromkeys(eval_set.images, "same"))
    assert draw(one, 100, 0) is None
    assert draw(eval_set, 0, 0) is None


def test_ood_resamples_ap_at_half_an_overlap(eval_set, comparison):
    draws = draw(eval_set, RESAMPLES, 0)
    samples = resample_ood(comparison, draws)
    assert list(samples) == ["map_50_agnostic"]
    for number in (1, 20):
        literal = repeated(eval_set, comparison.predictions, draws.weights[number])
        expected = evaluate(*literal, None, resamples=0).scores["map_50_agnostic"]
        assert samples["map_50_agnostic"][number] == pytest.approx(expected, abs=1e-9)
