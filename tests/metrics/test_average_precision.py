import contextlib
import io
import tracemalloc

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance
from nanoseg_bench.annotations.raster import area, bounding_box, mask_to_rle, to_coco
from nanoseg_bench.metrics.average_precision import (
    ANY_SIZE,
    IGNORED,
    NOT_MEASURED,
    SIZE_STRATA,
    ClassMatches,
    SizeRange,
    average_precision,
    average_precision_by_size,
    match_detections,
    resampled_map,
    resampled_precision,
)
from nanoseg_bench.metrics.curves import precision_at_recalls
from nanoseg_bench.metrics.matching import as_boxes, image_overlap


def coco_precision(scenes, classes, max_detections, aware, *, kind="segm", sizes=ANY_SIZE):
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
                        "bbox": list(bounding_box(instance.region)),
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
        evaluation = COCOeval(ground_truth, ground_truth.loadRes(results), kind)
        evaluation.params.maxDets = [max_detections]
        evaluation.params.areaRng = [[min(np.pi / 4 * diameter**2, 1e10) for diameter in sizes]]
        evaluation.params.areaRngLbl = ["one"]
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
    for values, table in (
        (result.per_class, expected),
        (result.per_class_50, expected[:1]),
        (result.per_class_75, expected[5:6]),
    ):
        per_class = [mean_present(table[:, :, k]) for k in range(table.shape[2])]
        assert list(values.values()) == pytest.approx(per_class, abs=1e-6)


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize("sizes", [ANY_SIZE, SizeRange(0, 14), SizeRange(14, 24), SizeRange(24, 1e4)])
@pytest.mark.parametrize("aware", [True, False])
def test_strata_and_boxes_agree_with_pycocotools(scene, overlap, classes, aware, sizes, kind):
    rng = np.random.default_rng(7)
    scenes = [scene(rng, particles=20, radii=(4, 20)) for _ in range(10)]
    overlaps = [overlap(one) for one in scenes]
    if kind == "bbox":
        overlaps = [as_boxes(one) for one in overlaps]
    for max_detections in (12, 1000):
        expected = coco_precision(scenes, list(classes), max_detections, aware, kind=kind, sizes=sizes)
        matches = match_detections(overlaps, classes if aware else None, max_detections, sizes)
        result = average_precision(matches)
        assert 0.02 < result.map_50_95 < 0.95
        assert result.map_50_95 == pytest.approx(mean_present(expected), abs=1e-6)
        assert result.map_50 == pytest.approx(mean_present(expected[0]), abs=1e-6)
        assert result.map_75 == pytest.approx(mean_present(expected[5]), abs=1e-6)


def rectangle(label, x, y, width, height, score=None, crowd=False):
    mask = np.zeros((60, 60), dtype=bool)
    mask[y : y + height, x : x + width] = True
    return Instance(label, mask_to_rle(mask), score, crowd)


def test_of_equal_overlaps_the_later_particle_is_taken_as_in_pycocotools():
    truth = [rectangle("cube", 8, 10, 10, 10), rectangle("cube", 12, 10, 10, 10)]
    # The first overlaps both alike; the second could only have the particle that the first one takes.
    predicted = [rectangle("cube", 10, 10, 10, 10, 0.9), rectangle("cube", 15, 10, 10, 10, 0.8)]
    result = average_precision(match_detections([image_overlap(predicted, truth, 60, 60)], None, 100))
    expected = coco_precision([(predicted, truth)], ["cube"], 100, False)
    assert result.map_50 == pytest.approx(mean_present(expected[0]), abs=1e-6)
    assert result.map_50 == pytest.approx(51 / 101)


def test_ignore_region_goes_before_a_particle_out_of_range_where_it_holds_more_as_in_pycocotools():
    sizes = SizeRange(0, 22)
    truth = [
        rectangle("cube", 10, 10, 20, 20),  # out of range
        rectangle("cube", 40, 40, 10, 10),
        rectangle("cube", 10, 10, 20, 15, crowd=True),
    ]
    # The first is excused by the region, which leaves the large particle to excuse the second.
    predicted = [
        rectangle("cube", 10, 10, 20, 16, 0.9),
        rectangle("cube", 10, 12, 20, 18, 0.8),
        rectangle("cube", 40, 40, 10, 10, 0.5),
    ]
    result = average_precision(match_detections([image_overlap(predicted, truth, 60, 60)], None, 100, sizes))
    expected = coco_precision([(predicted, truth)], ["cube"], 100, False, sizes=sizes)
    assert result.map_50_95 == pytest.approx(mean_present(expected), abs=1e-6)
    assert result.map_75 == 1.0


