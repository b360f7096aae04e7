import base64
import json
import pickle
import unicodedata

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.errors import NotAnAnnotationError
from nanoseg_bench.annotations.faults import FaultyShapesError, SeveralFaultsError
from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon, Rle
from nanoseg_bench.annotations.labelme.reading import (
    embedded_image,
    extract_embedded_image,
    open_labelme,
    read_labelme,
    read_labelme_regions,
)
from nanoseg_bench.annotations.labelme.shapes import encode_mask
from nanoseg_bench.annotations.labelme.writing import labelme_bytes, write_labelme
from nanoseg_bench.annotations.raster import mask_to_rle, to_mask
from nanoseg_bench.errors import AnnotationError, ImageError

TRIANGLE = [[5, 5], [25, 5], [15, 25]]


def polygon(label="cube", points=TRIANGLE, **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": "polygon", "flags": {}, **more}


def test_one_file(labelme_file):
    path = labelme_file([polygon(), polygon("ignore")])
    micrograph = read_labelme(path)
    assert (micrograph.name, micrograph.width, micrograph.height) == ("a", 60, 40)
    assert micrograph.image_path == path.with_suffix(".png")
    assert [instance.label for instance in micrograph.instances] == ["cube", "ignore"]
    assert micrograph.instances[0].region[0].exterior.tolist() == TRIANGLE
    assert (micrograph.source_group, micrograph.nm_per_px, micrograph.attributes) == (None, None, {})


def test_blanks_around_a_label_are_none_of_it(labelme_file):
    (instance,) = read_labelme(labelme_file([polygon(" cube ")])).instances
    assert instance.label == "cube", "as COCO files, in which prepared sets keep their truth, are read"


def test_old_files_without_version_size_and_type(labelme_file):
    shape = {"label": "角位", "points": TRIANGLE, "line_color": None, "fill_color": None}
    path = labelme_file([shape], version="absent", imageHeight="absent", imageWidth="absent", flags="absent")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (instance,) = read_labelme(path).instances
    assert instance.label == "角位"
    assert instance.region[0].exterior.tolist() == TRIANGLE


def test_group_id_makes_one_instance_of_one_label(labelme_file):
    shifted = [[x + 30, y] for x, y in TRIANGLE]
    path = labelme_file(
        [
            polygon("cube", group_id=1),
            polygon("rod", group_id=1),
            polygon("cube"),
            polygon("cube", shifted, group_id=1),
            polygon("cube", group_id=0),
        ]
    )
    instances = read_labelme(path).instances
    assert [(instance.label, len(instance.region)) for instance in instances] == [
        ("cube", 2),
        ("rod", 1),
        ("cube", 1),
        ("cube", 1),
    ]
    assert instances[0].region[1].exterior.tolist() == shifted


def test_group_of_polygon_and_mask_is_their_union(labelme_file, tmp_path):
    mask = np.zeros((40, 60), dtype=bool)
    mask[30:35, 40:50] = True
    stamp = Micrograph("m", tmp_path / "m.png", 60, 40, (Instance("cube", mask_to_rle(mask)),))
    write_labelme(tmp_path / "mask.json", stamp, "m.png")
    shape = json.loads((tmp_path / "mask.json").read_text())["shapes"][0]
    (instance,) = read_labelme(labelme_file([polygon(group_id=3), {**shape, "group_id": 3}])).instances
    assert isinstance(instance.region, Rle)
    triangle = to_mask(Instance("cube", (Polygon(np.array(TRIANGLE, dtype=float)),)), 40, 60)
    assert (to_mask(instance, 40, 60) == (mask | triangle)).all()


def test_shapes_without_area_are_left_out_and_counted(labelme_file):
    path = labelme_file(
        [
            polygon(),
            polygon("scale", [[1, 1], [9, 1]], shape_type="line"),
            polygon("tip", [[1, 1]], shape_type="point"),
            polygon("tip", [[1, 1]], shape_type="point"),
        ]
    )
    micrograph = read_labelme(path)
    assert len(micrograph.instances) == 1
    assert micrograph.without_area == {"line": 1, "point": 2}
    assert micrograph.notes == (
        "left out shapes without area: 1 line, 2 point; draw what outlines a particle as a polygon",
    )


@pytest.mark.parametrize(
    "image_path",
    [
        "x" * 5000 + ".png",
        "\0.png",
        "..\\pictures\\a.png",
        "C:\\Users\\me\\a.png",
        "gone/a.png",
        "other.jpg",
        "a.json",
        None,
    ],
)
def test_image_is_found_by_path_name_or_stem(labelme_file, image_path):
    path = labelme_file([polygon()], imagePath=image_path)
    assert read_labelme(path).image_path.resolve() == path.with_suffix(".png")


def test_image_in_another_folder(labelme_file, tmp_path):
    path = labelme_file([polygon()], name="json/a", imagePath="..\\images\\b.PNG")
    (tmp_path / "images").mkdir()
    path.with_suffix(".png").rename(tmp_path / "images" / "b.PNG")
    assert read_labelme(path).image_path.samefile(tmp_path / "images" / "b.PNG")
    (tmp_path / "images").rename(tmp_path / "moved")
    with pytest.raises(AnnotationError, match=r"images\\b\.PNG' is missing"):
        read_labelme(path)
    assert read_labelme(path, tmp_path / "moved" / "b.PNG").image_path == tmp_path / "moved" / "b.PNG"


def test_extras_are_read_and_checked(labelme_file):
    extras = {"nm_per_px": 2, "source_group": "s1", "attributes": {"modality": "BF-TEM"}}
    micrograph = read_labelme(labelme_file([], nanoseg=extras))
    assert (micrograph.nm_per_px, micrograph.source_group, micrograph.attributes) == (2.0, "s1", {"modality": "BF-TEM"})
    for key, value in (
        ("nm_per_px", 0),
        ("nm_per_px", "2 nm"),
        ("nm_per_px", True),
        ("nm_per_px", float("nan")),
        ("source_group", 7),
        ("source_group", ""),
        ("attributes", {"a": 1}),
        ("attributes", [1]),
    ):
        with pytest.raises(AnnotationError, match=rf"a\.json: nanoseg\.{key}"):
            read_labelme(labelme_file([], nanoseg={key: value}))
    with pytest.raises(AnnotationError, match="'nanoseg' is 3"):
        read_labelme(labelme_file([], nanoseg=3))


def test_size_that_differs_from_the_image_is_an_error(labelme_file):
    with pytest.raises(AnnotationError, match=r"a\.json: made for an image of 40x60 px, but a\.png is 60x40 px"):
        read_labelme(labelme_file([], imageWidth=40, imageHeight=60))


def test_exif_rotation_counts_for_the_size(labelme_file):
    path = labelme_file([polygon()], imagePath="a.jpg", imageWidth=40, imageHeight=60)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (60, 40)).save(path.with_suffix(".jpg"), exif=exif)
    assert (read_labelme(path).width, read_labelme(path).height) == (40, 60)


