import json
import re
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from annotation_files import write_coco
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from nanoseg_bench.annotations.coco.reading import open_coco, read_coco
from nanoseg_bench.annotations.coco.writing import CocoWriter, encode_annotations
from nanoseg_bench.annotations.faults import FaultyShapesError
from nanoseg_bench.annotations.instance import IGNORE_LABEL, Instance, Polygon
from nanoseg_bench.annotations.raster import mask_to_rle, to_mask
from nanoseg_bench.errors import AnnotationError, ImageError

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
        ([[1, 1, 9, 1, 5, 10**400]], {}, "three points"),
        ([[1, 1, 9, 1, 5, 1e300]], {}, "three points"),
        ({"size": [20, 30], "counts": "o" * 100_000}, {}, "does not add up"),
        (None, {"bbox": [1, 1, 8, 8]}, "Boxes alone say nothing"),
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


def test_writer_by_image_encoded_elsewhere_and_all_at_once_write_the_same_bytes(tmp_path, scene):
    images, instances = scene
    write_coco(tmp_path / "whole.json", images, instances, CLASSES)
    with CocoWriter(tmp_path / "single.json", CLASSES) as writer:
        for name, size in images.items():
            writer.add(name, size, iter(instances.get(name, ())))
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        CocoWriter(tmp_path / "workers.json", CLASSES) as writer,
    ):
        for name, size in images.items():
            writer.add_encoded(
                name, size, pool.submit(encode_annotations, instances.get(name, []), size, CLASSES, name).result()
            )
    assert (tmp_path / "single.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert (tmp_path / "workers.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_writer_leaves_the_old_file_when_its_block_fails(tmp_path, scene):
    images, instances = scene
    path = tmp_path / "t.json"
    path.write_text("old")
    with pytest.raises(KeyError), CocoWriter(path, CLASSES) as writer:
        writer.add("a", images["a"], instances["a"])
        raise KeyError
    assert [file.name for file in tmp_path.iterdir()] == ["t.json"] and path.read_text() == "old"
    with pytest.raises(AnnotationError, match="'a' is there twice"), CocoWriter(path, CLASSES) as writer:
        writer.add("a", images["a"], [])
        writer.add("a", images["a"], [])
    with pytest.raises(ValueError, match="outside of its with block"):
        writer.add("b", images["a"], [])
    assert [file.name for file in tmp_path.iterdir()] == ["t.json"] and path.read_text() == "old"
    with CocoWriter(path, CLASSES):
        assert path.read_text() == "old"
    assert read_coco(path).images == {}


def test_memory_of_the_writer_does_not_hold_the_annotations(tmp_path):
    fragments = ['{"category_id":1,"x":"' + "a" * 100_000 + '"}']
    tracemalloc.start()
    with CocoWriter(tmp_path / "t.json", CLASSES) as writer:
        for number in range(300):
            writer.add_encoded(str(number), (60, 40), fragments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "t.json").stat().st_size > 30_000_000
    assert peak < 2_000_000


BOX = [[3, 4, 17, 4, 17, 9, 3, 9]]


def save_image(path, size=(30, 20), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 90).save(path, **options)
    return path


def listed(*file_names, annotations=(), categories=({"id": 1, "name": "cube"},), **more):
    """A COCO document of 30x20 px images with the ids 1, 2, ..."""
    return {
        "images": [
            {"id": number, "file_name": name, "width": 30, "height": 20, **more}
            for number, name in enumerate(file_names, start=1)
        ],
        "categories": list(categories),
        "annotations": list(annotations),
    }


def annotation(image_id, category_id=1, segmentation=BOX, **more):
    return {"id": 1, "image_id": image_id, "category_id": category_id, "segmentation": segmentation, **more}


def save_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_door_lists_images_with_their_own_annotations(tmp_path):
    for name in ("b.png", "sub/a.v2.PNG", "empty.tif"):
        save_image(tmp_path / name)
    document = listed(
        "b.png",
        "sub/a.v2.PNG",
        "empty.tif",
        annotations=[annotation(2, 5), annotation(1), annotation(2, segmentation=[BOX[0], [20, 1, 29, 1, 29, 5]])],
        categories=[{"id": 5, "name": "rod"}, {"id": 1, "name": "cube"}, {"id": 90, "name": "unused"}],
    )
    source = open_coco(save_json(tmp_path / "c.json", document))
    assert (source.format, source.classes, source.unannotated) == ("coco", ("cube", "rod", "unused"), ())
    assert [entry.name for entry in source.entries] == ["b", "empty", "sub/a.v2"]
    assert [len(entry.annotations) for entry in source.entries] == [1, 0, 2]
    assert source.entries[2].path == tmp_path / "sub" / "a.v2.PNG"
    micrograph = source.entries[2].read()
    assert (micrograph.name, micrograph.width, micrograph.height, micrograph.notes) == ("sub/a.v2", 30, 20, ())
    assert [(instance.label, len(instance.region)) for instance in micrograph.instances] == [("rod", 1), ("cube", 2)]


@pytest.mark.parametrize(
    ("file_name", "place", "name"),
    [
        ("a.png", "given/a.png", "a"),
        ("a.png", "a.png", "a"),
        ("a.png", "images/a.png", "a"),
        ("a.png", "c/a.png", "a"),
        ("train/a.png", "train/a.png", "train/a"),
        ("train/a.png", "given/a.png", "train/a"),
        ("images\\a.png", "images/a.png", "images/a"),
        ("..\\..\\label-studio\\media\\upload\\4\\a.png", "images/a.png", "a"),
        ("C:\\Users\\me\\a.png", "a.png", "a"),
        ("/srv/data/a.png", "given/a.png", "a"),
        ("http://localhost:8080/data/upload/1/a.png", "images/a.png", "a"),
        ("/data/local-files/?d=sem/a%20b.png", "sem/a b.png", "sem/a b"),
        ("a%20b.png", "a b.png", "a%20b"),
        ("a.png", "deep/down/a.png", "a"),
        ("a_png.rf.0123abcd.jpg", "train/a_png.rf.0123abcd.jpg", "a_png.rf.0123abcd"),
    ],
)
def test_where_images_are_found(tmp_path, file_name, place, name):
    (tmp_path / "given").mkdir()
    save_image(tmp_path / place)
    source = open_coco(save_json(tmp_path / "c.json", listed(file_name)), tmp_path / "given")
    micrograph = source.entries[0].read()
    assert micrograph.image_path.samefile(tmp_path / place)
    assert micrograph.name == name


def test_the_given_folder_comes_first(tmp_path):
    for place in ("given/a.png", "a.png", "images/a.png"):
        save_image(tmp_path / place)
    path = save_json(tmp_path / "c.json", listed("a.png"))
    assert open_coco(path, tmp_path / "given").entries[0].path == tmp_path / "given" / "a.png"
    assert open_coco(path).entries[0].path == tmp_path / "a.png"


def test_layout_of_cvat(tmp_path):
    save_image(tmp_path / "images" / "default" / "a.png")
    save_json(tmp_path / "annotations" / "instances_default.json", listed("default/a.png", annotations=[annotation(1)]))
    assert len(open_coco(tmp_path).entries[0].read().instances) == 1


def test_brushed_masks_of_cvat_are_crowds_and_the_notes_say_so(tmp_path):
    save_image(tmp_path / "a.png")
    rle = {"size": [20, 30], "counts": [0, 40, 560]}
    document = listed("a.png", annotations=[annotation(1, segmentation=rle, iscrowd=1), annotation(1)])
    micrograph = open_coco(save_json(tmp_path / "c.json", document)).entries[0].read()
    assert [instance.ignored for instance in micrograph.instances] == [True, False]
    assert (micrograph.tally.crowds, micrograph.tally.regions) == (1, 2)
    assert micrograph.tally.notes() == ("1 region with iscrowd 1: ignore regions, not particles",)
    (entry,) = open_coco(tmp_path / "c.json", iscrowd="particle").entries
    assert [instance.ignored for instance in entry.read().instances] == [False, False]
    assert entry.read().tally.crowds == 0


@pytest.mark.parametrize(
    ("written", "ignored"),
    [(0, False), (False, False), ("0", False), (None, False), ("", False), (1, True), (True, True), ("1", True)],
)
def test_a_crowd_is_what_the_file_means_however_it_is_written(tmp_path, written, ignored):
    save_image(tmp_path / "a.png")
    document = listed("a.png", annotations=[annotation(1, iscrowd=written), annotation(1)])
    micrograph = open_coco(save_json(tmp_path / "c.json", document)).entries[0].read()
    assert [instance.ignored for instance in micrograph.instances] == [ignored, False]


@pytest.mark.parametrize("written", ["no", "false", 2, [0]])
def test_a_crowd_that_may_be_none_is_a_fault_of_its_annotation(tmp_path, written):
    save_image(tmp_path / "a.png")
    document = listed("a.png", annotations=[annotation(1, iscrowd=written), annotation(1)])
    (entry,) = open_coco(save_json(tmp_path / "c.json", document)).entries
    with pytest.raises(FaultyShapesError, match=r"c\.json: annotation 1: 'iscrowd' is .*; write 0 for a") as told:
        entry.read()
    assert len(told.value.rest.instances) == 1


def test_a_file_of_crowds_only_is_refused_unless_that_is_what_they_are(tmp_path):
    save_image(tmp_path / "a.png")
    document = listed("a.png", annotations=[annotation(1, iscrowd=1), annotation(1, iscrowd=1)])
    path = save_json(tmp_path / "c.json", document)
    with pytest.raises(AnnotationError, match=r"all 2 regions have iscrowd 1.*--iscrowd particle; or --iscrowd ignore"):
        open_coco(path)
    for iscrowd, ignored in (("particle", False), ("ignore", True)):
        (entry,) = open_coco(path, iscrowd=iscrowd).entries
        assert [instance.ignored for instance in entry.read().instances] == [ignored, ignored]
    # Regions that say by their class that they are to be ignored are no particles that were lost.
    document["categories"] = [{"id": 1, "name": "ignore"}]
    assert open_coco(save_json(path, document)).entries[0].read().tally.crowds == 0


def test_what_else_the_file_says_is_known_to_be_lost(tmp_path):
    for name in ("a.png", "b.png"):
        save_image(tmp_path / name)
    attributes = {"attributes": {"occluded": False, "by": "me"}, "bbox": [1, 2, 3, 4], "area": 5, "keypoints": []}
    document = listed("a.png", "b.png", annotations=[annotation(1, **attributes)], coco_url="")
    document["images"][1] |= {"license": 1, "date_captured": "2026-01-01"}
    document |= {"info": {"year": ""}, "licenses": [{"id": 1, "name": "CC BY 4.0"}]}
    first, second = (entry.read() for entry in open_coco(save_json(tmp_path / "c.json", document)).entries)
    assert first.not_carried == ("annotations.attributes", "licenses")
    assert second.not_carried == ("images.date_captured", "images.license", "licenses")


def test_heading_of_roboflow_is_no_class(tmp_path):
    categories = [
        {"id": 0, "name": "shapes", "supercategory": "none"},
        {"id": 1, "name": "cube", "supercategory": "shapes"},
        {"id": 2, "name": "rod", "supercategory": "shapes"},
    ]
    path = save_json(tmp_path / "c.json", listed("a.png", annotations=[annotation(1, 2)], categories=categories))
    assert open_coco(path).classes == ("cube", "rod")
    used = listed("a.png", annotations=[annotation(1, 0)], categories=categories)
    assert open_coco(save_json(tmp_path / "c.json", used)).classes == ("shapes", "cube", "rod")
    own = [{"id": 0, "name": "cube", "supercategory": "cube"}, {"id": 1, "name": "cube", "supercategory": "none"}]
    assert open_coco(save_json(tmp_path / "c.json", listed(categories=own))).classes == ("cube",)


def test_ids_of_other_kinds(tmp_path):
    save_image(tmp_path / "a.png")
    document = listed("a.png", annotations=[annotation("1", 7.0), annotation(1.0, "7")], categories=[])
    document["categories"] = [{"id": "7", "name": " rod "}, {"id": "x-1", "name": "cube"}]
    source = open_coco(save_json(tmp_path / "c.json", document))
    assert source.classes == ("rod", "cube")
    assert [instance.label for instance in source.entries[0].read().instances] == ["rod", "rod"]


@pytest.mark.parametrize("size", [{"width": None, "height": None}, {"width": 0, "height": 0}])
def test_missing_size_is_taken_from_the_image(tmp_path, size):
    save_image(tmp_path / "a.png")
    document = listed("a.png", annotations=[annotation(1)], **size)
    micrograph = open_coco(save_json(tmp_path / "c.json", document)).entries[0].read()
    assert (micrograph.width, micrograph.height) == (30, 20)
    with pytest.raises(AnnotationError, match="no 'width' and 'height'"):
        read_coco(tmp_path / "c.json")


@pytest.mark.parametrize("size", [("30", 20), (30, None), (-30, 20), (10**6, 10**6), (30.5, 20)])
def test_size_that_is_none(tmp_path, size):
    path = save_json(tmp_path / "c.json", listed("a.png", width=size[0], height=size[1], annotations=[annotation(1)]))
    (problem,) = open_coco(path).problems
    # Once: that the annotation's image cannot be used follows.
    assert re.search(r"c\.json: image 1: 'width' and 'height' are .* no size$", str(problem.error))


@pytest.mark.parametrize(
    ("orientation", "stored", "stated", "fits"),
    [
        (1, (30, 20), (30, 20), True),
        (6, (20, 30), (30, 20), True),  # annotated on the image as EXIF turns it
        (6, (30, 20), (30, 20), False),  # annotated on the pixels as stored
        (6, (30, 30), (30, 30), False),  # a square tells nothing
        (3, (30, 20), (30, 20), False),  # nor does half a turn
        (6, (20, 30), (None, None), False),
    ],
)
def test_an_image_that_exif_turns(tmp_path, orientation, stored, stated, fits):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for suffix in (".jpg", ".png", ".tif"):
        save_image(tmp_path / f"a{suffix}", stored, exif=exif)
        path = save_json(tmp_path / "c.json", listed(f"a{suffix}", width=stated[0], height=stated[1]))
        entry = open_coco(path).entries[0]
        if fits:
            assert (entry.read().width, entry.read().height) == (30, 20)
        else:
            with pytest.raises(AnnotationError, match=r"c\.json: image 'a': EXIF turns a\..*save the image upright"):
                entry.read()


def test_faults_of_one_image_leave_the_others(tmp_path):
    save_image(tmp_path / "good.png")
    save_image(tmp_path / "large.png", (60, 40))
    (tmp_path / "broken.png").write_bytes(b"no image")
    for folder in ("x", "y"):
        save_image(tmp_path / folder / "twice.png")
    names = ("good.png", "large.png", "broken.png", "z/twice.png", "none.png", "same.png", "same.png")
    source = open_coco(save_json(tmp_path / "c.json", listed(*names)))
    entries = {entry.name: entry for entry in source.entries}
    assert entries["good"].read().name == "good"
    for name, message in (
        ("large", r"annotated on 30x20 px, but large\.png is 60x40 px; put the image back"),
        ("z/twice", r"'twice\.png' is there 2 times .*give the folder"),
        ("none", r"'none\.png' is not found; put it into one of"),
        ("same", "'same.png' is not found"),
    ):
        with pytest.raises(AnnotationError, match=message):
            entries[name].read()
    with pytest.raises(ImageError, match=r"broken\.png"):
        entries["broken"].read()


def test_two_entries_of_one_image_are_both_faults(tmp_path):
    save_image(tmp_path / "a.png")
    source = open_coco(save_json(tmp_path / "c.json", listed("a.png", "train/a.png")))
    for entry in source.entries:
        with pytest.raises(AnnotationError, match="are one and the same image"):
            entry.read()
    save_image(tmp_path / "a.jpg")
    source = open_coco(save_json(tmp_path / "c.json", listed("a.png", "a.jpg")))
    for entry in source.entries:
        with pytest.raises(AnnotationError, match="would have one name"):
            entry.read()


def test_a_folder_must_hold_one_coco_file(tmp_path):
    with pytest.raises(AnnotationError, match="no COCO file in it"):
        open_coco(tmp_path)
    save_json(tmp_path / "other.json", {"shapes": []})
    save_json(tmp_path / "train" / "_annotations.coco.json", listed("a.png"))
    assert len(open_coco(tmp_path).entries) == 1
    save_json(tmp_path / "backup" / "_annotations.coco.json", listed("a.png"))
    with pytest.raises(AnnotationError, match=r"2 COCO files \(backup/_annotations\.coco\.json, train/.*joined"):
        open_coco(tmp_path)


def test_what_the_door_refuses_at_once(tmp_path):
    for document, message in (
        (listed("a.png", categories=[{"id": 1, "name": ""}]), "category 1: the label is ''"),
        (listed("a.png", categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]), "id 1 is 'a' and 'b'"),
        (listed("a\ud800.png"), r"c\.json.*ud800"),
        ({"images": []}, "'categories' is missing"),
    ):
        with pytest.raises(AnnotationError, match=message):
            open_coco(save_json(tmp_path / "c.json", document))


