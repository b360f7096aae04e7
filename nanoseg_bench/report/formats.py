"""What can be written of an analysis, and what a user chooses from; no more, for the help of the command line."""

import time
from shutil import which

from nanoseg_bench.errors import NanosegError, UsageError
from nanoseg_bench.extras import require_packages

WORD, EXCEL, PDF = "word", "excel", "pdf"
DOCUMENTS = {WORD: "docx", EXCEL: "xlsx", PDF: "pdf"}
"""One file per sample, in the folder ``reports``, with its suffix."""

LABELME = "labelme"
ANNOTATIONS = (LABELME, "coco", "masks")
"""Outlines for other programs, each in the folder of its name."""

OVERLAY, SVG, LABELS = "overlay", "svg", "labels"
PICTURES = {OVERLAY: "png", SVG: "svg", LABELS: "tif"}
"""One file per micrograph, in the folder of the format's name, with its suffix."""

FORMATS = (*DOCUMENTS, *ANNOTATIONS, *PICTURES)
DEFAULT_FORMATS = (WORD, EXCEL, LABELME, OVERLAY)

BORDERS = ("weight", "exclude", "keep")
"""What becomes of particles that touch the border: left out, and those of their extent that count stand for them;
left out; kept as they are cut."""

OVERWRITE = ("missing", "always")
"""What may become of an earlier analysis: go on where it ended, or begin anew."""

OFFICES = ("soffice", "libreoffice")
"""Names of LibreOffice's command."""

FIRST_ZIP_YEAR, LAST_ZIP_YEAR = 1980, 2107
"""Of the times that a ZIP file can hold."""

_WRITTEN_BY = {WORD: ("docx", "lxml", "pptx", "xlsxwriter"), EXCEL: ("xlsxwriter",)}
"""Packages of the extra ``app``; a PDF is made of the Word report."""


def require_writers(formats: tuple[str, ...]) -> None:
    """Refuse formats that cannot be written here, before any work is done for them.

    Raises:
        NanosegError: The computer's clock is so wrong that no Word file can hold its time.
        UsageError: There is no such format, or LibreOffice is not installed.
        MissingExtraError: What writes them is not installed.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise UsageError(f"{', '.join(unknown)}: give formats of {', '.join(FORMATS)}")
    wanted = {WORD if name == PDF else name for name in formats}
    for name in (WORD, EXCEL):
        if name in wanted:
            way = "or leave it out (--to labelme overlay): CSV files are always written"
            require_packages(f"--to {name}", *_WRITTEN_BY[name], otherwise=way)
    if WORD in wanted:
        require_zip_clock()
    if PDF in formats and find_office() is None:
        raise UsageError(
            "--to pdf is made of the Word report by LibreOffice (soffice), which is not installed; leave pdf out, and "
            "save the Word report as PDF in Word"
        )


def require_zip_clock() -> None:
    """Refuse what python-docx writes while the clock is out of a ZIP file's range: 1970, where a battery is empty.

    Raises:
        NanosegError: It is.
    """
    year = time.localtime().tm_year
    if not FIRST_ZIP_YEAR <= year <= LAST_ZIP_YEAR:
        raise NanosegError(
            f"Word report: the clock of this computer says {year}, which no Word file can hold; set the clock, or "
            "leave the Word report out (--to excel labelme overlay)"
        )


def find_office() -> str | None:
    """LibreOffice's command; None where it is not installed."""
    return next(filter(None, map(which, OFFICES)), None)
