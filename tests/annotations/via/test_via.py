import json
import math

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.faults import FaultyShapesError
from nanoseg_bench.annotations.labelme.reading import read_labelme
from nanoseg_bench.annotations.raster import area, to_mask, to_rle
from nanoseg_bench.annotations.readers import open_source
from nanoseg_bench.annotations.via.reading import open_via, read_regions
from nanoseg_bench.errors import AnnotationError, ImageError

TRIANGLE = {"name": "polygon", "all_points_x": [5, 25, 15], "all_points_y": [5, 5, 25]}


def region(shape, /, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def image(name, regions, **more):
    return {f"{name}1234": {"filename": name, "size": 1234, "regions": regions, "file_attributes": {}, **more}}


def project(images, attributes=(), **core):
    return {
        "_via_settings": {"ui": {}, "core": {"filepath": {}, "default_filepath": "", **core}, "project": {"name": "p"}},
        "_via_img_metadata": images,
        "_via_attributes": {"region": {name: {"type": "text"} for name in attributes}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(images),
    }


@pytest.fixture
def via_file(tmp_path):
    """via_file(document, images): a VIA JSON beside grey images of 60x40 px; returns its path."""

    def make(document, images=("a.png",)):
        for name in images:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (60, 40), 90).save(path)
        path = tmp_path / "via.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return make


def masks_of(path, **options):
    (entry,) = open_via(path, **options).entries
    return [to_mask(instance, 40, 60) for instance in entry.read().instances]


@pytest.mark.parametrize("wrap", [project, dict], ids=["project", "export"])
def test_project_and_plain_export(via_file, wrap):
    images = image("b.png", []) | image("a.png", [region(TRIANGLE, type="cube"), region(TRIANGLE, type="ignore")])
    source = open_via(via_file(wrap(images), ("a.png", "b.png")))
    assert (source.format, source.classes, source.unannotated) == ("via", None, ())
    assert [entry.name for entry in source.entries] == ["a", "b"]
    annotated, background = (entry.read() for entry in source.entries)
    assert (annotated.width, annotated.height, background.instances) == (60, 40, ())
    assert [(instance.label, instance.ignored) for instance in annotated.instances] == [
        ("cube", False),
        ("ignore", True),
    ]
    assert annotated.instances[0].region[0].exterior.tolist() == [[5, 5], [25, 5], [15, 25]]


def test_version_1_numbers_its_regions_and_closes_polygons(via_file):
    closed = {"name": "polygon", "all_points_x": [5, 25, 15, 5], "all_points_y": [5, 5, 25, 5]}
    document = image(
        "a.png", {"1": region(closed, kind="x"), "0": region(TRIANGLE, kind="y")}, fileref="", base64_img_data=""
    )
    (entry,) = open_via(via_file(document)).entries
    first, second = entry.read().instances
    assert (first.label, second.label) == ("x", "y")
    assert first.region[0].exterior.tolist() == second.region[0].exterior.tolist()


def test_shapes_against_their_formulas(via_file):
    theta = math.radians(30)
    shapes = [
        {"name": "rect", "x": 3, "y": 4, "width": 14, "height": 5},
        {"name": "circle", "cx": 30, "cy": 20, "r": 12},
        {"name": "ellipse", "cx": 30, "cy": 20, "rx": 20, "ry": 6, "theta": theta},
        {"name": "ellipse", "cx": 30, "cy": 20, "rx": 10, "ry": 15},
    ]
    rectangle, circle, turned, upright = masks_of(
        via_file(project(image("a.png", [region(shape) for shape in shapes])))
    )
    rows, columns = np.mgrid[:40, :60] + 0.5
    assert (rectangle == ((columns > 3) & (columns < 17) & (rows > 4) & (rows < 9))).all()
    # Along the long axis, which theta turns clockwise on the screen (y runs down), and across it.
    along = (columns - 30) * math.cos(theta) + (rows - 20) * math.sin(theta)
    across = (rows - 20) * math.cos(theta) - (columns - 30) * math.sin(theta)
    for mask, radius, exact in (
        (circle, np.hypot(columns - 30, rows - 20) / 12, math.pi * 144),
        (turned, np.hypot(along / 20, across / 6), math.pi * 120),
        (upright, np.hypot((columns - 30) / 10, (rows - 20) / 15), math.pi * 150),
    ):
        assert mask[radius < 0.9].all() and not mask[radius > 1.1].any()
        assert mask.sum() == pytest.approx(exact, rel=0.02)


def test_circle_is_the_one_of_labelme(via_file, labelme_file):
    (entry,) = open_via(
        via_file(project(image("a.png", [region({"name": "circle", "cx": 30, "cy": 20, "r": 12.5})])))
    ).entries
    shape = {
        "label": "particle",
        "points": [[30, 20], [42.5, 20]],
        "shape_type": "circle",
        "group_id": None,
        "flags": {},
    }
    (theirs,) = read_labelme(labelme_file([shape])).instances
    (ours,) = entry.read().instances
    assert to_rle(ours, 40, 60) == to_rle(theirs, 40, 60)


@pytest.mark.parametrize("radius", [0.5, 4, 200, 20_000])
def test_a_circle_deviates_by_less_than_a_hundredth_of_a_pixel(radius):
    shape = {"name": "circle", "cx": 0, "cy": 0, "r": radius}
    (instance,) = read_regions([region(shape)], None, "t").instances
    outline = instance.region[0].exterior
    middles = (outline + np.roll(outline, 1, axis=0)) / 2
    assert np.hypot(*outline.T) == pytest.approx(radius)
    assert radius - np.hypot(*middles.T).min() < 0.0101


def test_shapes_without_area_are_counted_in_the_notes(via_file):
    line = {"name": "polyline", "all_points_x": [5, 25, 15], "all_points_y": [5, 5, 25]}
    point = {"name": "point", "cx": 3, "cy": 4}
    regions = [region(line), region(TRIANGLE), region(point), region(line)]
    (entry,) = open_via(via_file(project(image("a.png", regions)))).entries
    micrograph = entry.read()
    assert len(micrograph.instances) == 1
    assert micrograph.without_area == {"point": 1, "polyline": 2}
    assert micrograph.notes == (
        "left out shapes without area: 1 point, 2 polyline; draw what outlines a particle as a polygon",
    )


def test_a_closed_polyline_is_no_polygon_and_is_counted(via_file):
    closed = {"name": "polyline", "all_points_x": [5, 25, 15, 5], "all_points_y": [5, 5, 25, 5]}
    micrograph = open_via(via_file(project(image("a.png", [region(closed), region(TRIANGLE)])))).entries[0].read()
    assert (len(micrograph.instances), micrograph.without_area) == (1, {"polyline": 1})


def test_other_attributes_are_known_to_be_lost(via_file):
    regions = [
        region(TRIANGLE, label="cube", quality="good", remark=""),
        region(TRIANGLE, label="rod", sure={"no": False}),
    ]
    document = project(image("a.png", regions, file_attributes={"caption": "x", "origin": ""}))
    assert open_via(via_file(document)).entries[0].read().not_carried == (
        "file_attributes.caption",
        "region_attributes.quality",
    )


@pytest.mark.parametrize(
    ("attributes", "label_attribute", "label"),
    [
        ({}, None, "particle"),
        ({"whatever": "cube"}, None, "cube"),
        ({"remark": "!", "Class": " cube "}, None, "cube"),
        ({"remark": "!", "shape": "no", "label": "cube"}, None, "cube"),
        ({"label": "no", "material": "gold"}, "material", "gold"),
        ({"type": {"cube": True, "rod": False}}, None, "cube"),
    ],
)
def test_label_of_a_region(via_file, attributes, label_attribute, label):
    path = via_file(project(image("a.png", [region(TRIANGLE, **attributes)])))
    (entry,) = open_via(path, label_attribute=label_attribute).entries
    assert entry.read().instances[0].label == label


def test_declared_attributes_count_and_choices_are_named(via_file):
    path = via_file(project(image("a.png", [region(TRIANGLE, material="gold")]), ("material", "remark")))
    with pytest.raises(AnnotationError, match=r"which region attribute.*--label-attribute: 'material', 'remark'"):
        open_via(path)
    with pytest.raises(AnnotationError, match="no attribute 'colour'; there is: 'material', 'remark'"):
        open_via(path, label_attribute="colour")
    assert open_via(path, label_attribute="material").entries[0].read().instances[0].label == "gold"


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"type": ""}, "region 2: attribute 'type' has no value"),
        ({"type": "undefined"}, "no value"),
        ({}, "no value"),
        ({"type": {"cube": True, "rod": True}}, "2 boxes of attribute 'type' are ticked"),
        ({"type": {"cube": False}}, "0 boxes"),
        ({"type": 3}, "label is 3"),
    ],
)
def test_region_without_a_class_is_named(via_file, attributes, message):
    path = via_file(project(image("a.png", [region(TRIANGLE, type="cube"), region(TRIANGLE, **attributes)])))
    (entry,) = open_via(path).entries
    with pytest.raises(AnnotationError, match=message):
        entry.read()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"name": "circle", "cx": 1, "cy": 1, "r": 0}, "without extent"),
        ({"name": "circle", "cx": 1, "cy": 1, "r": 1e12}, "'r' of a circle is 1000000000000.0"),
        ({"name": "circle", "cx": 1, "cy": float("nan"), "r": 1}, "'cy' of a circle is nan"),
        ({"name": "ellipse", "cx": 1, "cy": 1, "rx": 3}, "'ry' of a ellipse is None"),
        ({"name": "ellipse", "cx": 1, "cy": 1, "rx": 3, "ry": 2, "theta": "no"}, "'theta'"),
        ({"name": "rect", "x": 1, "y": 1, "width": -3, "height": 4}, "without extent"),
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, "as many positions"),
        ({"name": "polygon", "all_points_x": [1, 2, None], "all_points_y": [1, 2, 3]}, "as many positions"),
        (
            {"name": "polygon", "all_points_x": [1, 2, 1], "all_points_y": [1, 2, 1]},
            "3 different points, this one has 2",
        ),
        ({"name": "polygon"}, "as many positions"),
        ({"name": "cuboid"}, "'cuboid' is not known"),
        ({}, "no 'shape_attributes'"),
        (None, "no 'shape_attributes'"),
    ],
)
def test_malformed_region_is_named(via_file, shape, message):
    (entry,) = open_via(via_file(project(image("a.png", [region(shape)])))).entries
    with pytest.raises(AnnotationError, match=rf"via\.json: image 'a': region 1: .*{message}"):
        entry.read()


