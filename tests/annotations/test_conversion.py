import csv
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import tifffile
import yaml
from PIL import Image
from pycocotools.coco import COCO

from nanoseg_bench.annotations.begun_by import BegunBy
from nanoseg_bench.annotations.conversion import convert
from nanoseg_bench.annotations.conversion_report import REPORT_FILE
from nanoseg_bench.annotations.errors import NotAnAnnotationError
from nanoseg_bench.annotations.instance import Instance, Micrograph, Polygon
from nanoseg_bench.annotations.labelme.reading import open_labelme
from nanoseg_bench.annotations.labelme.writing import write_labelme
from nanoseg_bench.annotations.raster import mask_to_rle, to_mask
from nanoseg_bench.annotations.readers import open_source
from nanoseg_bench.annotations.source import LoadedMicrograph, Source
from nanoseg_bench.errors import AnnotationError, FolderError, ImageError, UsageError

SIZE = (60, 40)


@pytest.fixture
def folder(tmp_path, disc, square):
    """LabelMe files of plain outlines, a hole, parts, a crowd, a point, an outline over the edge, and of nothing."""
    ring = Polygon(square(2, 2, 22, 22), (square(7, 7, 17, 17),))
    contents = {
        "a": (Instance("rod", (disc(20, 20, 6),)), Instance("cube", (Polygon(square(-5, 30, 12, 45)),))),
        "b": (Instance("cube", (ring,)), Instance("cube", (disc(50, 10, 4),), crowd=True)),
        "sub/c": (Instance("rod", (Polygon(square(5, 5, 15, 15)), Polygon(square(30, 5, 40, 15)))),),
        "sub/empty": (),
    }
    root = tmp_path / "in"
    for number, (name, instances) in enumerate(contents.items()):
        image = root / f"{name}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(SIZE[::-1], 40 * number, np.uint8)).save(image)
        write_labelme(image.with_suffix(".json"), Micrograph(name, image, *SIZE, instances), image.name)
    document = json.loads((root / "a.json").read_text())
    document["shapes"].append({"label": "tip", "points": [[3, 3]], "shape_type": "point"})
    (root / "a.json").write_text(json.dumps(document))
    return root


def read_report(out):
    return json.loads((out / REPORT_FILE).read_text())


def masks_of(source):
    found = {}
    for entry in source.entries:
        try:
            micrograph = entry.read()
        except NotAnAnnotationError:  # the report
            continue
        found[entry.name] = sorted(
            (each.label, each.ignored, to_mask(each, micrograph.height, micrograph.width).tobytes())
            for each in micrograph.instances
        )
    return found


def flat_names(masks):
    return {name.replace("/", "__"): value for name, value in masks.items()}


@pytest.mark.parametrize("to", ["coco", "labelme"])
def test_coco_and_labelme_hold_everything(folder, tmp_path, to):
    source = open_labelme(folder)
    report = convert(source, tmp_path / "out", to, workers=1)
    assert flat_names(masks_of(source)) == masks_of(open_source(tmp_path / "out", to))
    totals = read_report(tmp_path / "out")["totals"]
    assert totals["images"] == 4 and totals["background"] == 1 and totals["instances"] == 4
    assert totals["worst_iou"] == totals["mean_iou"] == 1
    assert totals["holes_lost"] == totals["parts_joined"] == totals["ignored_lost"] == totals["vanished"] == 0
    assert report.classes == ("cube", "rod")


def test_coco_is_read_by_pycocotools(folder, tmp_path):
    convert(open_labelme(folder), tmp_path / "out", "coco", workers=1)
    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    assert sorted(image["file_name"] for image in coco.imgs.values()) == [
        "a.png",
        "b.png",
        "sub__c.png",
        "sub__empty.png",
    ]
    assert all((tmp_path / "out" / "images" / image["file_name"]).is_file() for image in coco.imgs.values())
    assert {coco.cats[annotation["category_id"]]["name"] for annotation in coco.anns.values()} == {"cube", "rod"}
    hole = next(each for each in coco.anns.values() if each["area"] == 300)
    assert coco.annToMask(hole)[10, 10] == 0


