import io
import json
import re
import zipfile
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pandas as pd
import pytest
from docx import Document
from PIL import Image

from nanoseg_bench.annotations.coco.reading import read_coco
from nanoseg_bench.annotations.labelme.reading import read_labelme
from nanoseg_bench.annotations.raster import iou_matrix, to_rle
from nanoseg_bench.errors import ReviewError
from nanoseg_bench.measure.columns import COLUMNS
from nanoseg_bench.measure.particles import AT_BORDER, ON_MARK, REMOVED
from nanoseg_bench.measure.uncertainty import OutlineErrors
from nanoseg_bench.report.review.edits import Drawn, Edits, apply_edits
from nanoseg_bench.report.review.export import export
from nanoseg_bench.report.review.filters import Filters
from nanoseg_bench.report.review.formats import EXPORTS
from nanoseg_bench.report.review.view import statistics_of


@pytest.fixture
def edited(analysed, square):
    """Two removed, one with another outline, one renamed, one counted on a mark, one drawn."""
    table = analysed.table
    on_mark = int(table.loc[table["exclusion"].fillna("").str.contains(ON_MARK), "particle"].iloc[0])
    return apply_edits(
        analysed,
        Edits(
            removed=frozenset({10, 11}),
            changed={12: square(150, 130, 22)},
            labels={13: "rod"},
            counted=frozenset({on_mark}),
            drawn=(Drawn(outline=square(200.5, 95, 18)),),
        ),
    )


@pytest.fixture
def write(report):
    """``export`` with a method, a time and an operator."""

    def make(micrographs, to, filters=None, **more):
        about = {"method": report.method, "made": report.made, "classes": ("disc", "square"), **more}
        return export(micrographs, filters or Filters(), to, **about)

    return make


def d50_of(statistics):
    return next(each for each in statistics["estimates"] if each["name"] == "d50")


def texts_of(document):
    cells = [[cell.text for cell in row.cells] for table in document.tables for row in table.rows]
    return cells, [paragraph.text for paragraph in document.paragraphs]


def test_word_tells_the_numbers_of_the_page_and_what_a_person_did(edited, write):
    statistics = statistics_of({"m": edited}, Filters(confidence=0.4), classes=("disc", "square"), intervals=True)
    file = write({"m": edited}, "word", Filters(confidence=0.4), sample="Gold, batch 7", operator="A. Chemist")
    assert (file.name, file.media_type.rpartition(".")[2]) == ("Gold_batch_7.docx", "document")
    cells, paragraphs = texts_of(Document(io.BytesIO(file.data)))
    d50 = d50_of(statistics)
    assert ["Number of particles", str(statistics["count"]), ""] in cells
    shown = next(row for row in cells if row[0].startswith("D50"))
    assert shown == ["D50 (nm)", f"{d50['value']:.4g}", f"{d50['lo']:.4g} to {d50['hi']:.4g}"]
    facts = dict(row for row in cells if len(row) == 2)
    assert facts["Changed by hand"] == "6 outlines: a person removed 2 outlines, changed 3 outlines and drew 1 outline"
    assert facts["Confidence from"] == "0.4 (as set by hand)"
    assert facts["Micrograph"].startswith("first.png")
    for sentence in statistics["filters"]:
        assert sentence in facts["Which particles count"]
    head = next(row for row in cells if "By hand" in row)
    by_hand = {row[0]: row[head.index("By hand")] for row in cells if len(row) == len(head)}
    assert by_hand["12"] == by_hand["13"] == "changed"
    assert by_hand[str(len(edited.table))] == "drawn"
    assert by_hand["14"] == ""
    assert "Removed by hand, and not in the table: 10, 11." in paragraphs
    assert any("Dashed: 4 that a person changed or drew." in text for text in paragraphs)


