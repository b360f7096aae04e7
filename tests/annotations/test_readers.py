import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.masks.options import MaskOptions
from nanoseg_bench.annotations.readers import detect_format, open_source
from nanoseg_bench.annotations.registry import READ
from nanoseg_bench.errors import AnnotationError, UsageError

TRIANGLE = [[5, 5], [25, 5], [15, 25]]
SIZE = (60, 40)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def picture(path, value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", SIZE, value).save(path)


def mask(path):
    values = np.zeros(SIZE[::-1], dtype=np.uint8)
    values[5:20, 5:25] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def labelme(folder):
    shape = {"label": "cube", "points": TRIANGLE, "group_id": None, "shape_type": "polygon", "flags": {}}
    picture(folder / "a.png")
    return write(folder / "a.json", {"shapes": [shape], "imagePath": "a.png", "imageWidth": 60, "imageHeight": 40})


def via(folder):
    picture(folder / "a.png")
    xs, ys = zip(*TRIANGLE, strict=True)
    shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
    region = {"shape_attributes": shape, "region_attributes": {"type": "cube"}}
    return write(folder / "via.json", {"_via_img_metadata": {"a.png1": {"filename": "a.png", "regions": [region]}}})


def via_export(folder):
    path = via(folder)
    return write(path, json.loads(path.read_text())["_via_img_metadata"])


def coco(folder):
    picture(folder / "a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "cube"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [np.ravel(TRIANGLE).tolist()]}],
    }
    return write(folder / "instances.json", document)


def yolo(folder):
    picture(folder / "images" / "a.png")
    write(folder / "labels" / "a.txt", "0 0.1 0.1 0.4 0.1 0.25 0.6\n")
    return write(folder / "data.yaml", "path: .\ntrain: images\nval: images\nnames:\n  0: cube\n")


def flat_yolo(folder):
    picture(folder / "a.png")
    write(folder / "classes.txt", "cube\n")
    return write(folder / "a.txt", "0 0.1 0.1 0.4 0.1 0.25 0.6\n").parent


def masks(folder):
    picture(folder / "images" / "a.png")
    mask(folder / "masks" / "a.png")
    return folder


def flat_masks(folder):
    picture(folder / "a.png")
    mask(folder / "a_mask.png")
    return folder


LAYOUTS = {
    "labelme": ("labelme", labelme),
    "via": ("via", via),
    "via-export": ("via", via_export),
    "coco": ("coco", coco),
    "yolo": ("yolo", yolo),
    "yolo-flat": ("yolo", flat_yolo),
    "masks": ("masks", masks),
    "masks-flat": ("masks", flat_masks),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_is_told_and_read(tmp_path, layout):
    format_, make = LAYOUTS[layout]
    make(tmp_path)
    assert detect_format(tmp_path) == format_
    for wanted in ("auto", format_):
        source = open_source(tmp_path, wanted, classes=["cube"] if format_ == "yolo" else None)
        assert source.format == format_
        (entry,) = source.entries
        micrograph = entry.read()
        assert micrograph.name == "a" and len(micrograph.instances) == 1


@pytest.mark.parametrize("layout", ["labelme", "via", "via-export", "coco", "yolo"])
def test_a_file_is_told_and_read(tmp_path, layout):
    format_, make = LAYOUTS[layout]
    path = make(tmp_path)
    assert detect_format(path) == format_
    source = open_source(path)
    assert source.format == format_
    assert [entry.read().name for entry in source.entries] == ["a"]
    assert [len(entry.read().instances) for entry in source.entries] == [1]


def test_nested_labelme_beside_other_json(tmp_path):
    write(tmp_path / "settings.json", {"theme": "dark"})
    write(tmp_path / ".cache" / "x.json", {"images": [], "annotations": []})
    labelme(tmp_path / "session" / "one")
    assert detect_format(tmp_path) == "labelme"


def test_several_formats_are_named(tmp_path):
    labelme(tmp_path)
    masks(tmp_path)
    with pytest.raises(AnnotationError, match=r"labelme \(a\.json\), masks \(masks/ beside images/\).*--from FORMAT"):
        open_source(tmp_path)
    assert open_source(tmp_path, "labelme").format == "labelme"
    assert open_source(tmp_path, "masks").format == "masks"


def test_what_is_there_is_named_when_nothing_fits(tmp_path):
    with pytest.raises(AnnotationError, match=r"no annotations of a known format .* there is: nothing"):
        detect_format(tmp_path)
    for name in ("a.png", "b.png", "c.JPG"):
        picture(tmp_path / name)
    write(tmp_path / "notes.txt", "Cubes, 200 kV\n")
    write(tmp_path / "settings.json", {"theme": "dark"})
    write(tmp_path / "run.yaml", "seed: 3\n")
    with pytest.raises(AnnotationError, match=r"2 \.png, 1 \.jpg, 1 \.json, 1 \.txt, 1 \.yaml"):
        detect_format(tmp_path)
    for path, message in (
        ("settings.json", "JSON of no known format"),
        ("notes.txt", r"not a JSON or data\.yaml"),
        ("none", "no such file or folder"),
    ):
        with pytest.raises(AnnotationError, match=message):
            detect_format(tmp_path / path)
    with pytest.raises(AnnotationError, match="no such file or folder"):
        open_source(tmp_path / "none", "coco")
    with pytest.raises(AnnotationError, match=r"tables are not read.*JSON"):
        detect_format(write(tmp_path / "via.csv", "filename,size\n"))


@pytest.mark.parametrize("start", ["", "#", "\ufeff"])
def test_a_folder_with_a_table_of_via_says_what_to_export(tmp_path, start):
    columns = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    write(tmp_path / "other.csv", "name,nm_per_px\n")
    write(tmp_path / "via_region_data.csv", f"{start}{columns}\n")
    picture(tmp_path / "a.png")
    with pytest.raises(AnnotationError, match=r"via_region_data\.csv: VIA's CSV is not read; .* as JSON"):
        detect_format(tmp_path)


def test_masks_of_images_elsewhere(tmp_path):
    picture(tmp_path / "pictures" / "a.png")
    picture(tmp_path / "pictures" / "bare.png")
    mask(tmp_path / "truth" / "a.png")
    for format_ in ("auto", "masks"):
        source = open_source(
            tmp_path / "truth", format_, image_folder=tmp_path / "pictures", masks=MaskOptions(label="rod")
        )
        (entry,) = source.entries
        assert entry.read().image_path == tmp_path / "pictures" / "a.png"
        assert entry.read().instances[0].label == "rod"
        assert source.unannotated == (tmp_path / "pictures" / "bare.png",)


def test_options_reach_their_door(tmp_path):
    via(tmp_path / "via")
    (tmp_path / "via" / "a.png").rename(tmp_path / "a.png")
    (entry,) = open_source(tmp_path / "via", image_folder=tmp_path, label_attribute="type").entries
    assert entry.read().image_path == tmp_path / "a.png"
    flat_masks(tmp_path / "masks")
    assert "1 connected piece," in open_source(tmp_path / "masks").entries[0].read().notes[0]
    assert open_source(tmp_path / "masks", masks=MaskOptions("instance")).entries[0].read().notes == ()


def test_options_that_a_format_has_no_use_for_are_refused(tmp_path):
    labelme(tmp_path)
    with pytest.raises(UsageError, match="'voc' is not one of labelme, via, coco, yolo, masks"):
        open_source(tmp_path, "voc")
    with pytest.raises(UsageError, match="leave the image folder out"):
        open_source(tmp_path, image_folder=tmp_path)
    with pytest.raises(UsageError, match="a label attribute is VIA's"):
        open_source(tmp_path, label_attribute="type")
    assert set(READ) == {format_ for format_, _ in LAYOUTS.values()}


@pytest.mark.parametrize("train", ["/", "../../.."])
def test_a_data_yaml_does_not_make_the_disk_be_searched(tmp_path, train):
    path = yolo(tmp_path / "deep" / "down")
    path.write_text(f"train: {train}\nnames: [cube]\n")
    with pytest.raises(AnnotationError, match="far above the data set"):
        open_source(path)


def test_a_large_json_is_told_by_its_start(tmp_path, monkeypatch):
    paths = {make(tmp_path / name): format_ for name, (format_, make) in LAYOUTS.items() if format_ != "masks"}
    monkeypatch.setattr("nanoseg_bench.annotations.readers._LARGEST_PARSED", 10)
    for path, format_ in paths.items():
        if path.suffix == ".json" and path.parent.name != "via-export":
            assert detect_format(path) == format_


def test_real_folders(shared_data):
    assert detect_format(shared_data / "labelme") == "labelme"
    assert detect_format(shared_data / "emps" / "viadata.json") == "via"
    with pytest.raises(AnnotationError, match=r"via \(viadata\.json\), masks \(segmaps/ beside images/\)"):
        detect_format(shared_data / "emps")
    assert len(open_source(Path(shared_data / "emps"), "masks").entries) == 465


def test_metadata_of_the_microscope_may_come_first(tmp_path):
    for number in range(40):
        write(tmp_path / f"a{number}.json", {"detector": "HAADF", "kV": 200})
    with pytest.raises(AnnotationError, match="no annotations of a known format"):
        detect_format(tmp_path)
    labelme(tmp_path / "z")
    assert detect_format(tmp_path) == "labelme"


def test_links_that_lead_nowhere_hide_no_format(tmp_path):
    (tmp_path / "gone.json").symlink_to(".git/annex/gone.json")
    (tmp_path / "round.json").symlink_to("round.json")
    with pytest.raises(AnnotationError, match=r"2 \.json \(links that lead nowhere\)"):
        detect_format(tmp_path)
    coco(tmp_path / "down" / "deeper")
    assert detect_format(tmp_path) == "coco"
    assert len(open_source(tmp_path).entries) == 1
    with pytest.raises(AnnotationError, match=r"gone\.json: a link to"):
        open_source(tmp_path / "gone.json")


def test_iscrowd_is_for_coco_only(tmp_path):
    labelme(tmp_path)
    with pytest.raises(UsageError, match="iscrowd is COCO's, and these are labelme annotations"):
        open_source(tmp_path, iscrowd="particle")
    with pytest.raises(UsageError, match="'sometimes': give one of ignore, particle"):
        open_source(tmp_path, iscrowd="sometimes")
