from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance
from nanoseg_bench.annotations.raster import area, bounding_box, mask_to_rle, rle_to_mask, window_to_rle
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.eval_sets import EvalSet
from nanoseg_bench.evaluation.marks import COLUMNS as MARKS_COLUMNS
from nanoseg_bench.evaluation.predictions import Predictions, read_predictions, write_predictions
from nanoseg_bench.evaluation.scoring import evaluate, evaluate_ood
from nanoseg_bench.evaluation.timing import Timing
from nanoseg_bench.metrics.size_distribution import equivalent_diameters
from nanoseg_bench.metrics.table import of_groups

CLASSES = ("cube", "sphere")
AWARE = (
    "map_50_95",
    "map_50_95_lo",
    "map_50_95_hi",
    "map_50",
    "map_50_lo",
    "map_50_hi",
    "map_75",
    "map_50_95_box",
    "map_50_box",
    "map_75_box",
    "pq_aware",
    "sq_aware",
    "rq_aware",
)
NOT_AT_THE_OPERATING_POINT = ("map_", "instances_truth", "max_detections")


def score(*arguments, **options):
    return evaluate(*arguments, **options).scores


def score_ood(*arguments, **options):
    return evaluate_ood(*arguments, **options).scores


def untimed(scores):
    return {name: value for name, value in scores.items() if not name.startswith(("latency", "energy"))}


@pytest.fixture
def eval_set(make_eval_set, make_truth):
    truth = make_truth(np.random.default_rng(0))
    return make_eval_set(truth, nm_per_px={name: 0.5 if index < 3 else None for index, name in enumerate(truth)})


@pytest.fixture
def answer(eval_set, noisy):
    return noisy(np.random.default_rng(1), eval_set.truth)


def test_perfect_answer(eval_set, make_predictions, perfect):
    timing = Timing((3.0, 1.0, 2.0), (0.5, 0.25, 0.5), (2.0, 0.5, 1.0), (0.5, 0.25, 0.5), 4.0)
    result = score(eval_set, make_predictions(eval_set, perfect(eval_set.truth), timing=timing), 0.5)
    # The largest particles have a diameter of 22 px.
    assert result.pop("map_50_95_agnostic_large") is None
    # Nothing is written on these images.
    assert [result.pop(name) for name in MARKS_COLUMNS] == [1.0, 1.0, 0.0]
    for name in ("precision", "recall", "iou_matched", "boundary_iou", "iou_pixel", "dice_pixel", "aji", "ap_unranked"):
        assert result[name] == 1.0, name
    best = [name for name in result if name.startswith(("map_", "f1", "pq", "sq", "rq"))]
    assert len(best) == 22 + 3 + 6
    assert all(result[name] == 1.0 for name in best)
    whole = sum(equivalent_diameters([one.region for one in found]).size for found in eval_set.truth.values())
    assert result.pop("diameter_pairs") == whole
    errors = [name for name in result if "error" in name or "diameter" in name]
    assert len(errors) == 4 + 19 + 8
    assert all(result[name] == 0 for name in errors)
    assert result["ece"] == pytest.approx(0.1)
    assert result["instances_truth"] == result["instances_predicted"] == 56
    assert result["confidence"] == 0.5
    assert result["latency_ms_per_image"] == 2.0
    assert result["latency_pre_ms_per_image"] == result["latency_post_ms_per_image"] == 0.5
    assert result["latency_network_ms_per_image"] == 1.0
    assert result["latency_measurements"] == 3
    assert result["energy_j_per_image"] == 4.0