def test_every_particle_is_in_one_stratum(scene, overlap):
    rng = np.random.default_rng(8)
    overlaps = [overlap(scene(rng, radii=(4, 40))) for _ in range(5)]
    counts = [
        match_detections(overlaps, None, 100, sizes)[0].truth_count.sum() for sizes in (ANY_SIZE, *SIZE_STRATA.values())
    ]
    assert counts[0] == sum(counts[1:])
    assert min(counts) > 0


def test_stratum_without_a_particle_is_not_measured(disc):
    truth = [Instance("cube", disc(30, 30, 10))]
    predicted = [Instance("cube", disc(30, 30, 10), 0.9), Instance("cube", disc(80, 50, 35), 0.8)]
    strata = average_precision_by_size([image_overlap(predicted, truth, 120, 90)], 100)
    assert list(strata) == ["small", "medium", "large"]
    assert strata["medium"].map_50_95 == 1.0
    assert strata["small"] == strata["large"] == NOT_MEASURED


@pytest.mark.parametrize("aware", [True, False])
def test_precision_recall_curves_are_those_of_pycocotools(scene, overlap, classes, aware):
    rng = np.random.default_rng(9)
    scenes = [scene(rng) for _ in range(6)]
    precision = coco_precision(scenes, list(classes), 1000, aware)
    for k, matches in enumerate(match_detections([overlap(one) for one in scenes], classes if aware else None, 1000)):
        assert precision_at_recalls(matches) == pytest.approx(precision[0, :, k], abs=1e-6)


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
    masks = image_overlap(instances, truth, side, side)
    for overlap in (masks, as_boxes(masks)):
        for classes in (("cube",), None):
            for sizes in (ANY_SIZE, SIZE_STRATA["small"]):
                result = average_precision(match_detections([overlap], classes, max(100, 2 * count), sizes))
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
    resampled, whole = resampled_map(matches, groups, np.ones((3, 6))), average_precision(matches)
    assert resampled.map_50_95.tolist() == [whole.map_50_95] * 3
    assert resampled.map_50.tolist() == [whole.map_50] * 3


@pytest.mark.parametrize("aware", [True, False])
def test_resampling_equals_repeating_the_images(scene, overlap, classes, aware):
    rng = np.random.default_rng(4)
    overlaps = [overlap(scene(rng, particles=6, decimals=12)) for _ in range(8)]
    groups = np.array([0, 1, 1, 2, 3, 3, 4, 4])
    weights = rng.multinomial(5, [0.2] * 5, size=6).astype(float)
    labels = classes if aware else None
    values = resampled_map(match_detections(overlaps, labels, 100), groups, weights)
    for value, value_50, row in zip(*values, weights, strict=True):
        repeated = [one for one, group in zip(overlaps, groups, strict=True) for _ in range(int(row[group]))]
        literal = average_precision(match_detections(repeated, labels, 100))
        assert value == pytest.approx(literal.map_50_95, abs=1e-12)
        assert value_50 == pytest.approx(literal.map_50, abs=1e-12)


def test_resample_without_particles_is_not_a_number(scene, overlap):
    rng = np.random.default_rng(5)
    predicted, _ = scene(rng)
    overlaps = [overlap(scene(rng)), overlap((predicted, []))]
    matches = match_detections(overlaps, None, 100)
    values = resampled_precision(matches[0], np.array([0, 1]), np.array([[2.0, 0.0], [0.0, 2.0]]))
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1]).all()


def test_memory_of_resampling_does_not_grow_with_the_source_groups():
    """A matrix of groups by hits would take 240 MB here, and a hundred times as much of ten times as many images."""
    groups, hits, rng = 1500, 20_000, np.random.default_rng(0)
    matches = ClassMatches(
        label=None,
        scores=-np.sort(-rng.random(hits)),
        image=rng.integers(0, groups, hits),
        outcome=rng.choice(np.array([0, 1], dtype=np.int8), (10, hits)),
        truth_count=np.full(groups, 20),
    )
    weights = rng.multinomial(groups, np.full(groups, 1 / groups), 5).astype(np.float64)
    tracemalloc.start()
    resampled_map([matches], np.arange(groups), weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
