"""A micrograph with the outlines of its particles and a scale bar, as pixels and as vectors."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.simplification import simplify
from nanoseg_bench.annotations.yolo import to_outlines
from nanoseg_bench.imageio import as_rgb
from nanoseg_bench.report.scale_bar import fitting_bar
from nanoseg_bench.report.texts import one_line

Colour = tuple[int, int, int]

LEFT_OUT_COLOUR: Colour = (170, 170, 170)

_SUBPIXEL_BITS = 4
_SHORT_SIDE_PARTS = 40  # the text of the scale bar is the picture's shorter side over this, in height


@dataclass(frozen=True, eq=False, slots=True)
class Outlined:
    """A particle as it is drawn.

    Attributes:
        number: In the table of particles.
        instance: Its region, in pixels of the micrograph.
        colour: Of its outline.
        counts: Whether it is among the particles of the sample; the others are drawn thin.
        title: What is said where the picture can: ``particle 7: sphere, 42.1 nm``.
    """

    number: int
    instance: Instance
    colour: Colour
    counts: bool = True
    title: str = ""


def draw_overlay(
    pixels: NDArray[np.uint8],
    particles: Sequence[Outlined],
    *,
    nm_per_px: float | None = None,
    bottom: int | None = None,
    width: int | None = None,
    numbers: bool = False,
) -> Image.Image:
    """Draw a micrograph with outlines, and with a scale bar in a lower corner where the scale is known.

    Args:
        pixels: (H, W) or (H, W, 3) uint8; 8 bits, as ``read_image`` returns it.
        particles: What is outlined.
        nm_per_px: Of the micrograph.
        bottom: Row of the micrograph above which the bar stands; by default its last one.
        width: Of the picture; by default the micrograph's.
        numbers: Whether particles that are large enough show their number.
    """
    height = pixels.shape[0]
    zoom = 1.0 if width is None else width / pixels.shape[1]
    canvas = np.array(enlarged(pixels, zoom))
    rings = [_rings(particle.instance, height, pixels.shape[1]) for particle in particles]
    for particle, outlines in sorted(zip(particles, rings, strict=True), key=lambda pair: pair[0].counts):
        lines = _lines(outlines, zoom)
        rim, line = (4, 2) if particle.counts else (2, 1)
        cv2.polylines(canvas, lines, True, (0, 0, 0), rim, cv2.LINE_AA, _SUBPIXEL_BITS)
        cv2.polylines(canvas, lines, True, particle.colour, line, cv2.LINE_AA, _SUBPIXEL_BITS)
    picture = Image.fromarray(canvas)
    if numbers:
        _draw_numbers(picture, particles, rings, zoom)
    if nm_per_px is not None:
        draw_scale_bar(picture, nm_per_px / zoom, None if bottom is None else round(bottom * zoom))
    return picture


def enlarged(pixels: NDArray[np.uint8], zoom: float) -> Image.Image:
    """A micrograph in RGB, resized."""
    picture = Image.fromarray(as_rgb(pixels))
    if zoom == 1:
        return picture
    size = (max(round(picture.width * zoom), 1), max(round(picture.height * zoom), 1))
    # Pillow's filter widens with the scale, so that shrinking does not alias.
    return picture.resize(size, Image.Resampling.BICUBIC)


def draw_scale_bar(picture: Image.Image, nm_per_px: float, bottom: int | None = None) -> None:
    """Draw a bar with its length on a dark ground into the lower left corner.

    Args:
        picture: RGB; it is changed.
        nm_per_px: Of the picture.
        bottom: Row of the picture above which the bar stands; by default its last one.
    """
    bar = fitting_bar(nm_per_px, picture.width)
    size = max(min(picture.size) // _SHORT_SIDE_PARTS, 11)
    pad, thickness = size // 2, max(size // 4, 3)
    pen = ImageDraw.Draw(picture, "RGBA")
    font = _font(size)
    left, upper, right, lower = pen.textbbox((0, 0), bar.text, font)
    inner = max(bar.length_px, right - left)
    box_height = lower - upper + thickness + 3 * pad
    x, y = pad, (picture.height if bottom is None else bottom) - pad - box_height
    pen.rectangle((x, y, x + inner + 2 * pad, y + box_height), (0, 0, 0, 170))
    pen.text((x + pad + (inner - (right - left)) / 2 - left, y + pad - upper), bar.text, (255, 255, 255, 255), font)
    start = x + pad + (inner - bar.length_px) / 2
    base = y + box_height - pad
    pen.rectangle((round(start), base - thickness, round(start + bar.length_px) - 1, base - 1), (255, 255, 255, 255))


def overlay_svg(
    pixels: NDArray[np.uint8],
    particles: Sequence[Outlined],
    *,
    nm_per_px: float | None = None,
    bottom: int | None = None,
    title: str = "",
) -> str:
    """The same as vectors on the micrograph, for figures: every outline can be selected, coloured and moved.

    Args:
        pixels: As for ``draw_overlay``; embedded as PNG, without loss.
        particles: What is outlined; each becomes a path with its title and ``id="particle-7"``.
        nm_per_px: Of the micrograph.
        bottom: Row above which the bar stands; by default the last one.
        title: Of the picture.
    """
    height, width = pixels.shape[:2]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    encoded = base64.b64encode(stream.getvalue()).decode("ascii")
    line = max(min(height, width) / 400, 0.75)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<title>{escape(one_line(title))}</title>",
        f'<image width="{width}" height="{height}" href="data:image/png;base64,{encoded}"/>',
        f'<g id="particles" fill="none" stroke-width="{line:g}" stroke-linejoin="round">',
    ]
    for particle in particles:
        colour = "#{:02x}{:02x}{:02x}".format(*particle.colour)
        dash = "" if particle.counts else f' stroke-dasharray="{2 * line:g}"'
        parts.append(
            f'<path id="particle-{particle.number}" stroke={quoteattr(colour)}{dash} '
            f'd="{_path(particle.instance, height, width)}"><title>{escape(one_line(particle.title))}</title></path>'
        )
    parts.append("</g>")
    if nm_per_px is not None:
        parts.append(_svg_bar(nm_per_px, width, height, height if bottom is None else bottom))
    parts.append("</svg>\n")
    return "\n".join(parts)


def _svg_bar(nm_per_px: float, width: int, height: int, bottom: int) -> str:
    bar = fitting_bar(nm_per_px, width)
    size = max(min(width, height) / _SHORT_SIDE_PARTS, 8)
    x, y = size, bottom - size
    return (
        f'<g id="scale-bar"><rect x="{x - size / 2:g}" y="{y - 2.1 * size:g}" width="{bar.length_px + size:g}" '
        f'height="{2.6 * size:g}" fill="#000" fill-opacity="0.65"/><rect x="{x:g}" y="{y - size / 4:g}" '
        f'width="{bar.length_px:g}" height="{size / 4:g}" fill="#fff"/><text x="{x + bar.length_px / 2:g}" '
        f'y="{y - size / 2:g}" font-family="sans-serif" font-size="{1.2 * size:g}" fill="#fff" text-anchor="middle">'
        f"{escape(bar.text)}</text></g>"
    )


def _path(instance: Instance, height: int, width: int) -> str:
    found = simplify(instance, height, width)
    drawn = instance if found is None else found.instance
    rings = _rings(drawn, height, width)
    return " ".join("M" + " L".join(f"{x:.6g},{y:.6g}" for x, y in ring.tolist()) + " Z" for ring in rings)


def _rings(instance: Instance, height: int, width: int) -> list[NDArray[np.float64]]:
    """Outlines and holes of all parts."""
    return [ring for part in to_outlines(instance, height, width) for ring in (part.exterior, *part.holes)]


def _lines(rings: Sequence[NDArray[np.float64]], zoom: float) -> list[NDArray[np.int32]]:
    """Outlines in the fixed-point coordinates of cv2, whose pixel centres are whole numbers."""
    return [np.round((ring * zoom - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32) for ring in rings]


def _draw_numbers(
    picture: Image.Image, particles: Sequence[Outlined], rings: Sequence[Sequence[NDArray[np.float64]]], zoom: float
) -> None:
    size = max(min(picture.size) // 50, 10)
    font = _font(size)
    pen = ImageDraw.Draw(picture)
    for particle, outlines in zip(particles, rings, strict=True):
        if not outlines or not particle.counts:
            continue
        ring = max(outlines, key=len)
        low, high = ring.min(axis=0) * zoom, ring.max(axis=0) * zoom
        if min(high - low) < 2 * size:
            continue
        x, y = (low + high) / 2
        pen.text((x, y), str(particle.number), "white", font, anchor="mm", stroke_width=2, stroke_fill="black")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own letters: the font that Pillow carries lacks the micro sign."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