@pytest.mark.parametrize("place", ["a.png", "images/a.png", "via/a.png", "deep/down/A.PNG", "given/a.png"])
def test_where_images_are_found(via_file, tmp_path, place):
    (tmp_path / "given").mkdir()
    path = via_file(project(image("a.png", [])), (place,))
    (entry,) = open_via(path, tmp_path / "given").entries
    assert entry.read().image_path.samefile(tmp_path / place)
    assert entry.name == "a"


def test_the_given_folder_and_the_default_path_of_the_project(via_file, tmp_path):
    path = via_file(project(image("a.png", []), default_filepath="..\\other/"), ("here/x.png",))
    with pytest.raises(AnnotationError, match=r"'a\.png' is not found; put it into one of .*or give its folder"):
        open_via(path).entries[0].read()
    for folder in ("other", "given"):
        (tmp_path.parent / folder).mkdir(exist_ok=True)
        Image.new("L", (60, 40)).save(tmp_path.parent / folder / "a.png")
    assert open_via(path).entries[0].read().image_path.samefile(tmp_path.parent / "other" / "a.png")
    found = open_via(path, tmp_path.parent / "given").entries[0].read()
    assert found.image_path == tmp_path.parent / "given" / "a.png"


def test_folders_that_only_the_file_names_are_not_searched_deeply(via_file, tmp_path):
    Image.new("L", (60, 40)).save(tmp_path.parent / f"{tmp_path.name}-deep.png")
    path = via_file(project(image(f"{tmp_path.name}-deep.png", []), default_filepath="../.."), ())
    with pytest.raises(AnnotationError, match="is not found"):
        open_via(path).entries[0].read()


