"""First page: what was measured, how it was taken, what found the particles, and what must not be overlooked."""

from pathlib import PurePath

from nanoseg_bench.report.facts import facts_of, scale_text
from nanoseg_bench.report.report_input import ReportedImage
from nanoseg_bench.report.word.heights import TEXT_HEIGHT_MM, paragraph_mm, table_mm
from nanoseg_bench.report.word.page import Page
from nanoseg_bench.report.word.styles import NOTE, TEXT_WIDTH_MM
from nanoseg_bench.report.word.tables import TableColumn, add_table

_CAPTION = "Sample, micrographs and method."
_LABEL_MM = 42.0
_SHOWN_DIGITS = 12  # of a hash, in a table of many images
_MOST_IMAGES = 30


def write_cover(page: Page) -> float:
    """Title, facts, warnings.

    Returns:
        What is left of the page below them by estimate, mm; 0 where they fill more than one.
    """
    report = page.report
    page.text("Particle size and shape", "Title")
    page.text(report.sample, "Subtitle")
    for warning in report.warnings:
        page.text(warning, NOTE)
    page.captions.table(_CAPTION)
    columns = (TableColumn("", _LABEL_MM), TableColumn("", TEXT_WIDTH_MM - _LABEL_MM))
    rows = [(label, value) for label, value in facts_of(report) if value]
    add_table(
        page.document,
        columns,
        rows,
        description="Facts about the sample, its micrographs, the scale, the model and the software.",
        bold_first=True,
    )
    if len(report.images) > 1:
        _write_images(page)
        return 0.0
    paragraphs = (("", "Title"), (report.sample, "Subtitle"), *((text, NOTE) for text in report.warnings))
    above = sum(paragraph_mm(page.document, text, style) for text, style in (*paragraphs, (_CAPTION, "Caption")))
    return max(TEXT_HEIGHT_MM - above - table_mm(page.document, columns, rows), 0.0)


def _write_images(page: Page) -> None:
    images = page.report.images
    shown = images[:_MOST_IMAGES]
    more = f" The first {len(shown)} of {len(images)} are shown." if len(shown) < len(images) else ""
    other = " In brackets: the name in the tables." if any(_named(image) != image.shown_name for image in shown) else ""
    page.captions.table(f"Micrographs of the sample, with the beginning of each file's SHA-256.{other}{more}")
    numbers = page.counted.groupby("image").size()
    columns = (
        TableColumn("Micrograph", 36),
        TableColumn("Size (px)", 24, is_number=True),
        TableColumn("Particles", 22, is_number=True),
        TableColumn("Scale", 57),
        TableColumn("SHA-256", 31),
    )
    rows = [
        (
            _named(image),
            f"{image.width} × {image.height}",
            str(int(numbers.get(image.name, 0))),
            scale_text(image),
            image.sha256[:_SHOWN_DIGITS],
        )
        for image in shown
    ]
    add_table(page.document, columns, rows, description="One row per micrograph.")


def _named(image: ReportedImage) -> str:
    """Its file, and how the tables call it where that is otherwise, as with files of one name in several folders."""
    is_stem = image.name == PurePath(image.shown_name).stem
    return image.shown_name if is_stem else f"{image.shown_name} ({image.name})"
