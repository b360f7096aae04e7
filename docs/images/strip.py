"""README's example: renders the micrographs that its commands are run on, and draws the picture strip.

    python docs/images/strip.py render 'Gold März'
    nanoseg-bench prepare 'Gold März' --name gold
    nanoseg-bench run gold --models nsyolo otsu unet
    nanoseg-bench predict 'Gold März' --model runs/gold/nsyolo-quick-seed0 --out found
    nanoseg-bench leaderboard gold > table.txt
    python docs/images/strip.py draw data/gold found table.txt docs/images/strip.webp

All that is shown is of one specimen of the test part, which the model was not trained on.
"""

import argparse
import json
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.annotations.raster import to_rle
from nanoseg_bench.metrics.size_distribution import equivalent_diameters
from nanoseg_bench.preparation.prepared_set import PreparedImage, PreparedSet
from nanoseg_bench.synthesis.nanosynth import write_nanosynth

IMAGES, SEED = 30, 7
INCHES, DOTS = 9.0, 200
TABLE_WIDTH = 80
LINE_HEIGHT = 0.17  # inches


def render(folder: Path) -> None:
    """Write 30 easy nanosynth micrographs, each with its LabelMe JSON, into one folder."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        write_nanosynth(Path(scratch), images=IMAGES, seed=SEED, ood_images=0, hrtem_images=0, easy=True)
        for path in sorted(Path(scratch).rglob("*-*-*.*")):
            (folder / path.name).write_bytes(path.read_bytes())


def draw(prepared: PreparedSet, found: Path, table: str, out: Path) -> None:
    """Draw micrograph, overlay and sizes of a test specimen side by side, and the table below."""
    document = json.loads((found / "predictions.json").read_text(encoding="utf-8"))
    predicted = {
        image["name"]: [
            Rle(image["height"], image["width"], each["counts"].encode())
            for each in image["instances"]
            if not each.get("on_mark")
        ]
        for image in document["images"]
    }
    specimen = _largest_specimen(prepared)
    truth = prepared.truth("test")
    true_nm, found_nm = np.zeros(0), np.zeros(0)
    for image in specimen:
        scale, box = image.nm_per_px, image.letterbox
        if scale is None:
            raise SystemExit(f"{image.name}: has no scale")
        drawn = [to_rle(each, box.height, box.width) for each in truth[image.name]]
        true_nm = np.append(true_nm, scale * equivalent_diameters(drawn))
        found_nm = np.append(found_nm, scale * equivalent_diameters(predicted[image.name]))

    lines = [line[:TABLE_WIDTH].rstrip() for line in table.splitlines() if line.strip()]
    heights = (2.6, LINE_HEIGHT * len(lines))
    figure = plt.figure(figsize=(INCHES, sum(heights) + 0.15), dpi=DOTS, layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=heights)
    shown = specimen[0]
    pictures = {"micrograph": _micrograph(document, shown), "particles found": found / "overlay" / f"{shown.name}.png"}
    for column, (title, path) in enumerate(pictures.items()):
        axes = figure.add_subplot(grid[0, column])
        with Image.open(path) as picture:
            axes.imshow(np.asarray(picture.convert("RGB")))
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    _draw_sizes(figure.add_subplot(grid[0, 2]), true_nm, found_nm, len(specimen))
    axes = figure.add_subplot(grid[1, :])
    axes.set_axis_off()
    axes.text(0, 1, "\n".join(lines), family="monospace", fontsize=9.4, va="top", linespacing=1.2)
    figure.savefig(out.with_suffix(".png"))
    plt.close(figure)
    with Image.open(out.with_suffix(".png")) as picture:
        picture.convert("RGB").save(out, quality=80, method=6)
    out.with_suffix(".png").unlink()


def _largest_specimen(prepared: PreparedSet) -> list[PreparedImage]:
    """The images of the test specimen with most particles."""
    truth = prepared.truth("test")
    specimens: dict[str, list[PreparedImage]] = {}
    for image in prepared.images("test"):
        specimens.setdefault(image.source_group, []).append(image)
    return max(specimens.values(), key=lambda images: sum(len(truth[image.name]) for image in images))


def _micrograph(document: dict, image: PreparedImage) -> Path:
    return Path(next(each["source"] for each in document["images"] if each["name"] == image.name))


def _draw_sizes(axes: plt.Axes, truth: NDArray[np.float64], found: NDArray[np.float64], images: int) -> None:
    edges = np.histogram_bin_edges(np.concatenate((truth, found)), bins=10)
    axes.hist(truth, edges, color="0.8", label=f"true, {truth.size}")
    axes.hist(found, edges, histtype="step", color="tab:red", linewidth=1.8, label=f"found, {found.size}")
    axes.set_title(f"sizes, {images} images of this specimen", fontsize=10)
    axes.set_xlabel("diameter (nm)", fontsize=9)
    axes.set_ylabel("particles", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("render").add_argument("folder", type=Path)
    drawing = steps.add_parser("draw")
    for name in ("set", "found", "table", "out"):
        drawing.add_argument(name, type=Path)
    arguments = parser.parse_args()
    if arguments.step == "render":
        render(arguments.folder)
    else:
        table = arguments.table.read_text(encoding="utf-8")
        draw(PreparedSet(arguments.set), arguments.found, table, arguments.out)


if __name__ == "__main__":
    main()
