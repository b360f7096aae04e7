"""Every AP column and every class against pycocotools, which reads the same predictions as COCO JSON."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance
from nanoseg_bench.annotations.raster import area, bounding_box, to_coco
from nanoseg_bench.evaluation.scoring import evaluate

CLASSES = ("cube", "sphere")
STRATA = {"small": (0, 16), "medium": (16, 48), "large": (48, 1e5)}
"""Diameters, px."""


@pytest.fixture
def eval_set(make_eval_set, disc):
    """Particles of all size strata that overlap, an ignore region, an image without particles."""
    rng = np.random.default_rng(3)
    radii = (rng.uniform(3, 8), rng.uniform(8, 24), 27, 30)
    truth = {
        f"image-{number}": [
            Instance(str(rng.choice(CLASSES)), disc(rng.uniform(5, 135), rng.uniform(5, 95), rng.choice(radii)))
            for _ in range(14)
        ]
        for number in range(7)
    }
    truth["image-2"].append(Instance(IGNORE_LABEL, disc(100, 60, 20)))
    truth["image-7"] = []
    return make_eval_set(truth)


@pytest.fixture
def predictions(eval_set, make_predictions, disc):
    rng = np.random.default_rng(4)
    images = {}
    for name, truth in eval_set.truth.items():
        found = []
        for one in truth:
            x, y, width, height = bounding_box(one.region)
            for _ in range(rng.integers(0, 3)):
                label = one.label if one.label in CLASSES and rng.random() < 0.8 else str(rng.choice(CLASSES))
                moved = disc(x + width / 2 + rng.normal(0, 1), y + height / 2, rng.uniform(0.42, 0.55) * height)
                if area(moved):
                    found.append(Instance(label, moved, round(float(rng.random()), 2)))
        found += [
            Instance(
                str(rng.choice(CLASSES)),
                disc(rng.uniform(10, 130), rng.uniform(10, 90), rng.uniform(3, 30)),
                round(float(rng.random() / 2), 2),
            )
            for _ in range(3)
        ]
        images[name] = found
    return make_predictions(eval_set, images)


def coco_table(eval_set, predictions, kind, *, aware, sizes=(0, 1e5)):
    """(10, 101, classes) precision."""
    classes = CLASSES if aware else ("any",)
    numbers = {name: index if aware else 1 for index, name in enumerate(CLASSES, start=1)}
    annotations, results = [], []
    for image, name in enumerate(eval_set.images, start=1):
        for one in eval_set.truth[name]:
            for number in sorted(set(numbers.values())) if one.ignored else [numbers[one.label]]:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image,
                        "category_id": number,
                        "segmentation": to_coco(one.region),
                        "area": area(one.region),
                        "bbox": list(bounding_box(one.region)),
                        "iscrowd": int(one.ignored),
                    }
                )
        results += [
            {
                "image_id": image,
                "category_id": numbers[one.label],
                "segmentation": to_coco(one.region),
                "score": one.score,
            }
            for one in predictions.images[name]
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": number, "width": 140, "height": 100} for number in range(1, len(eval_set.images) + 1)],
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for number, name in enumerate(classes, start=1)],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.params.maxDets = [eval_set.max_detections]
        evaluation.params.areaRng = [[np.pi / 4 * diameter**2 for diameter in sizes]]
        evaluation.params.areaRngLbl = ["one"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 0]


def mean(table):
    return pytest.approx(table[table > -1].mean(), abs=1e-6)


@pytest.mark.parametrize("kind, suffix", [("segm", ""), ("bbox", "_box")])
def test_masks_and_boxes_agree_with_pycocotools(eval_set, predictions, kind, suffix):
    evaluation = evaluate(eval_set, predictions, 0.4, resamples=0)
    for aware, knowledge in ((True, ""), (False, "_agnostic")):
        table = coco_table(eval_set, predictions, kind, aware=aware)
        assert 0.1 < evaluation.scores[f"map_50_95{knowledge}{suffix}"] < 0.9
        assert evaluation.scores[f"map_50_95{knowledge}{suffix}"] == mean(table)
        assert evaluation.scores[f"map_50{knowledge}{suffix}"] == mean(table[0])
        assert evaluation.scores[f"map_75{knowledge}{suffix}"] == mean(table[5])
    table = coco_table(eval_set, predictions, kind, aware=True)
    for number, name in enumerate(CLASSES):
        of_class = evaluation.details.classes[name]
        assert getattr(of_class, f"map_50_95{suffix}") == mean(table[:, :, number])
        assert getattr(of_class, f"map_50{suffix}") == mean(table[0, :, number])
        assert getattr(of_class, f"map_75{suffix}") == mean(table[5, :, number])
        assert of_class.precision_at_recall == pytest.approx(coco_masks(eval_set, predictions)[0, :, number], abs=1e-5)


def coco_masks(eval_set, predictions):
    return coco_table(eval_set, predictions, "segm", aware=True)


@pytest.mark.parametrize("stratum", STRATA)
def test_size_strata_agree_with_pycocotools(eval_set, predictions, stratum):
    score = evaluate(eval_set, predictions, None, resamples=0).scores[f"map_50_95_agnostic_{stratum}"]
    assert 0 < score < 1
    assert score == mean(coco_table(eval_set, predictions, "segm", aware=False, sizes=STRATA[stratum]))
