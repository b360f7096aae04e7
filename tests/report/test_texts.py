"""What users type into names must neither break a document nor run in a spreadsheet."""

import pytest
from lxml import etree

from nanoseg_bench.report.texts import csv_text, one_line, xml_text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "＝"])
def test_no_cell_begins_a_formula(start):
    cell = csv_text(f'{start}HYPERLINK("http://a.b","c")')
    assert cell.startswith("'") and cell.endswith('HYPERLINK("http://a.b","c")')


@pytest.mark.parametrize("text", ["gold", "5 nm", "a=b", "sample -3", "Größe µ", ""])
def test_other_texts_stay(text):
    assert csv_text(text) == text


def test_every_character_can_stand_in_xml():
    every = "".join(chr(code) for code in (*range(0x300), 0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x1F600, 0x10FFFF))
    element = etree.Element("a")
    element.text = xml_text(every)
    kept = etree.fromstring(etree.tostring(element, encoding="utf-8")).text
    assert "\N{GRINNING FACE}" in kept and "\xb5" in kept
    assert "\x00" not in kept and "\x1b" not in kept and "\ufffe" not in kept
    for character in set(every) - set(kept):
        with pytest.raises(ValueError, match=r"XML compatible|surrogates"):
            element.text = character


def test_a_name_is_one_line():
    assert one_line("a\tb\r\n c\x0b") == "a b c\N{REPLACEMENT CHARACTER}"
