"""Charts as parts of a Word document: the drawing in the text, the chart's XML, the workbook behind it."""

from typing import TYPE_CHECKING

from nanoseg_bench.report.charts.native import CHART, WORKBOOK_RELATION, NativeChart
from nanoseg_bench.report.texts import one_line

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph

_CHART = "application/vnd.openxmlformats-officedocument.drawingml.chart+xml"
_WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_EMU_PER_MM = 36_000


def add_chart(
    document: "Document", paragraph: "Paragraph", chart: NativeChart, width_mm: float, height_mm: float
) -> None:
    """Put a chart into a paragraph.

    Args:
        document: That the paragraph belongs to.
        paragraph: It may be empty.
        chart: What to embed.
        width_mm: Of the chart in the text.
        height_mm: Likewise.
    """
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    package = document.part.package
    number = 1 + sum(part.content_type == _CHART for part in package.iter_parts())
    workbook = Part(PackURI(f"/word/embeddings/Microsoft_Excel_Sheet{number}.xlsx"), _WORKBOOK, chart.workbook, package)
    part = Part(PackURI(f"/word/charts/chart{number}.xml"), _CHART, chart.xml, package)
    relation = part.relate_to(workbook, RELATIONSHIP_TYPE.PACKAGE)
    if relation != WORKBOOK_RELATION:
        raise AssertionError(f"the chart's workbook is {relation}, its XML says {WORKBOOK_RELATION}")
    own = document.part.relate_to(part, RELATIONSHIP_TYPE.CHART)
    inline = parse_xml(
        f'<wp:inline {nsdecls("wp", "a", "r")} distT="0" distB="0" distL="0" distR="0"><wp:extent '
        f'cx="{round(width_mm * _EMU_PER_MM)}" cy="{round(height_mm * _EMU_PER_MM)}"/><wp:effectExtent l="0" t="0" '
        'r="0" b="0"/><wp:docPr id="0" name=""/><wp:cNvGraphicFramePr/><a:graphic><a:graphicData '
        f'uri="{CHART}"><c:chart xmlns:c="{CHART}" r:id="{own}"/></a:graphicData></a:graphic>'
        "</wp:inline>"
    )
    properties = inline.docPr
    properties.set("id", str(document.part.next_id))
    properties.set("name", f"Chart {number}")
    properties.set("descr", one_line(chart.alt_text))
    paragraph.add_run()._r.add_drawing(inline)
