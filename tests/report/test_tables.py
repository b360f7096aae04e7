"""CSV and Excel: every number of the table, and no text that runs."""

import datetime
import io

import openpyxl
import pandas as pd
import pytest

from nanoseg_bench.measure.columns import COLUMNS
from nanoseg_bench.measure.statistics import STATISTICS
from nanoseg_bench.report.delimited import csv_of
from nanoseg_bench.report.workbook import Sheet, particle_workbook

MADE = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)


@pytest.fixture
def particles(report):
    table = report.particles.copy()
    table.loc[0, "class"] = '=HYPERLINK("http://a.b")'
    table.loc[1, "class"] = "-1+1\x00\x1b"
    table.loc[2, "class"] = 'a "quoted", name\nof two lines'
    return table


def test_csv_gives_back_every_number(particles):
    again = pd.read_csv(io.StringIO(csv_of(particles)))
    assert list(again.columns) == [column.name for column in COLUMNS]
    numbers = [column.name for column in COLUMNS if column.kind in ("number", "whole")]
    pd.testing.assert_frame_equal(again[numbers], particles[numbers], check_dtype=False, check_exact=True)
    assert (again["touches_border"] == particles["touches_border"]).all()
    assert (again["exclusion"].isna() == particles["exclusion"].isna()).all()


def test_no_cell_of_the_csv_runs(particles):
    again = pd.read_csv(io.StringIO(csv_of(particles)), dtype=str, keep_default_na=False)
    texts = [column.name for column in COLUMNS if column.kind == "text"]
    cells = {cell for name in texts for cell in again[name]}
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert again["image"].isin(["first", "'@second"]).all()
    assert again["class"][0] == '\'=HYPERLINK("http://a.b")'
    assert again["class"][2] == 'a "quoted", name of two lines'
    assert "\x00" not in csv_of(particles)
    assert particles["class"][0].startswith("="), "the table itself stays as it was"


def test_workbook_holds_the_table_and_no_formula(particles):
    sample = Sheet("Sample", ("quantity", "value"), [("D50 (nm)", 12.5), ("=1+1", float("nan"))])
    book = openpyxl.load_workbook(io.BytesIO(particle_workbook(particles, [sample], [("Sample", "=A1")], MADE)))
    assert book.sheetnames == ["Sample", "Particles", "Columns", "Analysis"]
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    head, *rows = book["Particles"].iter_rows(values_only=True)
    assert list(head) == [column.title for column in COLUMNS]
    assert len(rows) == len(particles)
    for position, column in enumerate(COLUMNS):
        stored = [row[position] for row in rows]
        expected = particles[column.name].tolist()
        if column.kind == "text":
            assert [value is None for value in stored] == particles[column.name].isna().tolist()
        else:
            measured = [value for value in expected if value == value]
            assert [value for value in stored if value is not None] == pytest.approx(measured, rel=1e-14)
    assert rows[0][2] == '=HYPERLINK("http://a.b")', "as a text it is shown as it is"
    assert book["Particles"].freeze_panes == "C2"
    meant = [row[0] for row in book["Columns"].iter_rows(min_row=2, values_only=True)]
    assert meant == [*(column.name for column in COLUMNS), *(statistic.name for statistic in STATISTICS)]
    assert book.properties.created == MADE.replace(tzinfo=None)


def test_same_table_same_bytes(particles):
    assert particle_workbook(particles, [], [], MADE) == particle_workbook(particles, [], [], MADE)
    assert csv_of(particles) == csv_of(particles.copy())


def test_an_empty_table_has_its_head(particles):
    assert csv_of(particles.head(0)).strip() == ",".join(column.name for column in COLUMNS)
    book = openpyxl.load_workbook(io.BytesIO(particle_workbook(particles.head(0), [], [], MADE)))
    assert book["Particles"].max_row == 1


def test_a_sheet_that_is_full_says_so(particles, monkeypatch):
    monkeypatch.setattr("nanoseg_bench.report.workbook._MOST_ROWS", 5)
    book = openpyxl.load_workbook(io.BytesIO(particle_workbook(particles, [], [], MADE)))
    assert book["Particles"].max_row == 6
    ((what, value),) = book["Analysis"].iter_rows(min_row=2, values_only=True)
    assert what == "Sheet Particles" and value.startswith(f"the first 5 of {len(particles)} rows")
