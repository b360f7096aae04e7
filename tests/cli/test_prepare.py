import base64
import csv
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from nanoseg_bench.cli import main
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.record import read_record
from nanoseg_bench.stored_copies import CONTENTS

pytestmark = pytest.mark.usefixtures("runs_in_this_process")

EMPS = Path(__file__).parents[2].parent / "shared" / "data" / "emps"


def annotate(folder, name, seed=0, labels=("cube", "sphere"), group=None, points=None):
    """A LabelMe JSON as LabelMe writes it, and its image."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    # Coarse: in finer noise each pixel is a feature, and comparing takes most of the time.
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16)).astype(np.uint8))
    coarse.resize((80, 60)).save(folder / f"{name}.png")
    shapes = []
    for label in labels:
        x, y = rng.uniform(5, 50), rng.uniform(5, 30)
        corners = points or [[x, y], [x + 20, y], [x + 20, y + 20], [x, y + 20]]
        shapes.append({"label": label, "points": corners, "group_id": None, "shape_type": "polygon", "flags": {}})
    document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None}
    document |= {"imageHeight": 60, "imageWidth": 80}
    if group:
        document["nanoseg"] = {"source_group": group}
    (folder / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture
def own(tmp_path):
    """A user's folder: five specimens, two views each."""
    folder = tmp_path / "my images"
    for specimen in range(5):
        for view in range(2):
            annotate(folder, f"s{specimen}_v{view}", seed=10 * specimen + view)
    return folder


def run(own, out, *more):
    command = ["prepare", "--labelme", own, "--out", out, "--size", "64", "--augment-copies", "1", "--workers", "1"]
    return main([str(each) for each in (*command, *more)])


def test_a_users_folder(own, tmp_path, capsys):
    assert run(own, tmp_path / "set", "--group-by", "regex:^(s[0-9])_") == 0
    prepared = PreparedSet(tmp_path / "set")
    assert prepared.classes == ("cube", "sphere")
    assert prepared.name == "my-images"
    assert {image.source_group for image in prepared.all_images} == {"s0", "s1", "s2", "s3", "s4"}
    shown = capsys.readouterr().out
    assert "found no shared source" in shown
    assert f"nanoseg-bench run {tmp_path / 'set'} --models all" in shown
    assert "pictures: nanoseg-bench prepare" in shown and " --preview" in shown
    assert "leak-free" not in shown
    assert run(own, tmp_path / "set", "--group-by", "regex:^(s[0-9])_") == 0


def test_blank_images_are_left_out_and_named(own, tmp_path, capsys, caplog):
    """They are all identical, and would make one source group of unrelated specimens."""
    for number in range(8):
        annotate(own, f"blank{number}", labels=() if number else ("cube",))
        Image.new("L", (80, 60), 7 * (number % 2)).save(own / f"blank{number}.png")
    assert run(own, tmp_path / "set") == 0
    names = ", ".join(f"blank{number}.png" for number in range(1, 6))
    assert f"7 images left out, which show one grey value and on which nothing is drawn: {names} and 2" in caplog.text
    said = capsys.readouterr().out
    assert "7 images of one grey value on which nothing is drawn, left out: see prepare_report.json" in said
    report = json.loads((tmp_path / "set" / "prepare_report.json").read_text())
    assert report["blank"] == [f"blank{number}" for number in range(1, 8)]
    groups = {image.micrograph: image.source_group for image in PreparedSet(tmp_path / "set").all_images}
    assert set(groups) == {"blank0", *(f"s{specimen}_v{view}" for specimen in range(5) for view in range(2))}
    assert len(set(groups.values())) == len(groups)
    split = tmp_path / "split.csv"
    split.write_text((tmp_path / "set" / "split.csv").read_text() + "blank1,train\n")
    assert run(own, tmp_path / "again", "--split-file", split) == 0
    assert {image.micrograph for image in PreparedSet(tmp_path / "again").all_images} == set(groups)


def test_a_set_without_scales_says_how_to_give_them(own, tmp_path, capsys):
    assert run(own, tmp_path / "set") == 0
    assert "scale: known of no image" in (shown := capsys.readouterr().out) and "--scale-csv" in shown
    (tmp_path / "scales.csv").write_text("name,nm_per_px\ns0_v0,0.5\n")
    assert run(own, tmp_path / "scaled", "--scale-csv", tmp_path / "scales.csv") == 0
    assert "known of no image" not in capsys.readouterr().out


def prepare(*arguments):
    return main(["prepare", *map(str, arguments), "--size", "64", "--augment-copies", "0", "--workers", "1"])