def test_faults_of_the_lists_are_all_told_and_leave_the_rest_usable(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        save_image(tmp_path / name)
    document = listed("a.png", "b.png", "c.png", "d.png", annotations=[annotation(8), annotation(1), annotation(None)])
    document["images"] += [{"id": 2, "file_name": "again.png"}, {"file_name": "c.png"}, {"id": 7}]
    document["images"][3]["width"] = -1
    document["annotations"] += [annotation(2), annotation(4), annotation(7)]
    path = save_json(tmp_path / "c.json", document)
    source = open_coco(path)
    assert [entry.name for entry in source.entries] == ["a", "c"]
    assert len(source.entries[0].read().instances) == 1
    (problem,) = source.problems
    faults = [
        "image 4: 'width' and 'height' are -1 and 20, which is no size",
        "image 5: 'again.png' (id 2) stands there twice; keep one of them",
        "image 6: 'id' is None, which a COCO file does not allow",
        "image 7: 'file_name' is None, which a COCO file does not allow",
        "annotation 1: image_id 8 is not among the file's images; delete it",
        "annotation 3: 'image_id' is None, which names no image",
    ]
    assert problem.file == path and list(problem.error.faults) == faults
    # Truth that nothing may be missing of is refused with the same list.
    with pytest.raises(AnnotationError) as refused:
        read_coco(path)
    assert list(refused.value.faults) == faults
    # What the classes are concerns all images, and the other faults are told with it.
    document["categories"].append({"id": 1, "name": "rod"})
    with pytest.raises(AnnotationError) as refused:
        open_coco(save_json(path, document))
    assert list(refused.value.faults) == ["category 2: id 1 is 'cube' and 'rod'; keep one", *faults]


def test_every_faulty_annotation_is_told_and_the_others_remain(tmp_path):
    save_image(tmp_path / "a.png")
    wrong = [
        annotation(1, segmentation=[]),
        annotation(1, 9),
        annotation(1, segmentation=[[1, 2, float("nan"), 4, 5, 6]]),
        annotation(1, segmentation=[[1, 2, 3, 4]]),
        annotation(1, segmentation={"size": [20, 30], "counts": [0, 40, 5]}),
    ]
    document = listed("a.png", annotations=[annotation(1), *wrong, annotation(1, segmentation=[[1, 1, 9, 1, 9, 9]])])
    (entry,) = open_coco(save_json(tmp_path / "c.json", document)).entries
    with pytest.raises(FaultyShapesError) as raised:
        entry.read()
    numbers = [fault.split(":")[0] for fault in raised.value.faults]
    assert numbers == [f"annotation {number}" for number in (2, 3, 4, 5, 6)]
    assert "value 3 of 'segmentation' is nan" in raised.value.faults[2]
    assert "there are 4 numbers" in raised.value.faults[3]
    rest = raised.value.rest
    assert (rest.name, len(rest.instances), rest.image_path) == ("a", 2, tmp_path / "a.png")


def test_labels_of_ignore_regions_and_background_as_labelme_exports_them(tmp_path):
    save_image(tmp_path / "a.png")
    categories = [{"id": 0, "name": "_background_"}, {"id": 1, "name": "cube"}, {"id": 2, "name": "__ignore__"}]
    document = listed("a.png", annotations=[annotation(1, number) for number in (0, 1, 2)], categories=categories)
    source = open_coco(save_json(tmp_path / "c.json", document))
    assert source.classes == ("cube",)
    micrograph = source.entries[0].read()
    assert [(each.label, each.ignored) for each in micrograph.instances] == [("cube", False), ("ignore", True)]
    assert micrograph.tally.background == 1


def test_entries_are_read_in_a_worker_process(tmp_path):
    save_image(tmp_path / "a.png")
    source = open_coco(save_json(tmp_path / "c.json", listed("a.png", annotations=[annotation(1)])))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        (instance,) = pool.submit(source.entries[0].read).result().instances
    assert instance.region[0].exterior.tolist() == np.reshape(BOX[0], (-1, 2)).tolist()
