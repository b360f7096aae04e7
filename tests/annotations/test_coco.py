import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from nanoseg_bench.annotations.coco import read_coco, write_coco
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle, to_mask
from nanoseg_bench.errors import AnnotationError

CLASSES = ("cube", "rod")


@pytest.fixture
def scene(disc, square):
    ring = Polygon(square(2, 2, 20, 20), (square(6, 6, 12, 12),))
    noise = np.random.default_rng(0).random((40, 60)) > 0.6
    images = {"a": (60, 40), "sub/b.v2": (60, 40), "empty": (30, 20)}
    instances = {
        "a": [Instance("rod", (ring,)), Instance("cube", mask_to_rle(noise), score=0.25)],
        "sub/b.v2": [
            Instance("cube", (disc(20, 20, 6), disc(40, 20, 5))),
            Instance(IGNORE_LABEL, (Polygon(square(0, 30, 60, 40)),)),
            Instance("rod", (disc(10, 10, 4),), crowd=True),
        ],
    }
    return images, instances


def test_round_trip_keeps_masks_labels_scores_and_empty_images(tmp_path, scene):
    images, instances = scene
    write_coco(tmp_path / "t.json", images, instances, CLASSES)
    back = read_coco(tmp_path / "t.json")
    assert back.images == images
    assert back.classes == CLASSES
    assert set(back.instances) == set(images) and back.instances["empty"] == []
    for name, (width, height) in images.items():
        for old, new in zip(instances.get(name, []), back.instances[name], strict=True):
            assert (old.label, old.score, old.ignored) == (new.label, new.score, new.ignored)
            assert (to_mask(old, height, width) == to_mask(new, height, width)).all()


def test_pycocotools_reads_the_file(tmp_path, scene):
    images, instances = scene
    write_coco(tmp_path / "t.json", images, instances, CLASSES)
    coco = COCO(str(tmp_path / "t.json"))
    assert sorted(coco.anns) == [1, 2, 3, 4, 5]
    assert [coco.cats[identifier]["name"] for identifier in sorted(coco.cats)] == [*CLASSES, IGNORE_LABEL]
    assert [image["file_name"] for image in coco.loadImgs([1, 2, 3])] == ["a.png", "sub/b.v2.png", "empty.png"]
    flat = [instance for name in images for instance in instances.get(name, [])]
    for identifier, instance in enumerate(flat, start=1):
        annotation = coco.anns[identifier]
        mask = coco.annToMask(annotation).astype(bool)
        rows, columns = np.nonzero(mask)
        assert (mask == to_mask(instance, 40, 60)).all()
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert annotation["iscrowd"] == int(instance.ignored)


def test_same_input_same_bytes_and_no_ignore_category_without_need(tmp_path, scene):
    images, instances = scene
    write_coco(tmp_path / "1.json", images, instances, CLASSES)
    write_coco(tmp_path / "2.json", images, instances, CLASSES)
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    write_coco(tmp_path / "3.json", images, {}, CLASSES, suffix=".tif")
    document = json.loads((tmp_path / "3.json").read_text())
    assert [category["name"] for category in document["categories"]] == list(CLASSES)
    assert document["images"][0]["file_name"] == "a.tif"


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        (Instance("sphere", (Polygon(np.array([(1, 1), (9, 1), (5, 9)], dtype=float)),)), "'sphere'.*cube, rod"),
        (Instance(None, (Polygon(np.array([(1, 1), (9, 1), (5, 9)], dtype=float)),)), "None"),
        (Instance("rod", (Polygon(np.array([(-9, 1), (-2, 1), (-5, 9)], dtype=float)),)), "no pixel of its 60x40"),
    ],
)
def test_writer_refuses_what_it_cannot_hold_and_writes_nothing(tmp_path, instance, message):
    with pytest.raises(AnnotationError, match=message):
        write_coco(tmp_path / "t.json", {"a": (60, 40)}, {"a": [instance]}, CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_writer_refuses_instances_of_an_unlisted_image(tmp_path):
    with pytest.raises(AnnotationError, match="'b'"):
        write_coco(tmp_path / "t.json", {"a": (60, 40)}, {"b": []}, CLASSES)


def coco_document(segmentation, **annotation):
    return {
        "images": [{"id": 7, "file_name": "x\\a.PNG", "width": 30, "height": 20}],
        "categories": [{"id": 9, "name": "late"}, {"id": 3, "name": "early"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "segmentation": segmentation, **annotation}],
    }


def read_document(tmp_path, document):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(document))
    return read_coco(path)