def test_a_set_is_not_written_into_its_own_input(own, tmp_path, monkeypatch, capsys):
    from annotation_files import write_yolo

    from nanoseg_bench.annotations.labelme.reading import open_labelme

    yolo = tmp_path / "yolo"
    for entry in open_labelme(own).entries:
        micrograph = entry.read()
        (yolo / "labels").mkdir(parents=True, exist_ok=True)
        write_yolo(yolo / "labels" / f"{entry.name}.txt", micrograph.instances, ("cube", "sphere"), 60, 80)
        Image.open(micrograph.image_path).save(yolo / f"{entry.name}.png")
    (yolo / "data.yaml").write_text("names: [cube, sphere]\n")
    (tmp_path / "link").symlink_to(own, target_is_directory=True)
    masks = tmp_path / "masks"
    for folder in ("images", "truth"):
        (masks / folder).mkdir(parents=True)
        Image.fromarray(np.eye(60, 80, dtype=np.uint8)).save(masks / folder / "a.png")
    before = sorted(tmp_path.rglob("*"))
    for arguments in (
        ("--labelme", own, "--out", own / "set"),
        ("--labelme", own, "--out", own),
        ("--labelme", own, "--out", own / "deep" / "down"),
        ("--labelme", own, "--out", tmp_path / "link" / "set"),
        ("--labelme", tmp_path / "link", "--out", own / "set"),
        ("--annotations", yolo, "--out", yolo / "set"),
        ("--annotations", yolo / "data.yaml", "--out", yolo / "set"),
        ("--annotations", masks / "truth", "--image-folder", masks / "images", "--out", masks / "images" / "set"),
        ("--annotations", masks / "truth", "--image-folder", masks / "images", "--out", masks / "truth" / "set"),
        ("--dataset", "emps", "--source", masks, "--out", masks / "set"),
    ):
        assert prepare(*arguments) == 2
        message = capsys.readouterr().err
        assert "lies inside" in message and "would be read next time" in message
    assert prepare("--annotations", yolo, "--out", tmp_path, "--overwrite", "always") == 2
    assert "holds --annotations" in capsys.readouterr().err
    monkeypatch.chdir(own)
    assert prepare("--labelme", ".") == 2, "the default folder lies inside, too"
    assert str(tmp_path / "my images-my-images") in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_look_alikes_that_leave_one_group_are_named_and_can_be_reviewed(tmp_path, capsys):
    """Four views of one field: --group-by cannot part what shows the same."""
    rng = np.random.default_rng(0)
    field = np.kron(rng.integers(0, 255, (40, 50)), np.ones((8, 8)))[:300, :380]
    folder = tmp_path / "views"
    for view in range(4):
        annotate(folder, f"v{view}")
        noise = rng.normal(0, 2, (280, 360))
        pixels = (field[view : 280 + view, view : 360 + view] + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"v{view}.png")
        document = json.loads((folder / f"v{view}.json").read_text()) | {"imageHeight": 280, "imageWidth": 360}
        (folder / f"v{view}.json").write_text(json.dumps(document))
    assert run(folder, tmp_path / "set") == 1
    message = capsys.readouterr().err
    pairs = re.findall(r"^  (v\d), (v\d) \((.+)\)$", message, re.MULTILINE)
    assert len(pairs) >= 3 and "--reviewed" in message and "which --group-by does not undo" in message
    rows = [f"{first},{second},looked at" for first, second, _ in pairs]
    (tmp_path / "looked.csv").write_text("first,second,note\n" + "\n".join(rows) + "\n")
    assert run(folder, tmp_path / "set", "--reviewed", tmp_path / "looked.csv") == 0


