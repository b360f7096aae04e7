"""What Word numbers by itself: captions and pages. Each field carries its result, so that nothing has to be updated."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from nanoseg_bench.report.texts import one_line, xml_text

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph


def add_field(paragraph: "Paragraph", instruction: str, result: str) -> None:
    """A field at the end of a paragraph.

    Args:
        paragraph: Where it goes.
        instruction: In Word's language: ``PAGE``.
        result: What is shown until Word computes it again.
    """
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    field = parse_xml(
        f'<w:fldSimple {nsdecls("w")} w:instr=" {instruction} "><w:r><w:t>{result}</w:t></w:r></w:fldSimple>'
    )
    paragraph._p.append(field)


class Captions:
    """Numbered captions of figures and tables, which Word lists and numbers again when something is moved.

    Args:
        document: That they belong to.
    """

    def __init__(self, document: "Document") -> None:
        self._document = document
        self._numbers = {"Figure": 0, "Table": 0}

    def figure(self, text: str, legend: Mapping[str, str] = MappingProxyType({})) -> None:
        """Below a figure.

        Args:
            text: What it shows.
            legend: Colour, as RGB in hexadecimal digits, of what is told apart by it.
        """
        from docx.shared import RGBColor

        paragraph = self._add("Figure", text)
        for name, colour in legend.items():
            paragraph.add_run(" \N{BLACK SQUARE}").font.color.rgb = RGBColor.from_string(colour)
            paragraph.add_run(f"\N{NO-BREAK SPACE}{one_line(name)}")

    def table(self, text: str) -> None:
        """Above a table, on the same page."""
        from docx.shared import Pt

        layout = self._add("Table", text).paragraph_format
        layout.keep_with_next, layout.space_before, layout.space_after = True, Pt(10), Pt(3)

    def _add(self, kind: str, text: str) -> "Paragraph":
        self._numbers[kind] += 1
        paragraph = self._document.add_paragraph(style="Caption")
        paragraph.add_run(f"{kind} ").bold = True
        add_field(paragraph, f"SEQ {kind} \\* ARABIC", str(self._numbers[kind]))
        paragraph.add_run(". ").bold = True
        paragraph.add_run(xml_text(text))
        return paragraph


def add_page_numbers(document: "Document", left: str) -> None:
    """Footer of all pages: a text at the left, ``page of pages`` at the right."""
    section = document.sections[0]
    footer = section.footer.paragraphs[0]
    footer.style = document.styles["Footer"]
    footer.add_run(f"{one_line(left)}\t")
    footer.add_run("Page ")
    add_field(footer, "PAGE", "1")
    footer.add_run(" of ")
    add_field(footer, "NUMPAGES", "1")