def test_yolo_says_what_it_lost(folder, tmp_path):
    convert(open_labelme(folder), tmp_path / "out", "yolo", workers=1)
    out = tmp_path / "out"
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    stems = ("a", "b", "sub__c", "sub__empty")
    expected = [
        REPORT_FILE,
        "data.yaml",
        *(f"images/{stem}.png" for stem in stems),
        *(f"labels/{stem}.txt" for stem in stems),
    ]
    assert files == sorted(expected)
    assert yaml.safe_load((out / "data.yaml").read_text()) == {"train": "images", "names": {0: "cube", 1: "rod"}}
    report = read_report(out)
    rows = {row["name"]: row for row in report["images"]}
    assert rows["a"] == {
        "name": "a",
        "image": "images/a.png",
        "instances": 2,
        "points_clipped": 3,
        "compared": 1,
        "notes": ["left out shapes without area: 1 point; draw what outlines a particle as a polygon"],
    }
    assert rows["b"]["holes_lost"] == 1 and rows["b"]["ignored_lost"] == 1
    assert rows["b"]["worst_iou"] == pytest.approx(300 / 400)
    assert rows["sub/c"]["parts_joined"] == 1 and rows["sub/c"].get("worst_iou", 1) > 0.98
    assert rows["sub/empty"] == {"name": "sub/empty", "image": "images/sub__empty.png", "instances": 0}
    assert report["totals"]["worst_iou"] == rows["b"]["worst_iou"]
    means = [1, 1, rows["b"]["mean_iou"], rows["sub/c"].get("mean_iou", 1)]
    assert report["totals"]["mean_iou"] == pytest.approx(np.mean(means), abs=1e-6)
    assert (report["from"], report["to"], report["classes"]) == ("labelme", "yolo", ["cube", "rod"])
    back = {entry.name: entry.read() for entry in open_source(out, "yolo").entries}
    assert [len(back[stem].instances) for stem in stems] == [2, 1, 1, 0]


def test_masks_come_with_a_table(folder, tmp_path):
    convert(open_labelme(folder), tmp_path / "out", "masks", workers=1)
    rows = list(csv.reader((tmp_path / "out" / "instances.csv").open()))
    assert rows == [
        ["name", "value", "label"],
        ["a", "1", "rod"],
        ["a", "2", "cube"],
        ["b", "1", "cube"],
        ["sub__c", "1", "rod"],
    ]
    ring = np.asarray(Image.open(tmp_path / "out" / "masks" / "b.png"))
    assert (ring == 1).sum() == 300 and ring[10, 10] == 0
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == sorted(
        path.name for path in (tmp_path / "out" / "masks").iterdir()
    )


@pytest.mark.parametrize("link", [True, False])
def test_images_are_linked_or_copied(folder, tmp_path, link):
    convert(open_labelme(folder), tmp_path / "out", "yolo", link=link, workers=1)
    target = tmp_path / "out" / "images" / "a.png"
    assert target.read_bytes() == (folder / "a.png").read_bytes()
    assert os.path.samefile(target, folder / "a.png") == link


