"""Files of other tools and of public data sets, through the command line: what is lost is said where it is seen."""

import csv
import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.coco.reading import read_coco
from nanoseg_bench.cli import main
from nanoseg_bench.preparation.prepared_set import PreparedSet

SIZE = (80, 60)
BOX = [[10, 10], [30, 10], [30, 30], [10, 30]]
OTHER = [[50, 20], [70, 20], [70, 40], [50, 40]]


def convert(*arguments):
    return main(["convert", *map(str, arguments), "--workers", "1"])


def prepare(*arguments):
    command = ["prepare", "--size", "64", "--augment-copies", "0", "--workers", "1", *map(str, arguments)]
    return main(command)


def save_image(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    # Coarse: in finer noise each pixel is a feature, and comparing takes most of the time.
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (12, 16), dtype=np.uint8)).resize(SIZE).save(path)
    return path


def save_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def labelme(folder, name, *outlines, label="cube"):
    save_image(folder / f"{name}.png", seed=len(list(folder.glob("*"))) if folder.is_dir() else 0)
    shapes = [{"label": label, "points": points, "shape_type": "polygon"} for points in outlines]
    return save_json(folder / f"{name}.json", {"shapes": shapes, "imagePath": f"{name}.png"})


def coco(path, names, outlines, **more):
    """A COCO file that outlines the same on each image."""
    annotations = [
        {"id": 1, "image_id": image, "category_id": 1, "segmentation": [np.ravel(points).tolist()], **more}
        for image in range(1, len(names) + 1)
        for points in outlines
    ]
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    images = [
        {"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]}
        for number, name in enumerate(names, start=1)
    ]
    categories = [{"id": 1, "name": "cube"}]
    return save_json(path, {"images": images, "annotations": annotations, "categories": categories})


def via(path, name, outlines):
    regions = [
        {
            "shape_attributes": {
                "name": "polygon",
                "all_points_x": [x for x, _ in points],
                "all_points_y": [y for _, y in points],
            },
            "region_attributes": {"label": "cube"},
        }
        for points in outlines
    ]
    return save_json(path, {"a1": {"filename": name, "regions": regions}})


def yolo(folder, name, outlines):
    save_image(folder / "images" / f"{name}.png")
    lines = ["0 " + " ".join(f"{x / SIZE[0]:.6f} {y / SIZE[1]:.6f}" for x, y in points) for points in outlines]
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    (folder / "labels" / f"{name}.txt").write_text("\n".join(lines))
    (folder / "data.yaml").write_text("train: images\nnames: [cube]\n")


def particles_in(out):
    return sum(len(each) for each in read_coco(out / "annotations.json").instances.values())


def make_twice(folder, format_):
    if format_ == "labelme":
        labelme(folder, "a", BOX, OTHER, BOX)
    elif format_ == "coco":
        save_image(folder / "a.png")
        coco(folder / "c.json", ["a.png"], [BOX, OTHER, BOX])
    elif format_ == "via":
        save_image(folder / "a.png")
        via(folder / "v.json", "a.png", [BOX, OTHER, BOX])
    else:
        yolo(folder, "a", [BOX, OTHER, BOX])


@pytest.mark.parametrize("format_", ["labelme", "coco", "via", "yolo"])
def test_the_same_shape_twice_is_told_and_can_be_dropped(format_, tmp_path, capsys):
    make_twice(tmp_path / "in", format_)
    assert convert(tmp_path / "in", tmp_path / "both", "--to", "coco") == 0
    shown = capsys.readouterr().out
    assert f"{format_} -> coco" in shown
    assert "warning: 1 particle of 1 image outlined twice" in shown and "a: cube near (20, 20)" in shown
    assert particles_in(tmp_path / "both") == 3
    assert convert(tmp_path / "in", tmp_path / "one", "--to", "coco", "--drop-duplicates") == 0
    assert "warning: 1 second outline of the same particle left out" in capsys.readouterr().out
    assert particles_in(tmp_path / "one") == 2
    report = json.loads((tmp_path / "one" / "conversion_report.json").read_text())
    assert report["told"] == {"twins_dropped": 1} and "cube near (20, 20)" in report["images"][0]["notes"][0]


def test_prepare_tells_and_drops_duplicates(tmp_path, caplog):
    for number in range(4):
        labelme(tmp_path / "in", f"a{number}", BOX, OTHER, BOX)
    assert prepare("--labelme", tmp_path / "in", "--out", tmp_path / "both") == 0
    assert "4 particles of 4 images outlined twice" in caplog.text
    assert sum(counts["instances"] for counts in PreparedSet(tmp_path / "both").summary["counts"].values()) == 12
    caplog.clear()
    assert prepare("--labelme", tmp_path / "in", "--out", tmp_path / "one", "--drop-duplicates") == 0
    assert "4 second outlines of the same particle left out of 4 images" in caplog.text
    one = PreparedSet(tmp_path / "one")
    assert sum(counts["instances"] for counts in one.summary["counts"].values()) == 8
    assert one.content_hash != PreparedSet(tmp_path / "both").content_hash


def test_one_stray_shape_costs_itself_only(tmp_path, capsys, caplog):
    for number in range(3):
        labelme(tmp_path / "in", f"a{number}", BOX, OTHER)
    labelme(tmp_path / "in", "b", BOX, [[1, 1], [2, 2]], OTHER)
    assert convert(tmp_path / "in", tmp_path / "out", "--to", "coco") == 1
    assert "b.json: shape 2 ('cube'): an outline needs at least 3 different points" in capsys.readouterr().err
    assert convert(tmp_path / "in", tmp_path / "out", "--to", "coco", "--on-error", "skip") == 0
    shown = capsys.readouterr().out
    assert "warning: 1 faulty shape left out of 1 image" in shown and "b: shape 2 ('cube'): an outline needs" in shown
    assert particles_in(tmp_path / "out") == 8
    assert prepare("--labelme", tmp_path / "in", "--out", tmp_path / "set", "--on-error", "skip") == 0
    assert "1 faulty shape left out of 1 image" in caplog.text
    prepared = PreparedSet(tmp_path / "set")
    assert sum(counts["instances"] for counts in prepared.summary["counts"].values()) == 8
    assert "cannot be used" not in capsys.readouterr().out


def test_shapes_without_area_are_not_called_outside(tmp_path, capsys):
    line, outside = [[5, 50], [25, 50], [15, 50]], [[200, 5], [220, 5], [220, 9]]
    labelme(tmp_path / "in", "a", BOX, line, [[40, 50], [40.2, 50], [40.2, 50.2]], outside)
    assert convert(tmp_path / "in", tmp_path / "out", "--to", "coco") == 0
    shown = capsys.readouterr().out
    assert "particles outside   1" in shown
    assert "warning: 2 shapes without area left out of 1 image" in shown
    assert "a: cube near (15, 50)" in shown and "a: cube near (40, 50)" in shown
    assert particles_in(tmp_path / "out") == 1


def test_masks_of_cvat_are_not_lost_without_a_word(tmp_path, capsys, caplog):
    names = [f"im{number}.png" for number in range(4)]
    for number, name in enumerate(names):
        save_image(tmp_path / "in" / name, seed=number)
    path = coco(tmp_path / "in" / "instances_default.json", names, [BOX, OTHER], iscrowd=1)
    for to in ("labelme", "coco"):
        assert convert(path, tmp_path / "out", "--to", to) == 1
    assert "all 8 regions have iscrowd 1" in capsys.readouterr().err
    assert prepare("--annotations", path, "--out", tmp_path / "set") == 1
    assert "--iscrowd particle" in capsys.readouterr().err

    document = json.loads(path.read_text())
    for annotation in document["annotations"][::2]:
        annotation["iscrowd"] = 0
    save_json(path, document)
    assert convert(path, tmp_path / "half", "--to", "coco") == 0
    assert "warning: 4 of 8 regions, in 4 images, have iscrowd 1 and are ignore regions" in capsys.readouterr().out
    assert prepare("--annotations", path, "--out", tmp_path / "set") == 0
    assert "4 of 8 regions, in 4 images, have iscrowd 1 and are ignore regions" in caplog.text
    assert convert(path, tmp_path / "all", "--to", "coco", "--iscrowd", "particle") == 0
    assert "iscrowd" not in capsys.readouterr().out
    crowds = [
        each.crowd for found in read_coco(tmp_path / "all" / "annotations.json").instances.values() for each in found
    ]
    assert crowds == [False] * 8
    assert convert(tmp_path / "all", tmp_path / "x", "--to", "yolo", "--from", "labelme", "--iscrowd", "particle") == 2


def roboflow(folder):
    for number, (part, images) in enumerate((("train", 3), ("valid", 1), ("test", 2))):
        names = [f"{each}.png" for each in range(images)]  # each part numbers its images anew
        for each, name in enumerate(names):
            save_image(folder / part / name, seed=10 * number + each)
        coco(folder / part / "_annotations.coco.json", names, [BOX])


def test_the_parts_of_roboflow_are_joined_and_keep_their_split(tmp_path, capsys, caplog):
    roboflow(tmp_path / "in")
    assert convert(tmp_path / "in", tmp_path / "out", "--to", "yolo") == 0
    assert str(tmp_path / "out" / "split.csv") in capsys.readouterr().out
    with (tmp_path / "out" / "split.csv").open(encoding="utf-8") as stream:
        split = {row["name"]: row["split"] for row in csv.DictReader(stream)}
    parts = {"test__0": "test", "test__1": "test", "train__0": "train", "train__1": "train", "train__2": "train"}
    assert split == parts | {"valid__0": "val"}

    assert prepare("--annotations", tmp_path / "in", "--out", tmp_path / "anew") in (0, 1)
    assert "comes with a split of its own (train 3, val 1, test 2)" in caplog.text and "--keep-split" in caplog.text
    assert prepare("--annotations", tmp_path / "in", "--out", tmp_path / "kept", "--keep-split") == 0
    kept = PreparedSet(tmp_path / "kept")
    assert {part: counts["images"] for part, counts in kept.summary["counts"].items()} == {
        "train": 3,
        "val": 1,
        "test": 2,
    }
    # The way over the converted files gives the same parts.
    again = ["--annotations", tmp_path / "out", "--split-file", tmp_path / "out" / "split.csv"]
    assert prepare(*again, "--out", tmp_path / "again") == 0
    assert PreparedSet(tmp_path / "again").summary["counts"] == kept.summary["counts"]


def test_keep_split_needs_one(tmp_path, capsys):
    labelme(tmp_path / "in", "a", BOX)
    assert prepare("--labelme", tmp_path / "in", "--out", tmp_path / "set", "--keep-split") == 2
    assert "comes without a split" in capsys.readouterr().err
    assert main(["prepare", "--keep-split"]) == 2


def test_coco_below_and_orphans(tmp_path, capsys):
    below = tmp_path / "in" / "export" / "2026"
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        save_image(below / name, seed=number)
    path = coco(below / "instances.json", ["a.png", "b.png", "c.png"], [BOX])
    document = json.loads(path.read_text())
    document["annotations"] += [{**document["annotations"][0], "id": 10, "image_id": 40}]
    document["annotations"] += [{**document["annotations"][0], "id": 11, "segmentation": [[1, 2, 3]]}]
    save_json(path, document)
    assert convert(tmp_path / "in", tmp_path / "out", "--to", "coco") == 1
    error = capsys.readouterr().err
    assert "annotation 4: image_id 40 is not among the file's images" in error and "annotation 5: " in error
    assert convert(tmp_path / "in", tmp_path / "out", "--to", "coco", "--on-error", "skip") == 0
    shown = capsys.readouterr().out
    assert "left out: " in shown and "annotation 4: image_id 40" in shown and "a: annotation 5: " in shown
    assert particles_in(tmp_path / "out") == 3
    report = json.loads((tmp_path / "out" / "conversion_report.json").read_text())
    assert "annotation 4" in report["faults_of_files"][0]["message"]
    assert prepare("--annotations", tmp_path / "in", "--out", tmp_path / "set") == 1
    assert prepare("--annotations", tmp_path / "in", "--out", tmp_path / "set", "--on-error", "skip") == 0
    assert "annotation 4: image_id 40" in capsys.readouterr().out


def test_webp_is_read_gif_is_named_and_transparency_is_noted(tmp_path, capsys, caplog):
    folder = tmp_path / "in"
    for name, suffix in (("webp", ".webp"), ("png", ".png"), ("clear", ".png")):
        path = labelme(folder, name, BOX)
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document | {"imagePath": name + suffix}))
    pixels = np.asarray(Image.open(folder / "webp.png"))
    (folder / "webp.png").unlink()
    Image.fromarray(pixels).save(folder / "webp.webp", lossless=True)
    Image.fromarray(np.dstack([pixels] * 3 + [np.zeros_like(pixels)])).save(folder / "clear.png")
    assert convert(folder, tmp_path / "out", "--to", "coco") == 0
    assert "transparent everywhere, and so read as white: 1 image (the first is clear)" in capsys.readouterr().out
    assert (np.asarray(Image.open(tmp_path / "out" / "images" / "webp.png")) == pixels).all()
    assert (np.asarray(Image.open(tmp_path / "out" / "images" / "clear.png")) == 255).all()
    assert prepare("--labelme", folder, "--out", tmp_path / "set") in (0, 1)
    assert "transparent everywhere, and so read as white: 1 image (the first is clear)" in caplog.text

    path = labelme(tmp_path / "gif", "a", BOX)
    Image.open(path.with_suffix(".png")).save(path.with_suffix(".gif"))
    path.with_suffix(".png").unlink()
    assert convert(tmp_path / "gif", tmp_path / "none", "--to", "coco") == 1
    assert "a.gif is of a format that is not read; save it as one that is (.png, " in capsys.readouterr().err


