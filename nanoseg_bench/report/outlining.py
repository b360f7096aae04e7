"""The outlines of a report: those that count in the colour of their class, those that do not thin and grey.

What a person changed or drew is dashed.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nanoseg_bench.annotations.instance import BY_HAND
from nanoseg_bench.drawing.colours import IGNORE_COLOUR, class_colours
from nanoseg_bench.drawing.outlines import Outline, outline_of
from nanoseg_bench.drawing.picture import draw_numbers, draw_outlines, draw_scale_bar, resized
from nanoseg_bench.drawing.scale_bar import ScaleBar, place_scale_bar
from nanoseg_bench.measure.columns import column_of
from nanoseg_bench.measure.particles import BELOW_CONFIDENCE, NO_AREA, ON_MARK, REMOVED, reasons_of
from nanoseg_bench.report.grouping import group_of
from nanoseg_bench.report.report_input import ReportedImage
from nanoseg_bench.report.texts import one_line

# No particle, or one that nobody asked for.
_NOT_DRAWN = (NO_AREA, REMOVED, ON_MARK, BELOW_CONFIDENCE)


def outlines_of(
    particles: pd.DataFrame, image: ReportedImage, groups: Sequence[str], groups_from: Literal["class", "shape"]
) -> list[Outline]:
    """What is drawn of a micrograph.

    Args:
        particles: Of this micrograph, and maybe of others.
        image: The micrograph, with its outlines.
        groups: All classes or shapes in the order of their colours.
        groups_from: The column that names them.
    """
    table = particles[particles["image"] == image.name]
    colours = class_colours(groups)
    diameter = column_of("diameter", "px" if image.nm_per_px is None else "nm")
    group = group_of(table, groups_from)
    drawn = []
    for number, name, exclusion, size, origin in zip(
        table["particle"], group, table["exclusion"], table[diameter.name], table["origin"], strict=True
    ):
        reasons = reasons_of(exclusion)
        if any(reason in _NOT_DRAWN for reason in reasons):
            continue
        counts = not reasons
        why = f", left out: {exclusion}" if reasons else ""
        by_hand = f", {origin} by hand" if origin in BY_HAND else ""
        drawn.append(
            outline_of(
                image.instances[number - 1].region,
                (image.width, image.height),
                colours[name] if counts else IGNORE_COLOUR,
                thin=not counts,
                number=int(number) if counts else None,
                title=one_line(f"particle {number}: {name}, {size:.{diameter.digits}f} {diameter.unit}{by_hand}{why}"),
                dashed=bool(by_hand),
            )
        )
    return drawn


def bar_of(image: ReportedImage) -> ScaleBar | None:
    """The scale bar that pictures of a micrograph get, inside the field; None without a scale."""
    if image.nm_per_px is None:
        return None
    return place_scale_bar((image.width, image.bottom or image.height), image.nm_per_px)


def overlay(
    pixels: NDArray[np.uint8], image: ReportedImage, outlines: Sequence[Outline], width: int | None = None
) -> NDArray[np.uint8]:
    """(h, w, 3) micrograph with outlines, their numbers and a scale bar.

    Args:
        pixels: (H, W) or (H, W, 3) uint8, of the micrograph.
        image: The micrograph.
        outlines: Empty for the micrograph alone, with its scale bar.
        width: Of the picture; by default the micrograph's.
    """
    size = (image.width, image.height)
    drawn = pixels if width is None else resized(pixels, (width, max(round(width * image.height / image.width), 1)))
    if outlines:
        drawn = draw_numbers(draw_outlines(drawn, outlines, size), outlines, size)
    bar = bar_of(image)
    return drawn if bar is None else draw_scale_bar(drawn, bar, size)