def test_remote_images_are_used_only_from_a_local_copy(via_file):
    document = project(image("https://example.org/x/a.png?y=1", []))
    (entry,) = open_via(via_file(document, ())).entries
    with pytest.raises(AnnotationError, match="is remote; download it into one of"):
        entry.read()
    (entry,) = open_via(via_file(document)).entries
    assert entry.read().image_path.name == "a.png"
    old = image("x", {}, fileref="http://example.org/a.png")
    assert open_via(via_file(old)).entries[0].read().name == "a"


def test_namesakes_are_faults_of_their_own(via_file):
    images = image("good.png", []) | image("a.png", []) | {"second": image("a.png", [])["a.png1234"]}
    source = open_via(via_file(project(images), ("a.png", "good.png")))
    assert source.entries[-1].read().name == "good"
    for entry in source.entries[:2]:
        with pytest.raises(AnnotationError, match=r"'a\.png', 'a\.png' .*keep one of them or rename"):
            entry.read()


def test_an_image_that_exif_turns_is_refused(via_file, tmp_path):
    path = via_file(project(image("a.jpg", [])), ())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (60, 40)).save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(AnnotationError, match=r"EXIF turns a\.jpg .*save the image upright"):
        open_via(path).entries[0].read()
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"a\.jpg"):
        open_via(path).entries[0].read()