def test_word_excel_and_the_page_tell_one_uncertainty(analysed, write, report):
    method = replace(report.method, outlines=OutlineErrors(0.031, -0.005, (-0.011, 0.001), 99))
    told = statistics_of({"m": analysed}, method=method, classes=("disc", "square"), intervals=True)["uncertainty"]
    cells, paragraphs = texts_of(Document(io.BytesIO(write({"m": analysed}, "word", method=method).data)))
    shown = {row[0]: row[1] for row in cells if row[0] in {each["name"] for each in told["components"]}}
    for each in told["components"]:
        if each["name"] in told["unknown"]:
            assert (shown[each["name"]], each["standard_uncertainty"]) == ("–", None)
        else:
            # Two significant digits (GUM, 7.2.6).
            assert float(shown[each["name"]]) == pytest.approx(each["standard_uncertainty"], rel=0.05), each["name"]
            assert len(shown[each["name"]].replace(".", "").lstrip("0")) <= 2, each["name"]
    assert told["unknown"] == ["calibration"]
    assert next(each for each in told["components"] if each["name"] == "outlines")["standard_uncertainty"] > 0
    (caption,) = (text for text in paragraphs if "Standard uncertainties of the median diameter" in text)
    assert f"Combined {told['combined']:.2g} nm" in caption
    assert caption.endswith(told["sentence"]) and "left out: calibration." in told["sentence"]
    book = openpyxl.load_workbook(io.BytesIO(write({"m": analysed}, "excel", method=method).data))
    head, *rows = book["Uncertainty"].iter_rows(values_only=True)
    assert head == ("source", "standard uncertainty (nm)", "basis")
    # A cell is empty where a source is not known, and holds all digits elsewhere.
    parts = [(each["name"], each["standard_uncertainty"], each["basis"]) for each in told["components"]]
    sums = [("combined", told["combined"]), ("expanded", told["expanded"])]
    assert [row[0] for row in rows] == [row[0] for row in [*parts, *sums]]
    for row, expected in zip(rows, [*parts, *sums], strict=True):
        assert row[1] == (None if expected[1] is None else pytest.approx(expected[1], rel=1e-14))
    assert [row[2] for row in rows[: len(parts)]] == [row[2] for row in parts]
    assert dict(book["Analysis"].iter_rows(values_only=True))["Uncertainty"] == told["sentence"]


def test_without_a_particle_that_counts_there_is_no_uncertainty(analysed, write):
    nothing = Filters(confidence=1.0)
    assert statistics_of({"m": analysed}, nothing, intervals=True)["uncertainty"] is None
    book = openpyxl.load_workbook(io.BytesIO(write({"m": analysed}, "excel", nothing).data))
    assert book.sheetnames == ["Sample", "Classes", "Micrographs", "Particles", "Columns", "Analysis"]
    assert "Uncertainty" not in dict(book["Analysis"].iter_rows(values_only=True))


def test_word_excel_and_scripts_say_the_same_of_intervals_by_volume(analysed, write):
    note = statistics_of({"m": analysed})["weightings_note"]
    counted = analysed.table[analysed.table["exclusion"].isna()]
    volumes = counted["diameter_nm"] ** 3 * counted["border_weight"]
    assert f"One particle alone makes up {100 * volumes.max() / volumes.sum():.2g} % of the volume" in note
    assert "too narrow" in note
    _, paragraphs = texts_of(Document(io.BytesIO(write({"m": analysed}, "word").data)))
    (caption,) = (text for text in paragraphs if "number, area and volume distribution" in text)
    assert caption.endswith(note)
    book = openpyxl.load_workbook(io.BytesIO(write({"m": analysed}, "excel").data))
    assert dict(book["Analysis"].iter_rows(values_only=True))["Distributions"] == note
    assert statistics_of({"m": analysed}, Filters(confidence=1.0))["weightings_note"] == ""


def test_without_edits_word_says_so_and_has_no_column_of_them(analysed, write):
    cells, paragraphs = texts_of(Document(io.BytesIO(write({"m": analysed}, "word").data)))
    assert ["Changed by hand", "no outline"] in cells
    assert not any("By hand" in row for row in cells)
    assert not any("Dashed" in text or "Removed by hand" in text for text in paragraphs)


def test_csv_and_excel_have_every_outline_with_who_drew_it(edited, write):
    statistics = statistics_of({"m": edited})
    table = pd.read_csv(io.BytesIO(write({"m": edited}, "csv").data))
    assert list(table.columns) == [column.name for column in COLUMNS]
    assert table["exclusion"].isna().sum() == statistics["count"]
    assert table.set_index("particle")["exclusion"].dropna().to_dict() == statistics["exclusions"]["m"]
    assert table["origin"].value_counts().to_dict() == {"model": len(table) - 4, "changed": 3, "drawn": 1}
    assert table.loc[table["exclusion"].fillna("").str.contains(REMOVED), "particle"].tolist() == [10, 11]
    book = openpyxl.load_workbook(io.BytesIO(write({"m": edited}, "excel").data))
    head, *rows = book["Particles"].iter_rows(values_only=True)
    assert [row[head.index("Origin")] for row in rows] == table["origin"].tolist()
    first = dict(zip(*list(book["Sample"].iter_rows(values_only=True))[:2], strict=True))
    assert first["particles"] == statistics["count"]
    assert first["D50 (nm)"] == pytest.approx(d50_of(statistics)["value"])


def test_labelme_marks_what_a_person_did_and_is_read_back(edited, write, tmp_path):
    file = write({"m": edited}, "labelme")
    assert file.name == "first.json"
    path = tmp_path / file.name
    path.write_bytes(file.data)
    shapes = json.loads(file.data)["shapes"]
    assert [shape["flags"] for shape in shapes].count({"changed": True}) == 3
    assert shapes[-1]["flags"] == {"drawn": True}
    assert np.ptp(np.array(shapes[-1]["points"]), axis=0).tolist() == [18, 18]
    again = read_labelme(path)
    kept = [
        instance
        for instance, exclusion in zip(edited.image.instances, edited.table["exclusion"].fillna(""), strict=True)
        if REMOVED not in exclusion and "confidence" not in exclusion
    ]
    assert any(AT_BORDER in exclusion for exclusion in edited.table["exclusion"].fillna(""))
    assert [each.label for each in again.instances] == [each.label or "particle" for each in kept]
    assert not any(each.on_mark for each in again.instances)
    assert [each.origin or "model" for each in again.instances] == [each.origin for each in kept]
    regions = [[to_rle(each, again.height, again.width) for each in these] for these in (again.instances, kept)]
    assert iou_matrix(*regions).diagonal().min() >= 0.98