@pytest.mark.parametrize("image_path", [None, "", " ", 3, "absent"])
def test_a_file_that_names_no_image_says_so(labelme_file, image_path):
    path = labelme_file([polygon()], imagePath=image_path, image=False)
    with pytest.raises(AnnotationError, match=r"a\.json: it names no image \('imagePath'\), and no image .* a\.png"):
        read_labelme(path)


def test_the_name_of_a_missing_image_commands_no_terminal(labelme_file):
    path = labelme_file([polygon()], imagePath="x\x1b[31m.png", image=False)
    with pytest.raises(AnnotationError, match="is missing") as caught:
        read_labelme(path)
    assert str(caught.value).isprintable()


def test_faulty_files_are_named(labelme_file, tmp_path):
    with pytest.raises(AnnotationError, match=r"b\.json: its image 'b\.png' is missing.*put the image beside"):
        read_labelme(labelme_file([], name="b", image=False))
    with pytest.raises(AnnotationError, match=r"a\.json: shape 2 \('rod'\): .*3 different points, this one has 2"):
        read_labelme(labelme_file([polygon(), polygon("rod", [[1, 1], [2, 2]])]))
    for label in (None, "", " ", 3):
        with pytest.raises(AnnotationError, match="shape 1 has no label"):
            read_labelme(labelme_file([polygon(label)]))
    with pytest.raises(AnnotationError, match="shape 1 has no label"):
        read_labelme(labelme_file(["cube"]))
    with pytest.raises(AnnotationError, match="'shapes' is not a list"):
        read_labelme(labelme_file({"a": 1}))
    path = tmp_path / "c.json"
    for content, message in (
        (b"", "not JSON"),
        (b'{"shapes": [', "not JSON"),
        (b"[1]", "not LabelMe JSON"),
        (b"[" * 100_000, "not JSON"),
        ('{"shapes": [{"label": "kübel"}]}'.encode("latin-1"), "not UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(AnnotationError, match=rf"c\.json: {message}"):
            read_labelme(path)
    with pytest.raises(AnnotationError, match="no such"):
        read_labelme(tmp_path / "d.json")


def test_broken_image_is_an_image_error(labelme_file):
    path = labelme_file([polygon()])
    image = path.with_suffix(".png")
    image.write_bytes(image.read_bytes()[:20])
    with pytest.raises(ImageError, match=r"a\.png"):
        read_labelme(path)


def micrograph_of_all_kinds(tmp_path, disc, square):
    mask = np.random.default_rng(0).random((40, 60)) > 0.6
    ring = Polygon(square(2, 2, 20, 20), (square(6, 6, 12, 12),))
    instances = (
        Instance("cube", (Polygon(np.array([(0.1, 1 / 3), (-3.7, 20.25), (70.0, 9.0)])),)),
        Instance("rod", (disc(20, 20, 6), disc(40, 20, 5))),
        Instance("rod", (disc(10, 10, 3), disc(50, 30, 3), disc(30, 30, 2))),
        Instance("cube", (ring, disc(40, 30, 4))),
        Instance("sphère", mask_to_rle(mask)),
        Instance("ignore", (Polygon(square(0, 36, 60, 40)),)),
        Instance("rod", (disc(30, 8, 4),), crowd=True),
    )
    Image.new("L", (60, 40)).save(tmp_path / "a.png")
    return Micrograph("a", tmp_path / "a.png", 60, 40, instances, "specimen-1", 0.75, {"modality": "SE-SEM"})


def test_round_trip(tmp_path, disc, square):
    micrograph = micrograph_of_all_kinds(tmp_path, disc, square)
    write_labelme(tmp_path / "a.json", micrograph, "a.png")
    back = read_labelme(tmp_path / "a.json")
    for field in ("name", "image_path", "width", "height", "source_group", "nm_per_px", "attributes"):
        assert getattr(back, field) == getattr(micrograph, field)
    for old, new in zip(micrograph.instances, back.instances, strict=True):
        assert (old.label, old.crowd) == (new.label, new.crowd)
        assert (to_mask(old, 40, 60) == to_mask(new, 40, 60)).all()
    assert (back.instances[0].region[0].exterior == micrograph.instances[0].region[0].exterior).all()
    assert [len(instance.region) for instance in back.instances[1:3]] == [2, 3]
    again = tmp_path / "b.json"
    write_labelme(again, micrograph, "a.png")
    assert again.read_bytes() == (tmp_path / "a.json").read_bytes()


@pytest.fixture
def pillows_limit(monkeypatch):
    """LabelMe lifts Pillow's limit of pixels for the whole process when it is imported; put back afterwards."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


@pytest.mark.usefixtures("pillows_limit")
def test_labelme_itself_reads_what_is_written(tmp_path, disc, square):
    try:
        from labelme._label_file import LabelFile
    except Exception as error:  # Qt or libGL missing: labelme then fails with whatever they raise
        pytest.skip(f"labelme cannot be imported here: {error!r}")
    micrograph = micrograph_of_all_kinds(tmp_path, disc, square)
    write_labelme(tmp_path / "a.json", micrograph, "a.png")
    document = LabelFile(str(tmp_path / "a.json"))
    assert document.image_path == "a.png"
    assert document.other_data["nanoseg"]["source_group"] == "specimen-1"
    found = {}
    for number, shape in enumerate(document.shapes):
        key = (shape["label"], shape["group_id"] or f"single {number}")
        mask = found.setdefault(key, np.zeros((40, 60), dtype=bool))
        if shape["shape_type"] == "mask":
            (left, top), (right, bottom) = np.array(shape["points"]).astype(int)
            mask[top : bottom + 1, left : right + 1] |= shape["mask"]
        else:
            assert shape["shape_type"] == "polygon"
            mask |= to_mask(Instance(None, (Polygon(np.array(shape["points"])),)), 40, 60)
    for instance, mask in zip(micrograph.instances, found.values(), strict=True):
        assert (mask == to_mask(instance, 40, 60)).all()


def test_writer_refuses_what_labelme_cannot_hold(tmp_path, disc):
    for instance, message in (
        (Instance(None, (disc(9, 9, 3),)), "instance 1 has no label"),
        (Instance("cube", mask_to_rle(np.zeros((40, 60)))), r"instance 1 \(cube\) covers no pixel"),
    ):
        with pytest.raises(AnnotationError, match=message):
            write_labelme(tmp_path / "a.json", Micrograph("a", tmp_path, 60, 40, (instance,)), "a.png")
    assert list(tmp_path.iterdir()) == []


def test_folder_without_labelme_files(tmp_path):
    (tmp_path / ".hidden.json").write_text('{"shapes": []}')
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(AnnotationError, match="no LabelMe JSON"):
        open_labelme(tmp_path)
    with pytest.raises(AnnotationError, match="no such folder"):
        open_labelme(tmp_path / "none")


def test_image_stored_inside_the_file(labelme_file, tmp_path):
    path = labelme_file([polygon()], name="in/sub/a")
    image = path.with_suffix(".png")
    data = image.read_bytes()
    assert embedded_image(path) is None
    with pytest.raises(AnnotationError, match="holds no imageData"):
        extract_embedded_image(path, tmp_path)
    image.unlink()
    labelme_file([polygon()], name="in/sub/a", image=False, imageData=base64.b64encode(data).decode())
    assert embedded_image(path) == data
    with pytest.raises(AnnotationError, match="is missing"):
        open_labelme(tmp_path / "in").entries[0].read()
    (entry,) = open_labelme(tmp_path / "in", tmp_path / "cache").entries
    assert not (tmp_path / "cache").exists()
    micrograph = entry.read()
    assert micrograph.name == "sub/a"
    assert micrograph.image_path == tmp_path / "cache" / "sub" / "a.png"
    assert micrograph.image_path.read_bytes() == data


def test_an_extracted_image_is_not_mixed_up_with_that_of_another_file(labelme_file, tmp_path):
    """Renamed files may name each other's image."""
    stored = {}
    for name, image in (("a", "b.png"), ("b", "c.png")):
        source = labelme_file([polygon()], name=f"made/{name}").with_suffix(".png")
        Image.new("L", Image.open(source).size, ord(name)).save(source)
        stored[name] = source.read_bytes()
        data = base64.b64encode(stored[name]).decode()
        labelme_file([polygon()], name=f"in/{name}", image=False, imagePath=image, imageData=data)
    first, second = open_labelme(tmp_path / "in", tmp_path / "cache").entries
    for entry in (second, first):
        assert entry.read().image_path.read_bytes() == stored[entry.name]
    assert first.read().notes == ("its image 'b.png' is missing; took a.png, which has the JSON's name",)


@pytest.mark.parametrize("data", ["*", "AAAA", 3])
def test_broken_stored_image_is_named(labelme_file, tmp_path, data):
    path = labelme_file([polygon()], image=False, imageData=data)
    with pytest.raises(AnnotationError, match=r"a\.json: 'imageData' is no"):
        extract_embedded_image(path, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_real_files_of_four_projects(shared_data, tmp_path):
    """Every file is read with its image, or with the one stored in it, or refused for its missing image."""
    outcomes = {}
    for path in sorted((shared_data / "labelme").rglob("*.json")):
        try:
            micrograph = read_labelme(path)
        except AnnotationError as error:
            assert "is missing" in str(error)
            if embedded_image(path) is None:
                outcomes[path.name] = "no image"
                continue
            micrograph = read_labelme(path, extract_embedded_image(path, tmp_path / path.stem))
        outcomes[path.name] = len(micrograph.instances)
        for instance in micrograph.instances:
            assert to_mask(instance, micrograph.height, micrograph.width).any(), path
    assert outcomes == {
        "backslash.json": "no image",
        "img1.json": "no image",
        "sort.json": "no image",
        "test.json": "no image",
        "terrain1.json": "no image",
        "terrain3.json": "no image",
        "terrain2.json": 5,
        "Mandrill.json": 5,
        "sample.json": 4,
        "20180928115506.json": 2,
        "20180928115522.json": 2,
        "20180928115538.json": 2,
        "000000013923.json": 8,
        "000000076261.json": 2,
        "000000083540.json": 2,
        "000000100723.json": 3,
        "000000549930.json": 3,
    }


def test_door_lists_without_reading(labelme_file, tmp_path):
    for name in ("b", "sub/a.v2", "A", ".hidden/x", "sub/.y"):
        labelme_file([polygon()], name=name)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "package.JSON").write_text("{}")
    source = open_labelme(tmp_path)
    assert (source.format, source.classes, source.unannotated) == ("labelme", None, ())
    assert [entry.name for entry in source.entries] == ["A", "b", "broken", "package", "sub/a.v2"]
    a, b, broken, package, sub = pickle.loads(pickle.dumps(source.entries))
    for entry in (a, b, sub):
        micrograph = entry.read()
        assert (micrograph.name, len(micrograph.instances)) == (entry.name, 1)
        assert micrograph.image_path == entry.path.with_suffix(".png")
    with pytest.raises(NotAnAnnotationError, match=r"package\.JSON: not LabelMe JSON"):
        package.read()
    with pytest.raises(AnnotationError, match=r"broken\.json: not JSON"):
        broken.read()


def test_unannotated_images_are_those_that_no_file_names(labelme_file, tmp_path):
    labelme_file([], name="a")
    labelme_file([], name="json/b", imagePath="..\\images\\c.TIF", image=False)
    (tmp_path / "images").mkdir()
    for name in ("images/c.TIF", "images/d.tif", "bare.jpg", ".hidden.png"):
        Image.new("L", (60, 40)).save(tmp_path / name)
    assert open_labelme(tmp_path).unannotated == (tmp_path / "bare.jpg", tmp_path / "images" / "d.tif")


def test_another_image_than_the_named_one_is_noted(labelme_file, tmp_path):
    path = labelme_file([], imagePath="IMG_1.tif")
    assert read_labelme(path).notes == ("its image 'IMG_1.tif' is missing; took a.png, which has the JSON's name",)
    labelme_file([], name="b")
    path = labelme_file([], imagePath="b.png")
    (note,) = read_labelme(path).notes
    assert "annotates b.png, as the file says, and not a.png" in note
    assert read_labelme(labelme_file([], imagePath="C:\\old\\A.PNG")).notes == ()


@pytest.mark.parametrize("size", [("60", "40"), (60.0, 40.0), (None, 40), (60, "absent")])
def test_sizes_of_other_writers(labelme_file, size):
    assert read_labelme(labelme_file([], imageWidth=size[0], imageHeight=size[1])).width == 60


@pytest.mark.parametrize("size", [("wide", 40), ([60], 40), (True, 40), (61, 40), (10**400, 40)])
def test_sizes_that_are_none(labelme_file, size):
    with pytest.raises(AnnotationError, match=r"a\.json: made for an image of"):
        read_labelme(labelme_file([], imageWidth=size[0], imageHeight=size[1]))


def test_swapped_size_says_so(labelme_file):
    with pytest.raises(AnnotationError, match="swapped: turn the image back"):
        read_labelme(labelme_file([], imageWidth=40, imageHeight=60))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_that_json_knows(labelme_file, encoding):
    path = labelme_file([polygon("角位漏底")])
    document = json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False)
    path.write_bytes(document.encode(encoding))
    assert read_labelme(path).instances[0].label == "角位漏底"


@pytest.mark.parametrize("encoding", ["gbk", "shift-jis", "cp949", "latin-1"])
def test_code_pages_are_refused_with_a_way_out(labelme_file, encoding):
    path = labelme_file([polygon("Größe" if encoding == "latin-1" else "日本" if encoding != "cp949" else "한국")])
    document = json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False)
    path.write_bytes(document.encode(encoding))
    with pytest.raises(AnnotationError, match=r"a\.json: not UTF-8 text \(byte \d+\).*GBK.*save it as UTF-8"):
        read_labelme(path)


