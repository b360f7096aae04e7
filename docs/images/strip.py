"""Draws README's picture strip: micrograph, particles found, their sizes, the table; all from one real run.

    python docs/images/strip.py                     # in a folder of its own, which goes; some minutes
    python docs/images/strip.py --work desk         # keeps the folder, and goes on in it

It renders micrographs of known truth, calls README's commands on them, and reads what they write. What is shown of one
specimen is of the test part: the model was not trained on it.
"""

import argparse
import io
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import to_rle
from nanoseg_bench.drawing.colours import class_colours
from nanoseg_bench.files import read_json
from nanoseg_bench.metrics.size_distribution import equivalent_diameters
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet
from nanoseg_bench.synthesis.nanosynth import write_nanosynth

OWN, SET = "Gold März", "gold"
"""Names as in README's commands."""

OUT = Path(__file__).with_suffix(".png")
IMAGES, SEED = 30, 7
MODELS = ("nsyolo", "otsu")
TABLE_WIDTH = 80  # characters: a terminal's

_WIDTH, _MARGIN, _PANEL, _BETWEEN, _TITLE, _BELOW = 1600, 24, 440, 92, 52, 66  # px
_CHARACTER, _LINE = 19.2, 40.0  # px, of the table: at half its size, as README shows it, still that of its text
_LETTER = 0.602  # of its height is the width of a letter of DejaVu Sans Mono
_TEXT, _SMALL = 27.0, 23.0  # px
_COLOURS = 96  # of the PNG: enough for grey micrographs, and a third of the size
_INK, _SOFT = "#1b2733", "#5a6b7b"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the strip shows.

    Attributes:
        micrograph: The file that the particles were found in.
        overlay: The same with their outlines.
        labels: Classes that were found in it, each with its colour.
        truth: Diameters of all particles of the specimen, nm.
        found: Diameters of those that were found, nm.
        images: Number of micrographs of the specimen.
        table: As the terminal shows it.
    """

    micrograph: Path
    overlay: Path
    labels: dict[str, tuple[int, int, int]]
    truth: NDArray[np.float64]
    found: NDArray[np.float64]
    images: int
    table: str


def render(folder: Path, images: int = IMAGES) -> None:
    """Write easy micrographs of three shapes, each with its LabelMe JSON, into one folder, as a lab has them."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        write_nanosynth(Path(scratch), images=images, seed=SEED, ood_images=0, hrtem_images=0, easy=True)
        for path in sorted(Path(scratch).rglob("specimen-*.*")):
            (folder / path.name).write_bytes(path.read_bytes())


def benchmark(work: Path, models: Sequence[str], preset: str) -> str:
    """Call README's commands in a folder that holds the micrographs; the table as the last one prints it."""
    if not (work / "data" / SET).is_dir():
        _call(work, "prepare", OWN, "--name", SET)
    printed = _call(work, "run", SET, "--models", *models, "--preset", preset)
    proposed = next(line for line in printed.splitlines() if "nanoseg-bench predict MY_IMAGES" in line)
    _, _, *options = shlex.split(proposed[proposed.index("predict") :], comments=True)
    _call(work, "predict", OWN, *options, "--out", "found", "--overwrite", "always")
    return _call(work, "leaderboard", SET)


def collect(work: Path, table: str) -> Shown:
    """Read what the commands wrote, of the test specimen that shows most particles."""
    prepared = PreparedSet(work / "data" / SET)
    predictions = {Path(each["source"]).stem: each for each in read_json(work / "found" / "predictions.json")["images"]}
    truth = prepared.truth("test")
    specimens: dict[str, list[PreparedImage]] = {}
    for image in prepared.images("test"):
        specimens.setdefault(image.source_group, []).append(image)
    specimen = max(specimens.values(), key=lambda images: sum(len(truth[image.name]) for image in images))
    true_nm, found_nm = [], []
    for image in specimen:
        if image.nm_per_px is None:
            raise SystemExit(f"{image.name}: has no scale")
        drawn = [to_rle(each, image.letterbox.height, image.letterbox.width) for each in truth[image.name]]
        true_nm.append(image.nm_per_px * equivalent_diameters(drawn))
        found_nm.append(image.nm_per_px * equivalent_diameters(_masks(predictions[image.name])))
    shown = predictions[max(specimen, key=lambda image: len(truth[image.name])).name]
    colours = class_colours(read_json(work / "found" / "predictions.json")["classes"])
    labels = dict.fromkeys(each["label"] for each in shown["instances"] if not each.get("on_mark"))
    return Shown(
        Path(shown["source"]),
        work / "found" / "overlay" / f"{shown['name']}.png",
        {label: colours[label] for label in labels},
        np.concatenate(true_nm),
        np.concatenate(found_nm),
        len(specimen),
        "\n".join(_rows_of(table)),
    )