def test_names_of_sets_carry_the_size(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["prepare", "--labelme", str(own), "--size", "64", "--augment-copies", "0", "--workers", "1"]
    assert main([*command, "--name", "mine", "--images", "6"]) == 0
    prepared = PreparedSet(Path("data/mine-6"))
    assert prepared.name == "mine-6"
    assert len(prepared.all_images) == 6


def test_nanosynth_is_rendered_once(tmp_path, capsys):
    out = tmp_path / "set"
    command = ["prepare", "--easy", "--images", "6", "--size", "64", "--augment-copies", "0", "--workers", "1"]
    command += ["--out", str(out)]
    assert main(command) == 0
    prepared = PreparedSet(out)
    assert prepared.name == "nanosynth-easy-6"
    assert prepared.has("ood")
    assert {image.attributes["ood_shape"] for image in prepared.images("ood")} == {"triangle", "pentagon"}
    assert all(image.nm_per_px for image in prepared.all_images)
    source = tmp_path / "set-source"
    stamps = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == stamps
    assert main([*command, "--seed", "1"]) == 1
    assert "--overwrite always to replace it, or another --out" in capsys.readouterr().err
    assert main([*command, "--seed", "1", "--overwrite", "always"]) == 0
    assert PreparedSet(out).summary["seed"] == 1


@pytest.mark.slow
def test_lattice_contrast_joins_a_set_of_some_size(tmp_path):
    out = tmp_path / "set"
    command = ["prepare", "--images", "54", "--size", "64", "--augment-copies", "0", "--out", str(out)]
    assert main(command) == 0
    prepared = PreparedSet(out)
    lattices = prepared.images("hrtem")
    assert len(lattices) == 3
    assert {image.attributes["modality"] for image in lattices} == {"HRTEM"}
    others = [image for image in prepared.all_images if image.split != "hrtem"]
    assert "HRTEM" not in {image.attributes["modality"] for image in others}
    shown = {instance.label for instances in prepared.truth("hrtem").values() for instance in instances}
    assert shown - {"ignore"} == set(prepared.classes)
    prepared.require_audit()


def test_split_file(own, tmp_path, capsys):
    names = [path.stem for path in sorted(own.glob("*.json"))]
    parts = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    table = tmp_path / "split.csv"
    table.write_text("name,split\n" + "".join(f"{n},{p}\n" for n, p in zip(names, parts, strict=True)))
    assert run(own, tmp_path / "set", "--split-file", table) == 0
    split = {image.micrograph: image.split for image in PreparedSet(tmp_path / "set").all_images}
    assert split == dict(zip(names, parts, strict=True))
    # Images that come later join, and none that was there moves.
    for number in range(4):
        annotate(own, f"new{number}", seed=900 + number)
    pinned = tmp_path / "set" / "split.csv"
    assert run(own, tmp_path / "more", "--split-file", pinned) == 0
    more = {image.micrograph: image.split for image in PreparedSet(tmp_path / "more").all_images}
    assert len(more) == 14
    assert split.items() <= more.items()
    table.write_text("name,split\ns0_v0,train\ns0_v9,test\nold/x/s1_v00.PNG,test\n")
    assert run(own, tmp_path / "other", "--split-file", table) == 1
    said = capsys.readouterr().err
    assert "2 images that the data set does not hold: old/x/s1_v00.PNG, s0_v9; did you mean 's1_v0' by 'old/x" in said
    assert "by 's0_v9'? Put the images back" in said


def test_names_in_a_split_file_are_written_as_people_and_spreadsheets_do(tmp_path):
    own = tmp_path / "own"
    names = ["day1/a.v2", "day1/Größe", "day2/b", "c", "day2/c", "d", "e", "f", "g", "h"]
    for number, name in enumerate(names):
        annotate((own / name).parent, Path(name).name, seed=number)
    written = ["day1/a.v2.png", "day1\\Gro\u0308\u00dfe.PNG", "b.tif", "c.png", ".\\day2\\c", " d ", "e.PNG", *"fgh"]
    parts = ["train"] * 4 + ["val"] * 3 + ["test"] * 3
    table = tmp_path / "split.csv"
    table.write_text("name,split\n" + "".join(f"{n},{p}\n" for n, p in zip(written, parts, strict=True)), "utf-8")
    assert run(own, tmp_path / "set", "--split-file", table, "--group-by", "regex:(.+)") == 0
    split = {image.micrograph: image.split for image in PreparedSet(tmp_path / "set").all_images if not image.parent}
    assert split == dict(zip(names, parts, strict=True))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("c,train", "'c' fits 2 images (day1/c, day2/c); give the full name"),
        (
            "day1/c,train\nday1/c.png,train",
            "'day1/c' and 'day1/c.png' both name the image 'day1/c'; keep one of",
        ),
    ],
)
def test_a_split_file_that_is_not_clear_is_refused(tmp_path, capsys, lines, message):
    for number, name in enumerate(["day1/c", "day2/c"]):
        annotate((tmp_path / "own" / name).parent, "c", seed=number)
    (tmp_path / "split.csv").write_text(f"name,split\n{lines}\n")
    assert run(tmp_path / "own", tmp_path / "set", "--split-file", tmp_path / "split.csv") == 1
    assert f"the split: {message}" in capsys.readouterr().err and not (tmp_path / "set").exists()