def test_numbers_that_are_no_json_and_doubled_keys(labelme_file):
    path = labelme_file([polygon(score="SCORE")])
    text = path.read_text()
    path.write_text(text.replace('"SCORE"', "NaN"))
    assert len(read_labelme(path).instances) == 1
    path.write_text(text.replace("[[5, 5]", "[[NaN, 5]"))
    with pytest.raises(AnnotationError, match=r"shape 1 \('cube'\): point 1 is \[nan, 5\]; points must"):
        read_labelme(path)
    path.write_text(text.replace("[[5, 5]", "[[1e300, 5]"))
    with pytest.raises(AnnotationError, match=r"shape 1 \('cube'\): a point lies 1e\+300 px away"):
        read_labelme(path)
    path.write_text(text.replace('"label": "cube"', '"label": "rod", "label": "cube"'))
    assert read_labelme(path).instances[0].label == "cube"  # as Python's and LabelMe's own parser have it
    path.write_text(text.replace('"cube"', '"\\ud800"'))
    with pytest.raises(AnnotationError, match="not JSON"):
        read_labelme(path)


def test_keys_of_other_tools_are_passed_over(labelme_file):
    extra = {"difficult": False, "attributes": {}, "kie_linking": [], "direction": 0, "description": None, "other": [1]}
    path = labelme_file([polygon(**extra, score=None)], lineColor=[0, 255, 0, 128], text="", is_verified=True)
    micrograph = read_labelme(path)
    assert micrograph.instances[0].region[0].exterior.tolist() == TRIANGLE
    assert micrograph.not_carried == ("is_verified", "shapes.other")


