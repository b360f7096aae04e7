"""Tables of the report: one style, a head that comes again on each page, rows that stay whole.

The XML is written at once: python-docx looks for each cell anew, which takes seconds for a hundred particles.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from nanoseg_bench.report.texts import one_line

if TYPE_CHECKING:
    from docx.document import Document

STYLE = "NanosegTable"
"""Id of the table style, see ``styles.py``."""

_TWIPS_PER_MM = 56.6929
_FIRST_ROW, _FIRST_COLUMN, _NO_VERTICAL_BANDS = 0x20, 0x80, 0x400
CELL_MARGINS_MM = 2 * 80 / _TWIPS_PER_MM
"""Left and right of the text in a cell, see ``styles.py``."""

_EM_PER_LETTER = 0.66
"""Width of a letter of a bold word in DejaVu Sans, the widest font that programs take where Calibri is missing."""

MM_PER_POINT = 25.4 / 72

_LONGEST_WORD = 20
"""Letters from which what has no space is no word, but the name of a file: it may break."""

_SHORT = 12
"""Rows of a table that stays on one page."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column.

    Attributes:
        heading: Its first cell; empty in a table without head.
        width_mm: Of the cells; others give way where a word would break otherwise.
        is_number: Numbers stand at the right.
    """

    heading: str
    width_mm: float
    is_number: bool = False


def add_table(
    document: "Document",
    columns: Sequence[TableColumn],
    rows: Sequence[Sequence[str]],
    *,
    description: str,
    text_style: str = "Table Text",
    bold_first: bool = False,
    keep_same_first: bool = False,
    may_break: bool = False,
) -> None:
    """Append a table.

    Args:
        document: Where it goes.
        columns: From left to right; a head is made where one has a heading.
        rows: Texts of the cells.
        description: For those who do not see it.
        text_style: Paragraph style of the cells.
        bold_first: Whether the first column says what the row is.
        keep_same_first: Whether rows with the same first cell stay on one page.
        may_break: Whether a short table may go on on the next page, too, as a list does.
    """
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    has_head = any(column.heading for column in columns)
    style = document.styles[text_style]
    style_id = style.style_id
    widths = [round(width * _TWIPS_PER_MM) for width in fitted_widths(columns, rows, style.font.size.pt)]
    # The same twice: older programs read the sum, newer ones the attributes.
    value = _FIRST_ROW * has_head + _FIRST_COLUMN * bold_first + _NO_VERTICAL_BANDS
    look = (
        f'<w:tblLook w:val="{value:04X}" w:firstRow="{int(has_head)}" w:lastRow="0" w:firstColumn="{int(bold_first)}" '
        'w:lastColumn="0" w:noHBand="0" w:noVBand="1"/>'
    )
    grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
    parts = [
        f'<w:tbl {nsdecls("w")}><w:tblPr><w:tblStyle w:val="{STYLE}"/><w:tblW w:w="{sum(widths)}" w:type="dxa"/>'
        f'<w:tblLayout w:type="fixed"/>{look}<w:tblDescription w:val={quoteattr(one_line(description))}/></w:tblPr>'
        f"<w:tblGrid>{grid}</w:tblGrid>"
    ]
    if has_head:
        head = "".join(
            _cell(column.heading, width, style_id, column.is_number, keep=True)
            for column, width in zip(columns, widths, strict=True)
        )
        parts.append(f"<w:tr><w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>{head}</w:tr>")
    for number, row in enumerate(rows, start=1):
        # A short table stays whole; of a long one, no single row is left alone at the end of it.
        keep = number < len(rows) and (
            (len(rows) <= _SHORT and not may_break)
            or number >= len(rows) - 2
            or number <= 2
            or (keep_same_first and rows[number][0] == row[0])
        )
        cells = "".join(
            _cell(text, width, style_id, column.is_number, keep)
            for text, column, width in zip(row, columns, widths, strict=True)
        )
        parts.append(f"<w:tr><w:trPr><w:cantSplit/></w:trPr>{cells}</w:tr>")
    parts.append("</w:tbl>")
    # Before the properties of the section, which are the body's last element.
    document.element.body.sectPr.addprevious(parse_xml("".join(parts)))


def fitted_widths(columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], points: float) -> list[float]:
    """Widths in which no word of a head and no number breaks, and no other word as far as there is room.

    The table stays as wide as it is meant to be: columns that are wider than their words give what the others lack,
    each in proportion to what it has to spare. Names of files may break, since they are as long as people like.

    Args:
        columns: With the widths that they should have.
        rows: Texts of the cells.
        points: Size of the letters.

    Returns:
        In mm.
    """
    letter = _EM_PER_LETTER * points * MM_PER_POINT

    def needed(texts: Iterable[str], most: int | None = None) -> float:
        lengths = (len(word) for text in texts for word in text.split())
        longest = max((length for length in lengths if most is None or length <= most), default=0)
        return longest * letter + CELL_MARGINS_MM

    least, whole = [], []
    for number, column in enumerate(columns):
        cells = [row[number] for row in rows]
        least.append(needed([column.heading, *(cells if column.is_number else ())]))
        whole.append(max(least[-1], needed(cells, _LONGEST_WORD)))
    widths = [column.width_mm for column in columns]
    for wanted, kept in ((least, whole), (least, least), (whole, whole)):
        widths = _balanced(widths, wanted, kept)
    return widths


def _balanced(widths: Sequence[float], wanted: Sequence[float], kept: Sequence[float]) -> list[float]:
    """Widths of the same sum, in which columns that have more than ``kept`` give to those with less than ``wanted``."""
    lacking = [max(wants - width, 0.0) for width, wants in zip(widths, wanted, strict=True)]
    spare = [max(width - keeps, 0.0) for width, keeps in zip(widths, kept, strict=True)]
    moved = min(sum(lacking), sum(spare))
    if not moved:
        return list(widths)
    return [
        width + moved * lacks / sum(lacking) - moved * spares / sum(spare)
        for width, lacks, spares in zip(widths, lacking, spare, strict=True)
    ]


def _cell(text: str, width: int, style_id: str, is_number: bool, keep: bool) -> str:
    side = '<w:jc w:val="right"/>' if is_number else ""
    together = "<w:keepNext/>" if keep else ""
    return (
        f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/></w:tcPr><w:p><w:pPr><w:pStyle w:val="{style_id}"/>'
        f'{together}{side}</w:pPr><w:r><w:t xml:space="preserve">{escape(one_line(text))}</w:t></w:r></w:p></w:tc>'
    )