def test_usage_errors(own, tmp_path, capsys):
    for more, message in [
        (["--out", "."], f"--out .: give the folder by its name, such as {Path().resolve()}"),
        (["--split", "8:1"], "8:1:1"),
        (["--group-by", "magic"], "magic"),
        (["--easy"], "--easy"),
        (["--source", "x"], "--source"),
        (["--images", "0"], "--images 0"),
        (["--name", "a/b"], "--name 'a/b'"),
        (["--classes", "a,b,a"], "--classes 'a,b,a': give different names"),
        (["--classes", " , "], "--classes ' , ': give different names"),
    ]:
        assert run(own, tmp_path / "set", *more) == 2
        assert message in capsys.readouterr().err
    assert main(["prepare", "--dataset", "emps"]) == 2
    assert "--source DIR" in capsys.readouterr().err
    assert main(["prepare", "--dataset", "emsp", "--source", str(own)]) == 2
    assert "did you mean 'emps'" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def break_empty(folder):
    for path in folder.iterdir():
        path.unlink()
    return [], "no LabelMe JSON"


def break_image_missing(folder):
    (folder / "s1_v0.png").unlink()
    return [], "s1_v0.json"


def break_image_truncated(folder):
    path = folder / "s1_v0.png"
    path.write_bytes(path.read_bytes()[:700])
    return [], "s1_v0.png"


def break_label(folder):
    annotate(folder, "s1_v0", labels=("cube", "sphre"))
    return ["--classes", "cube,sphere"], "'sphre'"


def break_polygon(folder):
    annotate(folder, "s1_v0", points=[[1, 1], [9, 9]])
    return [], "s1_v0.json"


def break_groups(folder):
    return ["--group-by", "regex:^(s)"], "1 source group ("


@pytest.mark.parametrize(
    "damage",
    [break_empty, break_image_missing, break_image_truncated, break_label, break_polygon, break_groups],
    ids=lambda damage: damage.__name__,
)
def test_bad_input_is_named_and_nothing_is_half_written(own, tmp_path, capsys, damage):
    more, message = damage(own)
    assert run(own, tmp_path / "out" / "set", *more) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    left = {path.name for path in (tmp_path / "out").glob("*")}
    assert left <= {"set-prepare_report.json"}


def test_unwritable_folder(own, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(own, tmp_path / "file" / "set") == 1
    assert f"{tmp_path / 'file' / 'set'}: cannot be written" in capsys.readouterr().err


def test_faulty_files_are_listed_or_skipped(own, tmp_path, capsys):
    annotate(own, "empty", seed=77, labels=())
    (own / "s1_v0.png").unlink()
    (own / "s2_v1.json").write_text('{"shapes": [')
    (own / "other.json").write_text('{"colour": "blue"}')
    Image.new("L", (50, 40)).save(own / "bare.png")
    assert run(own, tmp_path / "set") == 1
    error = capsys.readouterr().err
    assert "2 files cannot be used" in error
    assert "--on-error skip" in error
    refused = json.loads((tmp_path / "set-prepare_report.json").read_text())
    assert run(own, tmp_path / "set", "--on-error", "skip") == 0
    assert not (tmp_path / "set-prepare_report.json").exists()
    report = json.loads((tmp_path / "set" / "prepare_report.json").read_text())
    assert report["skipped"] == refused["skipped"]
    assert [row["file"] for row in report["skipped"]] == ["s1_v0.json", "s2_v1.json"]
    assert all("put the image" in row["message"] or "copy it again" in row["message"] for row in report["skipped"])
    assert [row["file"] for row in report["passed_over"]] == ["other.json"]
    assert report["unannotated"] == ["bare.png"]
    assert report["background"] == ["empty"]
    assert report["images"] == 9
    shown = capsys.readouterr().out
    assert "1 image without a particle, kept as background" in shown
    assert "2 images that cannot be used, left out" in shown
    assert "1 image that no annotation names, left out" in shown
    # A pinned split may name what is skipped now.
    assert run(own, tmp_path / "set", "--on-error", "skip", "--split-file", tmp_path / "set" / "split.csv") in (0, 1)


def test_nothing_that_can_be_used(own, tmp_path, capsys):
    for path in own.glob("*.json"):
        path.write_text('{"colour": "blue"}')
    assert run(own, tmp_path / "set") == 1
    error = capsys.readouterr().err
    assert "none of 10 micrographs can be used; 10 files passed over as no annotations" in error
    assert "s0_v0.json, s0_v1.json, s1_v0.json, s1_v1.json, s2_v0.json and 5 more" in error
    for path in own.glob("*.json"):
        path.write_text('{"shapes": [')
    assert run(own, tmp_path / "set", "--on-error", "skip") == 1
    assert "10 files cannot be used" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "set-prepare_report.json").read_text())["skipped"]) == 10