def test_images_that_readers_dispute_are_written_anew(folder, tmp_path):
    Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(SIZE[::-1])).save(folder / "b.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (40, 60), 7).save(folder / "sub" / "empty.jpg", exif=exif)
    (folder / "sub" / "empty.png").unlink()
    convert(open_labelme(folder), tmp_path / "out", "yolo", workers=1)
    report = read_report(tmp_path / "out")
    rows = {row["name"]: row for row in report["images"]}
    assert report["totals"]["rewritten_images"] == 2
    assert rows["b"]["rewritten"]["bits"] == 16
    assert rows["sub/empty"]["rewritten"]["orientation"] == 6
    assert "rewritten" not in rows["a"]
    for row in rows.values():
        with Image.open(tmp_path / "out" / row["image"]) as image:
            assert image.size == SIZE and image.mode == "L"


def test_max_loss_is_an_error_that_names_the_image(folder, tmp_path):
    with pytest.raises(AnnotationError, match=r"b\.json: of a particle of 'b'.* IoU of 0\.75.*1 hole lost.*coco"):
        convert(open_labelme(folder), tmp_path / "out", "yolo", max_loss=0.2, workers=1)
    assert not (tmp_path / "out").exists()
    convert(open_labelme(folder), tmp_path / "out", "yolo", max_loss=0.26, workers=1)
    assert not (tmp_path / f"out-{REPORT_FILE}").exists()


def test_all_faults_are_found_before_anything_is_refused(folder, tmp_path):
    (folder / "x.json").write_text("{")
    (folder / "package.json").write_text("{}")
    (folder / "sub" / "c.png").write_bytes(b"no image")
    Image.new("L", SIZE).save(folder / "bare.png")
    with pytest.raises(AnnotationError, match=r"2 files cannot be used:\n.*c\.png.*\n.*x\.json.*\nAll of them are in"):
        convert(open_labelme(folder), tmp_path / "out", "yolo", workers=1)
    assert not (tmp_path / "out").exists()
    listed = json.loads((tmp_path / f"out-{REPORT_FILE}").read_text())
    assert [row["file"] for row in listed["problems"]] == ["sub/c.json", "x.json"]
    convert(open_labelme(folder), tmp_path / "out", "yolo", on_error="skip", workers=1)
    report = read_report(tmp_path / "out")
    assert report["problems"] == listed["problems"]
    assert [row["file"] for row in report["passed_over"]] == ["package.json"]
    assert report["unannotated"] == ["bare.png"]
    assert [row["name"] for row in report["images"]] == ["a", "b", "sub/empty"]
    assert str(tmp_path) not in (tmp_path / "out" / REPORT_FILE).read_text()
    assert not (tmp_path / f"out-{REPORT_FILE}").exists()
    assert not (tmp_path / "out" / "images" / "sub__c.png").exists()


def test_one_broken_image_is_an_image_error(folder, tmp_path):
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:30])
    with pytest.raises(ImageError, match=r"a\.png"):
        convert(open_labelme(folder), tmp_path / "out", "yolo", workers=1)


def test_an_image_annotated_twice_is_refused_once(folder, tmp_path):
    document = json.loads((folder / "a.json").read_text())
    (folder / "z.json").write_text(json.dumps(document))
    with pytest.raises(AnnotationError, match=r"z\.json: annotates a\.png, and so does .*a\.json"):
        convert(open_labelme(folder), tmp_path / "out", "yolo", workers=1)
    for to in ("yolo", "coco", "masks", "labelme"):
        convert(open_labelme(folder), tmp_path / to, to, on_error="skip", workers=1)
        assert len(read_report(tmp_path / to)["images"]) == 4
        assert not list((tmp_path / to).rglob("z.*"))


def test_given_classes_number_the_labels_and_no_other_may_occur(folder, tmp_path):
    convert(open_labelme(folder), tmp_path / "out", "yolo", classes=["sphere", "rod", "cube"], workers=1)
    lines = (tmp_path / "out" / "labels" / "a.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2"]
    with pytest.raises(
        AnnotationError,
        match=r"instance 1 is labelled 'rod', which is not in the class list \(cube, rood\); did you mean 'rood'",
    ):
        convert(open_labelme(folder), tmp_path / "other", "yolo", classes=["cube", "rood"], on_error="fail", workers=1)


