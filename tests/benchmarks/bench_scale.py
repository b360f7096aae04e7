"""How often the scale of real micrographs is found, how often it is right above the gate, and how long it takes.

    python tests/benchmarks/bench_scale.py --emps /path/to/emps --part development

Truth: tests/measure/scale/emps_scale_bars.csv, read by eye. Right is the length that a bar states, with a bar as long
as the true one to 2 px or 2 %; where the answer is from words of an information bar, a scale that differs from the
bar's by no more. Where a bar ends in a stroke (cap, tick, outline), its length to the outer edges is right as well as
that to the middle of the strokes, as emps_scale_bars.md says; how many are right by the middle alone is printed, too.
Printed for each part, with 95 % Wilson intervals:

- accuracy: right among the images with a labelled bar, whatever the confidence;
- precision above the gate: right among what is filled in unasked, on images without a labelled bar, too;
- coverage: filled in and right among the images with a labelled bar.

The images that fail are listed. Times are those of the process, one thread, models loaded. Settings are made on the
part ``development`` alone; ``held_out`` is looked at once, at the end.
"""

import argparse
import csv
import math
import re
import statistics
import time
from collections import defaultdict
from pathlib import Path

import cv2
from figure_list import add_json_option, figure, hand_over, share_of

from nanoseg_bench.images import read_image
from nanoseg_bench.measure.scale import GATE, INFO_BAR, find_scale

TRUTH = Path(__file__).parents[1] / "measure" / "scale" / "emps_scale_bars.csv"
NM = {"nm": 1.0, "um": 1000.0, "µm": 1000.0, "pm": 0.001, "mm": 1e6}
LENGTH_PX, LENGTH_SHARE = 2.0, 0.02


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emps", type=Path, required=True, help="a copy of the EMPS repository")
    parser.add_argument("--part", choices=("development", "held_out"), default="development")
    parser.add_argument("--truth", type=Path, default=TRUTH)
    parser.add_argument("--limit", type=int, help="so many images only")
    add_json_option(parser)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    truth = read_truth(arguments.truth, arguments.part)
    figures = measure(arguments.emps, arguments.part, dict(list(truth.items())[: arguments.limit]))
    hand_over(arguments.json, figures)


def read_truth(path, part):
    """Rows of the labelled bars of each image of a part; none where it has no labelled bar."""
    bars = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["part"] == part:
                labelled = row["has_bar"] == "1" and row["value"]
                bars[row["image"]] += [row] if labelled else []
    return bars


def measure(emps, part, truth):
    labelled = right = filled = filled_right = covered = by_middle = filled_by_middle = 0
    seconds, without_text = [], []
    failed = []
    find_scale(read_image(emps / "images" / f"{next(iter(truth))}.png"))  # loads the models
    for name, bars in truth.items():
        pixels = read_image(emps / "images" / f"{name}.png")
        found, spent = timed(pixels)
        seconds.append(spent)
        without_text.append(timed(pixels, read_text=False)[1])
        good = any(agrees(found, bar, px) for bar in bars for px in lengths(bar))
        by_middle += any(agrees(found, bar, length(bar)) for bar in bars)
        filled_by_middle += found.is_sure and any(agrees(found, bar, length(bar)) for bar in bars)
        labelled += bool(bars)
        right += good
        filled += found.is_sure
        filled_right += found.is_sure and good
        covered += found.is_sure and good and bool(bars)
        if (bars and not good) or (found.is_sure and not good):
            failed.append((name, found, bars))
    print(f"{part}: {len(truth)} images, {labelled} with a labelled bar; gate {GATE}")
    print(f"  right, of those with a labelled bar     {wilson(right, labelled)}")
    print(f"  right above the gate                    {wilson(filled_right, filled)}")
    print(f"  filled in and right, of those labelled  {wilson(covered, labelled)}")
    print(f"  by the middle of end strokes alone: right {wilson(by_middle, labelled)}; ", end="")
    print(f"above the gate {wilson(filled_by_middle, filled)}")
    print(f"  CPU s per image: median {statistics.median(seconds):.2f}, longest {max(seconds):.2f}; ", end="")
    print(f"without reading text {statistics.median(without_text):.2f}, {max(without_text):.2f}")
    for name, found, bars in failed:
        said = " and ".join(f"{bar['text']} over {length(bar):.1f} px" for bar in bars) or "no labelled bar"
        px = f"{found.bar[2] - found.bar[0]:.1f} px" if found.bar else "no bar"
        answer = f"{found.text or '-'} over {px} ({found.confidence:.2f})"
        print(f"  {'filled' if found.is_sure else 'asked '} {name}: {answer}; truth {said}")
    counts = {
        "images": len(truth),
        "labelled": labelled,
        "filled": filled,
        "filled-right": filled_right,
        "right": right,
    }
    shares = {"right-of-labelled": (right, labelled), "right-of-filled": (filled_right, filled)}
    return [figure(name, value, digits=0) for name, value in counts.items()] + [
        figure(name, *(100 * each for each in share_of(*share)), unit="%", digits=1, n=share[1])
        for name, share in shares.items()
        if share[1]
    ]


def timed(pixels, **options):
    start = time.process_time()
    found = find_scale(pixels, **options)
    return found, time.process_time() - start


def length(bar):
    return math.hypot(float(bar["x1"]) - float(bar["x0"]), float(bar["y1"]) - float(bar["y0"]))


def lengths(bar):
    """Lengths that count as right, in pixels."""
    edges = re.search(r"outer edges ([\d.]+) to ([\d.]+)", bar["note"])
    return [length(bar), *([float(edges[2]) - float(edges[1])] if edges else [])]


def agrees(found, bar, px):
    nm = float(bar["value"]) * NM[bar["unit"]]
    allowed = max(LENGTH_PX, LENGTH_SHARE * px)
    if found.source == INFO_BAR:
        return abs(nm / found.nm_per_px - px) <= allowed
    if found.bar is None or found.value_nm is None:
        return False
    x0, y0, x1, y1 = found.bar
    return math.isclose(found.value_nm, nm, rel_tol=1e-6) and abs(math.hypot(x1 - x0, y1 - y0) - px) <= allowed


def wilson(hits, trials):
    if not trials:
        return "0 of 0"
    share, low, high = share_of(hits, trials)
    return f"{hits} of {trials}: {share:.1%} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
