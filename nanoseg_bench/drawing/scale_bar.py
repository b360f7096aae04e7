"""Where a scale bar stands on a micrograph, how long it is, and what it says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import bounding_box
from nanoseg_bench.drawing.outlines import Size

_LONGEST = 1 / 3  # of the micrograph's width
_LEFT, _FOOT = 0.05, 0.94  # of its width and height
_ABOVE = 0.04  # of its height, between the bar and what it stands above


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A horizontal bar.

    Attributes:
        left: x of its left end, px of the micrograph.
        right: x of its right end.
        y: Of its middle.
        text: Its length with the unit.
    """

    left: float
    right: float
    y: float
    text: str


def place_scale_bar(size: Size, nm_per_px: float, avoid: Sequence[Rle] = ()) -> ScaleBar:
    """A bar of a round length, at most a third of the micrograph, in its lower left corner.

    Args:
        size: (width, height) of the micrograph, px.
        nm_per_px: Its scale.
        avoid: Regions such as the instrument's information bar; the bar stands above those at the foot.
    """
    width, height = size
    longest = width * nm_per_px * _LONGEST
    decade = 10.0 ** math.floor(math.log10(longest))
    # 0.5, since the logarithm of what is hardly less than a power of ten may be rounded up to a whole number.
    length = max(step * decade for step in (0.5, 1, 2, 5) if step * decade <= longest)
    left, y = width * _LEFT, height * _FOOT
    for x, top, _, box_height in map(bounding_box, avoid):
        if x < width / 2 and top > height / 2 and top + box_height > height * 0.85:
            y = min(y, top - height * _ABOVE)
    return ScaleBar(left, left + length / nm_per_px, y, _with_unit(length))


def _with_unit(nanometres: float) -> str:
    if nanometres < 1000:
        return f"{nanometres:g} nm"
    return f"{nanometres / 1000:g} µm" if nanometres < 1e6 else f"{nanometres / 1e6:g} mm"
