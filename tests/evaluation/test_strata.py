import numpy as np
import pytest

from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.scoring import evaluate
from nanoseg_bench.evaluation.strata import UNKNOWN_MODALITY, answers_to, part_of, strata
from nanoseg_bench.evaluation.timing import Timing


@pytest.fixture
def eval_set(make_eval_set, make_truth):
    truth = make_truth(np.random.default_rng(0), images=6)
    modality = {"image-0": "SE-SEM", "image-2": "BF-TEM", "image-3": "SE-SEM", "image-4": "HRTEM"}
    return make_eval_set(
        truth,
        nm_per_px=dict.fromkeys(truth, 0.5),
        attributes={name: {"modality": value} for name, value in modality.items()} | {"image-5": {"specimen": "a"}},
    )


def test_every_image_lies_in_one_stratum(eval_set):
    found = strata(eval_set)
    assert list(found) == ["BF-TEM", "HRTEM", "SE-SEM", UNKNOWN_MODALITY]
    assert found["SE-SEM"] == ("image-0", "image-3")
    assert found[UNKNOWN_MODALITY] == ("image-1", "image-5")
    assert sorted(name for names in found.values() for name in names) == sorted(eval_set.images)


def test_nothing_known_is_one_stratum(make_eval_set, make_truth):
    eval_set = make_eval_set(make_truth(np.random.default_rng(0), images=3))
    assert strata(eval_set) == {UNKNOWN_MODALITY: eval_set.images}


def test_part_is_scored_as_if_the_rest_did_not_exist(eval_set, make_eval_set, make_predictions, noisy):
    images = noisy(np.random.default_rng(1), eval_set.truth)
    predictions = make_predictions(eval_set, images, timing=Timing((1.0, 2.0, 3.0)))
    names = ("image-3", "image-0")
    part, answers = part_of(eval_set, names), answers_to(predictions, names)
    assert part.images == ("image-0", "image-3")
    assert part.max_detections == eval_set.max_detections
    for known in ("truth", "sizes", "source_groups", "nm_per_px", "attributes", "marks"):
        assert set(getattr(part, known)) == set(part.images), known
    truth = {name: eval_set.truth[name] for name in part.images}
    alone = make_eval_set(
        truth,
        groups={name: eval_set.source_groups[name] for name in truth},
        nm_per_px=dict.fromkeys(truth, 0.5),
        attributes={name: {"modality": "SE-SEM"} for name in truth},
    )
    theirs = make_predictions(alone, {name: images[name] for name in truth})
    assert evaluate(part, answers, 0.4, resamples=10) == evaluate(alone, theirs, 0.4, resamples=10)


def test_a_latency_is_the_whole_sets_and_missing_answers_stay_missing(eval_set, make_predictions, perfect):
    images = perfect(eval_set.truth)
    del images["image-3"]
    answers = answers_to(make_predictions(eval_set, images, timing=Timing((1.0,))), ("image-0", "image-3"))
    assert answers.timing is None
    with pytest.raises(PredictionsError, match=r"lack 1 image: image-3"):
        evaluate(part_of(eval_set, ("image-0", "image-3")), answers, 0.4)


def test_the_row_of_a_modality_is_that_of_its_images_alone(eval_set, make_predictions, noisy):
    predictions = make_predictions(eval_set, noisy(np.random.default_rng(1), eval_set.truth))
    rows = evaluate(eval_set, predictions, 0.4, resamples=0).details.modalities
    assert list(rows) == ["BF-TEM", "HRTEM", "SE-SEM", UNKNOWN_MODALITY]
    assert [row["images"] for row in rows.values()] == [1, 1, 2, 2]
    for modality, names in strata(eval_set).items():
        alone = evaluate(part_of(eval_set, names), answers_to(predictions, names), 0.4, resamples=0).scores
        measured = {name: alone[name] for name in rows[modality] if name != "images"}
        assert rows[modality] == {"images": len(names), **measured}
    assert rows["SE-SEM"]["instances_truth"] == 14


def test_without_any_known_modality_there_are_no_rows(make_eval_set, make_truth, make_predictions, perfect):
    truth = make_truth(np.random.default_rng(0), images=3)
    eval_set = make_eval_set(truth)
    assert evaluate(eval_set, make_predictions(eval_set, perfect(truth)), 0.4).details.modalities == {}
