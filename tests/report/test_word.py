"""The document opens, every part of it parses, and what it says is what was measured."""

import datetime
import io
import math
import re
import shutil
import subprocess
import time
import zipfile
from dataclasses import replace

import docx
import numpy as np
import openpyxl
import pandas as pd
import pytest
from lxml import etree
from PIL import Image

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.measure.particles import counted
from nanoseg_bench.report.formats import find_office, require_writers
from nanoseg_bench.report.pdf import write_pdf
from nanoseg_bench.report.sample_statistics import compute_sample
from nanoseg_bench.report.word.appendix import MOST_ROWS
from nanoseg_bench.report.word.report import word_report, write_word_report

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
WP = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def unzipped(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def opened(data):
    return docx.Document(io.BytesIO(data))


def texts(data):
    return [paragraph.text for paragraph in opened(data).paragraphs]


def tables(data):
    return [[[cell.text for cell in row.cells] for row in table.rows] for table in opened(data).tables]


def relations(parts, name):
    folder, _, file = name.rpartition("/")
    found = etree.fromstring(parts[f"{folder}/_rels/{file}.rels"])
    return {each.get("Id"): f"{folder}/{each.get('Target')}".replace("/charts/../", "/") for each in found}


def test_every_part_parses_and_nothing_dangles(report):
    parts = unzipped(word_report(report))
    for name, data in parts.items():
        if name.endswith((".xml", ".rels")):
            etree.fromstring(data)
    types = etree.fromstring(parts["[Content_Types].xml"])
    by_name = {each.get("PartName"): each.get("ContentType") for each in types}
    by_suffix = {each.get("Extension"): each.get("ContentType") for each in types}
    kinds = {name: by_name.get(f"/{name}") or by_suffix.get(name.rpartition(".")[2]) for name in parts}
    assert all(kinds[name] for name in parts if name != "[Content_Types].xml")
    assert {kinds[name].rpartition(".")[2] for name in parts if name.endswith(".xlsx")} == {"sheet"}
    assert {kinds[name] for name in parts if re.fullmatch(r"word/charts/[^/]*", name)} == {
        "application/vnd.openxmlformats-officedocument.drawingml.chart+xml"
    }
    known = relations(parts, "word/document.xml")
    document = etree.fromstring(parts["word/document.xml"])
    used = {value for each in document.iter() for key, value in each.attrib.items() if key.startswith(R)}
    assert used <= set(known) and all(known[each] in parts for each in used)


def test_charts_are_native_and_their_workbooks_hold_what_they_show(report):
    parts = unzipped(word_report(report))
    charts = sorted(name for name in parts if re.fullmatch(r"word/charts/chart\d+\.xml", name))
    assert len(charts) == 4
    document = etree.fromstring(parts["word/document.xml"])
    shown = [relations(parts, "word/document.xml")[each.get(f"{R}id")] for each in document.iter(f"{C}chart")]
    assert shown == charts
    totals = []
    for name in charts:
        space = etree.fromstring(parts[name])
        book = relations(parts, name)[space.find(f"{C}externalData").get(f"{R}id")]
        sheet = openpyxl.load_workbook(io.BytesIO(parts[book.replace("//", "/")])).active
        for reference in space.iter(f"{C}numRef"):
            start, end = re.findall(r"\$([A-Z]+)\$(\d+)", reference.findtext(f"{C}f"))
            stored = [cell.value for (cell,) in sheet[f"{start[0]}{start[1]}:{end[0]}{end[1]}"]]
            drawn = [float(value.text) for value in reference.iter(f"{C}v")]
            assert stored == pytest.approx(drawn)
        columns = space.findall(f".//{C}barChart/{C}ser/{C}val//{C}v")
        points = space.findall(f".//{C}scatterChart/{C}ser/{C}yVal//{C}v")
        totals.append(int(sum(float(value.text) for value in columns)) or len(points))
    number = len(counted(report.particles))
    with_shape = int(counted(report.particles)["circularity"].notna().sum())
    assert totals[:3] == [number, with_shape, with_shape] and number > 30


def test_key_figures_are_those_of_the_particles(single):
    particles = counted(single.particles)
    values = particles["diameter_nm"].to_numpy()
    weights = particles["border_weight"].to_numpy()
    key = {row[0]: row[1:] for row in tables(word_report(single))[1]}
    assert key["Number of particles"][0] == str(len(values))
    assert float(key["Mean (nm)"][0]) == pytest.approx(np.average(values, weights=weights), rel=2e-4)
    low, high = map(float, key["Mean (nm)"][1].split(" to "))
    assert low < float(key["Mean (nm)"][0]) < high
    # Half of the weight lies on either side of the median, up to the particle that it falls on.
    median = float(key["D50 (nm)"][0])
    below = weights[values < median].sum() / weights.sum()
    assert abs(below - 0.5) < 1.5 * weights.max() / weights.sum()


def test_sizes_without_border_weights_stand_beside_those_with_them(single):
    kept = counted(single.particles)["diameter_nm"].to_numpy()
    weights = counted(single.particles)["border_weight"].to_numpy()
    rows = {row[0]: row[1:] for table in tables(word_report(single)) for row in table if len(row) == 5}
    (caption,) = (text for text in texts(word_report(single)) if "particles per bin" in text)
    assert " Bars and line count each particle once; the key figures" in caption
    plain, weighted = (float(rows[name][3].split(" ")[0]) for name in ("number, unweighted", "number"))
    assert plain == pytest.approx(kept.mean(), rel=1e-3)
    assert weighted == pytest.approx((kept * weights).sum() / weights.sum(), rel=1e-3) and plain < weighted
    alike = replace(single, statistics=compute_sample(single.particles, border_weighted=False, resamples=20))
    assert not any("unweighted" in cell for table in tables(word_report(alike)) for row in table for cell in row)
    assert not any("count each particle once" in text for text in texts(word_report(alike)))


def test_the_share_of_the_volume_that_one_particle_makes_up_is_told(single):
    kept = counted(single.particles)
    volumes = kept["border_weight"] * kept["diameter_nm"] ** 3
    (caption,) = (text for text in texts(word_report(single)) if "number, area and volume distribution" in text)
    assert f"makes up {100 * volumes.max() / volumes.sum():.2g} % of the volume" in caption
    assert "intervals by area and volume are too narrow" in caption


def test_particles_stand_in_the_appendix(report):
    particles = counted(report.particles)
    head, *rows = tables(word_report(report))[-1]
    assert head[:4] == ["Micrograph", "No.", "Class", "Diameter (nm)"]
    assert len(rows) == len(particles)
    for row, expected in zip(rows, particles.to_dict("records"), strict=True):
        assert row[:3] == [expected["image"], str(expected["particle"]), expected["class"]]
        assert float(row[3]) == pytest.approx(expected["diameter_nm"], abs=0.005)
        circularity = expected["circularity"]
        assert row[7] == ("–" if math.isnan(circularity) else f"{circularity:.3f}")


def test_many_particles_are_cut_and_the_rest_is_named(report):
    many = replace(report, particles=pd.concat([report.particles] * 5, ignore_index=True))
    data = word_report(many, "particles.csv")
    assert len(tables(data)[-1]) == MOST_ROWS + 1
    number = len(counted(many.particles))
    caption = next(text for text in texts(data) if f"The first {MOST_ROWS} of {number} particles" in text)
    assert "particles.csv" in caption


def test_cover_tells_where_the_numbers_come_from(single):
    facts = {row[0]: row[1] for row in tables(word_report(single))[0]}
    (image,) = single.images
    assert facts["SHA-256 of the file"] == image.sha256
    assert facts["SHA-256 of the weights"] == single.method.weights_sha256
    assert facts["Scale"] == "0.5 nm/px, typed"
    assert facts["Acceleration voltage"] == "200 kV" and facts["Instrument"] == "Scope 1"
    assert facts["Confidence from"] == "0.5 (as given)"
    assert facts["Operator"] == "-O. Perator" and facts["Software"] == "nanoseg-bench 1.2.3"
    assert "confidence of 0.5" in facts["Which particles count"]
    assert facts["Analysed"] == "2026-03-04 05:06 UTC"


def test_pictures_and_charts_have_alt_texts(report):
    document = etree.fromstring(unzipped(word_report(report))["word/document.xml"])
    properties = list(document.iter(f"{WP}docPr"))
    assert len(properties) == 4 + 4, "two pictures of each micrograph, and the charts"
    assert all(len(each.get("descr")) > 20 for each in properties)
    assert len({each.get("id") for each in properties}) == len(properties)


def test_word_numbers_captions_and_pages(report):
    parts = unzipped(word_report(report))
    document = etree.fromstring(parts["word/document.xml"])
    fields = [each.get(f"{W}instr").split() for each in document.iter(f"{W}fldSimple")]
    results = ["".join(each.itertext()) for each in document.iter(f"{W}fldSimple")]
    for kind in ("Figure", "Table"):
        numbers = [int(result) for field, result in zip(fields, results, strict=True) if field[:2] == ["SEQ", kind]]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 6
    captions = [each for each in opened(word_report(report)).paragraphs if each.style.name == "Caption"]
    assert len(captions) == len(fields)
    footer = next(data.decode() for name, data in parts.items() if "footer" in name and not name.endswith(".rels"))
    assert "PAGE" in footer and "NUMPAGES" in footer


def test_tables_break_well(report):
    document = etree.fromstring(unzipped(word_report(report))["word/document.xml"])
    for table in document.iter(f"{W}tbl"):
        rows = table.findall(f"{W}tr")
        assert all(row.find(f"{W}trPr/{W}cantSplit") is not None for row in rows)
        has_head = table.find(f"{W}tblPr/{W}tblLook").get(f"{W}firstRow") == "1"
        assert (rows[0].find(f"{W}trPr/{W}tblHeader") is not None) == has_head
        widths = [int(column.get(f"{W}w")) for column in table.iter(f"{W}gridCol")]
        assert sum(widths) <= 170.5 * 56.7, "wider than the text"
        caption = table.getprevious()
        assert caption.find(f"{W}pPr/{W}keepNext") is not None


def test_headings_and_limits(report):
    document = opened(word_report(report))
    headings = [each.text for each in document.paragraphs if each.style.name == "Heading 1"]
    assert headings == [
        "Micrographs", "Key figures", "Distributions", "Classes", "Uncertainty", "Limits", "Definitions", "Particles",
    ]  # fmt: skip
    every = "\n".join(each.text for each in document.paragraphs)
    assert "section 3.4" in every and "Precision 0.9 on 7 images." in every and "Too few images." in every
    assert "Below the confidence: " in every and "touches the border" in every
    # Another sample may differ by more: the true value is what an interval is of.
    assert "95 of 100 such intervals would hold the true value" in every and "another sample" not in every


@pytest.mark.parametrize(("number", "particles"), [(1, "1 particle"), (2, "2 particles")])
def test_limits_of_the_sample_itself(single, number, particles):
    table = single.particles.copy()
    first = table.index[table["exclusion"].isna()][:number]
    table["overlaps"], table["shape_uncertain"] = table.index.isin(first), table.index.isin(first)
    count = int(table["exclusion"].isna().sum())
    said = texts(word_report(replace(single, particles=table)))
    assert f"For {particles} of {count}, more than 5 % of the area lies in another one." in said
    share = f"({100 * number / count:.0f} %)"
    assert f"The diameter of {particles} of {count} {share} is below 20 px, so that the shape is uncertain." in said


def test_what_the_report_shows_is_defined(make_image, make_report, tmp_path):
    report = make_report([make_image(tmp_path, "a", 0, 0.5, classes=("rod", "cube"))])
    found = tables(word_report(report))
    (defined,) = ([row[0] for row in table[1:]] for table in found if table[0] == ["Quantity", "Meaning"])
    (of_classes,) = ({row[1] for row in table[1:]} for table in found if table[0][:2] == ["Class", "Quantity"])
    assert {"Length (nm)", "Width (nm)", "Edge length (nm)"} < of_classes
    statistics = {"Mean", "SD", "D10", "D50", "D90", "Span", "Geometric mean", "GSD"}
    assert set(defined) == of_classes | {"Area (nm²)"} | statistics and len(defined) == len(set(defined))
    (key_figures,) = ({row[0] for row in table[1:]} for table in found if table[0][:2] == ["Quantity", "Value"])
    assert {name.removesuffix(" (nm)") for name in key_figures} == statistics | {"Number of particles"}


def test_names_of_users_neither_run_nor_break(report):
    parts = unzipped(word_report(report))
    name = report.sample.replace("\x0b", "\N{REPLACEMENT CHARACTER}")
    assert name in texts(word_report(report))
    for book in (data for part, data in parts.items() if part.endswith(".xlsx")):
        sheet = openpyxl.load_workbook(io.BytesIO(book)).active
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


def test_properties(report):
    properties = opened(word_report(report)).core_properties
    assert properties.author == properties.last_modified_by == "-O. Perator"
    assert properties.created == properties.modified == datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
    assert "Größe" in properties.title and properties.comments == ""


def test_same_report_same_bytes(report, monkeypatch):
    first = word_report(report)
    later = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    assert word_report(report) == first
    other = replace(report, made=report.made + datetime.timedelta(days=1))
    assert word_report(other) != first


def test_without_a_scale_all_is_in_pixels(unscaled):
    data = word_report(unscaled)
    every = "\n".join([*texts(data), *("\t".join(row) for table in tables(data) for row in table)])
    assert "Diameter (px)" in every and "unknown: all lengths are in pixels" in every
    assert "nm)" not in every and "nm²" not in every


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_few_particles(make_image, make_report, tmp_path, kept):
    image, _ = make_image(tmp_path, "few", 3, 0.5)
    inside = [each for each in image.instances if each.score > 0.5 and not each.on_mark][8 : 8 + kept]
    from nanoseg_bench.measure.particles import measure_particles

    table = measure_particles(inside, image.height, image.width, image="few", nm_per_px=0.5)
    data = word_report(make_report([(replace(image, instances=tuple(inside)), table)]))
    assert sum("No particle counts" in text for text in texts(data)) == (2 if not counted(table).size else 0)
    for name, content in unzipped(data).items():
        assert not name.startswith("word/charts/chart") or b"nan" not in content.lower()
    if kept:
        figures = {row[0]: row[1:] for table in tables(data) for row in table if len(row) == 3}
        assert figures["D10 (nm)"] == figures["D90 (nm)"] == figures["Span"] == ["–", "–"]
        assert figures["D50 (nm)"][0] != "–" and figures["D50 (nm)"][1] == "–"
        assert any("Below 10 particles, D10, D90, span and intervals are not given." in text for text in texts(data))
    if kept == 1:
        assert any("One particle alone makes up 100 % of the volume." in text for text in texts(data))


def test_what_does_not_count_has_no_place_in_legends_and_tables(single):
    """A class without particles that count is in no legend; one with two of them is named below the table."""
    table = single.particles
    squares = table.index[(table["class"] == "square") & table["exclusion"].isna()]
    discs = table.index[(table["class"] == "disc") & table["exclusion"].isna()]

    def told(table):
        return replace(
            single,
            particles=table,
            statistics=compute_sample(table, border_weighted=True, confidence=0.5, resamples=100),
        )

    without = table.copy()
    without.loc[squares, "exclusion"] = "touches the border"
    data = word_report(told(without))
    captions = [each.text for each in opened(data).paragraphs if each.style.name == "Caption"]
    assert not any("\N{BLACK SQUARE}" in text for text in captions), "one class is left: its colour needs no legend"
    charts = [data for name, data in unzipped(data).items() if name.startswith("word/charts/chart")]
    assert charts and not any(b"square" in chart for chart in charts)

    two = table.copy()
    two.loc[squares[2:], "exclusion"] = "touches the border"
    data = word_report(told(two))
    assert "Fewer than 3 particles, and not in the table: square (2)." in texts(data)
    assert {row[0] for row in next(each for each in tables(data) if each[0][0] == "Class")[1:]} == {"all", "disc"}
    assert len(discs) > 2 and any("\N{BLACK SQUARE}\N{NO-BREAK SPACE}square" in text for text in texts(data))


def test_the_numbers_of_the_groups_add_up_to_all(single):
    """What has no name, as it is too small for one, is told, too."""
    kept = single.particles["exclusion"].isna()
    names = single.particles["class"].map({"disc": "sphere", "square": "cube"})
    small = single.particles.index[kept][:4]
    table = single.particles.assign(**{"class": None, "shape": names})
    assert not any("Without a name" in text for text in texts(word_report(told_of(single, table))))
    table.loc[small, "shape"] = None
    data = word_report(told_of(single, table))
    rows = [row for each in tables(data) if each[0][0] == "Shape" for row in each if row[1] == "Diameter (nm)"]
    numbers = {row[0]: int(row[2]) for row in rows}
    (note,) = (text for text in texts(data) if "Without a name" in text)
    assert note == "Without a name, as below 20 px of diameter, and among “all” alone: 4 particles."
    assert numbers.pop("all") == sum(numbers.values()) + 4 == int(kept.sum())


def told_of(report, table):
    statistics = compute_sample(table, border_weighted=True, confidence=0.5, resamples=20)
    return replace(report, particles=table, statistics=statistics)


def test_the_cover_names_micrographs_as_the_tables_do(parts, make_report):
    (one, first), (other, second) = parts
    other = replace(other, name="first-2", file_name="first.png")
    report = make_report([(one, first), (other, second.assign(image="first-2"))])
    data = word_report(report)
    named = [row[0] for row in next(each for each in tables(data) if each[0][0] == "Micrograph")[1:]]
    assert named == ["first.png", "first.png (first-2)"]
    assert {row[0] for row in tables(data)[-1][1:]} == {"first", "first-2"}
    assert any("In brackets: the name in the tables." in text for text in texts(data))


def test_ragged_outlines_are_told(single):
    """How many they are; nothing where there are none."""
    table = single.particles.assign(convexity=0.99)
    assert not any("ragged" in text for text in texts(word_report(replace(single, particles=table))))
    rows = table.index[table["exclusion"].isna()]
    table.loc[rows[:2], "convexity"] = 0.73
    table.loc[table.index[table["exclusion"].notna()], "convexity"] = 0.5
    (sentence,) = (text for text in texts(word_report(replace(single, particles=table))) if "ragged" in text)
    assert sentence.startswith(f"The outline of 2 particles of {len(rows)} (") and "convexity below 0.96" in sentence


@pytest.mark.parametrize(("warnings", "below"), [(7, True), (30, False)])
def test_the_micrograph_takes_the_room_below_the_cover(single, warnings, below):
    """As high as there is room, never so small that nothing is seen in it; the outlines are larger."""
    document = opened(word_report(replace(single, warnings=("Mind the gap.",) * warnings)))
    original, outlines, *_ = (shape.height.mm for shape in document.inline_shapes)
    assert 45 <= original <= 95 and outlines == pytest.approx(104, abs=1)
    assert (original < 94) == below, "smaller where it then stands on the cover's page"
    on_new_page = {each.text: bool(each.paragraph_format.page_break_before) for each in document.paragraphs}
    assert on_new_page["Micrograph"] != below, "a heading does not stay behind its picture"
    assert on_new_page["Distributions"] == below, "outlines and key figures fill the second page"


def test_large_micrographs_become_small_pictures(report, tmp_path):
    path = tmp_path / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (1000, 2000), dtype=np.uint8)).save(path)
    image = replace(report.images[0], path=path, width=2000, height=1000, instances=())
    small = replace(
        report, images=(image,), particles=report.particles[report.particles["image"] == "nothing"], sample="large"
    )
    pictures = {name: data for name, data in unzipped(word_report(small)).items() if name.startswith("word/media/")}
    assert pictures and all(max(Image.open(io.BytesIO(data)).size) <= 1400 for data in pictures.values())


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(("height", "width"), [(4000, 40), (2000, 1), (1, 2000)])
def test_strips_of_micrographs_fit_onto_the_page(report, tmp_path, several, height, width):
    path = tmp_path / "strip.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width), dtype=np.uint8)).save(path)
    strip = replace(report.images[0], path=path, width=width, height=height, instances=())
    images = (strip, replace(strip, name="other")) if several else (strip,)
    told = replace(report, images=images, particles=report.particles[report.particles["image"] == "nothing"])
    pictures = list(opened(word_report(told)).inline_shapes)[: 2 * len(images)]
    assert len(pictures) == 2 * len(images)
    assert all(shape.width.mm <= 170 and shape.height.mm < 257 - 2 * 10 for shape in pictures)


