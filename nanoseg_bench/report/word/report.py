"""The report on one sample as a Word document, section by section."""

from pathlib import Path

from nanoseg_bench.files import write_bytes
from nanoseg_bench.report.report_input import ReportInput
from nanoseg_bench.report.texts import one_line
from nanoseg_bench.report.word.appendix import write_appendix
from nanoseg_bench.report.word.cover import write_cover
from nanoseg_bench.report.word.fields import add_page_numbers
from nanoseg_bench.report.word.limits import write_definitions, write_limits
from nanoseg_bench.report.word.page import Page
from nanoseg_bench.report.word.pictures import write_pictures
from nanoseg_bench.report.word.results import write_charts, write_groups, write_key_figures, write_uncertainty
from nanoseg_bench.report.word.saving import document_bytes, set_properties
from nanoseg_bench.report.word.styles import start_document


def word_report(report: ReportInput, all_rows_in: str = "") -> bytes:
    """The .docx; the same report gives the same bytes.

    Args:
        report: What is told.
        all_rows_in: Files that hold the whole table of particles, in words; empty where there are none.

    Raises:
        ImageError: A micrograph that is shown cannot be read.
    """
    page = Page(start_document(), report)
    add_page_numbers(page.document, f"{report.sample}, {report.made.date().isoformat()}")
    room_mm = write_cover(page)
    fills_page = write_pictures(page, room_mm)
    write_key_figures(page)
    write_charts(page, on_new_page=fills_page)
    write_groups(page)
    write_uncertainty(page)
    write_limits(page)
    write_definitions(page)
    write_appendix(page, all_rows_in)
    set_properties(
        page.document,
        title=f"Particle size and shape: {one_line(report.sample)}",
        subject="Size and shape of particles by electron microscopy",
        author=one_line(report.operator),
        made=report.made,
    )
    return document_bytes(page.document)


def write_word_report(path: Path, report: ReportInput, all_rows_in: str = "") -> None:
    """Write ``word_report``, whole or not at all.

    Raises:
        ImageError: A micrograph that is shown cannot be read.
        OSError: The file cannot be written.
    """
    write_bytes(path, word_report(report, all_rows_in))