def test_flags_and_descriptions_are_known_to_be_lost(labelme_file):
    plain = labelme_file([polygon(flags={"crowd": True, "sharp": False}, description="", group_id=3)])
    assert read_labelme(plain).not_carried == ()
    told = labelme_file([polygon(flags={"sharp": True}, description="by hand")], flags={"a": False, "b": True})
    assert read_labelme(told).not_carried == ("flags", "shapes.description", "shapes.flags")


def test_all_faulty_shapes_of_a_file_are_told(labelme_file):
    shapes = [
        polygon(),
        polygon("rod", [[1, 1], [2, 2]]),
        "no shape",
        polygon("rod", [[1, 1]], shape_type="point"),
        polygon("cube", [[1, 1]], shape_type="circle"),
        polygon("", [[1, 1]]),
    ]
    with pytest.raises(SeveralFaultsError, match=r"a\.json: 4 faults") as error:
        read_labelme(labelme_file(shapes))
    assert [fault.split(":")[0].split(" has")[0] for fault in error.value.faults] == [
        "shape 2 ('rod')",
        "shape 3",
        "shape 5 ('cube')",
        "shape 6",
    ]


@pytest.mark.usefixtures("pillows_limit")
def test_oracle_parses_the_same(shared_data, tmp_path):
    """The LabelMe package reads about half of the real files; there, labels, points, groups and masks are the same."""
    try:
        from labelme._label_file import LabelFileReadError, read_label_file
    except Exception as error:  # Qt or libGL missing: labelme then fails with whatever they raise
        pytest.skip(f"labelme cannot be imported here: {error!r}")
    compared = []
    for path in sorted((shared_data / "labelme").rglob("*.json")):
        try:
            oracle = read_label_file(str(path))
        except LabelFileReadError:
            continue
        source = open_labelme(path.parent, tmp_path / path.stem)
        micrograph = next(entry for entry in source.entries if entry.path == path).read()
        groups = {}
        for number, shape in enumerate(oracle.shapes):
            if shape["shape_type"] in ("polygon", "rectangle", "circle", "mask"):
                key = number if shape["group_id"] is None else f"group {shape['group_id']}"
                groups.setdefault((shape["label"], key), []).append(shape)
        assert [label for label, _ in groups] == [instance.label for instance in micrograph.instances]
        for instance, shapes in zip(micrograph.instances, groups.values(), strict=True):
            assert len(instance.region) == len(shapes)
            for part, shape in zip(instance.region, shapes, strict=True):
                if shape["shape_type"] == "polygon":
                    assert part.exterior.tolist() == shape["points"]
        compared.append(path.name)
    assert len(compared) >= 6, compared


