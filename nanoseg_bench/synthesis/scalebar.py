"""What microscopes and authors burn into a micrograph: scale bar, panel letter, info bar.

Text uses the scalable font that Pillow carries, so no font file can be missing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

BAR_STYLES = ("white", "black", "white-box", "black-box", "white-bracket", "black-bracket")
INFO_STYLES = ("jeol", "hitachi", "zeiss", "fei", "amt")
_STEPS = (1, 2, 5)
_MICROMETRE_NM = 1000
_PANEL_LETTERS = "aabbbccdefgABCD"

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are outside."""


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A round length that fits the field.

    Attributes:
        length_nm: What the bar says.
        length_px: How long it is, unrounded.
    """

    length_nm: float
    length_px: float

    def text(self, space: bool) -> str:
        """The label: "200 nm", "2 um"; ``space`` puts one before the unit."""
        # The font that Pillow carries has no micro sign; microscopes without one write "um" too.
        in_micrometres = self.length_nm >= _MICROMETRE_NM
        value = self.length_nm / _MICROMETRE_NM if in_micrometres else self.length_nm
        return f"{value:g}{' ' if space else ''}{'um' if in_micrometres else 'nm'}"


@dataclass(frozen=True, slots=True)
class Overlay:
    """Where things were burnt in.

    Attributes:
        bar: The bar itself.
        opaque: Boxes that hide the field.
    """

    bar: Box
    opaque: tuple[Box, ...] = ()


def choose_bar(nm_per_px: float, width: int, share: float) -> ScaleBar:
    """The 1-2-5 length nearest (on a log scale) to ``share`` of a field ``width`` pixels wide."""
    wanted = nm_per_px * width * share
    decade = int(np.floor(np.log10(wanted)))
    lengths = [step * 10.0**power for power in range(decade - 1, decade + 2) for step in _STEPS]
    length = min(lengths, key=lambda candidate: abs(np.log(candidate / wanted)))
    return ScaleBar(length, length / nm_per_px)


def draw_bar(
    pixels: NDArray[np.uint8], bar: ScaleBar, style: str, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Overlay]:
    """Burn a bar with its text into a lower corner of (H, W) pixels.

    Args:
        pixels: The field; it is not changed.
        bar: Length.
        style: One of ``BAR_STYLES``.
        rng: Chooses corner, thickness and text size.

    Returns:
        The new pixels and where the bar lies.
    """
    height, width = pixels.shape
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    length = max(round(bar.length_px), 1)
    size = int(max(13, min(width, height) * rng.uniform(0.04, 0.075)))
    bold = int(rng.random() < 0.5)
    text, font = bar.text(space=bool(rng.random() < 0.7)), _font(size)
    left, upper, right, lower = (int(edge) for edge in draw.textbbox((0, 0), text, font, stroke_width=bold))
    text_width, text_height = right - left, lower - upper
    thickness = max(3, int(size * rng.uniform(0.16, 0.32)))
    block_width, block_height = max(length, text_width), text_height + thickness + size // 4
    margin = int(size * rng.uniform(0.45, 0.8))
    x = margin if rng.random() < 0.4 else width - margin - block_width
    y = height - margin - block_height
    opaque: tuple[Box, ...] = ()
    ink = 255 if style.startswith("white") else 0
    if style.endswith("box"):
        pad = size // 3
        box = (max(x - pad, 0), y - pad, min(x + block_width + pad, width), min(y + block_height + pad, height))
        draw.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=ink)
        opaque, ink = (box,), 255 - ink
    bar_x = x + (block_width - length) // 2
    text_x = x + (block_width - text_width) // 2 - left
    below = rng.random() < 0.3
    bar_y = y if below else y + text_height + size // 4
    draw.text((text_x, (y + thickness + size // 4 if below else y) - upper), text, ink, font, stroke_width=bold)
    if style.endswith("bracket"):
        line = max(2, thickness // 2)
        middle = bar_y + (thickness - line) // 2
        draw.rectangle((bar_x, middle, bar_x + length - 1, middle + line - 1), fill=ink)
        for end in (bar_x, bar_x + length - line):
            draw.rectangle((end, bar_y - thickness // 2, end + line - 1, bar_y + thickness + thickness // 2), fill=ink)
        return np.asarray(image), Overlay((bar_x, middle, bar_x + length, middle + line), opaque)
    draw.rectangle((bar_x, bar_y, bar_x + length - 1, bar_y + thickness - 1), fill=ink)
    return np.asarray(image), Overlay((bar_x, bar_y, bar_x + length, bar_y + thickness), opaque)


def draw_panel_letter(pixels: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
    """Burn "(a)" or the like into the upper left corner; returns the new pixels and the opaque box, if any."""
    height, width = pixels.shape
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    size = int(min(width, height) * rng.uniform(0.06, 0.12))
    letter = str(rng.choice(list(_PANEL_LETTERS)))
    text = f"({letter})" if rng.random() < 0.45 else letter
    bold = int(rng.integers(0, 3)) if size > 30 else int(rng.integers(0, 2))
    font = _font(size)
    left, upper, right, lower = (int(edge) for edge in draw.textbbox((0, 0), text, font, stroke_width=bold))
    margin = int(size * rng.uniform(0.1, 0.3))
    corner = pixels[: size + margin, : right - left + margin]
    ink = 0 if corner.mean() > 110 else 255
    opaque: tuple[Box, ...] = ()
    if rng.random() < 0.2:
        box = (0, 0, right - left + 2 * margin, lower - upper + 2 * margin)
        draw.rectangle((0, 0, box[2] - 1, box[3] - 1), fill=255)
        opaque, ink = (box,), 0
    draw.text((margin - left, margin - upper), text, ink, font, stroke_width=bold)
    return np.asarray(image), opaque


def info_bar(
    width: int, bar: ScaleBar, style: str, detector: str, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Box]:
    """The strip below the field with kV, magnification, working distance and the scale bar.

    Args:
        width: Columns of the field.
        bar: Length.
        style: One of ``INFO_STYLES``.
        detector: What the strip names as signal: "SE", "BSE".
        rng: Chooses the figures.

    Returns:
        (h, width) pixels, and the bar's box in them.
    """
    height = max(24, int(width * {"zeiss": 0.085, "amt": 0.1}.get(style, 0.05)))
    light = style == "amt" or (style == "zeiss" and rng.random() < 0.5)
    paper, ink = (255, 0) if light else (0, 255)
    image = Image.new("L", (width, height), paper)
    draw = ImageDraw.Draw(image)
    length = max(round(bar.length_px), 1)
    two_rows = style in {"zeiss", "amt"}
    size = int(height * (0.32 if two_rows else 0.55))
    font = _font(size)
    rows = _info_rows(style, detector, bar, rng)
    text_width = draw.textlength(bar.text(space=style in {"zeiss", "fei"}), font)
    block = int(max(length, text_width))
    bar_left = width // 40 if two_rows else width - width // 40 - block
    x0, y0, thickness = bar_left + (block - length) // 2, height // 8, max(2, height // 14)
    draw.rectangle((x0, y0, x0 + length - 1, y0 + thickness - 1), fill=ink)
    if style in {"zeiss", "fei"}:
        for end in (x0, x0 + length - 2):
            draw.rectangle((end, y0 - thickness, end + 1, y0 + 2 * thickness), fill=ink)
    label_x = bar_left + (block - int(text_width)) // 2
    draw.text((label_x, y0 + thickness), bar.text(space=style in {"zeiss", "fei"}), ink, font)
    start, room = (bar_left + block + width // 25, width) if two_rows else (width // 60, bar_left - width // 60)
    for row, text in enumerate(rows):
        y = height * (0.08 + 0.45 * row) if two_rows else (height - size) / 2 - size * 0.1
        _draw_fields(draw, text, (start, y), room, ink, font)
    return np.asarray(image), (x0, y0, x0 + length, y0 + thickness)


def _info_rows(style: str, detector: str, bar: ScaleBar, rng: np.random.Generator) -> list[list[str]]:
    kilovolt = float(rng.choice([1, 2, 3, 5, 10, 15, 20, 30]))
    distance = round(float(rng.uniform(2.5, 12)), 1)
    magnification = round(12_000_000 / max(bar.length_nm, 1) * float(rng.uniform(0.8, 1.2)), -2)
    if style == "jeol":
        return [[detector, "SEM", "LEI", f"{kilovolt:.1f}kV", f"X{magnification:,.0f}", f"WD {distance}mm"]]
    if style == "hitachi":
        instrument = f"SU{rng.choice([3500, 4800, 8010])}"
        return [[f"{instrument} {kilovolt:.1f}kV {distance}mm x{magnification / 1000:.1f}k {detector}(M)"]]
    if style == "zeiss":
        return [
            [f"Mag = {magnification / 1000:.2f} K X", f"EHT = {kilovolt:.2f} kV"],
            [f"WD = {distance} mm", f"Signal A = {'InLens' if detector == 'SE' else detector}"],
        ]
    if style == "fei":
        return [[f"HV {kilovolt:.2f} kV", f"mag {magnification:,.0f} x", f"WD {distance} mm", f"det {detector}"]]
    return [
        [f"img_{rng.integers(1, 999):03d}", f"HV = {rng.choice([80, 100, 120, 200])}.0kV"],
        [f"Direct Mag: {magnification:.0f}x", "AMT Camera System"],
    ]


def _draw_fields(
    draw: ImageDraw.ImageDraw,
    fields: list[str],
    start: tuple[float, float],
    end: int,
    ink: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Spread the fields over the row; those that do not fit before ``end`` are left out."""
    x, y = start
    widths = [draw.textlength(text, font) for text in fields]
    gap = max((end - x - sum(widths)) / (len(fields) + 1), 6)
    for text, width in zip(fields, widths, strict=True):
        if x + width > end:
            return
        draw.text((x, y), text, ink, font)
        x += width + gap


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