def with_long_names_and_by_hand(report):
    """The same of files with names as laboratories give them, where a person drew some of the outlines."""
    names = {each.name: f"2026-03-01_AuNR_batch12_x200k_{number:03d}" for number, each in enumerate(report.images)}
    particles = report.particles.assign(
        image=report.particles["image"].map(names), origin=["drawn", "changed"] * (len(report.particles) // 2)
    )
    images = tuple(
        replace(each, name=names[each.name], file_name=f"{names[each.name]}.tif", edited=3) for each in report.images
    )
    return replace(report, images=images, particles=particles)


@pytest.mark.parametrize("which", ["several", "single", "long names and by hand"])
def test_no_word_of_a_head_and_no_number_breaks(report, single, which):
    """In DejaVu Sans Bold, which is wider than the fonts that Word and LibreOffice have."""
    import matplotlib
    from PIL import ImageFont

    told = {"several": report, "single": single, "long names and by hand": with_long_names_and_by_hand(report)}[which]
    document = opened(word_report(told))
    fonts = f"{matplotlib.get_data_path()}/fonts/ttf"
    bold, plain = (ImageFont.truetype(f"{fonts}/DejaVuSans{kind}.ttf", 100) for kind in ("-Bold", ""))
    for table in document.tables:
        for number, row in enumerate(table.rows[:8]):
            for cell in row.cells:
                paragraph = cell.paragraphs[0]
                points = paragraph.style.font.size.pt
                inside = cell.width.pt - 2 * 4
                font = plain if cell.text in ("drawn", "changed", "disc", "square") else bold
                if number == 0 or paragraph.alignment is not None or font is plain:
                    assert all(font.getlength(word) / 100 * points <= inside for word in cell.text.split()), cell.text
        assert sum(column.width.mm for column in table.columns) <= 170.1


@pytest.mark.slow
@pytest.mark.skipif(find_office() is None, reason="LibreOffice (soffice) is not installed")
def test_office_renders_every_page(report, tmp_path, monkeypatch):
    monkeypatch.setattr("nanoseg_bench.report.pdf._LONGEST_S", 900)
    document, pdf = tmp_path / "report.docx", tmp_path / "report.pdf"
    write_word_report(document, report)
    write_pdf(document, pdf)
    assert pdf.read_bytes().startswith(b"%PDF")
    if shutil.which("pdftotext") is not None:
        listed = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True)
        for words in ("Key figures", "Number of particles", "Cumulative (%)", "Circularity", "Page 1 of"):
            assert words in listed.stdout, "charts are drawn, too"


@pytest.mark.parametrize("year", [1970, 2108])
def test_a_clock_out_of_the_range_of_zip_files_is_named(report, monkeypatch, year):
    """An empty battery: python-docx would end with zipfile's error after all the work."""
    monkeypatch.setattr(time, "localtime", lambda seconds=None: time.gmtime((year - 1970) * 31_557_600 + 864_000))
    for ask in (lambda: word_report(report), lambda: require_writers(("word",)), lambda: require_writers(("pdf",))):
        with pytest.raises(NanosegError, match=rf"clock of this computer says {year}, .*; set the clock, or leave"):
            ask()
    require_writers(("excel", "labelme"))
