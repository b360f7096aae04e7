"""From micrographs to reports, end to end, on fields of discs whose sizes are known."""

import io
import json
import os
import re
import subprocess
import sys
import zipfile

import cv2
import docx
import numpy as np
import openpyxl
import pandas as pd
import pytest
import tifffile
from finished_runs import write_otsu_run
from lxml import etree
from PIL import Image

from nanoseg_bench.annotations.readers import open_source
from nanoseg_bench.cli import main
from nanoseg_bench.measure.columns import COLUMNS

HEIGHT, WIDTH = 480, 600
NM_PER_PX = 0.5
COUNTED = 8
"""Discs of a field that touch no border."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of Otsu, which needs no training."""
    return write_otsu_run(tmp_path_factory.mktemp("runs"))


def discs_of(seed):
    """Centres and radii in px of COUNTED discs inside of the field, and of two that the border cuts."""
    rng = np.random.default_rng(seed)
    inside = [
        (75 + 150 * column, 120 + 230 * row, int(rng.integers(18, 42))) for row in range(2) for column in range(4)
    ]
    return [*inside, (0, 240, 30), (WIDTH - 1, 5, 25)]


def field(seed):
    """Bright discs on a dark, even ground."""
    noise = np.random.default_rng(seed + 100).normal(size=(HEIGHT, WIDTH))
    noise = cv2.GaussianBlur(noise, (0, 0), 2)
    image = np.clip(85 + noise / noise.std() * 6, 65, 110).astype(np.uint8)
    for x, y, radius in discs_of(seed):
        cv2.circle(image, (x, y), radius, 200, -1)
    return image