def test_a_label_that_few_images_show_gets_its_index(tmp_path, disc):
    """The class list is guessed from a few images first; a label between two others moves the later ones."""
    for number in range(60):
        label = {0: "a", 41: "b"}.get(number, "c")
        image = tmp_path / "in" / f"{number:02}.png"
        image.parent.mkdir(exist_ok=True)
        Image.new("L", SIZE).save(image)
        micrograph = Micrograph(image.stem, image, *SIZE, (Instance(label, (disc(20, 20, 6),)),))
        write_labelme(image.with_suffix(".json"), micrograph, image.name)
    for to in ("yolo", "coco"):
        report = convert(open_labelme(tmp_path / "in"), tmp_path / to, to, workers=1)
        assert report.classes == ("a", "b", "c")
        labels = {entry.name: entry.read().instances[0].label for entry in open_source(tmp_path / to, to).entries}
        assert (labels["00"], labels["41"], labels["59"]) == ("a", "b", "c")
        assert len(labels) == 60 and list(labels.values()).count("c") == 58


def test_workers_change_nothing(tmp_path, disc):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(210):
        image = tmp_path / "in" / f"{number:03}.png"
        Image.new("L", SIZE, number).save(image)
        x, y, radius = rng.random(3) * (60, 40, 9) + (0, 0, 1)
        instances = (Instance(f"class {number % 7}", (disc(x, y, radius, 40),)),)
        write_labelme(image.with_suffix(".json"), Micrograph(image.stem, image, *SIZE, instances), image.name)
    contents = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        convert(open_labelme(tmp_path / "in"), out, "yolo", workers=workers)
        contents.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 2 * 210 + 2


def test_earlier_output_is_replaced_only_when_asked_for(folder, tmp_path):
    source = open_labelme(folder)
    convert(source, tmp_path / "out", "yolo", workers=1)
    with pytest.raises(UsageError, match="is there already"):
        convert(source, tmp_path / "out", "coco", workers=1)
    convert(source, tmp_path / "out", "coco", overwrite=True, workers=1)
    assert not (tmp_path / "out" / "labels").exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    with pytest.raises(FolderError, match="holds other files"):
        convert(source, tmp_path / "thesis", "coco", overwrite=True, workers=1)
    (tmp_path / REPORT_FILE).write_text("{}")
    with pytest.raises(UsageError, match="which is to be converted"):
        convert(source, tmp_path, "yolo", overwrite=True, workers=1)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="which is to be converted"):
        convert(open_labelme(tmp_path / "link" / folder.name), tmp_path, "yolo", overwrite=True, workers=1)
    assert (folder / "a.json").is_file() and (tmp_path / "thesis" / "chapter.txt").read_text() == "mine"


def test_nothing_to_convert(tmp_path, folder):
    for path in folder.rglob("*.json"):
        path.write_text("{}")
    with pytest.raises(AnnotationError, match="no labelme annotation in 4 files"):
        convert(open_labelme(folder), tmp_path / "out", "labelme", workers=1)
    image = folder / "a.png"
    bare = Source("labelme", (LoadedMicrograph(Micrograph("a", image, *SIZE)),))
    with pytest.raises(AnnotationError, match=r"no particle is outlined in 1 image, .*name them with --classes"):
        convert(bare, tmp_path / "out", "yolo", workers=1)
    assert convert(bare, tmp_path / "out", "yolo", classes=["cube"], workers=1).totals["background"] == 1


def test_particles_without_a_pixel_are_counted(tmp_path, square):
    Image.new("L", SIZE).save(tmp_path / "a.png")
    instances = (
        Instance("cube", (Polygon(square(-20, -20, -5, -5)),)),
        Instance("cube", mask_to_rle(np.zeros(SIZE[::-1]))),
        Instance("cube", (Polygon(square(5, 5, 9, 9)),)),
    )
    source = Source("labelme", (LoadedMicrograph(Micrograph("a", tmp_path / "a.png", *SIZE, instances)),))
    for to, outside in (("yolo", 2), ("coco", 2), ("masks", 2), ("labelme", 1)):
        totals = convert(source, tmp_path / to, to, workers=1).totals
        assert (totals["outside"], totals["instances"]) == (outside, 3 - outside), to
        assert totals["worst_iou"] == 1


