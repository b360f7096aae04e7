"""How often the bar of a text is found and measured right, on bars that are rendered on real micrographs.

    python tests/benchmarks/bench_scale_rendered.py --emps /path/to/emps [--numbers 4000:4120] [--read] [--save DIR]

The development micrographs of tests/measure/scale/emps_scale_bars.csv are all right since long, so that nothing more is
learnt from them as they are: here their parts without a bar are the ground of bars in the styles of microscopes and
figures, with inks that are often hard to see on it, blurred, noisy, small, as JPEG. Some nobody could read. Right is a
length within 2 px or 2 %. The text and its place are known, unless they are read, too (``--read``), which takes most of
the time. What fails is listed by its number and written to ``--save``.
"""

import argparse
import csv
import math
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nanoseg_bench.images import as_grey, read_image
from nanoseg_bench.measure.scale import GATE, find_scale
from nanoseg_bench.measure.scale.finder import find_bars
from nanoseg_bench.measure.scale.line import Line
from nanoseg_bench.measure.scale.text import read_lengths
from nanoseg_bench.measure.scale.written import label_bars, stated_lengths

TRUTH = Path(__file__).parents[1] / "measure" / "scale" / "emps_scale_bars.csv"
VALUES = (
    "1",
    "2",
    "5",
    "10",
    "20",
    "50",
    "100",
    "200",
    "250",
    "300",
    "500",
    "0.2",
    "0.25",
    "0.5",
    "1.00",
    "2.5",
    "10.0",
)
UNITS = ("nm", " nm", "um", " um")
FONTS = (None, *(f"DejaVu{name}.ttf" for name in ("Sans", "Sans-Bold", "Serif", "Serif-Bold", "SansMono")))
LENGTH_PX, LENGTH_SHARE = 2.0, 0.02


