"""How often outlines are named right, on rendered and on real outlines, and how long it takes.

    python tests/benchmarks/bench_shape_names.py --emps ../shared/data/emps --model nsyolo --split train val

Rendered outlines are those that were held out from the fit. Real ones are the true masks of the EMPS micrographs of
tests/measure/emps_single_shape.csv, which show one shape each, and the outlines of models there (those of the
operating point that overlap no other one). Those of the training part flatter a model that was trained on it.
Outlines that the border cuts, and those under 20 px of diameter, get no name and are left out. A few particles of a
micrograph are of another shape than most; they count as wrong all the same. Settings are chosen on train and val alone.
"""

import argparse
import csv
import itertools
import math
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from figure_list import add_json_option, figure, hand_over, share_of
from scipy import ndimage

from nanoseg_bench.annotations.instance import Instance
from nanoseg_bench.annotations.raster import window_to_rle
from nanoseg_bench.catalog.registry import load_card, split_path
from nanoseg_bench.environment import isolate_libraries
from nanoseg_bench.measure.particles import counted, measure_particles
from nanoseg_bench.measure.shape_names.forms import NAMES
from nanoseg_bench.measure.shape_names.namer import OTHER, shipped_namer
from nanoseg_bench.measure.shape_names.training import HELD_OUT, described, draw_silhouettes
from nanoseg_bench.preparation.split import read_split_file

SINGLE_SHAPE = Path(__file__).resolve().parents[1] / "measure" / "emps_single_shape.csv"
FOUND = ["truth", "shape", "certainty", "image"]


def read_shapes(part):
    """Shape of each micrograph of a part of EMPS: train, val or test."""
    parts = read_split_file(split_path(load_card("emps"), "official"))
    with SINGLE_SHAPE.open(encoding="utf-8") as file:
        return {row["image"]: row["shape"] for row in csv.DictReader(file) if parts[row["image"]] == part}


def true_instances(path):
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    labels = labels if labels.ndim == 2 else labels[..., 0]
    height, width = labels.shape
    for number, box in enumerate(ndimage.find_objects(labels.astype(int)), 1):
        if box is not None:
            region = window_to_rle(labels[box] == number, box[1].start, box[0].start, height, width)
            yield Instance(None, region)


def named(table, shape, image):
    kept = counted(table)
    kept = kept[kept["shape"].notna()]
    found = {"truth": shape, "shape": kept["shape"], "certainty": kept["shape_certainty"], "image": image}
    return pd.DataFrame(found, columns=FOUND)


def on_truth(emps, shapes):
    tables = []
    for image, shape in shapes.items():
        path = emps / "segmaps" / f"{image}.png"
        height, width = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape[:2]
        tables.append(
            named(measure_particles(list(true_instances(path)), height, width, shapes=shipped_namer()), shape, image)
        )
    return pd.concat(tables)


def on_predictions(model, emps, shapes, views):
    from nanoseg_bench.inference import open_predictor, read_image

    predictor = open_predictor(model, views=views)
    confidence = predictor.operating_point.confidence
    tables = []
    for image, shape in shapes.items():
        pixels = read_image(emps / "images" / f"{image}.png")
        instances = predictor.predict(pixels, confidence, image)
        table = measure_particles(instances, *pixels.shape[:2], shapes=shipped_namer())
        tables.append(named(table[~table["overlaps"]], shape, image))
    return pd.concat(tables)


def on_rendered(per_name):
    descriptors, truth = described(draw_silhouettes(per_name, HELD_OUT), main_part=True)
    found = shipped_namer().name(list(descriptors))
    rows = [(NAMES[name], each.name, each.certainty, "") for name, each in zip(truth, found, strict=True)]
    return pd.DataFrame(rows, columns=FOUND)