def test_scales_come_from_the_table_first(own, tmp_path):
    document = json.loads((own / "s0_v0.json").read_text())
    (own / "s0_v0.json").write_text(json.dumps({**document, "nanoseg": {"nm_per_px": 0.7}}))
    document = json.loads((own / "s1_v1.json").read_text())
    (own / "s1_v1.json").write_text(json.dumps({**document, "nanoseg": {"nm_per_px": 0.9}}))
    table = tmp_path / "scales.csv"
    table.write_text("name,nm_per_px\ns0_v0,0.25\ns0_v1.png,0.5\n")
    assert run(own, tmp_path / "set", "--scale-csv", table) == 0
    with (tmp_path / "set" / "manifest.csv").open(newline="") as stream:
        rows = {row["micrograph"]: row for row in csv.DictReader(stream) if not row["parent"]}
    assert (rows["s0_v0"]["nm_per_px"], rows["s0_v0"]["scale_from"]) == ("0.25", "scale-csv")
    assert (rows["s0_v1"]["nm_per_px"], rows["s0_v1"]["scale_from"]) == ("0.5", "scale-csv")
    assert (rows["s1_v1"]["nm_per_px"], rows["s1_v1"]["scale_from"]) == ("0.9", "annotation")
    assert (rows["s2_v0"]["nm_per_px"], rows["s2_v0"]["scale_from"]) == ("", "")


def test_a_table_may_have_rows_for_what_a_subset_leaves_out(own, tmp_path, caplog):
    table = tmp_path / "scales.csv"
    table.write_text("name,nm_per_px\nghost,1\n" + "".join(f"{path.stem},0.5\n" for path in own.glob("*.json")))
    assert run(own, tmp_path / "set", "--images", "6", "--scale-csv", table) == 0
    (told,) = [record.getMessage() for record in caplog.records if "scales.csv" in record.getMessage()]
    assert told.endswith("1 name without an image: ghost; mend the table")
    assert all(image.nm_per_px == 0.5 for image in PreparedSet(tmp_path / "set").all_images)


def test_deep_tiffs_keep_what_reading_decided(tmp_path):
    folder = tmp_path / "Proben für Größe"
    for number in range(4):
        annotate(folder, f"p{number}", seed=number)
        deep = np.random.default_rng(number).integers(500, 9000, (60, 80)).astype(np.uint16)
        tifffile.imwrite(folder / f"p{number}.tif", deep, imagej=True, resolution=(4.0, 4.0), metadata={"unit": "nm"})
        (folder / f"p{number}.png").unlink()
    assert run(folder, tmp_path / "set") == 0
    with (tmp_path / "set" / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if not row["parent"]]
    for row in rows:
        reading = json.loads(row["reading"])
        assert reading["bits"] == 16
        assert 500 <= reading["low"] < reading["high"] < 9000
        assert (float(row["nm_per_px"]), row["scale_from"]) == (0.25, "imagej")


def test_other_formats_give_the_same_set(own, tmp_path):
    assert main(["convert", str(own), str(tmp_path / "coco"), "--to", "coco"]) == 0
    common = ["--size", "64", "--augment-copies", "0", "--workers", "1", "--name", "same"]
    assert main(["prepare", "--labelme", str(own), "--out", str(tmp_path / "one"), *common]) == 0
    assert main(["prepare", "--annotations", str(tmp_path / "coco"), "--out", str(tmp_path / "two"), *common]) == 0
    for split in ("train", "val", "test"):
        one, two = PreparedSet(tmp_path / "one").truth(split), PreparedSet(tmp_path / "two").truth(split)
        assert {name: [(each.label, each.region) for each in found] for name, found in one.items()} == {
            name: [(each.label, each.region) for each in found] for name, found in two.items()
        }


def test_preview_is_one_page(own, tmp_path):
    assert run(own, tmp_path / "set") == 0
    assert not (tmp_path / "set" / "preview.html").exists()
    assert run(own, tmp_path / "set", "--preview") == 0
    added = (tmp_path / "set" / "preview.html").read_bytes()
    assert run(own, tmp_path / "set", "--preview", "--overwrite", "always") == 0
    assert (tmp_path / "set" / "preview.html").read_bytes() == added


@pytest.mark.parametrize("more", [("--overwrite", "never"), ("--overwrite=never", "--preview")])
def test_the_way_to_pictures_leads_there_where_the_set_was_kept(own, tmp_path, capsys, more):
    assert run(own, tmp_path / "set") == 0
    capsys.readouterr()
    assert run(own, tmp_path / "set", *more) == 0
    (way,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("pictures: ")]
    assert main(shlex.split(way)[2:]) == 0
    assert (tmp_path / "set" / "preview.html").is_file()


