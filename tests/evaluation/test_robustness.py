"""What the choice of the corrupted images leaves open; the predictions themselves are in ``tests/cli``."""

from dataclasses import replace

import numpy as np
import pytest

from nanoseg_bench.evaluation.robustness import CONDITIONS, corrupted_hash, evaluate_robustness
from nanoseg_bench.evaluation.strata import answers_to, part_of


@pytest.fixture
def clean(make_eval_set, make_truth):
    return make_eval_set(make_truth(np.random.default_rng(0), images=4))  # two source groups


@pytest.fixture
def answers(clean, make_predictions, noisy):
    """To the clean images, and under every condition another answer."""
    return {
        name: make_predictions(clean, noisy(np.random.default_rng(number), clean.truth, decimals=17))
        for number, name in enumerate(("test", *(condition.name for condition in CONDITIONS)))
    }


def evaluated(clean, answers, **options):
    def predictions_for(condition):
        found = answers_to(answers[condition.name], clean.images)
        return replace(found, eval_set=condition.name, set_hash=corrupted_hash(clean, condition))

    return evaluate_robustness(clean, answers["test"], predictions_for, 0.5, **options)


def test_resampled_values_are_those_of_the_groups_that_were_drawn(clean, answers):
    """Two groups are drawn as one of them twice, or as both: three sets that can be judged by themselves."""
    group = dict(clean.source_groups)
    parts = [[name for name in clean.images if group[name] == wanted] for wanted in sorted(set(group.values()))]
    assert len(parts) == 2
    drawn = [evaluated(part_of(clean, names), answers, resamples=0).scores for names in (*parts, clean.images)]
    evaluation = evaluated(clean, answers, resamples=60)
    for metric in ("map_50_95_agnostic_corrupted", "degradation"):
        wanted = sorted(scores[metric] for scores in drawn)
        assert sorted(set(evaluation.resampled[metric])) == pytest.approx(wanted, abs=1e-6)
        assert evaluation.scores[f"{metric}_lo"] == pytest.approx(wanted[0], abs=1e-6)
        assert evaluation.scores[f"{metric}_hi"] == pytest.approx(wanted[-1], abs=1e-6)


def test_one_source_group_says_nothing_of_others(clean, answers):
    one = replace(clean, source_groups=dict.fromkeys(clean.images, "the only one"))
    evaluation = evaluated(one, answers)
    assert not evaluation.resampled
    assert evaluation.scores["map_50_95_agnostic_corrupted"] > 0
    assert evaluation.scores["map_50_95_agnostic_corrupted_lo"] is None
    assert evaluation.scores["degradation_hi"] is None
