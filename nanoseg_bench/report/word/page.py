"""The document being written, with what its sections share."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from nanoseg_bench.measure.particles import counted
from nanoseg_bench.measure.sample import Unit
from nanoseg_bench.report.grouping import group_of, groups_in_order
from nanoseg_bench.report.report_input import ReportInput
from nanoseg_bench.report.texts import xml_text
from nanoseg_bench.report.word.fields import Captions
from nanoseg_bench.report.word.styles import FIGURE

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph


@dataclass(eq=False)
class Page:
    """A document and the report that is written into it.

    Attributes:
        document: Of python-docx.
        report: What is told.
        captions: Numbers figures and tables.
    """

    document: "Document"
    report: ReportInput
    captions: Captions = field(init=False)

    def __post_init__(self) -> None:
        self.captions = Captions(self.document)

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The particles that count."""
        return counted(self.report.particles)

    @property
    def unit(self) -> Unit:
        """Of all lengths."""
        return self.report.statistics.unit

    @cached_property
    def groups(self) -> list[str]:
        """Classes or shapes in the order of their colours."""
        return groups_in_order(self.report.particles, self.report.classes)

    def group_of(self, particles: pd.DataFrame) -> pd.Series:
        """The group of each row."""
        return group_of(particles, self.report.statistics.groups_from)

    def heading(self, text: str, *, on_new_page: bool = False) -> None:
        """A place in the outline of the document."""
        paragraph = self.document.add_heading(text)
        if on_new_page:
            paragraph.paragraph_format.page_break_before = True

    def text(self, text: str, style: str = "Normal", *, keep_with_next: bool = False) -> None:
        """A paragraph, which stands on the page of the next one where that is asked for."""
        paragraph = self.document.add_paragraph(xml_text(text), style=style)
        if keep_with_next:
            paragraph.paragraph_format.keep_with_next = True

    def figure_paragraph(self) -> "Paragraph":
        """For pictures and charts, which stand on the page of their caption."""
        return self.document.add_paragraph(style=FIGURE)