class Picture:
    """A micrograph that is drawn on; remembers where the text stands, and the lengths of the bar that are right."""

    def __init__(self, ground, rng):
        self.rng = rng
        self.text = f"{rng.choice(VALUES)}{rng.choice(UNITS)}"
        self.image = Image.fromarray(ground)
        width = self.image.width
        self.size = round(width * math.exp(rng.uniform(math.log(0.02), math.log(0.065))))
        self.length = round(width * rng.uniform(0.07, 0.33))
        self.thick = max(2, round(self.size * rng.uniform(0.1, 0.5)))
        self.set_font(self.size)
        self.ink = int(rng.choice([255, 255, 225, 200, 0, 0, 30, 60]))
        self.margin = round(self.size * rng.uniform(0.3, 1.2))
        self.right = (self.length,)
        self.box = (0, 0, 0, 0)
        self.left_side = rng.random() < 0.5

    def set_font(self, size):
        name = FONTS[int(self.rng.integers(len(FONTS)))]
        loaded = ImageFont.load_default(size) if name is None else ImageFont.truetype(name, size)
        left, top, right, bottom = ImageDraw.Draw(self.image).textbbox((0, 0), self.text, loaded)
        self.font, self.offset, self.wide, self.tall = loaded, (left, top), right - left, bottom - top

    def place(self, width, height):
        """Upper left corner of what is so large, in a lower corner; an ink that is seen there, mostly."""
        x = self.margin if self.left_side else self.image.width - self.margin - width
        y = self.image.height - self.margin - height
        ground = np.asarray(self.image)[max(y, 0) : y + height, max(x, 0) : x + width]
        if ground.size and self.rng.random() < 0.6:
            self.ink = 0 if ground.mean() > 140 else 255
        return x, y

    def rectangle(self, x0, y0, x1, y1, ink=None):
        ImageDraw.Draw(self.image).rectangle((x0, y0, x1 - 1, y1 - 1), fill=self.ink if ink is None else ink)

    def write(self, x, y, **outline):
        self.box = (x, y, x + self.wide, y + self.tall)
        place = (x - self.offset[0], y - self.offset[1])
        ImageDraw.Draw(self.image).text(place, self.text, self.ink, self.font, **outline)

    def caps(self, x, middle, thick, height):
        for end in (x, x + self.length - thick):
            self.rectangle(end, middle - height // 2, end + thick, middle + height // 2 + 1)
        self.right = (self.length - thick, self.length)


def draw_stack(picture, label=False, caps=False, outline=0):
    """A bar over or under its text."""
    gap, thick = round(picture.size * picture.rng.uniform(0.12, 0.6)), picture.thick
    width, height = max(picture.length, picture.wide), picture.tall + gap + thick
    x, y = picture.place(width, height)
    below = picture.rng.random() < 0.35
    bar_x, bar_y = x + (width - picture.length) // 2, y if below else y + picture.tall + gap
    text_x, text_y = x + (width - picture.wide) // 2, y + thick + gap if below else y
    if label:
        pad = round(picture.size * 0.35)
        picture.rectangle(x - pad, y - pad, x + width + pad, y + height + pad)
        picture.ink = 255 - picture.ink
    if outline:
        around = (bar_x - outline, bar_y - outline, bar_x + picture.length + outline, bar_y + thick + outline)
        picture.rectangle(*around, ink=255 - picture.ink)
        picture.write(text_x, text_y, stroke_width=outline, stroke_fill=255 - picture.ink)
        picture.right = tuple(picture.length + each * outline for each in (0, 1, 2))
    else:
        picture.write(text_x, text_y)
    if caps:
        thick = max(2, thick // 3)
        picture.caps(bar_x, bar_y + thick // 2, thick, round(picture.size * 0.5))
    picture.rectangle(bar_x, bar_y, bar_x + picture.length, bar_y + thick)


def draw_thin(picture):
    picture.thick = int(picture.rng.integers(1, 4))
    draw_stack(picture)


def draw_beside(picture):
    """A bar beside its text."""
    gap = round(picture.size * picture.rng.uniform(0.3, 1))
    x, y = picture.place(picture.length + gap + picture.wide, max(picture.tall, picture.thick))
    first = picture.rng.random() < 0.5
    bar_x, middle = x if first else x + picture.wide + gap, y + max(picture.tall, picture.thick) // 2
    picture.rectangle(bar_x, middle - picture.thick // 2, bar_x + picture.length, middle + -(-picture.thick // 2))
    picture.write(x + picture.length + gap if first else x, middle - picture.tall // 2)


def draw_split(picture, x=None, y=None, thick=None):
    """A bar that its text interrupts, mostly with a stroke at either end."""
    gap = round(picture.size * picture.rng.uniform(0.2, 0.6))
    picture.length = max(picture.length, picture.wide + 2 * gap + 2 * picture.size)
    picture.right = (picture.length,)
    thick = thick or max(2, round(picture.size * picture.rng.uniform(0.08, 0.25)))
    if x is None:
        x, y = picture.place(picture.length, picture.tall)
    middle, piece = y + picture.tall // 2, (picture.length - picture.wide) // 2 - gap
    picture.write(x + (picture.length - picture.wide) // 2, y)
    for start in (x, x + picture.length - piece):
        picture.rectangle(start, middle - thick // 2, start + piece, middle - thick // 2 + thick)
    if picture.rng.random() < 0.7:
        picture.caps(x, middle, thick, round(picture.size * 0.6))


def draw_info_bar(picture):
    """A split bar, a ruler or a bar over its text in a strip of the instrument."""
    width, height = picture.image.size
    strip = round(width * picture.rng.uniform(0.045, 0.08))
    paper, picture.ink = (235, 10) if picture.rng.random() < 0.25 else (0, int(picture.rng.choice([255, 230, 200])))
    whole = Image.new("L", (width, height + strip), paper)
    whole.paste(picture.image)
    picture.image = whole
    picture.size = round(strip * 0.42)
    picture.set_font(picture.size)
    thick, kind = max(1, width // 600), int(picture.rng.integers(3))
    words = "5.00 kV x50.0k 4.8 mm SE(M)"
    ImageDraw.Draw(whole).text((width // 60, height + strip // 3), words, picture.ink, picture.font)
    if kind == 0:
        picture.length = max(picture.length, picture.wide + 5 * picture.size)
        draw_split(picture, width - picture.length - width // 30, height + strip // 4, thick)
        return
    top = height + strip // 8
    if kind == 1:
        step = max(3, round(width * picture.rng.uniform(0.022, 0.045)))
        picture.length, x = 10 * step, width - 10 * step - width // 30
        for tick in range(11):
            tall = round(strip * (0.2 if tick % 5 else 0.3))
            picture.rectangle(x + tick * step, top, x + tick * step + thick, top + tall)
        picture.right = (picture.length, picture.length + thick)
    else:
        x = width - picture.length - width // 30
        picture.rectangle(x, top, x + picture.length, top + max(2, strip // 10))
    picture.write(x + (picture.length - picture.wide) // 2, height + strip - picture.tall - max(2, strip // 12))


STYLES = {
    "plain": draw_stack,
    "thin": draw_thin,
    "label": lambda picture: draw_stack(picture, label=True),
    "caps": lambda picture: draw_stack(picture, caps=True),
    "outlined": lambda picture: draw_stack(picture, outline=int(picture.rng.integers(1, 3))),
    "beside": draw_beside,
    "split": draw_split,
    "info bar": draw_info_bar,
}


def read_grounds(emps):
    """The largest part of each development micrograph that is far from all bars, panel letters and edges of labels."""
    bars = {}
    with TRUTH.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["part"] == "development":
                bars.setdefault(row["image"], []).extend([float(row["y0"])] if row["has_bar"] == "1" else [])
    grounds = []
    for name, rows in bars.items():
        grey = as_grey(read_image(emps / "images" / f"{name}.png"))
        height = len(grey)
        top, bottom = round(0.12 * height), round(min([0.85 * height, *(row - 0.16 * height for row in rows)]))
        if bottom - top >= 150:
            grounds.append(grey[top:bottom])
    return grounds


def render(number, grounds):
    """(pixels, style, what was drawn, its factor of size)."""
    rng = np.random.default_rng(number)
    ground = grounds[int(rng.integers(len(grounds)))][:: int(rng.choice([-1, 1])), :: int(rng.choice([-1, 1]))]
    width = int(rng.choice([512, 640, 800, 1024, 1280]))
    height = round(np.clip(width * ground.shape[0] / ground.shape[1], 0.55 * width, width))
    resized = cv2.resize(np.ascontiguousarray(ground), (width, height), interpolation=cv2.INTER_CUBIC)
    picture, style = Picture(resized, rng), str(rng.choice(list(STYLES)))
    STYLES[style](picture)
    factor = max(float(rng.choice([1, 1, 0.8, 0.65, 0.5])), 380 / width)
    pixels = cv2.resize(np.asarray(picture.image), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.6:
        jpeg = [cv2.IMWRITE_JPEG_QUALITY, int(rng.choice([95, 85, 75]))]
        pixels = cv2.imdecode(cv2.imencode(".jpg", pixels, jpeg)[1], cv2.IMREAD_GRAYSCALE)
    if rng.random() < 0.4:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.0))
    if rng.random() < 0.4:
        noise = rng.normal(0, rng.uniform(3, 12), pixels.shape)
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    return pixels, style, picture, factor


def answer(pixels, picture, factor, number, *, read):
    """(length, nm, confidence) of what is found."""
    if read:
        found = find_scale(pixels)
        return found.bar and found.bar[2] - found.bar[0], found.value_nm, found.confidence
    # As readers find lines: with some ground around the letters.
    left, top, right, bottom = (factor * each for each in picture.box)
    around = np.random.default_rng([number, 1]).uniform(0.1, 0.45, 4) * (bottom - top)
    height, width = pixels.shape
    corner, end = (max(left - around[0], 0), max(top - around[1], 0)), (right + around[2], bottom + around[3])
    line = Line(picture.text, 0.95, *corner, min(end[0], width), min(end[1], height))
    found = label_bars(pixels, find_bars(pixels), stated_lengths(pixels, [line]), [line])
    return (found[0].length_px, found[0].value_nm, found[0].confidence) if found else (None, None, 0.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emps", type=Path, required=True, help="a copy of the EMPS repository")
    parser.add_argument("--numbers", default="0:200", help="which pictures (default: %(default)s)")
    parser.add_argument("--read", action="store_true", help="read the texts, too")
    parser.add_argument("--save", type=Path, help="folder for the pictures that fail")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    grounds = read_grounds(arguments.emps)
    total, right, filled, filled_right = (Counter() for _ in range(4))
    for number in range(*map(int, arguments.numbers.split(":"))):
        pixels, style, picture, factor = render(number, grounds)
        px, nm, confidence = answer(pixels, picture, factor, number, read=arguments.read)
        lengths = [factor * each for each in picture.right]
        good = px is not None and any(abs(px - each) <= max(LENGTH_PX, LENGTH_SHARE * each) for each in lengths)
        good = good and nm is not None and math.isclose(nm, read_lengths(picture.text)[0].nm, rel_tol=1e-6)
        for tally, counts in ((total, True), (right, good), (filled, confidence >= GATE)):
            tally[style] += counts
        filled_right[style] += good and confidence >= GATE
        if not good:
            said = "nothing" if px is None else f"{nm or 0:g} nm over {px:.1f} px ({confidence:.2f})"
            print(f"  {number} {style}: {said}; truth {picture.text} over {lengths[0]:.1f} px")
            if arguments.save:
                arguments.save.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(arguments.save / f"{number}.png"), pixels)
    print("\nstyle        pictures  right  above the gate  right of these")
    for style in [*STYLES, "all"]:
        numbers = [
            sum(each.values()) if style == "all" else each[style] for each in (total, right, filled, filled_right)
        ]
        print("{:<12}{:>9}{:>7}{:>16}{:>16}".format(style, *numbers))


if __name__ == "__main__":
    main()