@pytest.mark.parametrize("verb", [convert, prepare])
def test_links_that_lead_nowhere_are_a_line_each(verb, tmp_path, capsys):
    folder = tmp_path / "in"
    for number in range(3):
        labelme(folder, f"a{number}", BOX)
    for name, target in (("x.json", ".git/annex/gone.json"), ("x.png", "x.png"), ("y.json", "y.json"), ("z.png", "z")):
        (folder / name).symlink_to(target)
    arguments = [folder, tmp_path / "out", "--to", "coco"]
    if verb is prepare:
        arguments = ["--labelme", folder, "--out", tmp_path / "out"]
    assert verb(*arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "x.json: a link to .git/annex/gone.json, which is not there" in line]) == 1
    assert len([line for line in lines if "y.json: a link that leads round to itself" in line]) == 1
    assert verb(*arguments, "--on-error", "skip") == 0


def test_names_in_two_unicode_forms(tmp_path):
    composed = "Größe é"
    apart = unicodedata.normalize("NFD", composed)
    save_image(tmp_path / "in" / f"{apart}.png")
    coco(tmp_path / "in" / "c.json", [f"{composed}.png"], [BOX])
    assert convert(tmp_path / "in", tmp_path / "coco", "--to", "coco") == 0
    labelme(tmp_path / "lm", composed, BOX)
    (tmp_path / "lm" / f"{composed}.png").rename(tmp_path / "lm" / f"{apart}.png")
    assert convert(tmp_path / "lm", tmp_path / "labelme", "--to", "coco") == 0
    assert particles_in(tmp_path / "coco") == particles_in(tmp_path / "labelme") == 1


def test_a_class_with_a_comma(tmp_path, capsys):
    labelme(tmp_path / "in", "a", BOX, label="core, shell")
    assert convert(tmp_path / "in", tmp_path / "out", "--to", "coco", "--classes", 'rod, "core, shell"') == 0
    assert read_coco(tmp_path / "out" / "annotations.json").classes == ("rod", "core, shell")
    capsys.readouterr()
    for text in ("rod,core, shell", '"rod', 'rod"x'):
        code = convert(tmp_path / "in", tmp_path / "no", "--to", "coco", "--classes", text)
        assert code in (1, 2) and not (tmp_path / "no").exists()
    assert '"core, shell",rod' in capsys.readouterr().err
