import json

import pytest

from nanoseg_bench.annotations.coco.results import is_coco_results, read_coco_results
from nanoseg_bench.annotations.raster import rle_to_mask
from nanoseg_bench.errors import AnnotationError

SQUARE = [[1, 1, 5, 1, 5, 4, 1, 4]]


def write(path, value):
    path.write_text(json.dumps(value))
    return path


def read_one(tmp_path, **changes):
    entry = {"image_id": 7, "category_id": 2, "segmentation": SQUARE, "score": 0.5, **changes}
    (result,) = read_coco_results(write(tmp_path / "r.json", [entry]))
    return result.read((10, 8), {2: "rod"}, "r.json")


def test_polygons_and_run_lengths_become_the_same_region(tmp_path):
    from pycocotools import mask

    polygon = read_one(tmp_path)
    rle = mask.merge(mask.frPyObjects(SQUARE, 8, 10))
    counts = read_one(tmp_path, segmentation={"size": [8, 10], "counts": rle["counts"].decode()})
    assert (polygon.label, polygon.score) == ("rod", 0.5)
    assert rle_to_mask(counts.region).sum() == mask.area(rle) == 12
    plain = read_one(tmp_path, score=None)
    assert plain.score is None


def test_ids_that_tools_write_as_text_or_float_are_the_same(tmp_path):
    results = read_coco_results(write(tmp_path / "r.json", [{"image_id": value} for value in (7, 7.0, "7", "a.png")]))
    assert [result.image_id for result in results] == [7, 7, 7, "a.png"]
    assert [result.number for result in results] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"score": "0.5"}, "'score' is '0.5'"),
        ({"score": float("nan")}, "'score'"),
        ({"category_id": 3}, "categories are 2 rod"),
        ({"category_id": None}, "'category_id' is None"),
        ({"segmentation": {"size": [9, 9], "counts": "0"}}, "result 1"),
    ],
)
def test_what_is_malformed_is_told_with_its_place(tmp_path, change, part):
    with pytest.raises(AnnotationError, match=part):
        read_one(tmp_path, **change)


@pytest.mark.parametrize("value", [{"images": []}, [3], [{"score": 1}], [{"image_id": None}]])
def test_what_is_no_list_of_detections_is_refused(tmp_path, value):
    with pytest.raises(AnnotationError):
        read_coco_results(write(tmp_path / "r.json", value))
    assert not is_coco_results(value) or value == [{"image_id": None}]


def test_the_empty_list_is_an_answer(tmp_path):
    assert is_coco_results([])
    assert read_coco_results(write(tmp_path / "r.json", [])) == []
    (tmp_path / "cut.json").write_text('[{"image_id"')
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_coco_results(tmp_path / "cut.json")