def test_max_loss_names_the_image(own, tmp_path, capsys):
    document = json.loads((own / "s3_v0.json").read_text())
    parts = [[[5, 5], [30, 5], [30, 50], [5, 50]], [[50, 20], [51, 20], [51, 21], [50, 21]]]
    document["shapes"] = [
        {"label": "cube", "points": points, "group_id": 1, "shape_type": "polygon", "flags": {}} for points in parts
    ]
    ring = np.ones((40, 40), dtype=np.uint8)
    ring[10:30, 10:30] = 0
    stream = io.BytesIO()
    Image.fromarray(ring).save(stream, "PNG")
    mask = base64.b64encode(stream.getvalue()).decode()
    document["shapes"].append({"label": "sphere", "shape_type": "mask", "points": [[35, 15], [74, 54]], "mask": mask})
    (own / "s3_v0.json").write_text(json.dumps(document))
    assert run(own, tmp_path / "set", "--max-loss", "0.1") == 1
    error = capsys.readouterr().err
    assert "s3_v0" in error
    assert "IoU of 0.75" in error
    assert not (tmp_path / "set").exists()
    assert run(own, tmp_path / "set") == 0
    summary = PreparedSet(tmp_path / "set").summary
    assert summary["losses"]["yolo_holes_lost"] >= 1
    assert 0.7 < summary["worst_label_iou"] < 0.8
    # The set is there already, and still loses as much.
    assert run(own, tmp_path / "set", "--max-loss", "0.1") == 1
    assert "above --max-loss 0.1" in capsys.readouterr().err
    assert run(own, tmp_path / "set", "--max-loss", "0.3") == 0
    assert run(own, tmp_path / "set", "--max-loss", "2") == 2


@pytest.mark.slow
@pytest.mark.skipif(not EMPS.is_dir(), reason="EMPS is not on this machine")
def test_emps_keeps_its_official_test_set(tmp_path):
    command = ["prepare", "--dataset", "emps", "--source", str(EMPS), "--out", str(tmp_path / "set"), "--size", "96"]
    assert main([*command, "--augment-copies", "0"]) == 0
    prepared = PreparedSet(tmp_path / "set")
    official = {line for line in (EMPS / "test.csv").read_text().split() if line}
    assert {image.micrograph for image in prepared.images("test")} == official
    assert sum(counts["images"] for counts in prepared.summary["counts"].values()) == 465
    assert sum(counts["instances"] for counts in prepared.summary["counts"].values()) == 11535
    assert prepared.max_instances == 497
    prepared.require_audit()


def test_similar_labels_and_uneven_pixels_are_warned_of_once(tmp_path, capsys):
    own = tmp_path / "own"
    text = b"[User]\r\nDate=1/1/2026\r\n[Scan]\r\nPixelWidth=2.5e-9\r\nPixelHeight=3e-9\r\n\0"
    for number in range(6):
        annotate(own, f"a{number}", seed=number, labels=("cube",) if number else ("Cube",))
        pixels = np.asarray(Image.open(own / f"a{number}.png"))
        (own / f"a{number}.png").unlink()
        tags = [(34682, 2, len(text), text, True)] if number > 2 else []
        tifffile.imwrite(own / f"a{number}.tif", pixels, photometric="minisblack", extratags=tags)
    (tmp_path / "scales.csv").write_text("name,nm_per_px\na3,2.75\n")
    assert run(own, tmp_path / "set", "--scale-csv", tmp_path / "scales.csv") == 0
    prepared = PreparedSet(tmp_path / "set")
    labels, pixels, *_ = prepared.summary["warnings"]
    assert labels.startswith("labels 'Cube' (1 particle), 'cube' (5 particles): each is a class of its own")
    assert pixels.startswith("pixels are not square in 2 images (the first is a4, 2.5 × 3 nm)")
    assert sum("square" in warning or "'Cube'" in warning for warning in prepared.summary["warnings"]) == 2
    assert "square" not in capsys.readouterr().err  # a second time, from the reader itself


def test_lines_only_are_not_mistaken_for_images_without_particles(tmp_path, capsys):
    for name in "abc":
        annotate(tmp_path / "own", name, seed=ord(name), labels=("cube",))
        document = json.loads((tmp_path / "own" / f"{name}.json").read_text())
        document["shapes"][0]["shape_type"] = "linestrip"
        (tmp_path / "own" / f"{name}.json").write_text(json.dumps(document))
    assert run(tmp_path / "own", tmp_path / "set") == 1
    error = capsys.readouterr().err
    assert "in 3 images (reading noted: left out shapes without area: 1 linestrip; draw what outlines" in error


