import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance
from nanoseg_bench.annotations.raster import area, mask_to_rle, to_coco
from nanoseg_bench.metrics.average_precision import (
    IGNORED,
    average_precision,
    match_detections,
    resampled_map,
    resampled_precision,
)
from nanoseg_bench.metrics.matching import image_overlap


def coco_precision(scenes, classes, max_detections, aware):
    """(10, 101, classes) precision of pycocotools itself."""
    categories = [{"id": number, "name": name} for number, name in enumerate(classes if aware else ["any"], start=1)]
    images, annotations, results = [], [], []

    def numbers(label):
        if not aware:
            return [1]
        return range(1, len(classes) + 1) if label == IGNORE_LABEL else [classes.index(label) + 1]

    for image_id, (predicted, truth) in enumerate(scenes, start=1):
        height, width = (truth or predicted)[0].region.height, (truth or predicted)[0].region.width
        images.append({"id": image_id, "height": height, "width": width})
        for instance in truth:
            for number in numbers(instance.label):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": number,
                        "segmentation": to_coco(instance.region),
                        "area": area(instance.region),
                        "iscrowd": int(instance.ignored),
                    }
                )
        for instance in predicted:
            results.append(
                {
                    "image_id": image_id,
                    "category_id": numbers(instance.label)[0],
                    "segmentation": to_coco(instance.region),
                    "score": instance.score,
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = {"images": images, "annotations": annotations, "categories": categories}
        ground_truth.createIndex()
        evaluation = COCOeval(ground_truth, ground_truth.loadRes(results), "segm")
        evaluation.params.maxDets = [max_detections]
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 0]


def mean_present(values):
    return values[values > -1].mean()


@pytest.mark.parametrize("aware", [True, False])
@pytest.mark.parametrize("max_detections", [5, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_pycocotools_on_random_scenes(scene, overlap, classes, aware, max_detections, seed):
    rng = np.random.default_rng(seed)
    scenes = [scene(rng) for _ in range(12)]
    expected = coco_precision(scenes, list(classes), max_detections, aware)
    matches = match_detections([overlap(one) for one in scenes], classes if aware else None, max_detections)
    result = average_precision(matches)
    assert 0.05 < result.map_50_95 < 0.95
    assert result.map_50_95 == pytest.approx(mean_present(expected), abs=1e-6)
    assert result.map_50 == pytest.approx(mean_present(expected[0]), abs=1e-6)
    assert result.map_75 == pytest.approx(mean_present(expected[5]), abs=1e-6)
    per_class = [mean_present(expected[:, :, k]) for k in range(expected.shape[2])]
    assert list(result.per_class.values()) == pytest.approx(per_class, abs=1e-6)


def test_ignore_regions_matter_in_the_scenes(scene, overlap):
    rng = np.random.default_rng(0)
    scenes = [scene(rng) for _ in range(12)]
    without = [(predicted, [one for one in truth if not one.ignored]) for predicted, truth in scenes]
    values = [
        average_precision(match_detections([overlap(one) for one in data], None, 1000)) for data in (scenes, without)
    ]
    assert values[0].map_50_95 != values[1].map_50_95


def grid_of_squares(count):
    """``count`` squares of 4x4 px on one image."""
    side = int(np.ceil(np.sqrt(count)))
    instances = []
    for index in range(count):
        mask = np.zeros((side * 6, side * 6), dtype=bool)
        row, column = divmod(index, side)
        mask[row * 6 + 1 : row * 6 + 5, column * 6 + 1 : column * 6 + 5] = True
        instances.append(Instance("cube", mask_to_rle(mask), 0.5 + 0.4 * index / count))
    return instances, side * 6


@pytest.mark.parametrize("count", [1, 5, 100, 500, 1000])
def test_perfect_predictions_score_one_at_any_density(count):
    instances, side = grid_of_squares(count)
    truth = [Instance(instance.label, instance.region) for instance in instances]
    overlaps = [image_overlap(instances, truth, side, side)]
    for classes in (("cube",), None):
        result = average_precision(match_detections(overlaps, classes, max(100, 2 * count)))
        assert (result.map_50_95, result.map_50, result.map_75) == (1.0, 1.0, 1.0)


def test_detections_beyond_the_limit_do_not_count():
    instances, side = grid_of_squares(200)
    truth = [Instance(instance.label, instance.region) for instance in instances]
    matches = match_detections([image_overlap(instances, truth, side, side)], None, 100)
    # Recall ends at one half: 51 of 101 recall points have precision 1.
    assert average_precision(matches).map_50 == pytest.approx(51 / 101)


def test_no_predictions_score_zero_and_no_truth_is_not_measured(scene):
    rng = np.random.default_rng(0)
    predicted, truth = scene(rng, regions=False)
    width, height = truth[0].region.width, truth[0].region.height
    assert average_precision(match_detections([image_overlap([], truth, width, height)], None, 100)).map_50_95 == 0
    nothing = average_precision(match_detections([image_overlap(predicted, [], width, height)], None, 100))
    assert nothing.map_50_95 is None
    assert nothing.per_class == {}
    empty = average_precision(match_detections([image_overlap([], [], width, height)], ("cube",), 100))
    assert empty.map_50 is None


def test_class_without_truth_is_left_out_of_the_mean(disc):
    truth = [Instance("cube", disc(30, 30, 10))]
    predicted = [Instance("cube", disc(30, 30, 10), 0.9), Instance("rod", disc(80, 60, 10), 0.9)]
    result = average_precision(match_detections([image_overlap(predicted, truth, 120, 90)], ("cube", "rod"), 100))
    assert result.map_50_95 == 1.0
    assert result.per_class == {"cube": 1.0}


def test_prediction_inside_an_ignore_region_is_no_false_positive(disc):
    predicted = [Instance("cube", disc(80, 60, 8), 0.99), Instance("cube", disc(30, 30, 10), 0.5)]
    particle = Instance("cube", disc(30, 30, 10))
    region = Instance(IGNORE_LABEL, disc(80, 60, 20))
    with_region = match_detections([image_overlap(predicted, [particle, region], 120, 90)], ("cube",), 100)
    without = match_detections([image_overlap(predicted, [particle], 120, 90)], ("cube",), 100)
    assert (with_region[0].outcome[:, 0] == IGNORED).all()
    assert average_precision(with_region).map_50 == 1.0
    assert average_precision(without).map_50 == pytest.approx(0.5)


@pytest.mark.parametrize("aware", [True, False])
def test_weights_of_one_reproduce_the_point_estimate(scene, overlap, classes, aware):
    rng = np.random.default_rng(3)
    overlaps = [overlap(scene(rng)) for _ in range(10)]
    matches = match_detections(overlaps, classes if aware else None, 100)
    groups = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 5])
    assert resampled_map(matches, groups, np.ones((3, 6))).tolist() == [average_precision(matches).map_50_95] * 3


@pytest.mark.parametrize("aware", [True, False])
def test_resampling_equals_repeating_the_images(scene, overlap, classes, aware):
    rng = np.random.default_rng(4)
    overlaps = [overlap(scene(rng, particles=6, decimals=12)) for _ in range(8)]
    groups = np.array([0, 1, 1, 2, 3, 3, 4, 4])
    weights = rng.multinomial(5, [0.2] * 5, size=6).astype(float)
    labels = classes if aware else None
    values = resampled_map(match_detections(overlaps, labels, 100), groups, weights)
    for value, row in zip(values, weights, strict=True):
        repeated = [one for one, group in zip(overlaps, groups, strict=True) for _ in range(int(row[group]))]
        assert value == pytest.approx(average_precision(match_detections(repeated, labels, 100)).map_50_95, abs=1e-12)


def test_resample_without_particles_is_not_a_number(scene, overlap):
    rng = np.random.default_rng(5)
    predicted, _ = scene(rng)
    overlaps = [overlap(scene(rng)), overlap((predicted, []))]
    matches = match_detections(overlaps, None, 100)
    values = resampled_precision(matches[0], np.array([0, 1]), np.array([[2.0, 0.0], [0.0, 2.0]]))
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1]).all()
