"""A chart's XML and the workbook behind it, from python-pptx's chart data."""

import datetime
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nanoseg_bench.report.texts import one_line

if TYPE_CHECKING:
    from pptx.chart.chart import Chart
    from pptx.chart.data import CategoryChartData, XyChartData
    from pptx.enum.chart import XL_CHART_TYPE

CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"
"""Namespace of DrawingML's charts."""

WORKBOOK_RELATION = "rId1"
"""Id of the only relationship of a chart's part: its workbook."""

SHEET = "Sheet1"
"""What python-pptx's references name."""

# Office's newest files have no fixed date of making; a chart's workbook is made with its document, which says when.
_MADE = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC).replace(tzinfo=None)
_RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RANGE = re.compile(r"\$([A-Z]+)\$(\d+)")


@dataclass(frozen=True, slots=True)
class NativeChart:
    """A chart that a document embeds.

    Attributes:
        xml: A ``c:chartSpace``; its external data are ``WORKBOOK_RELATION``.
        workbook: The .xlsx that its references point into.
        alt_text: What it shows, for those who do not see it.
    """

    xml: bytes
    workbook: bytes
    alt_text: str


@dataclass(frozen=True, slots=True)
class Column:
    """A part of a column of the workbook.

    Attributes:
        top: Row of the heading, from 0; the values follow below.
        column: From 0.
        heading: Text.
        values: Numbers or texts.
    """

    top: int
    column: int
    heading: str
    values: Sequence[float | str]


def start_chart(kind: "XL_CHART_TYPE", data: "CategoryChartData | XyChartData") -> "Chart":
    """python-pptx's chart of the data, which belongs to no presentation yet and can be styled by its interface."""
    from pptx.chart.chart import Chart
    from pptx.chart.xmlwriter import ChartXmlWriter
    from pptx.oxml import parse_xml

    return Chart(parse_xml(ChartXmlWriter(kind, data).xml.encode("utf-8")), None)


def finish_chart(chart: "Chart", columns: Sequence[Column], alt_text: str) -> NativeChart:
    """Join a styled chart and the cells that it refers to.

    Args:
        chart: Of ``start_chart``.
        columns: Everything that the chart's references name; more is allowed.
        alt_text: See ``NativeChart``.
    """
    from lxml import etree

    space = chart._chartSpace
    # The last element but two of the schema, of which python-pptx writes neither.
    external = etree.SubElement(space, f"{{{CHART}}}externalData")
    external.set(f"{{{_RELATIONSHIPS}}}id", WORKBOOK_RELATION)
    etree.SubElement(external, f"{{{CHART}}}autoUpdate").set("val", "0")
    xml = etree.tostring(space, xml_declaration=True, encoding="UTF-8", standalone=True)
    return NativeChart(xml, write_cells(columns), alt_text)


def column_at(values_reference: str, name_reference: str, heading: str, values: Sequence[float | str]) -> Column:
    """The cells of a series as python-pptx's chart data name them: ``Sheet1!$B$2:$B$9`` below ``Sheet1!$B$1``."""
    first = _RANGE.findall(values_reference)[0]
    column, top = _column_number(first[0]), int(first[1]) - 2
    if name_reference:
        assert _RANGE.findall(name_reference)[0][1] == str(top + 1), "the heading stands above the values"  # noqa: S101
    return Column(top, column, heading, values)


def write_cells(columns: Sequence[Column]) -> bytes:
    """A workbook with one sheet. Texts are written as texts: none becomes a formula."""
    import xlsxwriter

    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as workbook:
        workbook.set_properties({"created": _MADE})
        bold = workbook.add_format({"bold": True, "text_wrap": True})
        sheet = workbook.add_worksheet(SHEET)
        for column in columns:
            sheet.set_column(column.column, column.column, 16)
            sheet.write_string(column.top, column.column, one_line(column.heading), bold)
            for row, value in enumerate(column.values, start=column.top + 1):
                _write(sheet, row, column.column, value)
    return stream.getvalue()


def _write(sheet: Any, row: int, column: int, value: float | str) -> None:
    if isinstance(value, str):
        sheet.write_string(row, column, one_line(value))
    else:
        sheet.write_number(row, column, value)


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
