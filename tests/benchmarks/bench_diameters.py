"""Diameters of real particles, measured by hand and by ``analyze``.

    python tests/benchmarks/bench_diameters.py --emps /path/to/emps

By hand: tests/measure/emps_diameters.csv, see emps_diameters.md. By ``analyze``: the shipped weights with their
operating point, the diameter of the circle of equal area of the outline in which the middle of the hand's diameters
lies; the smallest one, where there are several. Printed in pixels, so that no scale has a part in the differences, and
in nm where the scale was found; beside it those of the annotators' outlines (segmaps). A particle without an outline,
or one that does not count, is printed as such.
"""

import argparse
import csv
import statistics
from pathlib import Path

import cv2
import numpy as np
from figure_list import add_json_option, figure, hand_over

from nanoseg_bench.annotations.raster import rle_to_window, to_rle
from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.measure.particles import BELOW_CONFIDENCE

HAND = Path(__file__).parents[1] / "measure" / "emps_diameters.csv"
EDGE_PX = 1.0
"""Standard uncertainty of one edge that is set by eye: blurred edges are some pixels wide."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emps", type=Path, required=True, help="a copy of the EMPS repository")
    parser.add_argument("--model", help="as for analyze (default: the shipped weights)")
    parser.add_argument("--no-ocr", action="store_true", help="read no text: no scales")
    parser.add_argument("--limit", type=int, help="so many images only")
    add_json_option(parser)
    arguments = parser.parse_args()
    isolate_libraries()
    hand = dict(list(read_hand().items())[: arguments.limit])
    read_text = False if arguments.no_ocr else None
    hand_over(arguments.json, compare(arguments.emps, arguments.model, hand, read_text=read_text))


def read_hand(path=HAND):
    """Middle and mean diameter in px of the particles of each image."""
    images = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            left, right, top, bottom = (float(row[name]) for name in ("left", "right", "top", "bottom"))
            middle = ((left + right) / 2, (top + bottom) / 2)
            images.setdefault(row["image"], []).append((middle, ((right - left) * (bottom - top)) ** 0.5))
    return images


def compare(emps, model, hand, *, read_text):
    from nanoseg_bench.inference import open_predictor
    from nanoseg_bench.report.analysis.finder import ByModel
    from nanoseg_bench.report.analysis.micrograph import Choices, analyse_micrograph

    predictor = open_predictor(model)
    print("image       by hand   annotated       analyze               scale")
    differences, annotated = [], []
    for name, particles in hand.items():
        analysed = analyse_micrograph(emps / "images" / f"{name}.png", ByModel(predictor), Choices(read_text=read_text))
        scale = analysed.image.nm_per_px
        truth = cv2.imread(str(emps / "segmaps" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        for middle, by_hand in particles:
            row = found_at(analysed, middle)
            drawn = diameter_at(truth, middle)
            annotated += [] if drawn is None else [100 * (drawn / by_hand - 1)]
            beside = "     -          " if drawn is None else f"{drawn:6.1f} px {100 * (drawn / by_hand - 1):+5.1f} %"
            if row is None:
                print(f"{name} {by_hand:6.1f} px {beside}   not found")
                continue
            measured = row["diameter_px"]
            share = measured / by_hand - 1
            differences.append((share, measured - by_hand, EDGE_PX / by_hand))
            in_nm = (
                "no scale" if scale is None else f"{scale:.4g} nm/px: {by_hand * scale:.4g}, {measured * scale:.4g} nm"
            )
            left_out = f"  left out: {row['exclusion']}" if isinstance(row["exclusion"], str) else ""
            print(f"{name} {by_hand:6.1f} px {beside} {measured:6.1f} px {100 * share:+5.1f} %   {in_nm}{left_out}")
    shares = [100 * share for share, _, _ in differences]
    by_eye = 100 * statistics.mean(uncertain for *_, uncertain in differences)
    print(f"{len(shares)} of {sum(map(len, hand.values()))} found; differences: mean", end=" ")
    print(f"{statistics.mean(shares):+.1f} %, median {statistics.median(shares):+.1f} %, standard deviation", end=" ")
    print(f"{statistics.stdev(shares):.1f} %, largest {max(shares, key=abs):+.1f} %; by eye {by_eye:.1f} %")
    print(f"annotated: {len(annotated)}; differences: mean {statistics.mean(annotated):+.1f} %, median", end=" ")
    print(f"{statistics.median(annotated):+.1f} %, standard deviation {statistics.stdev(annotated):.1f} %")
    percent = {"unit": "%", "n": len(shares)}
    return [
        figure("found", len(shares), digits=0),
        figure("mean", statistics.mean(shares), digits=1, **percent),
        figure("median", statistics.median(shares), digits=1, **percent),
        figure("largest", max(shares, key=abs), digits=0, **percent),
        figure("by-eye", by_eye, digits=1, **percent),
        figure("annotated", statistics.mean(annotated), unit="%", digits=1, n=len(annotated)),
    ]


def diameter_at(truth, middle):
    """Of the annotated particle at a point of an instance map; None on the background."""
    value = int(truth[int(middle[1]), int(middle[0])])
    return None if value == 0 else float(np.sqrt(4 * (truth == value).sum() / np.pi))


def found_at(analysed, middle):
    """The row of the smallest outline that holds a point; None where there is none above the confidence."""
    image, table = analysed.image, analysed.table
    column, row = (int(each) for each in middle)
    holding = []
    for number, exclusion in zip(table["particle"], table["exclusion"], strict=True):
        if isinstance(exclusion, str) and BELOW_CONFIDENCE in exclusion:
            continue
        window, x, y = rle_to_window(to_rle(image.instances[number - 1], image.height, image.width))
        inside = 0 <= row - y < window.shape[0] and 0 <= column - x < window.shape[1]
        if inside and window[row - y, column - x]:
            holding.append((int(window.sum()), number))
    return None if not holding else table[table["particle"] == min(holding)[1]].iloc[0]


if __name__ == "__main__":
    main()