@pytest.mark.parametrize("particles", [1, 100, 1000])
def test_perfect_answer_whatever_the_density(particles):
    """COCO's limit of 100 detections would give 0.1 at 1,000 particles."""
    grid = [
        Instance(
            CLASSES[cell % 2],
            window_to_rle(np.ones((4, 3 + cell % 3), bool), 7 * (cell % 40), 7 * (cell // 40), 200, 280),
        )
        for cell in range(particles)
    ]
    truth, answer = {"a": grid, "b": grid[::2]}, [Instance(one.label, one.region, 0.9) for one in grid]
    sizes = dict.fromkeys(truth, (280, 200))
    groups = {"a": "a", "b": "b"}
    eval_set = EvalSet("test", "hash", CLASSES, ("a", "b"), truth, sizes, groups, max(100, 2 * particles))
    images = {"a": answer, "b": answer[::2]}
    result = score(eval_set, Predictions("m", "test", "hash", True, CLASSES, images, sizes), 0.5, resamples=20)
    measured = [name for name in result if name.startswith(("map_", "f1", "pq", "rq", "aji", "boundary", "recall"))]
    assert {name: result[name] for name in measured if result[name] is not None} == {
        name: 1.0 for name in measured if not name.endswith(("_medium", "_large", "_marks_excused"))
    }


def test_wrong_classes_cost_only_the_class_aware_columns(eval_set, make_predictions, perfect):
    swapped = {"cube": "sphere", "sphere": "cube"}
    images = {
        name: [Instance(swapped[one.label], one.region, one.score) for one in instances]
        for name, instances in perfect(eval_set.truth).items()
    }
    result = score(eval_set, make_predictions(eval_set, images), 0.5)
    assert result["map_50_95"] == 0
    assert result["map_50_95_agnostic"] == result["f1"] == result["pq"] == 1.0


def test_operating_point_columns_by_literal_loops(eval_set, make_predictions, answer):
    confidence = 0.45
    result = score(eval_set, make_predictions(eval_set, answer), confidence, resamples=10)
    tp = predicted_count = truth_count = both = either = 0
    ious, sizes, sizes_nm, errors, signed_errors = [], ([], []), ([], []), [], []
    for index, name in enumerate(eval_set.images):
        predicted = [one for one in answer[name] if one.score >= confidence]
        predicted.sort(key=lambda one: -one.score)
        truth = eval_set.truth[name]
        masks = [[rle_to_mask(one.region) for one in side] for side in (predicted, truth)]
        # The truth does not overlap, so every prediction has at most one partner; the largest IoU gets it.
        for other in masks[1]:
            values = [(mask & other).sum() / (mask | other).sum() for mask in masks[0]]
            if values and max(values) > 0.5:
                tp += 1
                ious.append(max(values))
        predicted_count += len(predicted)
        truth_count += len(truth)
        errors.append(abs(len(predicted) - len(truth)))
        signed_errors.append(len(predicted) - len(truth))
        unions = [np.logical_or.reduce([np.zeros((100, 140), bool), *side]) for side in masks]
        both += (unions[0] & unions[1]).sum()
        either += (unions[0] | unions[1]).sum()
        for side, instances in enumerate((predicted, truth)):
            for one in instances:
                x, y, width, height = bounding_box(one.region)
                if x > 0 and y > 0 and x + width < 140 and y + height < 100:
                    diameter = 2 * np.sqrt(area(one.region) / np.pi)
                    sizes[side].append(diameter)
                    if index < 3:
                        sizes_nm[side].append(diameter / 2)
    assert 0 < tp < min(predicted_count, truth_count)
    assert result["instances_predicted"] == predicted_count
    assert result["instances_truth"] == truth_count
    assert result["precision"] == pytest.approx(tp / predicted_count)
    assert result["recall"] == pytest.approx(tp / truth_count)
    assert result["f1"] == pytest.approx(2 * tp / (predicted_count + truth_count))
    assert result["iou_matched"] == pytest.approx(np.mean(ious))
    assert result["pq"] == pytest.approx(result["f1"] * np.mean(ious))
    assert result["iou_pixel"] == pytest.approx(both / either)
    assert result["count_error_relative"] == pytest.approx((predicted_count - truth_count) / truth_count)
    assert result["count_error_absolute"] == pytest.approx(np.mean(errors))
    for name, level in (("d10", 0.1), ("median", 0.5), ("d90", 0.9)):
        predicted, truth = (np.quantile(side, level) for side in sizes)
        assert result[f"diameter_{name}_error_relative"] == pytest.approx(predicted / truth - 1)
        predicted, truth = (np.quantile(side, level) for side in sizes_nm)
        assert result[f"diameter_{name}_error_nm"] == pytest.approx(predicted - truth)
    assert result["diameter_w1_px"] == pytest.approx(wasserstein_distance(*sizes))
    assert result["diameter_w1_relative"] == pytest.approx(wasserstein_distance(*sizes) / np.mean(sizes[1]))
    assert result["diameter_w1_nm"] == pytest.approx(wasserstein_distance(*sizes_nm))
    relative = [error / 7 for error in signed_errors]
    assert result["count_error_image_bias"] == pytest.approx(np.median(relative))
    assert result["count_error_image_typical"] == pytest.approx(np.median(np.abs(relative)))


def test_size_errors_of_pairs_by_literal_loops(make_eval_set, make_predictions, disc):
    """Particles drawn too large or too small, one of each image missed, two inventions; one particle is cut."""
    rng = np.random.default_rng(3)
    truth, answer, scales, wrong = {}, {}, {"a": 0.5, "b": None, "c": 4.0}, []
    for name in scales:
        places = [(12 + 28 * column, 14 + 24 * row) for column in range(5) for row in range(4)]
        truth[name] = [Instance("cube", disc(x, y, rng.uniform(6, 10))) for x, y in places]
        truth[name].append(Instance("cube", disc(140, 96, 9)))
        answer[name] = [Instance("cube", disc(x, 70 * row + 15, 3), 0.9) for row, x in ((0, 5), (1, 137))]
        for (x, y), particle in zip([*places[1:], (140, 96)], truth[name][1:], strict=True):
            radius = np.sqrt(area(particle.region) / np.pi) * rng.uniform(0.85, 1.2)
            found = Instance("cube", disc(x, y, radius if x < 140 else 9), 0.8)
            answer[name].append(found)
            masks = [rle_to_mask(each.region).astype(bool) for each in (found, particle)]
            if any(mask[[0, -1]].any() or mask[:, [0, -1]].any() for mask in masks):
                continue
            if (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.5:
                sizes = [2 * np.sqrt(mask.sum() / np.pi) for mask in masks]
                wrong.append((name, sizes[0] - sizes[1], sizes[1]))
    eval_set = make_eval_set(truth, nm_per_px=scales)
    result = score(eval_set, make_predictions(eval_set, answer), 0.5, resamples=0)
    assert result["diameter_pairs"] == len(wrong) and 50 < len(wrong) <= 57
    expected = {
        "": [error / size for _, error, size in wrong],
        "_px": [error for _, error, _ in wrong],
        "_nm": [error * scales[name] for name, error, _ in wrong if scales[name]],
    }
    for unit, errors in expected.items():
        ordered = sorted(errors)
        places = (0.16 * (len(ordered) - 1), 0.5 * (len(ordered) - 1), 0.84 * (len(ordered) - 1))
        low, median, high = (np.interp(place, range(len(ordered)), ordered) for place in places)
        assert result[f"diameter_pair_error_bias{unit}"] == pytest.approx(median) != 0
        assert result[f"diameter_pair_error_spread{unit}"] == pytest.approx((high - low) / 2) != 0


def test_sizes_of_the_few_that_are_found_are_no_size_distribution(make_eval_set, make_predictions, disc):
    """11 of 24 particles, each drawn exactly, and by chance of the true median size; with one more it is half."""
    radii = [5, 6, 7, 8] * 6
    discs = [disc(12 + 22 * (index % 6), 12.5 + 24 * (index // 6), radius) for index, radius in enumerate(radii)]
    truth = {"a": [Instance("cube", one) for one in discs], "b": []}
    eval_set = make_eval_set(truth, groups={"a": "a", "b": "b"}, nm_per_px={"a": 2.0, "b": None})

    def found(number):
        images = {"a": [Instance("cube", one, 0.9) for one in discs[:number]], "b": []}
        return evaluate(eval_set, make_predictions(eval_set, images), 0.5, resamples=20)

    few, enough = found(11), found(12)
    assert (few.scores["recall"], enough.scores["recall"]) == (11 / 24, 0.5)
    for name in [each.name for each in of_groups("sizes") if each.needs_recall]:
        assert few.scores[name] is None and enough.scores[name] == pytest.approx(0, abs=1e-9), name
    assert few.scores["diameter_median_error_relative_lo"] is None
    assert (
        "diameter_median_error_relative" not in few.resampled and "diameter_median_error_relative" in enough.resampled
    )
    assert (few.scores["diameter_pairs"], few.scores["diameter_pair_error_bias"]) == (11, 0)
    assert few.scores["count_error_relative"] == pytest.approx(-13 / 24)
    one = found(1).scores
    assert one["diameter_pairs"] == 1
    assert one["diameter_pair_error_bias"] is one["diameter_pair_error_spread"] is one["diameter_w1_px"] is None


def test_pooled_predictions_have_an_operating_point_for_each_image(eval_set, make_predictions, answer):
    """Of images that other trainings predicted: the same as leaving out beforehand what lies below."""
    own = {name: 0.3 if index % 2 else 0.6 for index, name in enumerate(eval_set.images)}
    result = evaluate(eval_set, make_predictions(eval_set, answer), own, resamples=20)
    cut = {name: [one for one in found if one.score >= own[name]] for name, found in answer.items()}
    literal = evaluate(eval_set, make_predictions(eval_set, cut), 0.0, resamples=20)
    assert result.scores["confidence"] == pytest.approx(0.45)
    for name, value in literal.scores.items():
        if not name.startswith(("map_", "confidence")):
            assert result.scores[name] == value, name
    assert result.scores["map_50_95"] > literal.scores["map_50_95"]  # AP takes all of them


def test_no_confidence_leaves_its_columns_empty(eval_set, make_predictions, answer):
    with_confidence = untimed(score(eval_set, make_predictions(eval_set, answer), 0.4, resamples=10))
    without = untimed(score(eval_set, make_predictions(eval_set, answer), None, resamples=10))
    assert list(without) == list(with_confidence)
    assert {name for name, value in with_confidence.items() if value is None} == {"map_50_95_agnostic_large"}
    for name, value in without.items():
        if name.startswith(NOT_AT_THE_OPERATING_POINT):
            assert value == with_confidence[name]
        else:
            assert value is None, name


def test_class_less_model_has_no_class_aware_columns(eval_set, make_predictions, answer):
    nameless = {name: [Instance(None, one.region, one.score) for one in found] for name, found in answer.items()}
    named = evaluate(eval_set, make_predictions(eval_set, answer), 0.4)
    result = evaluate(eval_set, make_predictions(eval_set, nameless, knows_classes=False), 0.4)
    assert all(result.scores[name] is None and named.scores[name] is not None for name in AWARE)
    assert {name: value for name, value in result.scores.items() if name not in AWARE} == {
        name: value for name, value in named.scores.items() if name not in AWARE
    }
    assert set(named.resampled) - set(result.resampled) == {"map_50_95", "map_50"}
    assert result.details.classes == {}
    assert result.details.confusion is None
    assert result.details.precision_at_recall == named.details.precision_at_recall


def test_scores_that_only_rank_are_not_called_calibrated(eval_set, make_predictions, answer):
    result = evaluate(eval_set, make_predictions(eval_set, answer, has_confidence=False), 0.4, resamples=0)
    assert result.scores["ece"] is None
    assert result.details.reliability is None
    assert result.scores["f1"] is not None


def test_interval_holds_the_estimate_and_depends_on_the_seed_alone(eval_set, make_predictions, answer):
    apart = replace(eval_set, source_groups={name: name for name in eval_set.images})
    predictions = make_predictions(apart, answer)
    first, again = (score(apart, predictions, 0.4, resamples=200) for _ in range(2))
    other = score(apart, predictions, 0.4, resamples=200, seed=1)
    assert first == again
    for suffix in ("", "_agnostic"):
        name = f"map_50_95{suffix}"
        assert first[f"{name}_lo"] < first[name] < first[f"{name}_hi"]
        assert first[name] == other[name]
        assert first[f"{name}_lo"] != other[f"{name}_lo"]


def test_interval_draws_groups_not_images(eval_set, make_predictions, answer):
    """Eight images in two groups: only three different resamples exist."""
    groups = {name: "even" if index % 2 == 0 else "odd" for index, name in enumerate(eval_set.images)}
    two = replace(eval_set, source_groups=groups)
    result = score(two, make_predictions(two, answer), 0.4)
    halves = []
    for group in ("even", "odd"):
        names = tuple(name for name in two.images if groups[name] == group)
        sizes = {name: two.sizes[name] for name in names}
        half = replace(two, images=names, truth={name: two.truth[name] for name in names}, sizes=sizes)
        images = {name: answer[name] for name in names}
        halves.append(score(half, make_predictions(half, images), 0.4)["map_50_95_agnostic"])
    interval = result["map_50_95_agnostic_lo"], result["map_50_95_agnostic_hi"]
    assert interval == pytest.approx((min(halves), max(halves)))


def test_one_source_group_has_no_interval(make_eval_set, make_truth, make_predictions, noisy):
    truth = make_truth(np.random.default_rng(0))
    eval_set = make_eval_set(truth, groups=dict.fromkeys(truth, "one"))
    result = score(eval_set, make_predictions(eval_set, noisy(np.random.default_rng(1), truth)), 0.4)
    assert result["map_50_95"] is not None
    assert result["map_50_95_lo"] is None
    assert result["map_50_95_hi"] is None


def test_no_prediction_at_all(eval_set, make_predictions):
    result = score(eval_set, make_predictions(eval_set, {name: [] for name in eval_set.images}), 0.5)
    assert result["map_50_95"] == result["map_50_95_hi"] == result["map_50_agnostic"] == 0
    assert result["recall"] == result["f1"] == result["pq"] == result["iou_pixel"] == 0
    assert result["aji"] == result["ap_unranked"] == result["instances_predicted"] == 0
    assert result["f1_lo"] == result["f1_hi"] == 0
    for name in ("precision", "iou_matched", "boundary_iou", "ece", "diameter_w1_px", "diameter_median_error_relative"):
        assert result[name] is None, name
    assert result["count_error_relative"] == result["count_error_image_bias"] == -1
    assert result["diameter_images_unanswered"] == 8


def test_truth_without_particles(make_eval_set, make_predictions, disc):
    eval_set = make_eval_set({"one": [], "two": [], "three": []})
    images = {"one": [Instance("cube", disc(50, 50, 9), 0.9)], "two": [], "three": []}
    result = score(eval_set, make_predictions(eval_set, images), 0.5)
    assert result["map_50_95"] is None
    assert result["map_50_95_agnostic_lo"] is None
    assert result["precision"] == result["iou_pixel"] == 0
    assert result["recall"] is None
    assert result["count_error_relative"] is None


def test_what_lies_in_an_ignore_region_changes_nothing(eval_set, make_eval_set, make_predictions, answer, disc):
    """A region far from everything, and predictions in it, beside the same data without both."""
    plain = score(eval_set, make_predictions(eval_set, answer), 0.4, resamples=10)
    truth = {name: [*instances, Instance(IGNORE_LABEL, disc(70, 50, 1))] for name, instances in eval_set.truth.items()}
    truth["image-9"] = [Instance(IGNORE_LABEL, disc(70, 50, 40))]
    images = {**answer, "image-9": [Instance("cube", disc(70, 50, 20), 0.99)]}
    # The new image joins a group of its own, so only the intervals may move.
    groups = {**eval_set.source_groups, "image-9": "other"}
    scales = {**eval_set.nm_per_px, "image-9": None}
    busy_set = make_eval_set(truth, groups=groups, nm_per_px=scales)
    busy = score(busy_set, make_predictions(busy_set, images), 0.4, resamples=10)
    per_image = {"count_error_absolute"}
    near = {"iou_pixel", "dice_pixel"}
    same = [name for name in plain if not name.endswith(("_lo", "_hi")) and name not in per_image | near]
    assert {name: busy[name] for name in same} == {name: plain[name] for name in same}
    for name in near:
        assert busy[name] == pytest.approx(plain[name], abs=0.002)  # the 4 px regions


def test_scores_survive_the_predictions_file(tmp_path, eval_set, make_predictions, noisy):
    predictions = make_predictions(eval_set, noisy(np.random.default_rng(5), eval_set.truth, decimals=17))
    write_predictions(tmp_path / "p.json.gz", predictions)
    assert evaluate(eval_set, read_predictions(tmp_path / "p.json.gz"), 0.4, resamples=50) == evaluate(
        eval_set, predictions, 0.4, resamples=50
    )


def test_missing_image_is_refused(eval_set, make_predictions, answer):
    del answer["image-4"]
    with pytest.raises(PredictionsError, match=r"lack 1 image: image-4"):
        score(eval_set, make_predictions(eval_set, answer), 0.4)
    with pytest.raises(PredictionsError, match=r"lack 1 image: image-4"):
        score_ood(eval_set, make_predictions(eval_set, answer), 0.4)


@pytest.fixture
def ood(make_eval_set, disc):
    """Four triangles and two pentagons, by label or by the image's attribute."""
    truth = {
        "t": [Instance("triangle", disc(20 + 30 * index, 30, 10)) for index in range(4)],
        "p": [Instance("particle", disc(20, 30, 10)), Instance("particle", disc(60, 30, 10))],
    }
    return make_eval_set(truth, "ood", attributes={"p": {"ood_shape": "pentagon"}})


@pytest.fixture
def ood_answer(ood):
    (first, second, third, _), (fourth, _) = ood.truth["t"], ood.truth["p"]
    return {
        "t": [
            Instance("cube", first.region, 0.8),
            Instance("sphere", first.region, 0.9),  # a second answer to the same particle finds nothing more
            Instance("cube", second.region, 0.5),
            Instance("cube", third.region, 0.01),
        ],
        "p": [Instance("sphere", fourth.region, 0.3)],
    }


def test_detection_rates_by_shape_and_confidence(ood, make_predictions, ood_answer):
    result = score_ood(ood, make_predictions(ood, ood_answer), 0.25)
    assert [result[f"detection_rate_triangle_{level}"] for level in (25, 50, 75)] == [0.5, 0.5, 0.25]
    assert [result[f"detection_rate_pentagon_{level}"] for level in (25, 50, 75)] == [0.5, 0, 0]
    assert [result[f"detection_rate_{level}"] for level in (25, 50, 75)] == [3 / 6, 2 / 6, 1 / 6]
    assert [result[f"detection_rate{shape}"] for shape in ("", "_triangle", "_pentagon")] == [None] * 3
    assert result["instances_truth"] == 6
    assert 0 < result["map_50_agnostic"] < 1


def test_scores_that_only_rank_have_no_threshold(ood, make_predictions, ood_answer):
    result = score_ood(ood, make_predictions(ood, ood_answer, knows_classes=False, has_confidence=False), 0.25)
    assert result["detection_rate_triangle"] == 0.75
    assert result["detection_rate_pentagon"] == 0.5
    assert result["detection_rate"] == pytest.approx(4 / 6)
    assert all(value is None for name, value in result.items() if name.endswith(("_25", "_50", "_75")))


def test_half_an_overlap_is_a_detection(make_eval_set, make_predictions):
    particle, half, less = np.zeros((100, 140)), np.zeros((100, 140)), np.zeros((100, 140))
    particle[10:30, 10:30] = half[10:20, 10:30] = less[10:19, 10:30] = 1
    ood = make_eval_set({"one": [Instance("triangle", mask_to_rle(particle))]}, "ood")
    for mask, rate in ((half, 1.0), (less, 0.0)):
        found = make_predictions(ood, {"one": [Instance("cube", mask_to_rle(mask), 0.9)]})
        assert score_ood(ood, found, None)["detection_rate_triangle_75"] == rate


def test_no_pentagon_in_the_set(make_eval_set, make_predictions, disc):
    ood = make_eval_set({"one": [Instance("triangle", disc(50, 50, 9))]}, "ood")
    result = score_ood(ood, make_predictions(ood, {"one": []}), 0.25)
    assert result["detection_rate_triangle_50"] == 0
    assert result["detection_rate_pentagon_50"] is None