def begin(folder, name, **begun_by):
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "nanoseg": {"begun_by": begun_by}}))


def test_truth_that_a_model_began_is_told_and_marks_its_rows(own, tmp_path, capsys):
    assert run(own, tmp_path / "by-hand", "--split", "6:2:2") == 0
    by_hand = PreparedSet(tmp_path / "by-hand")
    shown = capsys.readouterr().out
    assert "began the truth" not in shown and "a model began" not in (by_hand.root / "split_audit.html").read_text(
        encoding="utf-8"
    )
    assert all(image.begun_by is None for image in by_hand.all_images)
    places = {image.micrograph: image.split for image in by_hand.all_images if image.parent is None}
    chosen = [next(name for name, split in places.items() if split == part) for part in ("train", "val", "test")]
    for name in chosen:
        begin(own, name, model="otsu", run="otsu-paper-seed0")
    out = tmp_path / "set"
    assert run(own, out, "--split", "6:2:2") == 0
    prepared = PreparedSet(out)
    counts = {part: list(places.values()).count(part) for part in ("val", "test")}
    words = ", ".join(f"1 of {count} {part} images" for part, count in counts.items())
    assert f"warning: otsu (run otsu-paper-seed0) began the truth of {words}" in capsys.readouterr().out
    # Every image, with its copies, knows it; the content is another one, and nothing else of it is.
    assert {image.micrograph for image in prepared.all_images if image.begun_by} == set(chosen)
    assert prepared.content_hash != by_hand.content_hash
    assert {image.micrograph: image.split for image in prepared.all_images} == places
    page = (out / "split_audit.html").read_text(encoding="utf-8")
    assert "Truth that a model began" in page and words in page and "3 of 10 images" in page

    boards = tmp_path / "boards"
    command = ["run", out, "--preset", "smoke", "--models", "otsu", "--device", "cpu", "--runs"]
    assert main([*map(str, (*command, tmp_path / "runs", "--leaderboards", boards))]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Otsu + watershed *" in shown and f"truth began with Otsu + watershed, which flatters it: {words}" in shown
    (path,) = (boards / "records").glob("*/otsu-*-test.json")
    assert read_record(path).truth_begun_by == words
    assert main(["leaderboard", "--leaderboards", str(boards), "--html", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "began the truth" in page and f"Otsu + watershed ({words})" in page
    capsys.readouterr()
    assert main(["leaderboard", "--leaderboards", str(boards), "--markdown"]) == 0
    assert "truth began with it) |" in capsys.readouterr().out


def test_every_class_of_thirty_micrographs_is_in_every_part(tmp_path, capsys):
    folder = tmp_path / "lab"
    for number in range(30):
        annotate(folder, f"im{number:02d}", seed=number, labels=(("cube", "rod", "sphere")[number // 10],) * 5)
    assert run(folder, tmp_path / "set") == 0
    prepared = PreparedSet(tmp_path / "set")
    for part in ("train", "val", "test"):
        assert {each.label for found in prepared.truth(part).values() for each in found} == {"cube", "rod", "sphere"}
    shown = capsys.readouterr().out
    assert "what this split cannot carry:" in shown
    assert "test: 3 source groups (below 5, intervals say little); 15 particles (below 100)" in shown


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_a_class_of_one_specimen_is_learnt_and_what_that_costs_is_told(tmp_path, capsys, seed):
    folder = tmp_path / "lab"
    for specimen in range(4):
        for view in range(3):
            labels = ("rod", "cube") if (specimen, view) == (2, 1) else ("cube",)
            annotate(folder, f"s{specimen}_{view}", seed=10 * specimen + view, labels=labels)
    assert run(folder, tmp_path / "set", "--group-by", "regex:^([^_]+)_", "--seed", seed) == 0
    rods = {i.split for i in PreparedSet(tmp_path / "set").all_images if i.source_group == "s2"}
    assert rods == {"train"}
    assert "test: shows no rod (only 1 source group does); 1 source group" in capsys.readouterr().out


def test_parts_without_a_particle_are_told_again_by_audit_and_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        annotate(tmp_path / "lab", f"im{number}", seed=number, labels=("cube",) if number == 3 else ())
    assert run(tmp_path / "lab", tmp_path / "set") == 0
    lines = (
        "val: shows no particle, so no operating point can be chosen on it",
        "test: shows no particle, so no model can find anything in it",
    )
    told = [capsys.readouterr().out]
    assert main(["audit", "set", "--workers", "1"]) == 0
    told.append(capsys.readouterr().out)
    assert main(["run", "set", "--models", "otsu"]) == 0
    told.append(capsys.readouterr().out)
    assert all(line in each for each in told for line in lines)
    page = (tmp_path / "set" / "split_audit.html").read_text(encoding="utf-8")
    assert all(line in page for line in lines)


def test_folds_are_advised_by_a_command_that_works(own, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(own, "set", "--group-by", "regex:^(s[0-9])_") == 0
    shown = capsys.readouterr().out
    advice = next(line for line in shown.splitlines() if "--folds 5" in line)
    command = shlex.split(advice)
    assert command[0] == "nanoseg-bench"
    assert main(command[1:]) == 0
    prepared = PreparedSet(Path("set-5fold"))
    assert prepared.name == "my-images-5fold"
    assert list(prepared.folds) == [1, 2, 3, 4, 5]
    assert not (prepared.root / "split.csv").exists()
    rows = list(csv.reader((prepared.root / "folds.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["name", *(f"fold_{fold}" for fold in range(1, 6))]
    assert all(row[1:].count("test") == 1 for row in rows[1:])
    shown = capsys.readouterr().out
    assert "advice" not in shown
    assert "groups tested" in shown
    # The set that is there is the same, whoever asks again; another number of folds is another set.
    assert main(command[1:]) == 0
    assert main([*command[1:], "--folds", "4"]) == 1
    assert "holds a prepared set of other inputs" in capsys.readouterr().err


def test_folds_do_not_go_with_a_given_split(own, tmp_path, capsys):
    (tmp_path / "split.csv").write_text("name,split\n" + "".join(f"s{s}_v{v},train\n" for s in (0, 1) for v in (0, 1)))
    assert run(own, tmp_path / "set", "--folds", "5", "--split-file", tmp_path / "split.csv") == 2
    assert "--folds 5: the split is given" in capsys.readouterr().err
    assert run(own, tmp_path / "set", "--folds", "2") == 2
    assert "--folds 2: give 3 or more" in capsys.readouterr().err
    assert run(own, tmp_path / "set", "--folds", "6", "--group-by", "regex:^(s[0-9])_") == 1
    assert "--folds 6: there are 5 source groups" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_the_current_folder_is_not_replaced(own, tmp_path, monkeypatch, capsys):
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    assert main(["prepare", str(own), "--out", "."]) == 2
    assert f"--out .: give the folder by its name, such as {tmp_path / 'new'}" in capsys.readouterr().err
    assert not list((tmp_path / "new").iterdir()) and not list(tmp_path.glob(".*"))


def test_a_url_where_one_may_only_read_is_refused_before_anything_is_prepared(own, stored, monkeypatch, capsys):
    def denied(*_, **__):
        raise PermissionError("AccessDenied")

    with monkeypatch.context() as patch:
        patch.setattr(type(stored._fs), "pipe_file", denied)
        patch.setattr("nanoseg_bench.cli.prepare._prepare", lambda *_: pytest.fail("it was prepared"))
        assert run(own, stored.url) == 1
    assert f"{stored.url}/.trial-" in (told := capsys.readouterr().err) and "AccessDenied" in told
    assert run(own, stored.url) == 0
    assert not [name for name in stored.list() if "trial" in name]
    monkeypatch.setattr(type(stored._fs), "pipe_file", denied)
    assert run(own, stored.url) == 0, "of the same inputs: nothing is to be written"


def test_a_set_that_could_not_be_carried_to_its_url_is_kept(own, stored, monkeypatch, capsys):
    def expired(*_, **__):
        raise PermissionError("ExpiredToken")

    with monkeypatch.context() as patch:
        patch.setattr(type(stored._fs), "put_file", expired)
        assert run(own, stored.url) == 1
    told = capsys.readouterr().err
    assert "ExpiredToken" in told and "nanoseg-bench run" in told
    kept = Path(re.search(r"kept in (\S+):", told)[1])
    assert PreparedSet(kept).name == "my-images"
    # What it says: another tool copies the folder.
    stored.delete([CONTENTS])
    stored.upload(kept, sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()))
    assert run(own, stored.url) == 0
    assert PreparedSet(kept).name == "my-images", "it stays until somebody removes it"


def test_what_a_trial_left_at_a_url_is_no_other_file(own, stored):
    """It stays where a key may write and not delete."""
    stored.write(".trial-0f", b"1")
    assert run(own, stored.url) == 0