def test_a_project_of_via_3_is_refused_by_its_name_wherever_it_lies(via_file, tmp_path):
    project = {"project": {}, "config": {}, "attribute": {}, "file": {}, "metadata": {}, "view": {}}
    path = via_file(project)
    for given in (path, path.parent):
        with pytest.raises(AnnotationError, match="a VIA 3 project, which is not read; annotate images with VIA 2"):
            open_source(given)


def test_other_files_are_refused(via_file, tmp_path):
    for document, message in (
        ({"project": {}, "config": {}, "attribute": {}, "file": {}, "metadata": {}, "view": {}}, "VIA 3 project"),
        ({"shapes": []}, "not a VIA 2 project"),
        ({"_via_img_metadata": [1]}, "not a VIA 2 project"),
        ([], "JSON object"),
    ):
        with pytest.raises(AnnotationError, match=message):
            open_via(via_file(document))
    (tmp_path / "via.csv").write_text("filename,file_size\n")
    with pytest.raises(AnnotationError, match=r"CSV is not read; .* export the annotations as JSON"):
        open_via(tmp_path / "via.csv")
    with pytest.raises(AnnotationError, match="no such file"):
        open_via(tmp_path / "none.json")


def test_a_folder_with_one_file(via_file, tmp_path):
    with pytest.raises(AnnotationError, match="no VIA file in it"):
        open_via(tmp_path)
    path = via_file(project(image("a.png", [])))
    (tmp_path / "other.json").write_text('{"shapes": []}')
    assert [entry.name for entry in open_via(tmp_path).entries] == ["a"]
    (tmp_path / "second.json").write_bytes(path.read_bytes())
    with pytest.raises(AnnotationError, match=r"2 VIA files \(second\.json, via\.json\)"):
        open_via(tmp_path)


def test_every_region_of_a_real_project_is_read(shared_data):
    document = json.loads((shared_data / "emps" / "viadata.json").read_text(encoding="utf-8"))
    instances = left_out = 0
    for key, entry in document["_via_img_metadata"].items():
        read = read_regions(entry["regions"], None, key)
        found, without_area = read.instances, read.without_area
        instances += len(found)
        left_out += without_area.total()
        assert all(instance.label == "particle" for instance in found)
        assert all(area(to_rle(instance, 3000, 3000)) > 0 for instance in found)
    assert (instances, left_out) == (319 + 97, 11_125)
    source = open_via(shared_data / "emps" / "viadata.json")
    assert len(source.entries) == 962


def test_every_faulty_region_is_told_and_the_others_remain(tmp_path):
    Image.new("L", (60, 40)).save(tmp_path / "a.png")
    good = {"name": "rect", "x": 1, "y": 2, "width": 5, "height": 6}
    wrong = {"name": "polygon", "all_points_x": [1, 5, float("nan")], "all_points_y": [1, 5, 9]}
    regions = [region(good), region(wrong), region({"name": "circle", "cx": 3, "cy": 4, "r": 0})]
    regions += [
        {"shape_attributes": good | {"x": 20}, "region_attributes": {"label": "__ignore__"}},
        {"shape_attributes": good | {"x": 30}, "region_attributes": {"label": "_background_"}},
    ]
    document = {"a.png1": {"filename": "a.png", "regions": regions}}
    for each in regions[:3]:
        each["region_attributes"] = {"label": "cube"}
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "deep" / "down" / "via.json").write_text(json.dumps(document))
    (entry,) = open_via(tmp_path, tmp_path).entries
    with pytest.raises(FaultyShapesError) as raised:
        entry.read()
    assert [fault.split(": ")[1] for fault in raised.value.faults] == ["region 2", "region 3"]
    assert "value 3 of all_points_x is nan" in raised.value.faults[0]
    assert [each.label for each in raised.value.rest.instances] == ["cube", "ignore"]
    assert raised.value.rest.tally.background == 1
