"""Outlines that people drew, measured: discs of known sizes as LabelMe circles, without any model."""

import json
import math

import docx
import pandas as pd
import pytest
from PIL import Image

from nanoseg_bench.cli import main

HEIGHT, WIDTH = 300, 400
NM_PER_PX = 0.5
RADII = (20, 24, 30)
CUT = (0, 150, 25)
"""Centre and radius of a disc that the left border cuts."""


def circle(x, y, radius, label="sphere", **more):
    return {"label": label, "shape_type": "circle", "points": [[x, y], [x + radius, y]], **more}


def write_annotated(folder, name="a", shapes=None, **nanoseg):
    """A grey image, and beside it a LabelMe file with three discs inside of the field and one that is cut."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("L", (WIDTH, HEIGHT), 90).save(folder / f"{name}.png")
    inside = [circle(80 + 110 * number, 80, radius) for number, radius in enumerate(RADII)]
    document = {
        "version": "5.5.0",
        "flags": {},
        "shapes": [*inside, circle(*CUT)] if shapes is None else shapes,
        "imagePath": f"{name}.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    if nanoseg:
        document["nanoseg"] = nanoseg
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def analyze(folder, out, *more):
    return main(["analyze", str(folder), "--annotated", "--out", str(out), "--no-ocr", *more])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "Gold März"


def test_discs_have_the_sizes_that_they_were_drawn_with(folder, tmp_path):
    write_annotated(folder, nm_per_px=NM_PER_PX)
    assert analyze(folder, tmp_path / "out") == 0
    rows = pd.read_csv(tmp_path / "out" / "particles.csv")
    kept = rows[rows["exclusion"].isna()]
    assert sorted(kept["diameter_nm"]) == pytest.approx([2 * radius * NM_PER_PX for radius in RADII], rel=0.01)
    assert list(rows[rows["exclusion"].notna()]["area_px2"]) == pytest.approx([math.pi * CUT[2] ** 2 / 2], rel=0.05)
    image = pd.read_csv(tmp_path / "out" / "images.csv").iloc[0]
    assert image["scale_source"] == "as it stands in the annotation"
    assert image["particles"] == len(RADII)
    assert not (tmp_path / "out" / "labelme").exists()


def test_the_report_says_that_people_outlined_them(folder, tmp_path):
    weights = "0" * 64
    write_annotated(folder, begun_by={"model": "nsyolo", "weights_sha256": weights})
    assert analyze(folder, tmp_path / "out", "--scale", "2nm") == 0
    report = docx.Document(tmp_path / "out" / "reports" / "a.docx")
    cells = {row.cells[0].text: row.cells[1].text for row in report.tables[0].rows}
    begun = f"nsyolo (weights {weights[:12]})"
    assert cells["Outlines"] == f"outlines as people annotated them (labelme), some begun by {begun}"
    assert not {"Model", "SHA-256 of the weights", "Confidence from", "Changed by hand"} & set(cells)
    texts = [paragraph.text for paragraph in report.paragraphs]
    assert "Of any measurement in micrographs:" in texts
    assert not any("network" in text for text in texts)


def test_what_is_no_particle_does_not_count(folder, tmp_path):
    shapes = [
        circle(100, 100, 20),
        circle(250, 100, 20, label="__ignore__"),
        circle(250, 200, 20, flags={"on_mark": True}),
    ]
    write_annotated(folder, shapes=shapes)
    assert analyze(folder, tmp_path / "out", "--to", "excel") == 0
    assert len(pd.read_csv(tmp_path / "out" / "particles.csv")) == 1


def test_the_same_command_measures_anew_what_was_corrected(folder, tmp_path, capsys):
    write_annotated(folder, "a", nm_per_px=NM_PER_PX)
    write_annotated(folder, "b", nm_per_px=NM_PER_PX)
    assert analyze(folder, tmp_path / "out", "--to", "excel") == 0
    before = pd.read_csv(tmp_path / "out" / "images.csv").set_index("image")["d50"]
    write_annotated(folder, "b", shapes=[circle(200, 150, 40)], nm_per_px=NM_PER_PX)
    capsys.readouterr()
    assert analyze(folder, tmp_path / "out", "--to", "excel") == 0
    assert "analysed earlier: 1 image" in capsys.readouterr().out
    after = pd.read_csv(tmp_path / "out" / "images.csv").set_index("image")["d50"]
    assert after["a"] == before["a"]
    assert after["b"] == pytest.approx(80 * NM_PER_PX, rel=0.01)


def test_a_broken_file_costs_no_other(folder, tmp_path, capsys):
    write_annotated(folder, "a")
    write_annotated(folder, "b", shapes=[{"label": "sphere", "shape_type": "polygon", "points": [[1, 1]]}])
    assert analyze(folder, tmp_path / "out", "--to", "excel") == 1
    images = pd.read_csv(tmp_path / "out" / "images.csv").set_index("image")
    assert images["status"].to_dict() == {"a": "ok", "b": "failed"}
    assert "b.json" in images["reason"]["b"]
    assert "shape 1" in images["reason"]["b"], "what is wrong with the annotation, not that it is no image"
    assert "not analysed" in capsys.readouterr().out


def test_shapes_that_outline_nothing_are_told(folder, tmp_path, capsys):
    line = {"label": "sphere", "shape_type": "line", "points": [[1, 1], [20, 20]]}
    write_annotated(folder, shapes=[circle(200, 150, 40), line])
    assert analyze(folder, tmp_path / "out", "--to", "excel") == 0
    assert "left out shapes without area: 1 line" in " ".join(capsys.readouterr().out.split())


def test_the_sample_is_not_called_as_the_format(tmp_path):
    for name in "ab":
        write_annotated(tmp_path / "sizes" / "labelme", name)
    assert analyze(tmp_path / "sizes" / "labelme", tmp_path / "out", "--to", "excel") == 0
    assert set(pd.read_csv(tmp_path / "out" / "samples.csv")["sample"]) == {"sizes"}


def test_an_image_that_two_files_annotate_is_refused(folder, tmp_path, capsys):
    path = write_annotated(folder)
    (folder / "copy.json").write_bytes(path.read_bytes())
    assert analyze(folder, tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "copy.json" in said and "is annotated by" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "nsyolo"], "--model nsyolo: goes with a model"),
        (["--confidence", "0.5", "--views", "8"], "--confidence 0.5, --views 8: goes with a model"),
        (["--to", "word", "labelme"], "--to labelme: with --annotated they are there"),
    ],
)
def test_options_of_a_model_are_refused(folder, tmp_path, capsys, options, said):
    write_annotated(folder)
    assert analyze(folder, tmp_path / "out", *options) == 2
    assert said in capsys.readouterr().err


def test_the_format_may_be_named(folder, tmp_path, capsys):
    write_annotated(folder)
    assert analyze(folder, tmp_path / "out", "--from", "labelme", "--to", "excel") == 0
    assert analyze(folder, tmp_path / "other", "--from", "yolo") != 0
    assert main(["analyze", str(folder), "--from", "labelme", "--out", str(tmp_path / "other")]) == 2
    assert "--from labelme: goes with --annotated" in capsys.readouterr().err