def test_nothing_heavy_is_imported(tmp_path, folder):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from nanoseg_bench.annotations.conversion import convert\n"
        "from nanoseg_bench.annotations.readers import open_source\n"
        "convert(open_source(Path(sys.argv[1])), Path(sys.argv[2]), 'yolo', workers=1)\n"
        "heavy = {'torch', 'cv2', 'scipy', 'skimage', 'matplotlib', 'pandas', 'labelme', 'yaml', 'tifffile'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    (folder / "b.json").unlink()
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.faults
def test_four_kills_leave_no_worker_and_the_next_call_writes_the_same_bytes(tmp_path, disc):
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for number in range(300):
        image = tmp_path / "in" / f"{number:03}.png"
        Image.fromarray(rng.integers(0, 255, (300, 400)).astype(np.uint8)).save(image)
        places = zip(rng.random((20, 2)) * (400, 300), rng.uniform(5, 30, 20), strict=True)
        instances = tuple(
            Instance(f"class {place % 3}", (disc(*at, size, 90),)) for place, (at, size) in enumerate(places)
        )
        write_labelme(image.with_suffix(".json"), Micrograph(image.stem, image, 400, 300, instances), image.name)

    def command(out):
        arguments = ["convert", tmp_path / "in", out, "--to", "masks", "--copy", "--workers", "2"]
        return [sys.executable, "-m", "nanoseg_bench", *map(str, arguments)]

    def files(root):
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command(tmp_path / "calm" / "out"), check=True, **quiet)
    most = len(files(tmp_path / "calm" / "out"))
    killed = tmp_path / "killed" / "out"
    with_workers = 0
    for share in (0.1, 0.4, 0.7, 0.9):
        process = subprocess.Popen(command(killed), **quiet)
        # When it has come so far, however quick the machine is now.
        while process.poll() is None and sum(len(names) for *_, names in os.walk(killed.parent)) < share * most:
            time.sleep(0.002)
        workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        with_workers += len(workers) >= 2
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=120)
        assert not alive, "workers outlive the process that was killed"
        if killed.exists():  # complete, where it was quicker than the signal
            assert files(killed) == files(tmp_path / "calm" / "out")
            shutil.rmtree(killed)
    assert with_workers >= 2
    subprocess.run(command(killed), check=True, **quiet)
    assert files(killed) == files(tmp_path / "calm" / "out")
    assert [path.name for path in killed.parent.iterdir()] == ["out"]