def test_regions_are_read_without_the_image_and_only_at_its_size(labelme_file):
    path = labelme_file([polygon(), polygon("ignore")])
    path.with_suffix(".png").unlink()
    regions = read_labelme_regions(path, 60, 40)
    assert [instance.label for instance in regions] == ["cube", "ignore"]
    assert regions[0].region[0].exterior.tolist() == TRIANGLE
    with pytest.raises(AnnotationError, match="60"):
        read_labelme_regions(path, 61, 40)


def test_labels_of_labelmes_own_examples(labelme_file):
    shapes = [polygon("__ignore__"), polygon("_background_", [[1, 1], [9, 1], [9, 9]]), polygon("cube")]
    micrograph = read_labelme(labelme_file(shapes))
    assert [(each.label, each.ignored) for each in micrograph.instances] == [("ignore", True), ("cube", False)]
    assert micrograph.tally.background == 1
    assert len(read_labelme_regions(labelme_file(shapes), 60, 40)) == 2


def test_an_image_of_the_other_unicode_form_is_the_own_one(labelme_file):
    taken_apart = unicodedata.normalize("NFD", "Größe")
    path = labelme_file([polygon()], name="Größe", image=False)
    image = path.with_name(f"{taken_apart}.png")
    Image.new("L", (60, 40)).save(image)
    micrograph = read_labelme(path)
    assert micrograph.image_path.samefile(image) and micrograph.notes == ()
    (entry,) = open_labelme(path.parent).entries
    assert entry.read().image_path.samefile(image) and open_labelme(path.parent).unannotated == ()