def test_coco_marks_what_a_person_did_and_holds_all_micrographs(edited, analyse, write, tmp_path):
    other = analyse("second", 1)
    file = write({"m": edited, "n": other}, "coco")
    path = tmp_path / "annotations.json"
    path.write_bytes(file.data)
    again = read_coco(path)
    assert list(again.images) == ["first", "second"]
    assert again.classes == ("disc", "square", "particle", "rod")
    origins = [each.origin for each in again.instances["first"]]
    assert (origins.count("changed"), origins.count("drawn")) == (3, 1)
    assert {each.origin for each in again.instances["second"]} == {None}
    raw = json.loads(file.data)["annotations"]
    assert {each["origin"] for each in raw if "origin" in each} == {"changed", "drawn"}


def test_figures_draw_what_a_person_did_in_dashes(edited, analysed, write):
    file = write({"m": edited}, "svg")
    paths = [each for each in ElementTree.fromstring(file.data).iter() if each.tag.endswith("path")]
    titled = {each.get("id"): each for each in paths if len(each)}
    dashed = {name: each[0].text for name, each in titled.items() if each.get("stroke-dasharray")}
    assert len(dashed) == 4
    assert all(re.search(r"nm, (changed|drawn) by hand$", title) for title in dashed.values())
    assert "particle-10" not in titled
    before, after = (np.asarray(Image.open(io.BytesIO(write({"m": each}, "png").data))) for each in (analysed, edited))
    assert before.shape == after.shape == (300, 420, 3)
    ring = np.s_[94:97, 198:222]  # the upper side of the square that was drawn
    colour = (after[ring].max(axis=2) > 200) & (after[ring].min(axis=2) < 100)
    assert 0.3 < colour.any(axis=0).mean() < 0.95


def test_several_micrographs_come_as_an_archive_where_each_has_a_file(edited, analyse, write):
    two = {"m": edited, "n": analyse("first", 1)}
    for to in ("labelme", "png", "svg"):
        file = write(two, to, sample="batch")
        assert (file.name, file.media_type) == (f"batch_{to}.zip", "application/zip")
        suffix = {"labelme": "json"}.get(to, to)
        names = zipfile.ZipFile(io.BytesIO(file.data)).namelist()
        assert names == [f"first.{suffix}", f"first-2.{suffix}"]


def test_the_archive_of_all_holds_every_format_and_the_same_bytes_twice(edited, analyse, write):
    two = {"m": edited, "n": analyse("second", 1)}
    file = write(two, "zip", sample="../batch: 7")
    archive = zipfile.ZipFile(io.BytesIO(file.data))
    assert archive.testzip() is None
    assert {name.rpartition(".")[2] for name in archive.namelist()} == {"docx", "xlsx", "csv", "json", "png", "svg"}
    assert not any(".." in name.split("/") or name.startswith("/") for name in archive.namelist())
    assert len(archive.namelist()) == 4 + 3 * 2
    assert write(two, "zip", sample="../batch: 7").data == file.data


def test_every_format_of_the_menu_is_written(analysed, write):
    for form in EXPORTS:
        file = write({"m": analysed}, form.id)
        assert file.name.endswith(form.suffix)
        assert file.media_type == form.media_type
        assert len(file.data) > 100
    with pytest.raises(ReviewError, match="'pdf' is no format"):
        write({"m": analysed}, "pdf")


def test_formulas_in_names_run_nowhere(analysed, write):
    edited = apply_edits(analysed, Edits(labels={13: "=cmd|' /c calc'!A1"}))
    table = pd.read_csv(io.BytesIO(write({"m": edited}, "csv", operator="=1+1").data))
    assert table["class"].iloc[12].startswith("'=cmd")
    book = openpyxl.load_workbook(io.BytesIO(write({"m": edited}, "excel", operator="=1+1").data))
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)


def test_a_micrograph_without_a_scale_has_its_figure_beside_a_sample_of_others(analyse, write):
    scaled, unscaled = analyse("a", 0, 0.5, ("disc",)), analyse("b", 1, None, ("square", "rod"))
    for to in ("svg", "png"):
        names = zipfile.ZipFile(io.BytesIO(write({"a": scaled, "b": unscaled}, to).data)).namelist()
        assert names == [f"a.{to}", f"b.{to}"]
