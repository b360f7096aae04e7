"""Outlines and scale bars as SVG, in pixels of the micrograph: a layer over a picture, or a file that holds it.

Lines are ``line`` pixels of the micrograph wide. A page that enlarges the picture may keep them as wide as they are:
``path { vector-effect: non-scaling-stroke }``.
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.drawing.colours import css
from nanoseg_bench.drawing.outlines import DASHES, TINT, Outline, Size
from nanoseg_bench.drawing.scale_bar import ScaleBar

LINE = 2.0

_RIM = 'stroke="#000" stroke-opacity="0.75"'
_FONT = "font-family=\"system-ui, 'Segoe UI', Roboto, Arial, sans-serif\""


def path_data(outline: Outline) -> str:
    """What an SVG ``<path>`` has in ``d``, to a hundredth of a pixel; empty for an empty mask."""
    rings = ("L".join(f"{_number(x)} {_number(y)}" for x, y in ring.tolist()) for ring in outline.rings)
    return "".join(f"M{ring}Z" for ring in rings)


def outline_paths(outlines: Sequence[Outline], line: float = LINE) -> Markup:
    """``<path>`` elements for an ``<svg>`` whose view box is the micrograph: all rims, then the lines over them.

    So no line is covered by a neighbour's rim. Hatching is grey, without stripes: patterns need ids, which a page has
    to keep apart.
    """
    drawn = [(path, each) for each in outlines if (path := path_data(each))]
    rims = [f'<path d="{path}" {_filling(each)} {_RIM} {_stroke(each, 2 * line)}/>' for path, each in drawn]
    lines = [
        f'<path{_id(each)} d="{path}" fill="none" pointer-events="all" stroke="{css(each.colour)}" '
        f"{_stroke(each, line)}{_dashes(each, line)}>{_title(each)}</path>"
        for path, each in drawn
    ]
    return Markup("\n".join([*rims, *lines]))  # noqa: S704  (numbers and our own words; titles are escaped)


def scale_bar_layer(bar: ScaleBar, size: Size) -> Markup:
    """A white bar with a dark rim and its length above it, for an ``<svg>`` whose view box is the micrograph.

    Args:
        bar: From ``place_scale_bar``.
        size: (width, height) of the micrograph.
    """
    letters = size[0] / 32
    thickness, rim = letters / 4, letters / 8
    top = bar.y - thickness / 2
    place = f'x="{_number(bar.left)}" y="{_number(top)}" width="{_number(bar.right - bar.left)}"'
    at = f'x="{_number((bar.left + bar.right) / 2)}" y="{_number(top - letters / 3)}"'
    drawn = (
        f'<rect {place} height="{_number(thickness)}"/>'
        f'<text {at} font-size="{_number(letters)}" text-anchor="middle" {_FONT}>{escape(bar.text)}</text>'
    )
    rim_style = f'stroke="#000" stroke-width="{_number(rim)}" stroke-linejoin="round"'
    # Twice, since not all programs know ``paint-order``.
    return Markup(f'<g class="scale-bar"><g {rim_style}>{drawn}</g><g fill="#fff">{drawn}</g></g>')  # noqa: S704  (as above)


def svg_picture(
    pixels: NDArray[np.uint8],
    outlines: Sequence[Outline],
    size: Size | None = None,
    bar: ScaleBar | None = None,
) -> str:
    """An SVG file: the micrograph as PNG, its outlines and its scale bar over it.

    Args:
        pixels: (h, w) or (h, w, 3) uint8, at any resolution.
        outlines: In pixels of the micrograph.
        size: (width, height) of the micrograph; by default, that of ``pixels``.
        bar: In pixels of the micrograph; None draws none.
    """
    width, height = size or (pixels.shape[1], pixels.shape[0])
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    image = base64.b64encode(stream.getvalue()).decode("ascii")
    layers = [f'<g class="outlines">{outline_paths(outlines)}</g>']
    if bar is not None:
        layers.append(scale_bar_layer(bar, (width, height)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f'<image width="{width}" height="{height}" preserveAspectRatio="none" href="data:image/png;base64,{image}"/>\n'
        + "\n".join(layers)
        + "\n</svg>\n"
    )


def _stroke(outline: Outline, width: float) -> str:
    return f'stroke-width="{_number(width / 2 if outline.thin else width)}" stroke-linejoin="round"'


def _dashes(outline: Outline, width: float) -> str:
    lengths = " ".join(_number(length * (width / 2 if outline.thin else width)) for length in DASHES)
    return f' stroke-dasharray="{lengths}"' if outline.dashed else ""


def _id(outline: Outline) -> str:
    return "" if outline.number is None else f' id="particle-{outline.number}"'


def _title(outline: Outline) -> str:
    return f"<title>{escape(outline.title)}</title>" if outline.title else ""


def _filling(outline: Outline) -> str:
    if outline.fill == "none":
        return 'fill="none"'
    return f'fill="{css(outline.colour)}" fill-opacity="{TINT}"'


def _number(value: float) -> str:
    """To a hundredth, without zeros at the end."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