def test_polygons_and_both_kinds_of_rle_of_other_tools(tmp_path, square):
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[4:9, 3:17] = 1
    mask[0, 0] = 1  # uncompressed runs then start with a run of length 0
    compressed = coco_mask.encode(np.asfortranarray(mask))
    column_major = mask.T.reshape(-1)
    borders = np.flatnonzero(np.diff(column_major)) + 1
    runs = [0, *np.diff([0, *borders, column_major.size]).tolist()]
    for rle in ({"size": [20, 30], "counts": compressed["counts"].decode()}, {"size": [20, 30], "counts": runs}):
        coco = read_document(tmp_path, coco_document(rle))
        assert (to_mask(coco.instances["x/a"][0], 20, 30) == mask).all()
    coco = read_document(tmp_path, coco_document([square(3, 4, 17, 9).reshape(-1).tolist()], iscrowd=1, score=1))
    assert coco.classes == ("early", "late")
    instance = coco.instances["x/a"][0]
    assert (instance.label, instance.crowd, instance.score) == ("early", True, 1.0)
    mask[0, 0] = 0
    assert (to_mask(instance, 20, 30) == mask).all()


@pytest.mark.parametrize(
    ("segmentation", "annotation", "message"),
    [
        ([], {}, "annotation 1: 'segmentation' is empty"),
        (None, {}, "'segmentation'"),
        ([[1, 2, 3, 4]], {}, "three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], {}, "three points"),
        ([[1, 2, 3, 4, 5, float("nan")]], {}, "three points"),
        ({"size": [20, 30], "counts": [5, 5]}, {}, "does not add up to 30x20"),
        ({"size": [20, 30], "counts": [700, -100]}, {}, "does not add up"),
        ({"size": [20, 30], "counts": "zzzz"}, {}, "does not add up"),
        ({"size": [20, 30], "counts": "é"}, {}, "does not add up"),
        ({"size": [20, 30], "counts": None}, {}, "'counts'"),
        ({"size": [30, 20], "counts": [600]}, {}, r"\[20, 30\]"),
        ([[1, 1, 9, 1, 5, 9]], {"image_id": 8}, "image_id 8"),
        ([[1, 1, 9, 1, 5, 9]], {"category_id": 1}, "category_id 1"),
        ([[1, 1, 9, 1, 5, 9]], {"score": "high"}, "'score' is 'high'"),
    ],
)
def test_malformed_annotation_is_named(tmp_path, segmentation, annotation, message):
    with pytest.raises(AnnotationError, match=message):
        read_document(tmp_path, coco_document(segmentation, **annotation))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"images": 3}', b"\xff\xfe", b"[" * 100_000])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=r"c\.json"):
        read_coco(path)
    with pytest.raises(AnnotationError, match="no such"):
        read_coco(tmp_path / "missing.json")


def test_runs_of_random_masks_are_understood(tmp_path):
    rng = np.random.default_rng(5)
    for density in (0.0001, 0.01, 0.3, 0.9):
        mask = rng.random((300, 401)) < density
        mask[0, 0] = True
        instance = Instance("cube", mask_to_rle(mask))
        write_coco(tmp_path / "t.json", {"a": (401, 300)}, {"a": [instance]}, CLASSES)
        assert read_coco(tmp_path / "t.json").instances["a"][0].region == instance.region