def labelled(folder, name, *labels, **more):
    """A LabelMe file with a triangle per label."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.full(SIZE[::-1], 90, np.uint8)).save(folder / f"{name}.png")
    shapes = [
        {"label": label, "points": [[5, 5 + k], [25, 5 + k], [15, 25 + k]], "shape_type": "polygon"}
        for k, label in enumerate(labels)
    ]
    document = {"shapes": shapes, "imagePath": f"{name}.png", **more}
    (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize("to", ["labelme", "coco", "yolo", "masks"])
def test_labels_that_look_the_same_are_told_once_and_stay_apart(tmp_path, to):
    for number in range(12):  # more than the first look takes in
        labelled(tmp_path / "in", f"a{number:02}", "cube" if number else "Cube", "rod")
    report = convert(open_labelme(tmp_path / "in"), tmp_path / "out", to, workers=1)
    assert report.classes == ("Cube", "cube", "rod")
    (warning,) = read_report(tmp_path / "out")["warnings"]
    assert warning.startswith("labels 'Cube' (1 particle), 'cube' (11 particles): each is a class of its own")
    assert report.warnings == [warning]


def test_what_the_source_says_besides_is_told(tmp_path):
    labelled(tmp_path / "in", "a", "cube", flags={"blurred": True}, nanoseg={"attributes": {"modality": "SEM"}})
    labelled(tmp_path / "in", "b", "cube", flags={"blurred": True, "other": False}, operator="me")
    labelled(tmp_path / "in", "c", "cube", flags={"blurred": False}, version="5.5.0", lineColor=[0, 255, 0, 128])
    for to, attributes in (("yolo", {"nanoseg.attributes.modality": 1}), ("labelme", {})):
        convert(open_labelme(tmp_path / "in"), tmp_path / to, to, workers=1)
        assert read_report(tmp_path / to)["not_carried_over"] == {"flags": 2, "operator": 1, **attributes}


def test_a_score_is_held_by_coco_alone(tmp_path, square):
    Image.new("L", SIZE).save(tmp_path / "a.png")
    predicted = Instance("cube", (Polygon(square(5, 5, 9, 9)),), score=0.5)
    source = Source("coco", (LoadedMicrograph(Micrograph("a", tmp_path / "a.png", *SIZE, (predicted,))),))
    for to, told in (("yolo", {"annotations.score": 1}), ("coco", {})):
        assert convert(source, tmp_path / to, to, workers=1).not_carried_over == told


def test_shapes_without_area_are_summed_up_with_the_way_out(folder, tmp_path):
    document = json.loads((folder / "sub" / "c.json").read_text())
    line = {"label": "rod", "points": [[3, 3], [9, 9]], "shape_type": "linestrip"}
    document["shapes"] += [line, {**line, "shape_type": "point"}]
    (folder / "sub" / "c.json").write_text(json.dumps(document))
    convert(open_labelme(folder), tmp_path / "out", "yolo", workers=1)
    report = read_report(tmp_path / "out")
    assert report["without_area"] == {"linestrip": 1, "point": 2}
    notes = {row["name"]: row["notes"] for row in report["images"] if "notes" in row}
    assert notes["a"] == ["left out shapes without area: 1 point; draw what outlines a particle as a polygon"]


def test_lines_only_are_not_mistaken_for_images_without_particles(tmp_path):
    line = {"label": "rod", "points": [[3, 3], [9, 9], [3, 9], [3, 3]], "shape_type": "linestrip"}
    labelled(tmp_path / "in", "a", shapes=[line, line])
    with pytest.raises(AnnotationError, match=r"in 1 image.*left out \(2 linestrip\): draw what outlines a particle"):
        convert(open_labelme(tmp_path / "in"), tmp_path / "out", "yolo", workers=1)


def test_uneven_pixels_are_told_once_with_the_first_image(tmp_path, caplog, capfd):
    folder = tmp_path / "in"
    folder.mkdir()
    text = b"[User]\r\nDate=1/1/2026\r\n[Scan]\r\nPixelWidth=2.5e-9\r\nPixelHeight=3e-9\r\n\0"
    for name in "abcd":
        tags = [] if name == "a" else [(34682, 2, len(text), text, True)]
        tifffile.imwrite(
            folder / f"{name}.tif", np.zeros(SIZE[::-1], np.uint8), photometric="minisblack", extratags=tags
        )
        extras = {"nanoseg": {"nm_per_px": 2.75}} if name == "d" else {}
        shape = {"label": "rod", "points": [[3, 3], [30, 9], [3, 30]], "shape_type": "polygon"}
        (folder / f"{name}.json").write_text(json.dumps({"shapes": [shape], "imagePath": f"{name}.tif", **extras}))
    convert(open_labelme(folder), tmp_path / "out", "yolo", workers=1)
    report = read_report(tmp_path / "out")
    (warning,) = report["warnings"]
    assert warning.startswith("pixels are not square in 2 images (the first is b, 2.5 × 3 nm)")
    assert [row.get("nm_per_px") for row in report["images"]] == [None, None, None, 2.75]
    assert "square" not in caplog.text + capfd.readouterr().err


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".tif"])
def test_a_scale_that_stands_in_a_text_beside_the_image_goes_along(tmp_path, suffix):
    """The text stays behind, and PNG, BMP and JPEG hold no scale of their own."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, width in (("as_stored", SIZE[0]), ("resized", 2 * SIZE[0])):
        image = folder / f"{name}{suffix}"
        Image.fromarray(np.full(SIZE[::-1], 90, np.uint8)).save(image)
        text = f"$CM_FORMAT JEOL/SEM\r\n$CM_FULL_SIZE {width} 40\r\n$$SM_MICRON_BAR 160\r\n$$SM_MICRON_MARKER 100nm\r\n"
        image.with_suffix(".txt").write_text(text)
        shape = {"label": "rod", "points": [[3, 3], [30, 9], [3, 30]], "shape_type": "polygon"}
        image.with_suffix(".json").write_text(json.dumps({"shapes": [shape], "imagePath": image.name}))
    convert(open_labelme(folder), tmp_path / "coco", "coco", workers=1)
    assert (tmp_path / "coco" / "scales.csv").read_text() == "name,nm_per_px\nas_stored,0.625\n"
    convert(open_labelme(folder), tmp_path / "labelme", "labelme", workers=1)
    documents = (json.loads((tmp_path / "labelme" / f"{name}.json").read_text()) for name in ("as_stored", "resized"))
    assert [each["nanoseg"]["nm_per_px"] for each in documents] == [0.625, None]