def test_webp_is_read_and_other_formats_are_named(labelme_file):
    path = labelme_file([polygon()], image=False, imagePath="a.webp")
    Image.new("L", (60, 40)).save(path.with_suffix(".webp"))
    assert read_labelme(path).image_path == path.with_suffix(".webp")
    path = labelme_file([polygon()], name="b", image=False, imagePath="b.gif")
    Image.new("P", (60, 40)).save(path.with_suffix(".gif"))
    with pytest.raises(AnnotationError, match=r"its image .*b\.gif is of a format that is not read"):
        read_labelme(path)


def test_links_that_lead_nowhere_are_faults_of_one_file_each(labelme_file):
    good = labelme_file([polygon()])
    for name, target in (("gone.json", ".git/annex/x"), ("round.json", "round.json"), ("round.png", "round.png")):
        good.with_name(name).symlink_to(target)
    labelme_file([polygon()], name="link", image=False)
    good.with_name("link.png").symlink_to(".git/annex/link.png")
    source = open_labelme(good.parent)
    read = {entry.name: entry for entry in source.entries}
    assert len(read["a"].read().instances) == 1
    for name, message in (
        ("gone", r"gone\.json: a link to \.git/annex/x, which is not there; fetch the file"),
        ("round", r"round\.json: a link that leads round to itself"),
        ("link", r"link\.json: its image .*link\.png is a link to \.git/annex/link\.png, which is not there"),
    ):
        with pytest.raises(AnnotationError, match=message):
            read[name].read()


