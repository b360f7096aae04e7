"""A picture of all corruptions in all severities, to look at."""

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.drawing.outlines import outline_of
from nanoseg_bench.drawing.picture import draw_outlines, resized
from nanoseg_bench.evaluation.corruptions.applying import corrupt, corrupt_truth, field_rows
from nanoseg_bench.evaluation.corruptions.table import CORRUPTIONS, SEVERITIES

_TITLE_PX = 32
_LETTER_PX = 5.3
_OUTLINE = (255, 200, 0)


def contact_sheet(
    pixels: NDArray[np.uint8],
    truth: Sequence[Instance],
    seed: int,
    image_name: str,
    *,
    modality: str | None = None,
    cell_px: int = 240,
) -> NDArray[np.uint8]:
    """One row per corruption, one column per severity, the micrograph itself first; the truth as thin outlines.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
        truth: Its instances.
        seed: As for ``corrupt``.
        image_name: Name of the image.
        modality: How it was taken, where known.
        cell_px: Width of one picture.

    Returns:
        (H', W', 3) uint8.
    """
    height, width = pixels.shape[:2]
    field = field_rows(truth, (width, height))
    cell = (cell_px, max(round(height * cell_px / width), 1))
    rows = []
    for corruption in CORRUPTIONS:
        cells = [_cell(pixels, truth, cell, corruption.title)]
        for severity in SEVERITIES:
            changed = corrupt(pixels, corruption.name, severity, seed, image_name, field=field, modality=modality)
            moved = corrupt_truth(truth, (width, height), corruption.name, severity, seed, image_name, field=field)
            values = ", ".join(f"{name} {value:g}" for name, value in corruption.at(severity).items())
            cells.append(_cell(changed, moved if corruption.moves_truth else (), cell, values))
        rows.append(np.concatenate(cells, axis=1))
    return np.concatenate(rows, axis=0)


def _cell(pixels: NDArray[np.uint8], truth: Sequence[Instance], size: tuple[int, int], title: str) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    outlines = [outline_of(each.region, (width, height), _OUTLINE) for each in truth]
    picture = Image.fromarray(draw_outlines(resized(pixels, size), outlines, (width, height), line=1))
    framed = Image.new("RGB", (size[0] + 2, size[1] + _TITLE_PX), "white")
    framed.paste(picture, (0, _TITLE_PX))
    lines = "\n".join(textwrap.wrap(title, int(size[0] / _LETTER_PX)))
    ImageDraw.Draw(framed).multiline_text((2, 2), lines, "black", ImageFont.load_default(11), spacing=2)
    return np.asarray(framed)
