"""What can be written of an analysis, and what a user chooses from; no more, for the help of the command line."""

from importlib.util import find_spec
from shutil import which

from nanoseg_bench.errors import UsageError

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

_WRITTEN_BY = {
    WORD: {"docx": "python-docx", "pptx": "python-pptx", "xlsxwriter": "XlsxWriter"},
    EXCEL: {"xlsxwriter": "XlsxWriter"},
}


def require_writers(formats: tuple[str, ...]) -> None:
    """Refuse formats that cannot be written here, before any work is done for them.

    Raises:
        UsageError: There is no such format, or what writes it is not installed.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise UsageError(f"{', '.join(unknown)}: give formats of {', '.join(FORMATS)}")
    needed = {**(_WRITTEN_BY[WORD] if WORD in formats or PDF in formats else {})}
    needed |= _WRITTEN_BY[EXCEL] if EXCEL in formats else {}
    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"Word and Excel files need {', '.join(missing)}, not installed; run: pip install 'nanoseg-bench[app]', "
            "or leave them out (--to labelme overlay); the CSV files are always written"
        )
    if PDF in formats and find_office() is None:
        raise UsageError(
            "a PDF is made of the Word report by LibreOffice (soffice), which is not installed; leave pdf out of --to, "
            "and save the Word report as PDF in Word"
        )


def find_office() -> str | None:
    """LibreOffice's command; None where it is not installed."""
    return next(filter(None, map(which, OFFICES)), None)
