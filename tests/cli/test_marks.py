"""Information bars, scale bars and lettering, in predict and prepare."""

import csv
import json

import cv2
import numpy as np
import pytest
from finished_runs import write_otsu_run
from PIL import Image, ImageDraw, ImageFont

from nanoseg_bench.annotations.coco.reading import read_coco
from nanoseg_bench.annotations.labelme.reading import read_labelme
from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.cli import main
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.preparation.prepared_set import PreparedSet

PLACES = [(80, 90), (200, 300), (330, 120), (430, 260), (90, 330)]


def draw(path, *, banner=False, bar=True, seed=0):
    """Five light discs on a dark ground, with a light scale bar and its text, or an information bar."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(480, 600)), (0, 0), 2)
    pixels = np.clip(85 + noise / noise.std() * 6, 65, 110).astype(np.uint8)
    for x, y in PLACES:
        cv2.circle(pixels, (x, y), 26, 200, -1)
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    if bar:
        pen.text((450, 355), "300 nm", 255, ImageFont.load_default(size=32))
        pen.rectangle((440, 400, 569, 409), 255)
    if banner:
        pen.rectangle((0, 440, 599, 479), 0)
        pen.text((6, 447), "SU8020 15.0kV 8.2mm x100k SE(U)", 255, ImageFont.load_default(size=22))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@pytest.fixture(scope="module")
def otsu(tmp_path_factory):
    return write_otsu_run(tmp_path_factory.mktemp("runs"))


def predict(image, otsu, out, *more):
    command = ["predict", image, "--model", otsu, "--out", out, "--confidence", "0", *more]
    return main([str(each) for each in command])


def found_in(out):
    [image] = json.loads((out / "predictions.json").read_text(encoding="utf-8"))["images"]
    return image["instances"]


def test_what_lies_on_marks_is_flagged_everywhere_and_counted_nowhere(otsu, tmp_path, capsys):
    draw(tmp_path / "sample.png")
    out = tmp_path / "found"
    capsys.readouterr()
    assert predict(tmp_path / "sample.png", otsu, out, "--to", "labelme,coco,masks,overlay") == 0
    found = found_in(out)
    flagged = [each for each in found if each.get("on_mark")]
    assert len(found) - len(flagged) == len(PLACES), "no disc is lost"
    assert flagged
    shown = capsys.readouterr().out
    assert f"5 particles, {len(flagged)} more on marks left out" in shown
    row = next(line for line in shown.splitlines() if "sample.png" in line)
    # The discs have a diameter of 52 px; what is written is much smaller, and is not averaged.
    assert 51 < float(row.split()[-2]) < 53

    labelme = read_labelme(out / "labelme" / "sample.json")
    assert [each.on_mark for each in labelme.instances] == [bool(each.get("on_mark")) for each in found]
    assert {each.label for each in labelme.instances} == {"particle"}
    coco = read_coco(out / "coco" / "annotations.json").instances["sample"]
    assert [each.ignored for each in coco] == [bool(each.get("on_mark")) for each in found]
    masks = np.asarray(Image.open(out / "masks" / "masks" / "sample.png"))
    assert masks.max() == len(PLACES)
    marked = np.any([to_mask(each, 480, 600) for each in labelme.instances if each.on_mark], axis=0)
    before, after = (
        np.asarray(Image.open(path).convert("RGB"))
        for path in (tmp_path / "sample.png", out / "overlay" / "sample.png")
    )
    assert (after != before).any(axis=2)[marked].mean() > 0.3


def test_they_count_where_it_is_asked_for(otsu, tmp_path, capsys):
    draw(tmp_path / "sample.png")
    assert predict(tmp_path / "sample.png", otsu, tmp_path / "some") == 0
    assert predict(tmp_path / "sample.png", otsu, tmp_path / "all", "--keep-marks") == 0
    shown = capsys.readouterr().out.rsplit("image", 1)[-1]
    assert "on marks" not in shown
    kept = found_in(tmp_path / "all")
    assert not any("on_mark" in each for each in kept)
    assert [each["counts"] for each in kept] == [each["counts"] for each in found_in(tmp_path / "some")]
    assert predict(tmp_path / "sample.png", otsu, tmp_path / "all", "--overwrite", "missing") == 2
    assert "what lies on marks counted -> left out" in capsys.readouterr().err


def test_a_flag_stays_through_the_next_call(otsu, tmp_path, capsys):
    for name in ("a", "b"):
        draw(tmp_path / "images" / f"{name}.png", seed=ord(name))
    out = tmp_path / "found"
    assert predict(tmp_path / "images" / "a.png", otsu, out) == 0
    first = found_in(out)
    assert predict(tmp_path / "images", otsu, out, "--overwrite", "missing") == 0
    images = json.loads((out / "predictions.json").read_text(encoding="utf-8"))["images"]
    assert images[0]["instances"] == first
    assert any(each.get("on_mark") for each in images[1]["instances"])


def annotate(folder, images=10):
    for number in range(images):
        draw(folder / f"s{number}.png", banner=number % 2 == 0, bar=False, seed=number)
        shapes = [
            {"label": "disc", "points": [[x, y], [x + 26, y]], "group_id": None, "shape_type": "circle", "flags": {}}
            for x, y in PLACES
        ]
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"s{number}.png", "imageData": None}
        (folder / f"s{number}.json").write_text(json.dumps(document | {"imageHeight": 480, "imageWidth": 600}))
    return folder


def prepare(folder, out, *more):
    command = ["prepare", "--labelme", folder, "--out", out, "--size", "64", "--augment-copies", "1", "--workers", "1"]
    # The drawings are alike on purpose.
    reviewed = folder / "reviewed.csv"
    names = sorted(path.stem for path in folder.glob("*.png"))
    with reviewed.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["first", "second", "note"])
        writer.writerows([one, other, "drawn"] for one in names for other in names if one < other)
    return main([str(each) for each in (*command, "--reviewed", reviewed, *more)])


def test_banners_are_proposed_and_made_ignore_regions_only_where_asked_for(tmp_path, capsys, caplog):
    folder = annotate(tmp_path / "mine")
    assert prepare(folder, tmp_path / "plain") == 0
    assert "5 images with an information bar that nobody labelled" in caplog.text
    assert "--ignore-banners" in caplog.text
    caplog.clear()
    capsys.readouterr()
    assert prepare(folder, tmp_path / "ignoring", "--ignore-banners", "--preview") == 0
    assert "nobody labelled" not in caplog.text
    assert "5 images whose information bar is an ignore region" in capsys.readouterr().out
    plain, ignoring = PreparedSet(tmp_path / "plain"), PreparedSet(tmp_path / "ignoring")
    assert plain.content_hash != ignoring.content_hash
    assert "ignore_banners" not in plain.summary["parameters"]
    for prepared, expected in ((plain, 0), (ignoring, 5)):
        truth = [each for split in ("train", "val", "test") for each in prepared.truth(split).values()]
        assert sum(any(one.ignored for one in image) for image in truth) == expected
        assert all(sum(not one.ignored for one in image) == len(PLACES) for image in truth)
        for image in prepared.all_images:
            if image.parent is None:
                banners = [mark for mark in image.marks if mark.kind == "banner"]
                assert [(mark.top, mark.bottom) for mark in banners] == (
                    [(440, 480)] if int(image.name[1:]) % 2 == 0 else []
                )
    eval_set = load_eval_set(plain, "test")
    assert set(eval_set.marks) == set(eval_set.images)
    assert "1 ignore" in (tmp_path / "ignoring" / "preview.html").read_text(encoding="utf-8")


def test_a_labelled_banner_is_not_proposed(tmp_path, caplog):
    folder = annotate(tmp_path / "mine")
    for path in folder.glob("*.json"):
        document = json.loads(path.read_text())
        bar = {
            "label": "ignore",
            "points": [[0, 440], [600, 480]],
            "group_id": None,
            "shape_type": "rectangle",
            "flags": {},
        }
        document["shapes"].append(bar)
        path.write_text(json.dumps(document))
    assert prepare(folder, tmp_path / "set") == 0
    assert "information bar" not in caplog.text


def test_a_set_with_a_published_split_stays_as_it_is(tmp_path, capsys):
    command = ["prepare", "--dataset", "emps", "--source", str(tmp_path / "emps"), "--out", str(tmp_path / "set")]
    assert main([*command, "--ignore-banners"]) == 2
    assert "emps has a published split" in capsys.readouterr().err