def test_every_faulty_shape_is_told_and_the_others_remain(labelme_file):
    shapes = [polygon(), polygon("rod", [[1, 1], [2, 2]]), polygon(""), polygon("rod", [[1, 1], [2, "x"], [3, 4]])]
    with pytest.raises(FaultyShapesError) as raised:
        read_labelme(labelme_file(shapes))
    assert [fault[:7] for fault in raised.value.faults] == ["shape 2", "shape 3", "shape 4"]
    assert "point 2 is [2, 'x']" in raised.value.faults[2]
    assert [each.label for each in raised.value.rest.instances] == ["cube"]


DIGEST = "0123456789abcdef" * 4


@pytest.mark.usefixtures("pillows_limit")
def test_scores_and_who_began_survive_labelme(tmp_path, disc):
    """LabelMe opens the file, and saves what it holds as its window does: shapes, and all keys that are not its own."""
    try:
        from labelme._label_file import LabelFile
    except Exception as error:  # Qt or libGL missing: labelme then fails with whatever they raise
        pytest.skip(f"labelme cannot be imported here: {error!r}")
    mask = np.zeros((40, 60), dtype=bool)
    mask[5:9, 5:12] = mask[20:30, 40:50] = True
    mask[23:25, 43:45] = False
    instances = (
        Instance("rod", (disc(30, 8, 4),), 0.87654321),
        Instance("rod", (disc(20, 20, 6), disc(40, 20, 5)), 0.5),
        Instance("cube", mask_to_rle(mask), 1e-3),
        Instance("cube", (disc(50, 32, 3),)),
    )
    begun_by = BegunBy("nsyolo", "nsyolo-paper-seed0", DIGEST)
    Image.new("L", (60, 40)).save(tmp_path / "a.png")
    path = tmp_path / "a.json"
    write_labelme(path, Micrograph("a", tmp_path / "a.png", 60, 40, instances, begun_by=begun_by), "a.png")
    opened = LabelFile(str(path))
    shapes = [
        {
            **{key: value for key, value in shape.items() if key != "other_data"},
            **shape["other_data"],
            "mask": None if shape["mask"] is None else encode_mask(shape["mask"])[1],
        }
        for shape in opened.shapes
    ]
    opened.save(
        str(path),
        shapes=shapes,
        image_path=opened.image_path,
        image_height=40,
        image_width=60,
        other_data=opened.other_data,
        flags=opened.flags,
    )
    assert path.read_text().count('"version": "5.5.0"') == 0  # it is LabelMe's file now
    back = read_labelme(path)
    assert back.begun_by == begun_by
    assert [each.score for each in back.instances] == [None] * 4  # truth has no scores
    scored = read_labelme_regions(path, 60, 40)
    assert [each.score for each in scored] == [0.876543, 0.5, 0.001, None]
    for old, new in zip(instances, scored, strict=True):
        assert (to_mask(old, 40, 60) == to_mask(new, 40, 60)).all()


