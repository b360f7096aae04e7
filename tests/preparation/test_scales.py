from dataclasses import dataclass
from pathlib import Path

import pytest

from nanoseg_bench.errors import PreparationError
from nanoseg_bench.preparation.scales import read_scale_table


@dataclass(frozen=True)
class Record:
    name: str
    image_path: Path


def record(name, image=None):
    return Record(name, Path(image or f"{name}.png"))


@pytest.fixture
def scales(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "scales.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_values_and_names(scales):
    path = scales("name,nm_per_px,microscope\ns1/a,0.42,x\nb.tif,1e1,\n\n")
    table = read_scale_table(path)
    assert table.lookup(record("s1/a")) == 0.42
    assert table.lookup(record("s2/b", "b.tif")) == 10.0
    assert table.lookup(record("s2/b", "b.png")) is None
    assert table.lookup(record("s2/b", "b.TIF")) == 10.0, "a spreadsheet, or a camera, writes it otherwise"
    assert read_scale_table(scales("name,nm_per_px\ns2\\b.TIF,3\n")).lookup(record("s2/b", "b.tif")) == 3.0


def test_both_sides_without_a_partner_are_reported(scales):
    table = read_scale_table(scales("name,nm_per_px\na,0.5\nb,0.5\nghost,0.5\n"))
    assert table.check([record("x/a"), record("b")])[0].endswith("1 name without an image: ghost; mend the table")
    missing, unused = table.check([record("a"), record("c"), record("d")])
    assert "no row for 2 of 3 images" in missing and ": c, d" in missing
    assert "2 names without an image: b, ghost" in unused
    assert table.check([record("a"), record("b"), record("ghost")]) == []
    with pytest.raises(PreparationError, match=r"'a' fits 2 images \(x/a, y/a\)"):
        table.check([record("x/a"), record("y/a")])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('a,"1,234"', r"scales\.csv, line 2 \(a\): nm_per_px is '1,234'; may be 1\.234 or 1234; write 1\.234 or 1234"),
        ('a,"1.234,5"', r"nm_per_px is '1\.234,5'; write it without separators of thousands"),
        ("a,0,42", r"line 2: 3 cells where the header has 2.*decimals with a point"),
        ("a,2 nm", r"nm_per_px is '2 nm'; give a number"),
        ("a,", r"nm_per_px is ''; give a number"),
        ("a,0", r"must be above 0"),
        ("a,-0.4", r"must be above 0"),
        ("a,nan", r"must be above 0"),
        ("a,inf", r"must be above 0"),
        ("a,4.2e-10", r"no electron microscope.*nanometres per pixel \(1 µm per pixel is 1000"),
        ("a,1\na,2", r"line 3: 'a' has the nm_per_px '2' and, above, '1'"),
    ],
)
def test_faulty_rows(scales, row, message):
    with pytest.raises(PreparationError, match=message):
        read_scale_table(scales(f"name,nm_per_px\n{row}\n"))


def test_german_spreadsheet(scales):
    table = read_scale_table(scales("\ufeffname;nm_per_px\r\nprobe ä;0.5\r\n"))
    assert table.lookup(record("probe ä")) == 0.5
    commas = read_scale_table(scales('name;nm_per_px\na;0,5\nb;"1,47"\n'))
    assert (commas.lookup(record("a")), commas.lookup(record("b"))) == (0.5, 1.47)
    with pytest.raises(PreparationError, match="CSV UTF-8"):
        read_scale_table(scales("name;nm_per_px\nä;0.5\n", "latin-1"))


@pytest.mark.parametrize("column", ["um_per_px", "px_per_nm", "scale"])
def test_other_columns_are_not_taken_for_it(scales, column):
    with pytest.raises(PreparationError, match=f"needs the columns name and nm_per_px, has name, {column}"):
        read_scale_table(scales(f"name,{column}\na,1\n"))
