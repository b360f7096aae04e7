"""The micrograph as it is, and with what was found in it."""

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nanoseg_bench.imageio import read_image
from nanoseg_bench.measure.columns import column_of
from nanoseg_bench.measure.particles import BELOW_CONFIDENCE, NO_AREA, ON_MARK
from nanoseg_bench.preparation.overlays import class_colours
from nanoseg_bench.report.grouping import group_of
from nanoseg_bench.report.overlay import LEFT_OUT_COLOUR, Outlined, draw_overlay, draw_scale_bar, enlarged
from nanoseg_bench.report.report_input import ReportedImage, ReportInput
from nanoseg_bench.report.texts import one_line
from nanoseg_bench.report.word.page import Page
from nanoseg_bench.report.word.styles import TEXT_WIDTH_MM
from nanoseg_bench.wording import counted

if TYPE_CHECKING:
    from docx.text.paragraph import Paragraph
    from PIL import Image

_MOST_IMAGES = 4
_DOTS_PER_MM = 8  # 200 per inch
_PAIR_MM = 84.0  # two of them and a space are as wide as the text
_HIGHEST_MM = 112.0  # two pictures and their captions fill a page
_JPEG_QUALITY = 88
# No particle, or one that nobody asked for.
_NOT_DRAWN = (NO_AREA, ON_MARK, BELOW_CONFIDENCE)


def write_pictures(page: Page) -> None:
    """Original and overlay of the first micrographs."""
    images = page.report.images[:_MOST_IMAGES]
    page.heading("Micrographs" if len(images) > 1 else "Micrograph")
    if len(images) < len(page.report.images):
        page.text(
            f"The first {len(images)} of {len(page.report.images)} micrographs are shown; the overlays of all lie beside "
            "this report.",
            keep_with_next=True,
        )
    for image in images:
        _write_images(page, image, read_image(image.path), side_by_side=len(images) > 1)


def outlined(report: ReportInput, image: ReportedImage, groups: list[str]) -> list[Outlined]:
    """What is drawn of a micrograph: a colour per group for what counts, grey for what does not."""
    table = report.particles[report.particles["image"] == image.name]
    colours = class_colours(groups)
    diameter = column_of("diameter", report.statistics.unit)
    drawn = []
    rows = zip(table["particle"], group_of(table, report.statistics.groups_from), table["exclusion"], table[diameter.name], strict=True)
    for number, group, exclusion, size in rows:
        counts = not isinstance(exclusion, str)
        if not counts and any(reason in exclusion for reason in _NOT_DRAWN):
            continue
        reason = "" if counts else f" (left out: {exclusion})"
        drawn.append(
            Outlined(
                number=int(number),
                instance=image.instances[int(number) - 1],
                colour=colours[group] if counts else LEFT_OUT_COLOUR,
                counts=counts,
                title=f"particle {number}: {group}, {size:.{diameter.digits}f} {diameter.unit}{reason}",
            )
        )
    return drawn


def _write_images(page: Page, image: ReportedImage, pixels: NDArray[np.uint8], *, side_by_side: bool) -> None:
    drawn = outlined(page.report, image, page.groups)
    counts = sum(each.counts for each in drawn)
    others = len(drawn) - counts
    width_mm = _PAIR_MM if side_by_side else min(TEXT_WIDTH_MM, _HIGHEST_MM * image.width / image.height)
    width_px = round(_DOTS_PER_MM * width_mm)
    original = enlarged(pixels, width_px / image.width)
    if image.nm_per_px is not None:
        zoom = original.width / image.width
        draw_scale_bar(original, image.nm_per_px / zoom, None if image.bottom is None else round(image.bottom * zoom))
    overlay = draw_overlay(
        pixels, drawn, nm_per_px=image.nm_per_px, bottom=image.bottom, width=width_px, numbers=True
    )
    name = one_line(image.path.name)
    bar = " with a scale bar drawn by this software" if image.nm_per_px is not None else ""
    grey = f" Thin grey: {others} more that {'does' if others == 1 else 'do'} not count." if others else ""
    found = f"the outlines of the {counted(counts, 'particle')} that count"
    legend = _legend(page)
    paragraph = page.figure_paragraph()
    _add_picture(paragraph, original, width_mm, f"Micrograph {name}{bar}.")
    if side_by_side:
        paragraph.add_run(" ")
        _add_picture(paragraph, overlay, width_mm, f"Micrograph {name} with {found}.{grey}")
        page.captions.figure(f"Left: {name}{bar}. Right: the same with {found}, with their numbers.{grey}", legend)
        return
    page.captions.figure(f"{name}{bar}.")
    _add_picture(page.figure_paragraph(), overlay, width_mm, f"Micrograph {name} with {found}.{grey}")
    page.captions.figure(
        f"The same with {found}, numbered as in the table of particles where there is room.{grey}", legend
    )


def _legend(page: Page) -> dict[str, str]:
    """Colours of the outlines, where there are several."""
    if len(page.groups) < 2:
        return {}
    return {name: "{:02X}{:02X}{:02X}".format(*colour) for name, colour in class_colours(page.groups).items()}


def _add_picture(paragraph: "Paragraph", picture: "Image.Image", width_mm: float, alt_text: str) -> None:
    from docx.shared import Mm

    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_JPEG_QUALITY)
    shape = paragraph.add_run().add_picture(stream, width=Mm(width_mm))
    inline = shape._inline
    inline.docPr.set("descr", alt_text)
    for side in "TBLR":
        inline.set(f"dist{side}", "0")  # LibreOffice leaves room where nothing is said, Word does not