@pytest.fixture
def maps(tmp_path):
    """Instance maps of discs, a ring, two far parts of one particle and a single pixel; one ignore region more."""
    y, x = np.mgrid[:120, :160]
    labels = np.zeros((120, 160), np.uint8)
    for value, (row, column, radius) in enumerate(((30, 30, 20.3), (80, 40, 11.7), (40, 120, 25.2)), start=1):
        labels[np.hypot(y - row, x - column) < radius] = value
    labels[np.hypot(y - 40, x - 120) < 9] = 0
    labels[90:100, 70:90] = labels[90:100, 120:140] = 4
    labels[110, 5] = 5
    image = tmp_path / "in" / "images" / "a.png"
    image.parent.mkdir(parents=True)
    Image.fromarray(np.full((120, 160), 90, np.uint8)).save(image)
    instances = [Instance("cube", mask_to_rle(labels == value)) for value in range(1, 6)]
    instances.append(Instance("ignore", mask_to_rle(np.hypot(y - 100, x - 150) < 8)))
    return Source("masks", (LoadedMicrograph(Micrograph("a", image, 160, 120, tuple(instances))),)), instances


def particles_of(out):
    (entry,) = [entry for entry in open_labelme(out).entries if entry.name == "a"]
    return entry.read().instances


def shapes_of(out):
    return json.loads((out / "a.json").read_text())["shapes"]


def ious(instances, truth):
    masks = [(to_mask(one, 120, 160), to_mask(other, 120, 160)) for one, other in zip(instances, truth, strict=True)]
    return [(one & other).sum() / (one | other).sum() for one, other in masks]


def test_masks_become_polygons_and_the_report_says_what_was_lost(maps, tmp_path):
    source, truth = maps
    convert(source, tmp_path / "out", "labelme", workers=1)
    shapes = shapes_of(tmp_path / "out")
    assert [shape["shape_type"] for shape in shapes] == ["polygon", "polygon", "mask", *["polygon"] * 4]
    groups = [shape["group_id"] for shape in shapes]
    assert groups[3] == groups[4] is not None and [groups[number] for number in (0, 1, 2, 5, 6)] == [None] * 5
    found = ious(particles_of(tmp_path / "out"), truth)
    assert min(found) >= 0.98 and found[2] == found[3] == found[4] == 1
    report = read_report(tmp_path / "out")
    (row,) = report["images"]
    assert row["simplified"] == 2 and report["totals"]["simplified"] == 2
    assert row["points_after"] == len(shapes[0]["points"]) + len(shapes[1]["points"]) < row["points_before"] / 2
    assert 1 > row["worst_iou"] == report["totals"]["worst_iou"] == pytest.approx(min(found[:5]), abs=1e-6)
    assert row["mean_iou"] == pytest.approx(np.mean(found[:5]), abs=1e-6)


