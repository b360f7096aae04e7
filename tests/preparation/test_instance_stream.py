import json

import numpy as np
import pytest
from annotation_files import write_coco
from pycocotools.coco import COCO

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.annotations.raster import rle_to_mask
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.preparation.instance_stream import read_instances, read_regions


def square(x, y, side, label, crowd=False):
    return Instance(
        label, (Polygon(np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], float)),), None, crowd
    )


@pytest.fixture
def path(tmp_path):
    instances = {
        "übersicht": [square(1, 1, 5, "a"), square(8, 8, 3, "b"), square(20, 2, 6, "ignore")],
        "leer": [],
        'x "y"': [square(3, 3, 9, "b"), square(15, 3, 4, None, crowd=True)],
    }
    path = tmp_path / "set.json"
    write_coco(path, dict.fromkeys(instances, (40, 30)), instances, ["a", "b"])
    return path


def reference(path):
    """By pycocotools: (file name, category, area, ignored) and masks."""
    coco = COCO(str(path))
    rows = []
    for annotation in coco.dataset["annotations"]:
        name = coco.imgs[annotation["image_id"]]["file_name"][: -len(".png")]
        rows.append(
            (name, coco.cats[annotation["category_id"]]["name"], annotation["area"], bool(annotation["iscrowd"]))
        )
    return rows, [coco.annToMask(annotation).astype(bool) for annotation in coco.dataset["annotations"]]


def test_same_as_the_whole_document(path):
    rows, masks = reference(path)
    assert [(each.image, each.label, each.area, each.ignored) for each in read_regions(path)] == rows
    found = read_instances(path, {'x "y"', "leer", "not there"})
    assert set(found) == {'x "y"', "leer"}
    assert found["leer"] == []
    wanted = [mask for mask, row in zip(masks, rows, strict=True) if row[0] == 'x "y"']
    assert len(wanted) == len(found['x "y"']) == 2
    for instance, mask in zip(found['x "y"'], wanted, strict=True):
        np.testing.assert_array_equal(rle_to_mask(instance.region), mask)
    assert [(each.label, each.ignored) for each in found['x "y"']] == [("b", False), ("ignore", True)]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_file_that_was_written_anew_is_refused(path, indent):
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")), indent=indent), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"set\.json: not a COCO file of a prepared set.*prepare the set again"):
        list(read_regions(path))


def test_a_cut_file_is_told(path):
    data = path.read_bytes().rstrip()
    for length in range(len(data) - 1, 0, -97):
        path.write_bytes(data[:length])
        with pytest.raises(DatasetError, match=r"set\.json.*prepare the set again"):
            list(read_regions(path))


@pytest.mark.parametrize("text", ["", "[]", "{1: 2}", '{"images": [1]}', '{"images": 3, "annotations": [{}]}', "\x00"])
def test_other_documents_are_told(path, text):
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"set\.json"):
        list(read_regions(path))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DatasetError, match=r"none\.json"):
        read_instances(tmp_path / "none.json", {"a"})