def draw(shown: Shown, out: Path) -> None:
    """Write the strip as PNG: three panels, and the table below them."""
    lines = shown.table.split("\n")
    with Image.open(shown.micrograph) as picture:
        tall = round(_PANEL * picture.height / picture.width)
    below = _TITLE + tall + _BELOW
    height = round(below + _LINE * len(lines) + _MARGIN)
    figure = Figure(figsize=(_WIDTH / 100, height / 100), dpi=100, facecolor="white")
    titles = ("micrograph", "particles found", f"their sizes, {shown.images} micrographs")
    lefts = [_MARGIN + number * (_PANEL + _BETWEEN) for number in range(3)]
    for number, (left, title) in enumerate(zip(lefts, titles, strict=True)):
        _write(figure, left, 34, title, _TEXT, height)
        if number:
            _write(figure, left - 0.72 * _BETWEEN, _TITLE + tall / 2, "\N{RIGHTWARDS ARROW}", 1.6 * _TEXT, height)
    for left, path in zip(lefts, (shown.micrograph, shown.overlay), strict=False):
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((_PANEL, tall), Image.Resampling.LANCZOS))
        figure.figimage(pixels, left, height - _TITLE - tall)
    at = float(lefts[1])
    for label, colour in shown.labels.items():
        _write(figure, at, _TITLE + tall + 26, label, _SMALL, height, tuple(value / 255 for value in colour))
        at += 0.62 * _SMALL * len(label) + 22
    # Room for the labels of the axes on the left and below.
    left, high = lefts[2] + 62, tall - 30
    wide = _WIDTH - _MARGIN - left
    place = (left / _WIDTH, (height - _TITLE - high) / height, wide / _WIDTH, high / height)
    _draw_sizes(figure.add_axes(place), shown)
    for number, line in enumerate(lines):
        at = below + _LINE * (number + 0.6)
        _write(figure, _MARGIN, at, line, _CHARACTER / _LETTER, height, family="DejaVu Sans Mono")
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    with Image.open(stream) as picture:
        few = picture.convert("RGB").quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(out, optimize=True)


def _call(work: Path, *words: str) -> str:
    """Run a command as a user would, show what it prints, and how long it took."""
    sys.stdout.write(f"$ nanoseg-bench {' '.join(words)}\n")
    started = time.monotonic()
    environment = {**os.environ, "COLUMNS": str(TABLE_WIDTH)}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "nanoseg_bench", *words],
        cwd=work, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    sys.stdout.write(f"{done.stdout}({time.monotonic() - started:.0f} s)\n\n")
    if done.returncode:
        raise SystemExit(f"nanoseg-bench {words[0]}: exit code {done.returncode}")
    return done.stdout


def _rows_of(printed: str) -> list[str]:
    """The lines of the first table: from its title to the blank line below its rows."""
    lines = [line.rstrip() for line in printed.splitlines()]
    title = next(number for number, line in enumerate(lines) if line.startswith("preset "))
    last = next((number for number, line in enumerate(lines) if number > title and not line), len(lines))
    return lines[title:last]


def _masks(image: dict) -> list[Rle]:
    return [
        Rle(image["height"], image["width"], each["counts"].encode("ascii"))
        for each in image["instances"]
        if not each.get("on_mark")
    ]


def _write(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    size: float,
    height: int,
    colour: str | tuple[float, ...] = _INK,
    family: str = "DejaVu Sans",
) -> None:
    """Write a text, its middle at (x, y) px from the top left."""
    # 72 points are 100 px here.
    figure.text(
        x / _WIDTH, 1 - y / height, text, fontsize=0.72 * size, color=colour, family=family, va="center",
        parse_math=False,
    )  # fmt: skip


def _draw_sizes(axes: Axes, shown: Shown) -> None:
    edges = np.histogram_bin_edges(np.concatenate((shown.truth, shown.found)), bins=9)
    axes.hist(shown.truth, edges, color="#c9d2da", label=f"true: {shown.truth.size}")
    axes.hist(shown.found, edges, histtype="step", color="#d1495b", linewidth=2.6, label=f"found: {shown.found.size}")
    axes.set_xlabel("diameter, nm", fontsize=0.72 * _SMALL, color=_SOFT)
    axes.set_ylabel("particles", fontsize=0.72 * _SMALL, color=_SOFT)
    axes.tick_params(labelsize=0.72 * _SMALL, colors=_SOFT)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])  # the legend's room
    axes.legend(fontsize=0.72 * _SMALL, frameon=False, ncols=2, loc="upper left", borderaxespad=0, labelcolor=_INK)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Render, call the commands, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder to work in, and to go on in (default: one that goes)")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="the best of them finds the particles")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = arguments.work or Path(scratch)
        if not (work / OWN).is_dir():
            render(work / OWN)
        draw(collect(work, benchmark(work, arguments.models, arguments.preset)), arguments.out)
    sys.stdout.write(f"{arguments.out}: {arguments.out.stat().st_size / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main()