def test_a_description_of_ones_own_is_no_score(tmp_path, disc):
    micrograph = Micrograph("a", tmp_path / "a.png", 60, 40, (Instance("rod", (disc(30, 8, 4),), 0.5),))
    for text, score in (
        (' {"score": 0.25}', 0.25),
        ('{"score": 1, "text": "a bottle"}', 1.0),  # as LabelMe's own models leave it
        ('{"score": "high"}', None),
        ('{"score": NaN}', None),
        ('{"score": true}', None),
        ('{"text": "rod"}', None),
        ('{"score": 0.5} too sure', None),
        ("0.5", None),
        ("", None),
        (None, None),
        (7, None),
    ):
        document = json.loads(labelme_bytes(tmp_path / "a.json", micrograph, "a.png"))
        assert json.loads(document["shapes"][0]["description"]) == {"score": 0.5, "text": "rod"}
        document["shapes"][0]["description"] = text
        (tmp_path / "a.json").write_text(json.dumps(document))
        assert [each.score for each in read_labelme_regions(tmp_path / "a.json", 60, 40)] == [score]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nsyolo", "must be an object of texts"),
        ({"run": "r"}, "must be an object of texts"),
        ({"model": "m", "run": 3}, "must be an object of texts"),
        ({"model": "m", "weights_sha256": "0123"}, "weights_sha256 is '0123'.*64 hexadecimal"),
    ],
)
def test_a_malformed_origin_is_named(tmp_path, value, message):
    Image.new("L", (60, 40)).save(tmp_path / "a.png")
    document = {"shapes": [], "imagePath": "a.png", "nanoseg": {"begun_by": value}}
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(AnnotationError, match=f"a.json: nanoseg.begun_by.*{message}"):
        read_labelme(tmp_path / "a.json")


def test_only_parts_with_holes_are_masks(tmp_path, disc, square):
    ring = Polygon(square(2, 2, 20, 20), (square(6, 6, 12, 12),))
    micrograph = Micrograph("a", tmp_path / "a.png", 60, 40, (Instance("cube", (ring, disc(40, 30, 4))),))
    first, second = json.loads(labelme_bytes(tmp_path / "a.json", micrograph, "a.png"))["shapes"]
    assert (first["shape_type"], second["shape_type"]) == ("mask", "polygon")
    assert first["group_id"] == second["group_id"] is not None
