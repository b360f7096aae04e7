"""The micrograph as it is, and with what was found in it."""

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.drawing.colours import class_colours, css
from nanoseg_bench.images import read_image
from nanoseg_bench.report.outlining import outlines_of, overlay
from nanoseg_bench.report.report_input import ReportedImage
from nanoseg_bench.report.texts import one_line
from nanoseg_bench.report.word.page import Page
from nanoseg_bench.report.word.styles import TEXT_WIDTH_MM
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from docx.text.paragraph import Paragraph

_MOST_IMAGES = 4
_DOTS_PER_MM = 8  # 200 per inch
_PAIR_MM = 84.0  # two of them and a space are as wide as the text
_HIGHEST_MM = 112.0  # two pictures and their captions fill a page
_JPEG_QUALITY = 88


def write_pictures(page: Page) -> None:
    """Original and overlay of the first micrographs."""
    images = page.report.images[:_MOST_IMAGES]
    page.heading("Micrographs" if len(images) > 1 else "Micrograph")
    if len(images) < len(page.report.images):
        page.text(
            f"The first {len(images)} of {len(page.report.images)} micrographs are shown.",
            keep_with_next=True,
        )
    for image in images:
        _write_image(page, image, read_image(image.path), side_by_side=len(images) > 1)


def _write_image(page: Page, image: ReportedImage, pixels: NDArray[np.uint8], *, side_by_side: bool) -> None:
    outlines = outlines_of(page.report.particles, image, page.groups, page.report.statistics.groups_from)
    counts = sum(not each.thin for each in outlines)
    others = len(outlines) - counts
    width_mm = _PAIR_MM if side_by_side else min(TEXT_WIDTH_MM, _HIGHEST_MM * image.width / image.height)
    width = round(_DOTS_PER_MM * width_mm)
    original, drawn = (overlay(pixels, image, each, width) for each in ([], outlines))
    name = one_line(image.shown_name)
    bar = " with a scale bar drawn by this software" if image.nm_per_px is not None else ""
    grey = f" Thin grey: {others} more that {'does' if others == 1 else 'do'} not count." if others else ""
    dashed = sum(each.dashed for each in outlines)
    grey += f" Dashed: {dashed} that a person changed or drew." if dashed else ""
    found = f"the outlines of the {counted(counts, 'particle')} that count"
    legend = _legend(page)
    paragraph = page.figure_paragraph()
    _add_picture(paragraph, original, width_mm, f"Micrograph {name}{bar}.")
    if side_by_side:
        paragraph.add_run(" ")
        _add_picture(paragraph, drawn, width_mm, f"Micrograph {name} with {found}.{grey}")
        page.captions.figure(f"Left: {name}{bar}. Right: the same with {found}, with their numbers.{grey}", legend)
        return
    page.captions.figure(f"{name}{bar}.")
    _add_picture(page.figure_paragraph(), drawn, width_mm, f"Micrograph {name} with {found}.{grey}")
    page.captions.figure(
        f"The same with {found}, numbered as in the table of particles where there is room.{grey}", legend
    )


def _legend(page: Page) -> dict[str, str]:
    """Colours of the outlines, where there are several."""
    if len(page.groups) < 2:
        return {}
    return {name: css(colour)[1:].upper() for name, colour in class_colours(page.groups).items()}


def _add_picture(paragraph: "Paragraph", picture: NDArray[np.uint8], width_mm: float, alt_text: str) -> None:
    from docx.shared import Mm

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=_JPEG_QUALITY)
    inline = paragraph.add_run().add_picture(stream, width=Mm(width_mm))._inline
    inline.docPr.set("descr", alt_text)
    for side in "TBLR":
        inline.set(f"dist{side}", "0")  # LibreOffice leaves room where nothing is said, Word does not