def test_exact_keeps_every_pixel_and_max_loss_allows_less(maps, tmp_path):
    source, truth = maps
    convert(source, tmp_path / "exact", "labelme", exact=True, workers=1)
    assert {shape["shape_type"] for shape in shapes_of(tmp_path / "exact")} == {"mask"}
    assert ious(particles_of(tmp_path / "exact"), truth) == [1] * 6
    report = read_report(tmp_path / "exact")
    assert report["totals"]["worst_iou"] == 1 and report["totals"]["simplified"] == 0
    convert(source, tmp_path / "strict", "labelme", max_loss=0.0, workers=1)
    assert {shape["shape_type"] for shape in shapes_of(tmp_path / "strict")} == {"polygon", "mask"}
    assert ious(particles_of(tmp_path / "strict"), truth) == [1] * 6


def test_who_began_goes_on_to_labelme_and_is_told_elsewhere(maps, tmp_path):
    source, _ = maps
    (entry,) = source.entries
    begun = replace(entry.read(), begun_by=BegunBy("nsyolo", "nsyolo-paper-seed0"))
    for to, told in (("labelme", {}), ("coco", {"nanoseg.begun_by": 1}), ("masks", {"nanoseg.begun_by": 1})):
        convert(Source("labelme", (LoadedMicrograph(begun),)), tmp_path / to, to, workers=1)
        assert read_report(tmp_path / to)["not_carried_over"] == told
    document = json.loads((tmp_path / "labelme" / "a.json").read_text())
    assert document["nanoseg"]["begun_by"] == {"model": "nsyolo", "run": "nsyolo-paper-seed0"}


@pytest.mark.timeout(300)
def test_a_class_of_which_every_image_is_refused_ends_the_conversion(tmp_path):
    """Its labels were found in one try and lost in the next, without end."""
    ring = Polygon(
        np.array([(5, 5), (25, 5), (25, 25), (5, 25)], float), (np.array([(9, 9), (20, 9), (9, 20)], float),)
    )
    disc = Polygon(np.array([(5, 5), (25, 5), (15, 25)], float))
    micrographs = []
    for name, label, region in (("a", "ring", ring), ("b", "cube", disc)):
        Image.fromarray(np.full((40, 60), ord(name), np.uint8)).save(tmp_path / f"{name}.png")
        micrographs.append(Micrograph(name, tmp_path / f"{name}.png", 60, 40, (Instance(label, (region,)),)))
    source = Source("labelme", tuple(map(LoadedMicrograph, micrographs)))
    with pytest.raises(AnnotationError, match="1 hole lost"):
        convert(source, tmp_path / "out", "yolo", max_loss=0.1, workers=1)
    report = convert(source, tmp_path / "out", "yolo", max_loss=0.1, on_error="skip", workers=1)
    assert report.classes == ("cube", "ring") and [row["name"] for row in report.images] == ["b"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes")
def test_a_name_in_another_encoding_is_told(folder, tmp_path):
    latin = os.fsdecode(b"caf\xe9")
    for suffix in (".json", ".png"):
        (folder / f"a{suffix}").rename(folder / f"{latin}{suffix}")
    with pytest.raises(AnnotationError, match="name of the file is not in UTF-8; rename it"):
        convert(open_source(folder), tmp_path / "out", "coco", workers=1)
    told = json.loads((tmp_path / f"out-{REPORT_FILE}").read_text())["problems"]
    assert [each["file"] for each in told] == ["caf\\udce9.json"]
    report = convert(open_source(folder), tmp_path / "out", "coco", on_error="skip", workers=1)
    assert report.totals["images"] == 3 and read_report(tmp_path / "out")["problems"] == told
