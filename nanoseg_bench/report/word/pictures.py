"""The micrograph as it is, and with what was found in it."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.drawing.colours import class_colours, css
from nanoseg_bench.drawing.outlines import Outline
from nanoseg_bench.images import read_image
from nanoseg_bench.report.outlining import outlines_of, overlay
from nanoseg_bench.report.report_input import SHOWN_MICROGRAPHS, ReportedImage
from nanoseg_bench.report.texts import one_line
from nanoseg_bench.report.word.page import Page
from nanoseg_bench.report.word.styles import TEXT_WIDTH_MM
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from docx.text.paragraph import Paragraph

_DOTS_PER_MM = 8  # 200 per inch
_PAIR_MM = 84.0  # two of them and a space are as wide as the text
_HIGHEST_PAIR_MM = 200.0  # so that both stand on a page with their caption
_HIGHEST_MM = 104.0  # the outlines, their caption and the key figures fill a page
_ORIGINAL_MM = (45.0, 95.0)  # least and largest height of the micrograph as it is, which stands below the cover
_AROUND_MM = 30.0  # of heading and caption, and because the room is an estimate
_JPEG_QUALITY = 88


def write_pictures(page: Page, room_mm: float = 0.0) -> bool:
    """Original and overlay of the first micrographs.

    Args:
        page: Where they go.
        room_mm: What is left of the page: a single micrograph becomes small enough for it, where that can be seen well.

    Returns:
        Whether the outlines of a single micrograph begin a page, which they fill together with the key figures.
    """
    images = page.report.images[:SHOWN_MICROGRAPHS]
    # Said outright, since LibreOffice leaves a heading behind whose picture goes to the next page.
    no_room = len(images) == 1 and room_mm - _AROUND_MM < _ORIGINAL_MM[0]
    page.heading("Micrographs" if len(images) > 1 else "Micrograph", on_new_page=no_room)
    if len(images) < len(page.report.images):
        page.text(
            f"The first {len(images)} of {len(page.report.images)} micrographs are shown.",
            keep_with_next=True,
        )
    for image in images:
        _write_image(page, image, read_image(image.path), room_mm if len(images) == 1 else None)
    return len(images) == 1 and not no_room


def _write_image(page: Page, image: ReportedImage, pixels: NDArray[np.uint8], room_mm: float | None) -> None:
    """One above the other, where a room is given; else side by side."""
    outlines = outlines_of(page.report.particles, image, page.groups, page.report.statistics.groups_from)
    counts = sum(not each.thin for each in outlines)
    others = len(outlines) - counts
    name = one_line(image.shown_name)
    bar = " with a scale bar drawn by this software" if image.nm_per_px is not None else ""
    grey = f" Thin grey: {others} more that {'does' if others == 1 else 'do'} not count." if others else ""
    dashed = sum(each.dashed for each in outlines)
    grey += f" Dashed: {dashed} that a person changed or drew." if dashed else ""
    found = f"the outlines of the {counted(counts, 'particle')} that count"
    legend = _legend(page, image)
    original, drawn = f"Micrograph {name}{bar}.", f"Micrograph {name} with {found}.{grey}"
    paragraph = page.figure_paragraph()
    if room_mm is None:
        width_mm = min(_PAIR_MM, _width_of(image, _HIGHEST_PAIR_MM))
        _add_picture(paragraph, image, pixels, [], width_mm, original)
        paragraph.add_run(" ")
        _add_picture(paragraph, image, pixels, outlines, width_mm, drawn)
        page.captions.figure(f"Left: {name}{bar}. Right: the same with {found}, with their numbers.{grey}", legend)
        return
    least, largest = _ORIGINAL_MM
    room_mm -= _AROUND_MM
    width_mm = _width_of(image, min(room_mm, largest) if room_mm >= least else largest)
    _add_picture(paragraph, image, pixels, [], width_mm, original)
    page.captions.figure(f"{name}{bar}.")
    _add_picture(page.figure_paragraph(), image, pixels, outlines, _width_of(image, _HIGHEST_MM), drawn)
    page.captions.figure(
        f"The same with {found}, numbered as in the table of particles where there is room.{grey}", legend
    )


def _width_of(image: ReportedImage, highest_mm: float) -> float:
    """As wide as the text, or less where it would be too high, mm."""
    return min(TEXT_WIDTH_MM, highest_mm * image.width / image.height)


def _legend(page: Page, image: ReportedImage) -> dict[str, str]:
    """Colours of the outlines of this micrograph that count, where the sample has several."""
    if page.group_of(page.counted).nunique() < 2:
        return {}
    here = page.counted[page.counted["image"] == image.name]
    shown = set(page.group_of(here))
    colours = class_colours(page.groups)
    return {name: css(colours[name])[1:].upper() for name in page.groups if name in shown}


def _add_picture(
    paragraph: "Paragraph",
    image: ReportedImage,
    pixels: NDArray[np.uint8],
    outlines: Sequence[Outline],
    width_mm: float,
    alt_text: str,
) -> None:
    """The micrograph with outlines; without any, as it is."""
    from docx.shared import Mm

    picture = overlay(pixels, image, outlines, max(round(_DOTS_PER_MM * width_mm), 1))
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=_JPEG_QUALITY)
    inline = paragraph.add_run().add_picture(stream, width=Mm(width_mm))._inline
    inline.docPr.set("descr", alt_text)
    for side in "TBLR":
        inline.set(f"dist{side}", "0")  # LibreOffice leaves room where nothing is said, Word does not