def print_table(title, found, label):
    """Print it; figures of each shape, whose names begin with ``label``."""
    rows, poor = [], []
    for shape in [name for name in NAMES if (found["truth"] == name).any()]:
        outlines = found[found["truth"] == shape]
        right = outlines["shape"] == shape
        other = (outlines["shape"] == OTHER) & ~right
        by_image = right.groupby(outlines["image"]).agg(["mean", "size"])
        _, low, high = share_of(right.sum(), len(outlines))
        rows.append(
            {
                "truth": shape,
                "images": len(by_image),
                "outlines": len(outlines),
                "right %": 100 * right.mean(),
                "95 % interval": f"{100 * low:.1f} to {100 * high:.1f}",
                "wrong %": 100 * (~right & ~other).mean(),
                "other %": 100 * other.mean(),
                "right %, mean of images": 100 * by_image["mean"].mean(),
                **{f"→ {name}": int((outlines["shape"] == name).sum()) for name in NAMES},
            }
        )
        below = by_image[by_image["mean"] < 0.8]
        poor += [
            f"{image or 'all'} ({shape}: {row['mean']:.0%} of {row['size']:.0f})" for image, row in below.iterrows()
        ]
    figures = []
    for row in rows:
        right = (100 * each for each in share_of(row["right %"] / 100 * row["outlines"], row["outlines"]))
        name = f"{label}-{row['truth']}"
        figures.append(figure(name, *right, unit="%", digits=0, n=row["outlines"]))
        figures.append(figure(f"{name}-wrong", row["wrong %"], unit="%", digits=0, n=row["outlines"]))
    print(f"\n{title}\n{pd.DataFrame(rows).to_string(index=False, float_format='%.1f')}")
    if poor:
        print("under 80 %:", ", ".join(poor))
    named_ones = found[found["shape"] != OTHER]
    bins = pd.cut(named_ones["certainty"], [0, 0.8, 0.9, 0.97, 0.99, 1])
    right = (named_ones["shape"] == named_ones["truth"]).groupby(bins, observed=True).agg(["mean", "size"])
    print(
        "share right by certainty:",
        ", ".join(f"{at} {row['mean']:.3f} of {row['size']:.0f}" for at, row in right.iterrows()),
    )
    return figures


def time_naming(particles=500, repeats=7):
    """Beyond measuring: the difference of the table with and without names, process time."""
    masks = [each.mask for each in draw_silhouettes(40, HELD_OUT)]
    rng = np.random.default_rng(0)
    instances = []
    for number in range(particles):
        mask = masks[number % len(masks)]
        height, width = mask.shape
        left, top = rng.integers(1, 2047 - width), rng.integers(1, 2047 - height)
        instances.append(Instance(None, window_to_rle(mask, int(left), int(top), 2048, 2048)))
    times = []
    for shapes in (None, shipped_namer()):
        lowest = math.inf
        for _ in range(repeats):
            start = time.process_time()
            measure_particles(instances, 2048, 2048, shapes=shapes)
            lowest = min(lowest, time.process_time() - start)
        times.append(lowest)
    print(
        f"\n{particles} particles: table {times[0]:.3f} s, with names {times[1]:.3f} s, "
        f"names alone {1000 * (times[1] - times[0]):.0f} ms"
    )
    return [figure("cpu", 1000 * (times[1] - times[0]), unit="ms", digits=0, n=particles)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emps", type=Path, help="folder of EMPS; without it, rendered outlines alone")
    parser.add_argument("--split", nargs="+", choices=("train", "val", "test"), default=["val"])
    parser.add_argument("--model", nargs="*", default=[], help="as for predict: models whose outlines are named")
    parser.add_argument("--views", type=int, nargs="+", choices=(1, 4, 8), default=[1], help="as for predict")
    parser.add_argument("--per-name", type=int, default=1000, help="rendered outlines of each name")
    add_json_option(parser)
    arguments = parser.parse_args()
    isolate_libraries()
    figures = []
    print(f"least certainty {shipped_namer().least_certainty:.2f}")
    if arguments.per_name:
        figures += print_table("rendered, held out", on_rendered(arguments.per_name), "rendered")
    for split in arguments.split if arguments.emps else []:
        shapes = read_shapes(split)
        figures += print_table(f"EMPS {split}, true masks", on_truth(arguments.emps, shapes), f"emps-{split}")
        for model, views in itertools.product(arguments.model, arguments.views):
            found = on_predictions(model, arguments.emps, shapes, views)
            sides = "" if views == 1 else f"-{views}-sides"
            title = f"EMPS {split}, outlines of {model}, seen from {views} side{'s' if views > 1 else ''}"
            figures += print_table(title, found, f"emps-{split}-{model}{sides}")
    hand_over(arguments.json, figures + time_naming())


if __name__ == "__main__":
    main()