def write_field(path, seed, nm_per_px=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if nm_per_px is None:
        Image.fromarray(field(seed)).save(path)
    else:
        per_nm = 1 / nm_per_px
        tifffile.imwrite(path, field(seed), imagej=True, resolution=(per_nm, per_nm), metadata={"unit": "nm"})


def analyze(run, out, *arguments):
    return main(["analyze", *map(str, arguments), "--model", str(run), "--out", str(out), "--no-ocr"])


def rows_of(out, name):
    return pd.read_csv(out / name, keep_default_na=True)


def diameters_nm(seed):
    """Of the discs as cv2 fills them, counted pixel by pixel."""
    sizes = []
    for x, y, radius in discs_of(seed)[:COUNTED]:
        alone = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.circle(alone, (x, y), radius, 1, -1)
        sizes.append(NM_PER_PX * np.sqrt(4 * alone.sum() / np.pi))
    return np.sort(sizes)


def test_sizes_are_those_of_the_discs(run, tmp_path, capsys):
    write_field(tmp_path / "in" / "a.tif", 0, NM_PER_PX)
    write_field(tmp_path / "in" / "=b.tif", 1, NM_PER_PX)
    out = tmp_path / "out"
    assert analyze(run, out, tmp_path / "in", "--operator", "=O", "--kv", "200", "--border", "exclude") == 0
    said = capsys.readouterr().out
    assert "read from the file (imagej)" in said and f"{2 * COUNTED} particles in 2 images" in said

    particles = rows_of(out, "particles.csv")
    assert list(particles.columns) == [column.name for column in COLUMNS]
    kept = particles[particles["exclusion"].isna()]
    for image, seed in (("a", 0), ("_b", 1)):
        found = np.sort(kept.loc[kept["image"] == image, "diameter_nm"])
        # The segmentation's edge may lie half a pixel off on either side.
        assert found == pytest.approx(diameters_nm(seed), abs=2 * 0.5 * NM_PER_PX)
    assert particles.loc[particles["touches_border"], "exclusion"].str.contains("touches the border").all()

    images = rows_of(out, "images.csv").set_index("image")
    assert images["status"].eq("ok").all() and images["particles"].eq(COUNTED).all()
    assert images["nm_per_px"].to_numpy() == pytest.approx(NM_PER_PX)
    assert images["left_out_for"].tolist() == [f"touches the border ({number})" for number in images["left_out"]]
    sample = rows_of(out, "samples.csv")
    size = sample[sample["quantity"] == "diameter"].iloc[0]
    assert size["sample"] == "in" and size["count"] == 2 * COUNTED
    assert (
        size["mean"] == pytest.approx(kept["diameter_nm"].mean()) and size["mean_lo"] < size["mean"] < size["mean_hi"]
    )

    report = docx.Document(out / "reports" / "in.docx")
    number = int(images["left_out"].sum())
    told = f"Left out: {number} outlines, each by its first reason: touches the border ({number})."
    assert number and told in [each.text for each in report.paragraphs]
    cells = [cell.text for table in report.tables for row in table.rows for cell in row.cells]
    assert str(2 * COUNTED) in cells and "=O" in cells and "200 kV" in cells
    book = openpyxl.load_workbook(out / "reports" / "in.xlsx")
    assert len(list(book["Particles"].iter_rows(min_row=2))) == len(particles)
    listed = pd.DataFrame(book["Micrographs"].iter_rows(min_row=2, values_only=True)).set_index(0)
    assert listed[1].to_dict() == {"a": "a.tif", "_b": "=b.tif"}
    for place, name in ((2, "width"), (4, "particles"), (5, "nm_per_px"), (6, "scale_source"), (7, "sha256")):
        assert listed[place].to_dict() == images[name].to_dict(), name
    facts = dict(book["Analysis"].iter_rows(values_only=True))
    assert facts["Micrographs"] == "2, in a table of their own"
    assert "Intervals of 95 % by bootstrap over particles" in facts["Statistics"]
    head = [cell.value for cell in book["Sample"][1]]
    assert head[2:5] == ["Mean (nm)", "95 % from", "95 % to"]
    assert not any(cell.data_type == "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    document = json.loads((out / "analysis.json").read_text("utf-8"))
    assert document["samples"][0]["particles"] == 2 * COUNTED and len(document["images"]) == 2
    told = {row[0]: row[1] for row in book["Uncertainty"].iter_rows(min_row=2, values_only=True)}
    budget = document["samples"][0]["uncertainty"]
    for each in budget["components"]:
        known = each["standard_uncertainty"]
        assert told[each["name"]] == (None if known is None else pytest.approx(known, rel=1e-14)), each["name"]
    assert budget["unknown"] == ["calibration", "outlines"]
    assert any(budget["sentence"] in each.text for each in report.paragraphs)
    assert document["method"]["model_id"] == "otsu"


def test_outlines_go_back_into_training(run, tmp_path):
    write_field(tmp_path / "in" / "a.tif", 0, NM_PER_PX)
    out = tmp_path / "out"
    formats = ("labelme", "coco", "masks", "overlay", "svg", "labels")
    assert analyze(run, out, tmp_path / "in", "--to", *formats) == 0
    assert not (out / "reports").exists()
    particles = rows_of(out, "particles.csv")
    entry = next(each for each in open_source(out / "labelme").entries if each.name == "a")
    micrograph = entry.read()
    assert micrograph.begun_by.model == "otsu" and micrograph.nm_per_px == pytest.approx(NM_PER_PX)
    assert len(micrograph.instances) == len(particles)
    shapes = json.loads((out / "labelme" / "a.json").read_text("utf-8"))["shapes"]
    assert {shape["shape_type"] for shape in shapes} == {"polygon"}, "corners that can be dragged"
    (coco,) = open_source(out / "coco" / "annotations.json").entries
    assert len(coco.read().instances) == len(particles)

    labels = tifffile.imread(out / "labels" / "a.tif")
    counted = particles[particles["exclusion"].isna()]
    for number, area in zip(counted["particle"], counted["area_px2"], strict=True):
        assert (labels == number).sum() == area
    assert set(np.unique(labels)) == {0, *counted["particle"]}
    svg = etree.parse(out / "svg" / "a.svg")
    ids = {each.get("id") for each in svg.iter("{http://www.w3.org/2000/svg}path")} - {None}
    assert ids == {f"particle-{number}" for number in counted["particle"]}
    assert "scale-bar" in (out / "svg" / "a.svg").read_text("utf-8")
    assert Image.open(out / "overlay" / "a.png").size == (WIDTH, HEIGHT)


def test_large_sizes_are_told_as_the_report_does(run, tmp_path, capsys):
    """At the magnifications of powders: 12346 nm, and not 1.235e+04 nm."""
    write_field(tmp_path / "in" / "a.png", 0)
    out = tmp_path / "out"
    assert analyze(run, out, tmp_path / "in", "--scale", "500nm", "--border", "exclude", "--to", "excel") == 0
    d50 = rows_of(out, "images.csv")["d50"].item()
    said = capsys.readouterr().out
    assert d50 > 10_000 and f"median diameter {d50:.0f} nm" in said and "e+" not in said


def test_a_file_that_fails_is_a_row_with_its_reason(run, tmp_path, capsys):
    write_field(tmp_path / "in" / "good.tif", 0, NM_PER_PX)
    (tmp_path / "in" / "text.png").write_text("no image")
    (tmp_path / "in" / "cut.tif").write_bytes((tmp_path / "in" / "good.tif").read_bytes()[:900])
    Image.new("L", (WIDTH, HEIGHT), 90).save(tmp_path / "in" / "empty.png")
    out = tmp_path / "out"
    assert analyze(run, out, tmp_path / "in") == 1
    images = rows_of(out, "images.csv").set_index("image")
    assert images["status"].to_dict() == {"cut": "failed", "empty": "ok", "good": "ok", "text": "failed"}
    assert "text.png" in images.loc["text", "reason"] and "cut.tif" in images.loc["cut", "reason"]
    assert images.loc["good", "particles"] == COUNTED
    as_written = pd.read_csv(out / "images.csv", dtype=str, index_col="image").loc["good"]
    assert as_written[["width", "height", "particles"]].tolist() == [str(WIDTH), str(HEIGHT), str(COUNTED)]
    said = capsys.readouterr().out
    assert said.count("not analysed:") == 2 and "Traceback" not in said
    assert docx.Document(out / "reports" / "in.docx")


def test_a_stack_is_no_silent_loss(run, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    stack = np.stack([field(0), field(1), field(2)])
    tifffile.imwrite(tmp_path / "in" / "series.tif", stack, imagej=True, resolution=(2, 2), metadata={"unit": "nm"})
    assert analyze(run, tmp_path / "out", tmp_path / "in", "--to", "word") == 0
    told = "the file holds 3 images of this size, and one of them was analysed, image 1 of the file"
    assert told in " ".join(capsys.readouterr().out.split())
    assert rows_of(tmp_path / "out", "images.csv")["warnings"].item().startswith(told)
    report = docx.Document(tmp_path / "out" / "reports" / "series.docx")
    assert any(paragraph.text.startswith(told) for paragraph in report.paragraphs)


def test_nothing_but_failures(run, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no image")
    assert analyze(run, tmp_path / "out", tmp_path / "text.png") == 1
    assert rows_of(tmp_path / "out", "images.csv")["status"].tolist() == ["failed"]
    assert rows_of(tmp_path / "out", "particles.csv").empty


def test_ragged_outlines_get_an_advice(tmp_path, capsys):
    """Teeth stay teeth, from however many sides: those who have looked from several are advised no more."""
    rng = np.random.default_rng(0)
    image = np.full((480, 640), 60, np.uint8)
    ys, xs = np.mgrid[:480, :640]
    for x, y in ((160, 160), (430, 140), (200, 360), (470, 350)):
        angle = np.arctan2(ys - y, xs - x)
        image[np.hypot(xs - x, ys - y) < 70 + 14 * np.sign(np.sin(24 * angle))] = 170
    image = (cv2.GaussianBlur(image, (0, 0), 1.0) + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(image).save(tmp_path / "in" / "gears.png")
    command = ["analyze", str(tmp_path / "in"), "--no-ocr", "--to", "excel", "--out"]
    assert main([*command, str(tmp_path / "one")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "ragged outlines: " in said and "--views 8" in said
    assert main([*command, str(tmp_path / "four"), "--views", "4"]) == 0
    assert "ragged outlines" not in capsys.readouterr().out
    assert json.loads((tmp_path / "four" / "analysis.json").read_text())["settings"]["views"] == 4


def test_options_are_told_on_the_console_and_not_in_the_report(run, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full((HEIGHT, WIDTH), 60, np.uint8)).save(tmp_path / "in" / "empty.png")
    assert analyze(run, tmp_path / "out", tmp_path / "in", "--to", "word") == 0
    assert "try a lower confidence (--confidence 0.25)" in " ".join(capsys.readouterr().out.split())
    report = docx.Document(tmp_path / "out" / "reports" / "empty.docx")
    words = "\n".join(paragraph.text for paragraph in report.paragraphs)
    assert "try a lower confidence" in words and "(--" not in words
    assert "Key figures" in words and "Distributions" not in words, "a heading without anything below"


def test_the_same_command_goes_on(run, tmp_path, capsys):
    for number in range(3):
        write_field(tmp_path / "in" / f"{number}.tif", number, NM_PER_PX)
    out = tmp_path / "out"
    command = (tmp_path / "in", "--to", "labelme", "overlay", "excel")
    assert analyze(run, out, *command) == 0
    tables = {name: (out / name).read_bytes() for name in ("images.csv", "samples.csv", "particles.csv")}
    times = {path: path.stat().st_mtime_ns for path in (out / "state").iterdir()}
    capsys.readouterr()
    assert analyze(run, out, *command) == 0
    assert "analysed earlier: 3 images" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (out / "state").iterdir()} == times
    assert {name: (out / name).read_bytes() for name in tables} == tables
    # A kill may leave half of them; and a file may be another one since.
    (out / "state" / "1.json").unlink()
    write_field(tmp_path / "in" / "2.tif", 7, NM_PER_PX)
    assert analyze(run, out, *command) == 0
    assert "analysed earlier: 1 image" in capsys.readouterr().out
    kept = rows_of(out, "particles.csv")
    kept = kept[kept["exclusion"].isna()]
    found = np.sort(kept.loc[kept["image"].astype(str) == "2", "diameter_nm"])
    assert found == pytest.approx(diameters_nm(7), abs=2 * 0.5 * NM_PER_PX)


def test_other_settings_are_another_analysis(run, tmp_path, capsys):
    write_field(tmp_path / "in" / "a.tif", 0, NM_PER_PX)
    out = tmp_path / "out"
    assert analyze(run, out, tmp_path / "in", "--to", "excel") == 0
    assert analyze(run, out, tmp_path / "in", "--to", "excel", "--min-diameter", "30nm") == 2
    said = capsys.readouterr().err
    assert "min_diameter none -> 30 nm" in said and "--overwrite always" in said
    assert analyze(run, out, tmp_path / "in", "--to", "excel", "--min-diameter", "30nm", "--overwrite", "always") == 0
    particles = rows_of(out, "particles.csv")
    small = particles["diameter_nm"] < 30
    assert small.any() and particles.loc[small, "exclusion"].notna().all()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    assert analyze(run, other, tmp_path / "in") == 2
    assert "holds other things" in capsys.readouterr().err and os.listdir(other) == ["thesis.txt"]


def test_corrections_are_never_written_over(run, tmp_path, capsys):
    write_field(tmp_path / "in" / "a.tif", 0, NM_PER_PX)
    out = tmp_path / "out"
    assert analyze(run, out, tmp_path / "in", "--to", "labelme") == 0
    corrected = out / "labelme" / "a.json"
    corrected.write_text(corrected.read_text("utf-8").replace("particle", "gold"), "utf-8")
    before = corrected.read_bytes()
    for more in ((), ("--overwrite", "always")):
        assert analyze(run, out, tmp_path / "in", "--to", "labelme", *more) == 2
        assert "changed since" in capsys.readouterr().err and corrected.read_bytes() == before


@pytest.mark.parametrize(
    ("folders", "more", "told"), [("kk", (), 0), ("kb", (), 1), ("kb", ("--sample-by", "folder"), 0)]
)
def test_that_folders_are_pooled_is_told(run, tmp_path, capsys, folders, more, told):
    for number, folder in enumerate(folders):
        write_field(tmp_path / "in" / folder / f"{number}.tif", number, NM_PER_PX)
    assert analyze(run, tmp_path / "out", tmp_path / "in", "--to", "labelme", *more) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("the images of 2 folders are pooled") == told


def test_samples_have_a_report_each(run, tmp_path):
    for number, name in enumerate(("au_1", "au_2", "ag_1")):
        write_field(tmp_path / "in" / f"{name}.tif", number, NM_PER_PX)
    out = tmp_path / "out"
    assert analyze(run, out, tmp_path / "in", "--sample-by", "regex:(.+)_[0-9]", "--to", "excel") == 0
    assert sorted(path.name for path in (out / "reports").iterdir()) == ["ag.xlsx", "au.xlsx"]
    samples = rows_of(out, "samples.csv")
    sizes = samples[samples["quantity"] == "diameter"].set_index("sample")
    assert sizes["count"].to_dict() == {"ag": COUNTED, "au": 2 * COUNTED}


def test_reports_of_samples_that_are_no_more_go_when_the_folder_is_replaced(run, tmp_path):
    for number, name in enumerate(("au_1", "ag_1", "cu_1")):
        write_field(tmp_path / "in" / f"{name}.tif", number, NM_PER_PX)
    out = tmp_path / "out"
    reports = out / "reports"

    def analyzed(*more):
        arguments = ("--sample-by", "regex:(.+)_[0-9]", "--to", "excel", *more)
        assert analyze(run, out, tmp_path / "in", *arguments) == 0
        return sorted(path.name for path in reports.iterdir())

    assert analyzed() == ["ag.xlsx", "au.xlsx", "cu.xlsx"]
    (reports / "my notes.xlsx").write_bytes(b"mine")
    (reports / "cu.xlsx").write_bytes(b"with my remarks")
    for name in ("ag_1", "cu_1"):
        (tmp_path / "in" / f"{name}.tif").unlink()
    assert analyzed() == ["ag.xlsx", "au.xlsx", "cu.xlsx", "my notes.xlsx"], "nothing is replaced"
    assert analyzed("--overwrite", "always") == ["au.xlsx", "cu.xlsx", "my notes.xlsx"]


@pytest.mark.parametrize("more", [(), ("--overwrite", "always")], ids=["goes_on", "replaced"])
def test_pictures_of_images_that_are_no_more_go(run, tmp_path, more):
    for number in range(3):
        write_field(tmp_path / "in" / f"{number}.tif", number, NM_PER_PX)
    out = tmp_path / "out"
    to = ("--to", "overlay", "svg", "labels")
    assert analyze(run, out, tmp_path / "in", *to) == 0
    assert {path.stem for path in out.glob("*/[0-9].*")} == {"0", "1", "2"}
    (out / "overlay" / "mine.png").write_bytes(b"mine")
    (tmp_path / "in" / "1.tif").unlink()
    (tmp_path / "in" / "2.tif").write_text("no image any more")
    assert analyze(run, out, tmp_path / "in", *to, *more) == 1
    pictures = sorted(str(path.relative_to(out)) for name in to[1:] for path in (out / name).iterdir())
    assert pictures == ["labels/0.tif", "overlay/0.png", "overlay/mine.png", "svg/0.svg"]


def test_the_border_and_the_scale_are_the_users(run, tmp_path, capsys):
    write_field(tmp_path / "in" / "a.png", 0)
    counts, medians = {}, {}
    for border in ("weight", "exclude", "keep"):
        out = tmp_path / border
        assert analyze(run, out, tmp_path / "in", "--border", border, "--scale", "0.5nm", "--to", "excel") == 0
        samples = rows_of(out, "samples.csv")
        size = samples[samples["quantity"] == "diameter"].iloc[0]
        counts[border], medians[border] = int(size["count"]), size["mean"]
    assert counts == {"weight": COUNTED, "exclude": COUNTED, "keep": COUNTED + 2}
    assert medians["weight"] > medians["exclude"], "large particles touch the border more often"
    table = tmp_path / "scales.csv"
    table.write_text("name,nm_per_px\na,2\n")
    assert analyze(run, tmp_path / "csv", tmp_path / "in", "--scale-csv", table, "--to", "excel") == 0
    assert rows_of(tmp_path / "csv", "images.csv")["nm_per_px"].tolist() == [2]
    line = ("--scale-line", "100,450,180,390", "--scale-bar", "40nm", "--to", "excel")
    assert analyze(run, tmp_path / "line", tmp_path / "in", *line) == 0
    assert rows_of(tmp_path / "line", "images.csv")["nm_per_px"].tolist() == [0.4], "40 nm over 100 px"
    other = ("--scale-line", "100,450,200,450", *line[2:])
    assert analyze(run, tmp_path / "line", tmp_path / "in", *other) == 2, "another line is another analysis"
    capsys.readouterr()
    assert analyze(run, tmp_path / "none", tmp_path / "in", "--to", "word") == 0
    assert rows_of(tmp_path / "none", "samples.csv")["unit"].iloc[0] == "px"


@pytest.mark.parametrize("label", ["box", "lettering"])
def test_a_particle_that_a_label_cuts_does_not_count(run, tmp_path, label):
    """Lettering that stands on the specimen without a bar under it cuts particles as a bar does."""
    image = np.full((HEIGHT, WIDTH), 60, np.uint8)
    for x, y in ((100, 100), (300, 100), (500, 100), (430, 380)):
        cv2.circle(image, (x, y), 40, 170, -1)
    if label == "box":
        image[400:460, 380:560] = 255
        cv2.putText(image, "200 nm", (400, 430), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
        image[445:451, 420:520] = 0
    else:
        cv2.putText(image, "SE SEM 15.0kV X30,000 WD 7.7mm", (20, 430), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2)
    (tmp_path / "in").mkdir()
    Image.fromarray(image).save(tmp_path / "in" / "a.png")
    counts = {}
    for name, more in (("plain", ()), ("kept", ("--keep-marks",)), ("border", ("--border", "keep"))):
        out = tmp_path / name
        assert (
            analyze(run, out, tmp_path / "in", "--scale", "1nm", "--min-diameter", "60px", "--to", "excel", *more) == 0
        )
        particles = rows_of(out, "particles.csv")
        counts[name] = int(particles["exclusion"].isna().sum())
        if name == "plain":
            cut = particles[particles["y_px"] > 300]
            assert cut["touches_border"].all() and (counts["plain"], len(cut) > 0) == (3, True)
            weights = particles.loc[particles["exclusion"].isna(), "border_weight"]
            assert (weights > 1.4).all(), "of 600 × 480 px, places of 81 px that no edge cuts are fewer than 72 %"
    assert counts["kept"] == counts["border"] == 4


@pytest.mark.parametrize("given", [("--scale-line", "100,150,180,90", "--scale-bar", "40nm"), ("--scale", "0.4nm")])
def test_one_scale_for_images_of_unlike_sizes_is_told(run, tmp_path, capsys, given):
    for name, height in (("a", HEIGHT), ("b", HEIGHT), ("c", HEIGHT // 2)):
        write_field(tmp_path / "in" / f"{name}.png", 0)
        whole = np.asarray(Image.open(tmp_path / "in" / f"{name}.png"))
        Image.fromarray(whole[:height]).save(tmp_path / "in" / f"{name}.png")
    says = "0.4 nm/px of all images, and they have unlike sizes: "
    sizes = f"{WIDTH} × {HEIGHT} px (a, b), {WIDTH} × {HEIGHT // 2} px (c)"
    assert analyze(run, tmp_path / "out", tmp_path / "in", *given, "--to", "excel") == 0
    # Console lines are broken where the terminal ends.
    assert f"{says}{sizes}".replace(" ", "") in re.sub(r"\s", "", capsys.readouterr().out)
    kept = json.loads((tmp_path / "out" / "analysis.json").read_text())["samples"][0]["warnings"]
    assert [sizes in sentence for sentence in kept].count(True) == 1
    (tmp_path / "scales.csv").write_text("name,nm_per_px\nc,0.8\n")
    own = (*given, "--scale-csv", tmp_path / "scales.csv", "--to", "excel")
    assert analyze(run, tmp_path / "own", tmp_path / "in", *own) == 0
    assert "unlike sizes" not in capsys.readouterr().out, "the odd one has a scale of its own"


@pytest.mark.parametrize(("gap", "is_cut"), [(0, True), (1, True), (4, False)])
def test_an_outline_that_ends_at_the_border_is_cut(run, tmp_path, gap, is_cut):
    image = np.full((HEIGHT, WIDTH), 60, np.uint8)
    cv2.circle(image, (WIDTH // 2, HEIGHT // 2), 30, 200, -1)
    image[200:260, gap : gap + 60] = 200
    (tmp_path / "in").mkdir()
    Image.fromarray(image).save(tmp_path / "in" / "a.png")
    assert analyze(run, tmp_path / "out", tmp_path / "in", "--scale", "1nm", "--to", "excel") == 0
    particles = rows_of(tmp_path / "out", "particles.csv").sort_values("x_px")
    assert particles["touches_border"].tolist() == [is_cut, False]
    assert particles["exclusion"].notna().tolist() == [is_cut, False]


def test_where_no_scale_was_found_every_file_says_so_and_the_console_what_to_do(run, tmp_path, capsys):
    for number in range(7):
        write_field(tmp_path / "in" / f"{number}.png", number)
    assert analyze(run, tmp_path / "out", tmp_path / "in") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("0.png, 1.png, 2.png and 4 more: no scale was found, so lengths are in pixels") == 1
    told = rows_of(tmp_path / "out", "images.csv")["warnings"]
    report = docx.Document(tmp_path / "out" / "reports" / "in.docx")
    notes = " ".join(each.text for each in report.paragraphs if each.style.name == "Note")
    assert "no scale was found" in notes and told.str.contains("no scale was found").all()
    for option in ("--scale-line 12,480,112,480 --scale-bar 200nm", "--scale 0.42nm", "--scale-csv"):
        assert option in said and option not in notes, "a report is read by those who never type a command"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "doc"], "give formats of word"),
        (["--confidence", "1.5"], "lies between 0 and 1"),
        (["--scale", "fast"], "fast"),
        (["--scale-line", "1,2,30,2"], "--scale-line 1,2,30,2: say how long it is"),
        (["--scale-line", "1,2,30", "--scale-bar", "9nm"], "'1,2,30' is no line"),
        (["--scale", "1nm", "--scale-bar", "9nm"], "--scale 1nm, --scale-bar 9nm: give one of them"),
        (["--min-diameter", "5"], "no length with a unit"),
        (["--sample-by", "day"], "--sample-by"),
        (["--border", "cut"], "there is no 'cut'"),
        (["--scale-csv", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_usage(run, tmp_path, capsys, arguments, message):
    write_field(tmp_path / "in" / "a.png", 0)
    try:
        code = analyze(run, tmp_path / "out", tmp_path / "in", *arguments)
    except SystemExit as end:
        code = end.code
    assert code in (1, 2) and message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_help_loads_no_libraries():
    code = (
        "import sys\nfrom nanoseg_bench.cli import main\n"
        "try:\n    main(['analyze', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'torch', 'cv2', 'pandas', 'docx', 'pptx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "--scale-bar" in done.stdout


def test_the_same_images_give_the_same_report_at_one_time(run, tmp_path, monkeypatch):
    import datetime

    from nanoseg_bench.inference import open_predictor
    from nanoseg_bench.report.analysis.finder import ByModel
    from nanoseg_bench.report.analysis.folder import analyse_folder
    from nanoseg_bench.report.analysis.task import AnalysisTask

    write_field(tmp_path / "in" / "a.tif", 0, NM_PER_PX)
    made = datetime.datetime(2026, 5, 6, tzinfo=datetime.UTC)
    written = []
    for name in ("first", "second"):
        task = AnalysisTask(
            finder=ByModel(open_predictor(run)), images=[tmp_path / "in"], out=tmp_path / name, made=made,
            formats=("word", "excel", "overlay", "svg", "labels"),
        )  # fmt: skip
        analyse_folder(task)
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file() and path.parent.name != "state"]
        written.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert written[0] == written[1] and len(written[0]) == 9
    with zipfile.ZipFile(io.BytesIO(written[0][next(p for p in written[0] if p.suffix == ".docx")])) as archive:
        assert all(each.date_time[0] == 1980 for each in archive.infolist())


def test_outlines_that_are_corrected_meanwhile_are_not_written_over(run, tmp_path):
    from nanoseg_bench.errors import UsageError
    from nanoseg_bench.inference import open_predictor
    from nanoseg_bench.report.analysis.finder import ByModel
    from nanoseg_bench.report.analysis.folder import analyse_folder
    from nanoseg_bench.report.analysis.task import AnalysisTask

    corrected = tmp_path / "out" / "labelme" / "a.json"

    class WhileIWork(ByModel):
        def find(self, *arguments):
            corrected.write_text("corrected", encoding="utf-8")
            return super().find(*arguments)

    def task(finder):
        return AnalysisTask(finder=finder, images=[tmp_path / "in"], out=tmp_path / "out", formats=("labelme",))

    write_field(tmp_path / "in" / "a.tif", 0, NM_PER_PX)
    analyse_folder(task(ByModel(open_predictor(run))))
    write_field(tmp_path / "in" / "b.tif", 1, NM_PER_PX)
    for finder in (WhileIWork, ByModel):  # the next call knows it, too
        with pytest.raises(UsageError, match=r"1 file changed since this command wrote them, such as a\.json"):
            analyse_folder(task(finder(open_predictor(run))))
        assert corrected.read_text(encoding="utf-8") == "corrected"
    (tmp_path / "out" / "labelme").rename(tmp_path / "corrected")
    done = analyse_folder(task(ByModel(open_predictor(run))))
    assert done.earlier == 2 and (tmp_path / "out" / "labelme" / "b.json").is_file()


def test_outlines_that_were_written_for_labelme_have_the_sizes_that_were_measured(run, tmp_path):
    write_field(tmp_path / "in" / "a.tif", 0, NM_PER_PX)
    assert analyze(run, tmp_path / "out", tmp_path / "in") == 0
    written = ["analyze", str(tmp_path / "out" / "labelme"), "--annotated", "--out", str(tmp_path / "again")]
    assert main(written) == 0
    found, again = (rows_of(tmp_path / name, "particles.csv") for name in ("out", "again"))
    found, again = (sorted(rows[rows["exclusion"].isna()]["diameter_nm"]) for rows in (found, again))
    assert len(found) == COUNTED
    assert again == pytest.approx(found, rel=0.02)


def test_lengths_in_nm_and_px_are_not_put_together(run, tmp_path, capsys):
    write_field(tmp_path / "in" / "a.tif", 0, NM_PER_PX)
    write_field(tmp_path / "in" / "b.png", 1)
    out = tmp_path / "out"
    assert analyze(run, out, tmp_path / "in", "--to", "excel") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 image without a scale left out of this sample of 2: b.png" in said
    assert "no scale: 1 of 2 images" in said
    samples = rows_of(out, "samples.csv")
    size = samples[samples["quantity"] == "diameter"].iloc[0]
    assert (size["unit"], size["count"], size["images"]) == ("nm", COUNTED, 1)
    images = rows_of(out, "images.csv").set_index("image")
    assert images["unit"].to_dict() == {"a": "nm", "b": "px"} and images["particles"].eq(COUNTED).all()
    assert rows_of(out, "particles.csv")["image"].nunique() == 2


def test_a_report_shows_the_first_micrographs_of_those_that_it_puts_together(run, tmp_path):
    """Of six, the first has no scale and is left out: the fifth is the fourth of the sample, and has its outlines."""
    write_field(tmp_path / "in" / "a.png", 0)
    for number, name in enumerate("bcdef", start=1):
        write_field(tmp_path / "in" / f"{name}.tif", number, NM_PER_PX)
    out = tmp_path / "out"
    assert analyze(run, out, tmp_path / "in", "--to", "word") == 0
    texts = [paragraph.text for paragraph in docx.Document(out / "reports" / "in.docx").paragraphs]
    shown = [text for text in texts if f"the outlines of the {COUNTED} particles that count" in text]
    assert [re.search(r"Left: (\S+) with", text)[1] for text in shown] == ["b.tif", "c.tif", "d.tif", "e.tif"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_micrographs(run, tmp_path):
    """Of a thousand micrographs, those of a sample are put together, and their pixels never are."""
    code = (
        "import resource, sys\nfrom nanoseg_bench.cli import main\n"
        "assert main(sys.argv[1:]) == 0\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for number in (8, 48):
        folder = tmp_path / f"in{number}"
        for each in range(number):
            write_field(folder / f"s{each // 4}_{each % 4}.tif", each, NM_PER_PX)
        arguments = ["analyze", folder, "--model", run, "--no-ocr", "--sample-by", "regex:(.+)_", "-q"]
        arguments += ["--out", tmp_path / f"out{number}", "--to", "excel", "overlay", "labels"]
        done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.splitlines()[-1]) / 1024)
        assert len(rows_of(tmp_path / f"out{number}", "images.csv")) == number
    assert peaks[1] < peaks[0] + 30, f"{peaks[0]:.0f} MiB for 8 micrographs, {peaks[1]:.0f} for 48"


def test_no_table_is_named_that_is_not_there(tmp_path, capsys):
    folder, out = tmp_path / "Grö ße", tmp_path / "sizes"
    folder.mkdir()
    (folder / "ab ä.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"cut off")
    assert main(["analyze", str(folder), "--out", str(out), "--device", "cpu"]) == 1
    shown = capsys.readouterr().out
    assert "not analysed: " in shown and "ab ä.png" in shown
    named = shown.strip().splitlines()[-1].split(": ")[-1].split(", ")
    assert named == sorted(path.name for path in out.glob("*.csv"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no image there; give a folder that holds some"),
        (["--sample-by", "day"], "--sample-by"),
        (["--scale-csv", "twice.csv"], "twice.csv"),
        (["--out", "thesis"], "holds other things"),
    ],
)
def test_inputs_are_looked_at_before_a_model_is_opened(tmp_path, capsys, monkeypatch, arguments, message):
    """The model is damaged, and whoever opened it would say so first."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "b").mkdir(parents=True)
    if arguments:
        for name in ("a", "b/a"):
            write_field(tmp_path / "in" / f"{name}.png", 0)
    (tmp_path / "twice.csv").write_text("name,nm_per_px\na,2\n")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    given = ["analyze", "in", "--model", "damaged.onnx", *arguments]
    assert main(given) in (1, 2)
    said = capsys.readouterr().err
    assert message in said and "damaged.onnx" not in said
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["in", "thesis"]


FEI = "[User]\nDate=03/12/2019\nTime=10:22:13 AM\n[System]\nSystemType=Helios G4\n[Beam]\nHV=5000\n[Scan]\n"


def test_the_cover_says_what_the_files_say_of_the_microscope(run, tmp_path):
    (tmp_path / "in").mkdir()
    tag = f"{FEI}PixelWidth=0.5e-9\nPixelHeight=0.5e-9\n".encode() + b"\0"
    for number in range(2):
        path = tmp_path / "in" / f"{number}.tif"
        tifffile.imwrite(path, field(number), extratags=[(34682, 2, len(tag), tag, True)])
    for call in range(2):  # as found, and as kept from the call before
        assert analyze(run, tmp_path / "out", tmp_path / "in", "--kv", "200") == 0, call
        report = docx.Document(tmp_path / "out" / "reports" / "in.docx")
        facts = {row.cells[0].text: row.cells[1].text for row in report.tables[0].rows}
        assert facts["Instrument"] == "Helios G4, read from the file (fei)"
        assert facts["Acceleration voltage"] == "200 kV", "the user goes before the file"
        assert facts["Micrographs taken"] == "03/12/2019 10:22:13 AM, read from the file (fei)"


def test_statistics_of_what_cannot_be_read_any_more_go(run, tmp_path):
    write_field(tmp_path / "a.tif", 0, NM_PER_PX)
    out = tmp_path / "out"
    assert analyze(run, out, tmp_path / "a.tif", "--to", "labels") == 0
    assert len(rows_of(out, "samples.csv"))
    (tmp_path / "a.tif").write_bytes(b"no image any more")
    assert analyze(run, out, tmp_path / "a.tif", "--to", "labels") == 1
    assert not (out / "samples.csv").exists() and rows_of(out, "particles.csv").empty
