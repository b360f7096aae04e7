"""How much of a page paragraphs and tables take, by estimate: what decides whether a picture still has room below them.

Word and LibreOffice break lines at places of their own, so that nothing may hang on a millimetre.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nanoseg_bench.report.word.styles import TABLE_TEXT, TEXT_WIDTH_MM
from nanoseg_bench.report.word.tables import CELL_MARGINS_MM, MM_PER_POINT, TableColumn, fitted_widths

if TYPE_CHECKING:
    from docx.document import Document

TEXT_HEIGHT_MM = 257.0
"""Of an A4 page with margins of 20 mm."""

_EM_PER_LETTER = 0.52
"""Of running text in Calibri, or in Carlito, which is as wide; 0.49 on average."""

_LINE = 1.22
"""Height of a line of these over the size of the letters, before the spacing of the style."""


def paragraph_mm(document: "Document", text: str, style: str, width_mm: float = TEXT_WIDTH_MM) -> float:
    """Height of a paragraph with the space around it.

    Args:
        document: With the style.
        text: Of the paragraph.
        style: Its name.
        width_mm: Of the lines.
    """
    look = document.styles[style]
    points: float = look.font.size.pt
    layout = look.paragraph_format
    length = len(text) * _EM_PER_LETTER * points * MM_PER_POINT
    lines = max(math.ceil(length / width_mm), 1)
    around: float = layout.space_before.pt + layout.space_after.pt
    spacing: float = layout.line_spacing
    return (lines * points * _LINE * spacing + around) * MM_PER_POINT


def table_mm(document: "Document", columns: Sequence[TableColumn], rows: Sequence[Sequence[str]]) -> float:
    """Height of a table, without its caption; arguments as for ``tables.add_table``."""
    widths = fitted_widths(columns, rows, document.styles[TABLE_TEXT].font.size.pt)
    heads = [[column.heading for column in columns]] if any(column.heading for column in columns) else []
    return sum(
        max(
            paragraph_mm(document, text, TABLE_TEXT, width - CELL_MARGINS_MM)
            for text, width in zip(row, widths, strict=True)
        )
        for row in [*heads, *rows]
    )
