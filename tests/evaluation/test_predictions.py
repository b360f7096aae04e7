import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle, polygons_to_rle
from nanoseg_bench.errors import PredictionsError
from nanoseg_bench.evaluation.predictions import compare, read_predictions, require_complete, write_predictions
from nanoseg_bench.evaluation.timing import Timing


@pytest.fixture
def eval_set(make_eval_set, make_truth):
    return make_eval_set(make_truth(np.random.default_rng(0)))


@pytest.fixture
def predictions(eval_set, make_predictions, noisy):
    images = noisy(np.random.default_rng(1), eval_set.truth, decimals=17)
    images["image-3"] = []
    return make_predictions(
        eval_set, images, timing=Timing((1.5, 2.25), (0.5, 0.25), (0.75, 1.0), (0.25, 1.0), 2.5), has_confidence=False
    )


def test_reading_gives_back_what_was_written(tmp_path, predictions):
    path = tmp_path / "runs" / "test.json.gz"
    write_predictions(path, predictions)
    again = read_predictions(path)
    for name in ("model", "eval_set", "set_hash", "knows_classes", "has_confidence", "classes", "timing"):
        assert getattr(again, name) == getattr(predictions, name)
    assert list(again.images) == list(predictions.images)
    assert dict(again.sizes) == dict(predictions.sizes)
    assert again.images["image-3"] == []
    for name, instances in predictions.images.items():
        expected = [(one.label, one.region, one.score) for one in instances]
        assert [(one.label, one.region, one.score) for one in again.images[name]] == expected


def test_same_predictions_same_bytes(tmp_path, predictions, monkeypatch):
    write_predictions(tmp_path / "a.json.gz", predictions)
    monkeypatch.setattr("time.time", lambda: 1.0)
    write_predictions(tmp_path / "b.json.gz", read_predictions(tmp_path / "a.json.gz"))
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def test_polygons_and_numpy_scores_are_written(tmp_path, eval_set, make_predictions):
    outline = np.array([[10.0, 10.0], [40.0, 12.0], [30.0, 44.0]])
    images = {name: [] for name in eval_set.images}
    images["image-0"] = [Instance("cube", (Polygon(outline),), np.float32(0.1))]
    write_predictions(tmp_path / "p.json.gz", make_predictions(eval_set, images))
    (instance,) = read_predictions(tmp_path / "p.json.gz").images["image-0"]
    assert instance.region == polygons_to_rle([Polygon(outline)], 100, 140)
    assert instance.score == float(np.float32(0.1))


def test_a_mask_of_the_canvas_size_is_not_written(tmp_path, eval_set, make_predictions):
    images = {name: [] for name in eval_set.images}
    images["image-2"] = [Instance("cube", mask_to_rle(np.ones((640, 640))), 0.9)]
    with pytest.raises(PredictionsError, match=r"image-2.*640x640 px"):
        write_predictions(tmp_path / "p.json.gz", make_predictions(eval_set, images))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_diverged_score_is_refused(tmp_path, eval_set, make_predictions, disc, score):
    images = {name: [] for name in eval_set.images}
    images["image-1"] = [Instance("cube", disc(50, 50, 9), score)]
    with pytest.raises(PredictionsError, match=r"image-1.*not a finite number"):
        write_predictions(tmp_path / "p.json.gz", make_predictions(eval_set, images))
    with pytest.raises(PredictionsError, match=r"image-1.*not a finite number"):
        compare(eval_set, make_predictions(eval_set, images))


def test_missing_file(tmp_path):
    with pytest.raises(PredictionsError, match="no such predictions file"):
        read_predictions(tmp_path / "none.json.gz")


def test_truncated_file(tmp_path, predictions):
    path = tmp_path / "p.json.gz"
    write_predictions(path, predictions)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(PredictionsError, match="cannot be read"):
        read_predictions(path)


def test_a_file_that_unpacks_to_far_more_than_predictions_is_refused(tmp_path):
    path = tmp_path / "p.json.gz"
    path.write_bytes(gzip.compress(b'"' + b"a" * 120_000_000 + b'"', 9))
    with pytest.raises(PredictionsError, match=r"p\.json\.gz: cannot be read \(it unpacks to more than \d{8} bytes"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "not a predictions file"),
        ({"format": "other/3"}, "not a predictions file"),
        ({"format": "nanoseg-predictions/1"}, "not a predictions file"),
        ({"format": "nanoseg-predictions/2"}, "malformed predictions"),
    ],
)
def test_other_documents(tmp_path, document, message):
    path = tmp_path / "p.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    with pytest.raises(PredictionsError, match=message):
        read_predictions(path)


def test_an_image_that_stands_twice(tmp_path, predictions):
    path = tmp_path / "p.json.gz"
    write_predictions(path, predictions)
    document = json.loads(gzip.decompress(path.read_bytes()))
    document["images"].append(document["images"][0])
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    with pytest.raises(PredictionsError, match="'image-0' stands twice"):
        read_predictions(path)


def test_missing_images_are_counted_and_named(eval_set, make_predictions):
    images = {name: [] for name in eval_set.images[:2]}
    with pytest.raises(PredictionsError) as caught:
        require_complete(make_predictions(eval_set, images), eval_set)
    message = str(caught.value)
    assert "lack 6 images: image-2, image-3, image-4, image-5, image-6 and 1 more" in message
    assert "image-7" not in message
    assert "an empty list is one" in message


def test_foreign_images_are_named(eval_set, make_predictions):
    images = {name: [] for name in (*eval_set.images, "stranger")}
    with pytest.raises(PredictionsError, match=r"1 image: stranger;"):
        require_complete(make_predictions(eval_set, images), eval_set)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"set_hash": "hash-b"}, "hash-b, this one is hash-a; predict again"),
        ({"eval_set": "val"}, "they are for 'val'"),
        ({"sizes": {f"image-{index}": (140, 100 + (index == 4)) for index in range(8)}}, "another image size.*image-4"),
    ],
)
def test_predictions_of_something_else(eval_set, make_predictions, change, message):
    predictions = replace(make_predictions(eval_set, {name: [] for name in eval_set.images}), **change)
    with pytest.raises(PredictionsError, match=message):
        require_complete(predictions, eval_set)


def test_a_mask_of_another_size_is_refused(eval_set, make_predictions):
    images = {name: [] for name in eval_set.images}
    images["image-5"] = [Instance("cube", mask_to_rle(np.ones((10, 10))), 0.5)]
    with pytest.raises(PredictionsError, match=r"another image size for 1 image: image-5"):
        require_complete(make_predictions(eval_set, images), eval_set)


def test_an_unknown_class_is_refused_unless_the_model_knows_none(eval_set, make_predictions, disc):
    images = {name: [] for name in eval_set.images}
    images["image-5"] = [Instance("star", disc(50, 50, 9), 0.5)]
    with pytest.raises(PredictionsError, match=r"image-5.*'star' is none of cube, sphere"):
        require_complete(make_predictions(eval_set, images), eval_set)
    require_complete(make_predictions(eval_set, images, knows_classes=False), eval_set)


def test_comparison_follows_the_eval_set(eval_set, make_predictions, perfect):
    shuffled = dict(reversed(list(perfect(eval_set.truth).items())))
    overlaps = compare(eval_set, make_predictions(eval_set, shuffled))
    assert [len(overlap.truth) for overlap in overlaps] == [len(eval_set.truth[name]) for name in eval_set.images]
    assert all(np.allclose(overlap.iou.max(axis=0), 1) for overlap in overlaps)
