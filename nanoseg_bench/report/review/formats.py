"""What can be taken away of a reviewed sample; no more, so that a page can list it."""

from dataclasses import dataclass

WORD, EXCEL, CSV, LABELME, COCO, PNG, SVG, ZIP = "word", "excel", "csv", "labelme", "coco", "png", "svg", "zip"


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A file, or several in an archive.

    Attributes:
        id: As it is asked for.
        heading: For people.
        suffix: Of the file.
        media_type: Of it.
        for_each: Whether there is one for each micrograph; several are given as an archive.
    """

    id: str
    heading: str
    suffix: str
    media_type: str
    for_each: bool = False


_OFFICE = "application/vnd.openxmlformats-officedocument"

EXPORTS = (
    ExportFormat(WORD, "Report (Word)", ".docx", f"{_OFFICE}.wordprocessingml.document"),
    ExportFormat(EXCEL, "Particles and statistics (Excel)", ".xlsx", f"{_OFFICE}.spreadsheetml.sheet"),
    ExportFormat(CSV, "Particles (CSV)", ".csv", "text/csv; charset=utf-8"),
    ExportFormat(LABELME, "Outlines for LabelMe (JSON)", ".json", "application/json", for_each=True),
    ExportFormat(COCO, "Outlines as COCO (JSON)", ".json", "application/json"),
    ExportFormat(PNG, "Figure (PNG)", ".png", "image/png", for_each=True),
    ExportFormat(SVG, "Figure (SVG)", ".svg", "image/svg+xml", for_each=True),
    ExportFormat(ZIP, "All of these (ZIP)", ".zip", "application/zip"),
)
"""In the order of a menu."""

EXPORT = {each.id: each for each in EXPORTS}
"""By id."""
